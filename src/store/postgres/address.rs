//! Where a server is and how it is reached: a URL, completed by the variables that psql reads too.
//! <https://www.postgresql.org/docs/current/libpq-connect.html>, sections 34.1.1.2 and 34.1.2

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::passfile::password_for;

/// The variables of the environment that count, by name: `PGHOST` and its like, `USER`, `HOME`. Empty ones are left out.
pub type Variables = BTreeMap<&'static str, String>;

/// Every variable that is asked for.
pub const VARIABLES: [&str; 17] = [
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGDATABASE",
    "PGUSER",
    "PGPASSWORD",
    "PGPASSFILE",
    "PGOPTIONS",
    "PGAPPNAME",
    "PGSSLMODE",
    "PGSSLROOTCERT",
    "PGCHANNELBINDING",
    "PGCONNECT_TIMEOUT",
    "PGTARGETSESSIONATTRS",
    "USER",
    "HOME",
    "USERPROFILE",
];

/// What is wrong with an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct AddressError {
    pub reason: String,
    pub hint: Option<&'static str>,
}

impl AddressError {
    pub fn new(reason: impl Into<String>) -> AddressError {
        AddressError { reason: reason.into(), hint: None }
    }

    #[must_use]
    pub fn hint(self, hint: &'static str) -> AddressError {
        AddressError { hint: Some(hint), ..self }
    }
}

/// How the connection is encrypted, and what is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    None,
    /// The certificate must come from a trusted root.
    Authority,
    /// And be made out to the host.
    Full,
}

/// Which of several servers will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    Any,
    ReadWrite,
    ReadOnly,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// A name, an address, or the folder of a Unix socket.
    pub name: String,
    /// Where the name leads to, where that is given.
    pub address: Option<IpAddr>,
    pub port: u16,
    pub(super) password: Option<Password>,
}

/// Shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl Host {
    pub fn is_socket(&self) -> bool {
        self.name.starts_with('/') || self.name.starts_with('@')
    }

    /// Whether what is sent stays on this machine.
    pub fn is_local(&self) -> bool {
        match self.address.or_else(|| self.name.parse().ok()) {
            Some(address) => address.is_loopback(),
            None => self.is_socket() || self.name == "localhost" || self.name.ends_with(".localhost"),
        }
    }
}

/// A server, or several of which one will do, and who asks it for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub hosts: Vec<Host>,
    pub user: String,
    pub database: String,
    pub encryption: Encryption,
    /// A PEM file of the only roots to trust; `system` for those of this machine.
    pub root_certificate: Option<PathBuf>,
    pub needs_channel_binding: bool,
    pub session: Session,
    pub connect_timeout: Duration,
    /// How long a lock is waited for that another session holds.
    pub lock_timeout: Duration,
    pub application_name: String,
    /// More options of the session, as PGOPTIONS has them.
    pub options: String,
    /// A pooler that may give every transaction another connection stands before it: nothing is kept prepared.
    pub is_pooled: bool,
    /// Whether the address itself held a password.
    pub has_password_in_address: bool,
    /// What is worth a warning.
    pub warnings: Vec<String>,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

