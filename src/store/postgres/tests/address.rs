use super::*;

fn parse_with(url: &str, variables: &[(&'static str, &str)]) -> Result<Server, AddressError> {
    let variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Server::parse(url, &variables)
}

fn parse(url: &str) -> Server {
    parse_with(url, &[("USER", "me")]).unwrap()
}

#[track_caller]
fn assert_shown(url: &str, expected: &str) {
    assert_eq!(parse(url).to_string(), expected);
}

#[track_caller]
fn assert_refused(url: &str, expected: &str) {
    assert_eq!(parse_with(url, &[]).unwrap_err().to_string(), expected, "{url}");
}

#[test]
fn an_address_is_completed_and_shown_without_its_password() {
    assert_shown("postgres://app:pass%40word@db.example:5433/hooks", "postgres://app@db.example:5433/hooks");
    assert_shown("postgres://", "postgres://me@localhost/me");
    assert_shown("postgres://app@[::1]:5433", "postgres://app@[::1]:5433/app");
    assert_shown("postgres://app@a,b:5433/hooks", "postgres://app@a,b:5433/hooks");
    assert_shown("postgres://app@%2Frun%2Fpostgresql/hooks", "postgres://app@/run/postgresql/hooks");
    assert_shown("postgres:///hooks?host=/tmp&port=5499&user=app&password=x", "postgres://app@/tmp:5499/hooks");
    let server = parse("postgres://app:pass%40word@db/hooks");
    assert!(server.has_password_in_address);
    assert_eq!(server.hosts[0].password, Some(Password("pass@word".to_owned())));
    assert!(!format!("{server:?}").contains("pass@word"));
}

#[test]
fn what_the_address_leaves_open_comes_from_the_variables() {
    let variables = [
        ("PGHOST", "a,b"),
        ("PGPORT", "5433,5434"),
        ("PGUSER", "app"),
        ("PGDATABASE", "hooks"),
        ("PGPASSWORD", "secret"),
        ("PGOPTIONS", "-c statement_timeout=5s"),
        ("PGSSLMODE", "verify-ca"),
        ("PGTARGETSESSIONATTRS", "read-write"),
        ("PGCONNECT_TIMEOUT", "3"),
    ];
    let server = parse_with("postgres://", &variables).unwrap();
    assert_eq!(server.to_string(), "postgres://app@a:5433,b:5434/hooks");
    assert_eq!(server.hosts[1].password, Some(Password("secret".to_owned())));
    assert_eq!((server.encryption, server.session), (Encryption::Authority, Session::ReadWrite));
    assert_eq!((server.connect_timeout, server.options.as_str()), (Duration::from_secs(3), "-c statement_timeout=5s"));
    assert!(!server.has_password_in_address);
    let server = parse_with("postgres://me:own@c:1/mine?sslmode=disable", &variables).unwrap();
    assert_eq!(server.to_string(), "postgres://me@c:1/mine");
    assert_eq!(server.hosts[0].password, Some(Password("own".to_owned())));
}

#[test]
fn a_server_elsewhere_is_verified_and_one_that_is_not_is_warned_of() {
    for (url, expected) in [
        ("postgres://me@127.0.0.1/x", Encryption::None),
        ("postgres://me@localhost/x", Encryption::None),
        ("postgres://me@%2Frun/x", Encryption::None),
        ("postgres://me@localhost/x?sslmode=require", Encryption::Full),
        ("postgres://me@db.example/x", Encryption::Full),
        ("postgres://me@localhost,db.example/x", Encryption::Full),
        ("postgres://me@db.example/x?sslmode=verify-ca", Encryption::Authority),
    ] {
        assert_eq!((parse(url).encryption, parse(url).warnings.len()), (expected, 0), "{url}");
    }
    let server = parse("postgres://me@db.example/x?sslmode=disable");
    assert_eq!((server.encryption, server.warnings.len()), (Encryption::None, 1));
}

#[test]
fn what_cannot_be_meant_is_refused() {
    assert_refused("postgres://h/x", "no user: the address names none, and PGUSER is not set");
    assert_refused("postgres://u@h:99999/x", "the port is no number from 1 to 65535");
    assert_refused(
        "postgres://u@h/x?sslmode=prefer",
        "sslmode=prefer leaves it to whoever answers whether anything is encrypted",
    );
    assert_refused("postgres://u@h/x?sslmode=maybe", "sslmode: use verify-full, verify-ca, require or disable");
    assert_refused("postgres://u@h/x?sslcert=a", "'sslcert' is no parameter of an address that hookctl knows");
    assert_refused("postgres://u%zz@h/x", "a % must be followed by two hexadecimal digits, and be UTF-8");
    assert_refused("postgres://u@h/x?connect_timeout=soon", "connect_timeout is no number of seconds");
}

#[test]
fn a_password_file_that_others_can_read_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(".pgpass");
    std::fs::write(&file, "# comment\nh:5432:x:u:from-file\n").unwrap();
    let home = folder.path().to_str().unwrap();
    let parse = || parse_with("postgres://u@h/x", &[("HOME", home)]).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
    assert_eq!((parse().hosts[0].password.clone(), parse().warnings.len()), (None, 1));
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(parse().hosts[0].password, Some(Password("from-file".to_owned())));
}
