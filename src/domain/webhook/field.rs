//! The settings by name, and the error of a value that is refused.

use std::fmt;

use crate::domain::credential::Source;

/// A setting or another key of a configuration file, as messages name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its key in TOML and JSON.
    pub key: &'static str,
    /// Its option on the command line.
    pub flag: &'static str,
    /// Whether its value may contain a credential. No message repeats such a value.
    pub is_credential: bool,
}

/// One constant for each line, and all of them in `ALL`.
macro_rules! fields {
    ($($name:ident: $key:literal, $flag:literal, $is_credential:literal;)*) => {
        impl Field {
            $(pub const $name: Field = Field { key: $key, flag: $flag, is_credential: $is_credential };)*

            /// All of them, in the order of `webhook show -o json`.
            pub const ALL: &[Field] = &[$(Field::$name),*];
        }
    };
}

// Key, option, and whether it may contain a credential: URLs and headers often contain tokens.
fields! {
    NAME: "name", "NAME", false;
    DESCRIPTION: "description", "--description", false;
    URL: "url", "--url", true;
    SECRET_URL: "secret_url", "--secret-url-env", true;
    EVENTS: "events", "--event", false;
    FILTER: "filter", "--filter", false;
    TRANSFORM: "transform", "--transform", false;
    PRESET: "preset", "--preset", false;
    HTTP_METHOD: "http_method", "--method", false;
    CONTENT_TYPE: "content_type", "--content-type", false;
    HEADERS: "headers", "--header", true;
    OWNER: "owner", "--owner", false;
    MAX_RETRIES: "max_retries", "--max-retries", false;
    RETRY_DELAY: "retry_delay_seconds", "--retry-delay", false;
    RETRY_SCHEDULE: "retry_schedule", "--retry-schedule", false;
    TIMEOUT: "timeout_seconds", "--timeout", false;
    SIGNATURE_SCHEMES: "signature_schemes", "--signature", false;
    SIGNATURE_HEADER: "signature_header", "--signature-header", false;
    SIGNATURE_PREFIX: "signature_prefix", "--signature-prefix", false;
    SIGNATURE_ENCODING: "signature_encoding", "--signature-encoding", false;
    SIGNATURE_ALGORITHM: "signature_algorithm", "--signature-algorithm", false;
    DISABLE_AFTER: "disable_after_seconds", "--disable-after", false;
    RATE_LIMIT: "rate_limit", "--rate-limit", false;
    CONCURRENCY: "concurrency", "--concurrency", false;
    IS_ORDERED: "is_ordered", "--ordered", false;
    ALLOW_PRIVATE: "allow_private", "--allow-private", false;
    ALLOW_NETWORKS: "allow_networks", "--allow-network", false;
    CA_CERT: "ca_cert", "--ca-cert", true;
    SYSTEM_ROOTS: "system_roots", "--system-roots", false;
    PROXY: "proxy", "--proxy", true;
    PROXY_PASSWORD: "proxy_password", "--proxy-password-env", true;
    PROXY_RESOLVES: "proxy_resolves", "--proxy-resolves", false;
    CLIENT_CERT: "client_cert", "--client-cert", true;
    CLIENT_KEY: "client_key", "--client-key", true;
    IS_ACTIVE: "is_active", "--inactive", false;
    SECRET: "secret", "--secret-stdin", true;
    PRIVATE_KEY: "private_key", "--secret-file", true;
    SECRET_ENV: "secret_env", "--secret-env", true;
    SECRET_FILE: "secret_file", "--secret-file", true;
}

impl Field {
    pub fn of_key(key: &str) -> Option<Field> {
        Field::ALL.iter().find(|field| field.key == key).copied()
    }

    /// The same, with the option that takes a credential from there.
    #[must_use]
    pub fn given_by(self, source: Option<&Source>) -> Field {
        let flag = match (self, source) {
            (Field::PROXY_PASSWORD, Some(Source::File(_))) => "--proxy-password-file",
            (Field::SECRET_URL, Some(Source::File(_))) => "--secret-url-file",
            (Field::HEADERS, Some(Source::Env(_))) => "--header-env",
            (Field::HEADERS, Some(Source::File(_))) => "--header-file",
            _ => self.flag,
        };
        Field { flag, ..self }
    }

    pub fn invalid(self, reason: impl fmt::Display) -> Invalid {
        Invalid { field: self, reason: reason.to_string(), hint: None }
    }
}

/// A value that is refused. The caller makes an error of it that names the option, or the key and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    pub field: Field,
    pub reason: String,
    pub hint: Option<String>,
}

impl Invalid {
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Invalid {
        Invalid { hint: Some(hint.into()), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_has_every_key_with_its_option() {
        let reference = include_str!("../../../docs/reference.md");
        for Field { key, flag, .. } in Field::ALL {
            assert!(reference.contains(&format!("\n| `{key}` | `{flag}` | ")), "{key}");
        }
    }
}