impl Server {
    pub fn parse(url: &str, variables: &Variables) -> Result<Server, AddressError> {
        let mut parts = Parts::of(url)?;
        let given = |value: &Option<String>, variable: &str| value.clone().or_else(|| variables.get(variable).cloned());
        let mut take = |parameter: &str, variable: &str| {
            let value = parts.parameters.remove(parameter);
            value.or_else(|| variables.get(variable).cloned())
        };
        let mode = take("sslmode", "PGSSLMODE");
        let root_certificate = take("sslrootcert", "PGSSLROOTCERT").map(PathBuf::from);
        let binding = take("channel_binding", "PGCHANNELBINDING");
        let session = session(take("target_session_attrs", "PGTARGETSESSIONATTRS").as_deref())?;
        let connect_timeout = connect_timeout(take("connect_timeout", "PGCONNECT_TIMEOUT").as_deref())?;
        let application_name = take("application_name", "PGAPPNAME").unwrap_or_else(|| "hookctl".to_owned());
        let options = take("options", "PGOPTIONS").unwrap_or_default();
        let passfile = take("passfile", "PGPASSFILE");
        let addresses = take("hostaddr", "PGHOSTADDR");
        let names = take("host", "PGHOST").filter(|_| parts.hosts.is_empty());
        let ports = take("port", "PGPORT");
        let is_pooled = match take("pgbouncer", "").as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(AddressError::new("pgbouncer: use true or false")),
        };
        let user = take("user", "").filter(|_| parts.user.is_none());
        let user = given(&parts.user, "PGUSER").or(user).or_else(|| variables.get("USER").cloned());
        let user = user.ok_or_else(|| {
            AddressError::new("no user: the address names none, and PGUSER is not set")
                .hint("write it as postgres://user@host/database")
        })?;
        let password_parameter = parts.parameters.remove("password");
        let in_address = parts.password.clone().or(password_parameter);
        let database = parts.parameters.remove("dbname");
        let database = given(&parts.database, "PGDATABASE").or(database).unwrap_or_else(|| user.clone());
        if let Some(unknown) = parts.parameters.keys().next() {
            return Err(AddressError::new(format!("'{unknown}' is no parameter of an address that hookctl knows")));
        }
        let mut hosts = hosts(parts.hosts, names.as_deref(), ports.as_deref(), addresses.as_deref())?;
        let mut warnings = Vec::new();
        let home = variables.get("HOME").or_else(|| variables.get("USERPROFILE"));
        let passfile = passfile.map(PathBuf::from).or_else(|| Some(PathBuf::from(home?).join(".pgpass")));
        let password = in_address.clone().or_else(|| variables.get("PGPASSWORD").cloned());
        for host in &mut hosts {
            let place = [host.name.clone(), host.port.to_string(), database.clone(), user.clone()];
            let in_file = || password_for(passfile.as_deref()?, &place, &mut warnings);
            host.password = password.clone().or_else(in_file).map(Password);
        }
        let is_local = hosts.iter().all(Host::is_local);
        let encryption = encryption(mode.as_deref(), is_local)?;
        if encryption == Encryption::None && !is_local {
            warnings.push("the connection to the server is not encrypted (sslmode=disable): whoever is between reads what it holds".to_owned());
        }
        let needs_channel_binding = match binding.as_deref() {
            None | Some("prefer" | "disable") => false,
            Some("require") => true,
            Some(_) => return Err(AddressError::new("channel_binding: use prefer or require")),
        };
        Ok(Server {
            hosts,
            user,
            database,
            encryption,
            root_certificate,
            needs_channel_binding,
            session,
            connect_timeout,
            lock_timeout: LOCK_TIMEOUT,
            application_name,
            options,
            is_pooled,
            has_password_in_address: in_address.is_some(),
            warnings,
        })
    }
}

/// As it may be shown: without passwords and parameters.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<String> = self.hosts.iter().map(Host::to_string).collect();
        write!(f, "postgres://{}@{}/{}", self.user, hosts.join(","), self.database)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.contains(':') {
            true => write!(f, "[{}]", self.name)?,
            false => f.write_str(&self.name)?,
        }
        if self.port == DEFAULT_PORT { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

const DEFAULT_PORT: u16 = 5432;

/// A URL taken apart. <https://www.rfc-editor.org/rfc/rfc3986>, but that several hosts may be named.
#[derive(Debug, Default)]
struct Parts {
    user: Option<String>,
    password: Option<String>,
    hosts: Vec<(String, Option<u16>)>,
    database: Option<String>,
    parameters: BTreeMap<String, String>,
}

impl Parts {
    fn of(url: &str) -> Result<Parts, AddressError> {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (who, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = who.split_once(':').map_or((who, None), |(user, password)| (user, Some(password)));
        let some = |text: &str| -> Result<Option<String>, AddressError> {
            decoded(text).map(|text| Some(text).filter(|text| !text.is_empty()))
        };
        let mut parts = Parts {
            user: some(user)?,
            password: some(password.unwrap_or_default())?,
            database: some(path)?,
            ..Parts::default()
        };
        for host in hosts.split(',').filter(|host| !host.is_empty()) {
            parts.hosts.push(host_and_port(host)?);
        }
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if let Some(value) = some(value)? {
                parts.parameters.insert(decoded(name)?, value);
            }
        }
        Ok(parts)
    }
}

fn host_and_port(text: &str) -> Result<(String, Option<u16>), AddressError> {
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, rest)) => (name, rest.strip_prefix(':')),
        None => text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port))),
    };
    Ok((decoded(name)?, port.filter(|port| !port.is_empty()).map(port_number).transpose()?))
}

