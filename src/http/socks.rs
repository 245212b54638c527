//! The handshake with a SOCKS5 proxy: RFC 1928, and RFC 1929 for the password.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};

use super::errors::{BeyondProxy, ProxyFailure};
use crate::domain::proxy::ProxyLogin;

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const PASSWORD: u8 = 2;
const CONNECT: u8 = 1;

/// What the proxy connects to.
pub enum Goal<'a> {
    Address(SocketAddr),
    Name(&'a str, u16),
}

impl fmt::Display for Goal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Goal::Address(address) => address.fmt(f),
            Goal::Name(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

/// Asks the proxy for a connection; everything after it is exchanged with the receiver.
pub fn connect(wire: &mut (impl Read + Write), login: &ProxyLogin, goal: &Goal<'_>) -> io::Result<()> {
    let failure = |reason: &str| io::Error::other(ProxyFailure::new(&login.proxy, reason));
    let methods: &[u8] = if login.proxy.user.is_some() { &[NO_LOGIN, PASSWORD] } else { &[NO_LOGIN] };
    wire.write_all(&[&[VERSION, methods.len() as u8], methods].concat())?;
    match read::<2>(wire)? {
        [VERSION, NO_LOGIN] => {}
        [VERSION, PASSWORD] if login.proxy.user.is_some() => {
            wire.write_all(&credentials(login))?;
            if read::<2>(wire)?[1] != 0 {
                return Err(failure("it does not take this user and password"));
            }
        }
        [VERSION, _] => {
            return Err(failure(
                "it wants another login: --proxy socks5://USER@HOST:PORT and --proxy-password-env VAR",
            ));
        }
        _ => return Err(failure("what it answered is not SOCKS5")),
    }
    wire.write_all(&request(goal))?;
    let [version, code, _, kind] = read::<4>(wire)?;
    if version != VERSION {
        return Err(failure("what it answered is not SOCKS5"));
    }
    match code {
        0 => {}
        3..=6 => return Err(io::Error::other(BeyondProxy(format!("{}: {} {goal}", login.proxy.place(), told(code))))),
        code => return Err(failure(&format!("{} {goal}", told(code)))),
    }
    // The address that the proxy connects from is read and ignored.
    let length = match kind {
        1 => 4,
        4 => 16,
        3 => usize::from(read::<1>(wire)?[0]),
        _ => return Err(failure("what it answered is not SOCKS5")),
    };
    wire.read_exact(&mut vec![0; length + 2])
}

fn read<const N: usize>(wire: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    wire.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Neither part is longer than 255 bytes: [`crate::domain::proxy::check_password`].
fn credentials(login: &ProxyLogin) -> Vec<u8> {
    let user = login.proxy.user.as_deref().unwrap_or_default().as_bytes();
    let password = login.password.as_ref().map_or(&[][..], |password| password.bytes());
    [&[1, user.len() as u8], user, &[password.len() as u8], password].concat()
}

fn request(goal: &Goal<'_>) -> Vec<u8> {
    let mut request = vec![VERSION, CONNECT, 0];
    let port = match goal {
        Goal::Address(address) => {
            match address.ip() {
                IpAddr::V4(ip) => request.extend([&[1][..], &ip.octets()].concat()),
                IpAddr::V6(ip) => request.extend([&[4][..], &ip.octets()].concat()),
            }
            address.port()
        }
        // No name in a URL is longer than 253 bytes.
        Goal::Name(name, port) => {
            request.extend([&[3, name.len() as u8], name.as_bytes()].concat());
            *port
        }
    };
    request.extend(port.to_be_bytes());
    request
}

/// RFC 1928 section 6; the target follows.
fn told(code: u8) -> &'static str {
    match code {
        2 => "it does not allow a connection to",
        3 => "the network cannot be reached of",
        4 => "the host cannot be reached of",
        5 => "the connection was refused by",
        6 => "no answer came in time from",
        8 => "it knows no such kind of address:",
        _ => "it could not connect to",
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// Replays a script and keeps what was written.
    struct Script {
        answers: Cursor<Vec<u8>>,
        written: Vec<u8>,
    }

    impl Read for Script {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.answers.read(buffer)
        }
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.written.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn run(proxy: &str, goal: &Goal<'_>, answers: &[u8]) -> (io::Result<()>, Vec<u8>) {
        let mut script = Script { answers: Cursor::new(answers.to_vec()), written: Vec::new() };
        let done = connect(&mut script, &ProxyLogin::parse(proxy).unwrap(), goal);
        (done, script.written)
    }

    #[test]
    fn it_speaks_as_the_standards_say_with_names_addresses_and_passwords() {
        let goal = Goal::Address("192.0.2.7:443".parse().unwrap());
        let (done, written) = run("socks5://p", &goal, &[5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert!(done.is_ok());
        assert_eq!(written, [5, 1, 0, 5, 1, 0, 1, 192, 0, 2, 7, 1, 187]);
        let goal = Goal::Name("a.example", 80);
        let (done, written) = run("socks5://me:pw@p", &goal, &[5, 2, 1, 0, 5, 0, 0, 3, 1, b'x', 0, 0]);
        assert!(done.is_ok());
        let expected = [&[5, 2, 0, 2, 1, 2][..], b"me", &[2], b"pw", &[5, 1, 0, 3, 9], b"a.example", &[0, 80]].concat();
        assert_eq!(written, expected);
    }

    #[test]
    fn what_the_proxy_says_of_itself_and_of_the_receiver_is_told_apart() {
        let goal = Goal::Name("a.example", 80);
        let error = |answers: &[u8]| run("socks5://me:pw@p", &goal, answers).0.unwrap_err();
        for code in [1, 2, 7, 8, 99] {
            let error = error(&[5, 0, 5, code, 0, 1]);
            assert!(error.get_ref().unwrap().is::<ProxyFailure>(), "{code}: {error}");
        }
        for code in 3..=6 {
            let error = error(&[5, 0, 5, code, 0, 1]);
            assert!(error.get_ref().unwrap().is::<BeyondProxy>(), "{code}: {error}");
        }
        for broken in [&[5, 255][..], &[5, 2, 1, 1], b"HT", &[5, 0, 4, 0, 0, 1], &[5, 0, 5, 0, 0, 9]] {
            let error = error(broken);
            assert!(error.get_ref().unwrap().is::<ProxyFailure>(), "{broken:?}: {error}");
            assert!(!error.to_string().contains("pw"), "{error}");
        }
    }
}
