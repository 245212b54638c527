//! How the bytes of a signature are written as text.

use std::str::FromStr;

use base64::{Engine, engine::general_purpose::STANDARD};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Lower-case hex, as all hex schemes sign. Upper case is refused: most senders' own libraries compare texts.
    Hex,
    /// Signs lower-case hex and takes either case, as the sender's own library does.
    HexAnyCase,
    /// Standard base64 with its padding, strict (RFC 4648 section 4).
    Base64,
}

impl Encoding {
    /// `hex` or `base64`.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Hex | Encoding::HexAnyCase => "hex",
            Encoding::Base64 => "base64",
        }
    }

    pub fn push(self, bytes: &[u8], text: &mut String) {
        match self {
            Encoding::Hex | Encoding::HexAnyCase => {
                let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble & 0xf)]);
                text.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]));
            }
            Encoding::Base64 => STANDARD.encode_string(bytes, text),
        }
    }

    /// The bytes that `text` stands for; `None` when it is not exactly this encoding.
    pub fn decode(self, text: &[u8]) -> Option<Vec<u8>> {
        match self {
            Encoding::Hex if text.iter().any(u8::is_ascii_uppercase) => None,
            Encoding::Hex | Encoding::HexAnyCase => hex::decode(text).ok(),
            Encoding::Base64 => STANDARD.decode(text).ok(),
        }
    }
}

impl FromStr for Encoding {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Encoding, Self::Err> {
        match name {
            "hex" => Ok(Encoding::Hex),
            "base64" => Ok(Encoding::Base64),
            _ => Err("unknown encoding; use hex or base64"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let bytes = [0x00, 0xff, 0x1a, 0xb2, 0x07];
        for encoding in [Encoding::Hex, Encoding::HexAnyCase, Encoding::Base64] {
            let mut text = String::new();
            encoding.push(&bytes, &mut text);
            assert_eq!(encoding.decode(text.as_bytes()), Some(bytes.to_vec()), "{text}");
        }
        let mut text = "v1=".to_owned();
        Encoding::Hex.push(&bytes, &mut text);
        assert_eq!(text, "v1=00ff1ab207");
    }

    #[test]
    fn base64_is_strict() {
        for text in ["AP8", "AP8==", "AP9=", "_w==", " AP8=", "AP8=\n"] {
            assert_eq!(Encoding::Base64.decode(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn hex_takes_upper_case_only_where_the_sender_does() {
        assert_eq!(Encoding::Hex.decode(b"FF"), None);
        assert_eq!(Encoding::HexAnyCase.decode(b"Ff"), Some(vec![0xff]));
        assert_eq!(Encoding::Hex.decode(b"f"), None);
    }
}