fn port_number(text: &str) -> Result<u16, AddressError> {
    text.parse().ok().filter(|port| *port > 0).ok_or_else(|| AddressError::new("the port is no number from 1 to 65535"))
}

/// A text with its `%41` read.
fn decoded(text: &str) -> Result<String, AddressError> {
    let broken = || AddressError::new("a % must be followed by two hexadecimal digits, and be UTF-8");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        rest = more;
        let byte = match first {
            b'%' => {
                let digits = more.get(..2).and_then(|digits| std::str::from_utf8(digits).ok()).ok_or_else(broken)?;
                rest = &more[2..];
                u8::from_str_radix(digits, 16).map_err(|_| broken())?
            }
            byte => *byte,
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).map_err(|_| broken())
}

/// The hosts of the URL, else those of `host` or `PGHOST`, else this machine. One port may be for all.
fn hosts(
    in_url: Vec<(String, Option<u16>)>,
    names: Option<&str>,
    ports: Option<&str>,
    addresses: Option<&str>,
) -> Result<Vec<Host>, AddressError> {
    let mut found = in_url;
    if found.is_empty() {
        let names = names.or(addresses).unwrap_or("localhost");
        found = names.split(',').map(|name| (name.to_owned(), None)).collect();
    }
    let ports = ports.map_or(Ok(Vec::new()), |ports| ports.split(',').map(port_number).collect::<Result<_, _>>())?;
    let addresses = addresses.map_or(Ok(Vec::new()), |addresses| {
        addresses.split(',').map(str::parse::<IpAddr>).collect::<Result<Vec<_>, _>>()
    });
    let addresses = addresses.map_err(|_| AddressError::new("hostaddr is no IP address"))?;
    let host = |(index, (name, port)): (usize, (String, Option<u16>))| Host {
        name,
        address: addresses.get(index).copied(),
        port: port.or_else(|| ports.get(index).or(ports.first()).copied()).unwrap_or(DEFAULT_PORT),
        password: None,
    };
    Ok(found.into_iter().enumerate().map(host).collect())
}

fn encryption(mode: Option<&str>, is_local: bool) -> Result<Encryption, AddressError> {
    match mode {
        // Nobody is between.
        None if is_local => Ok(Encryption::None),
        None | Some("verify-full" | "require") => Ok(Encryption::Full),
        Some("verify-ca") => Ok(Encryption::Authority),
        Some("disable") => Ok(Encryption::None),
        Some(mode @ ("allow" | "prefer")) => {
            Err(AddressError::new(format!("sslmode={mode} leaves it to whoever answers whether anything is encrypted"))
                .hint("use verify-full, or disable where the network is your own"))
        }
        Some(_) => Err(AddressError::new("sslmode: use verify-full, verify-ca, require or disable")),
    }
}

fn session(name: Option<&str>) -> Result<Session, AddressError> {
    match name {
        None | Some("any") => Ok(Session::Any),
        Some("read-write" | "primary") => Ok(Session::ReadWrite),
        Some("read-only" | "standby") => Ok(Session::ReadOnly),
        Some(_) => Err(AddressError::new("target_session_attrs: use any, read-write, primary, read-only or standby")),
    }
}

fn connect_timeout(seconds: Option<&str>) -> Result<Duration, AddressError> {
    match seconds.map(str::parse::<u64>) {
        // To libpq 0 means no limit; here every wait has one.
        None | Some(Ok(0)) => Ok(CONNECT_TIMEOUT),
        Some(Ok(seconds)) => Ok(Duration::from_secs(seconds)),
        Some(Err(_)) => Err(AddressError::new("connect_timeout is no number of seconds")),
    }
}

#[cfg(test)]
#[path = "tests/address.rs"]
mod tests;
