//! What the environment says. The only place that reads it, but for the options that the command line lists with their
//! variables.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use ipnet::IpNet;

use crate::domain::duration;
use crate::domain::network::parse_networks;
use crate::domain::outbox_sources::sources;
use crate::domain::owner::Owner;
use crate::domain::proxy::ProxyLogin;
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::error::Failure;
use crate::profile::Profile;
use crate::store::{VARIABLES, Variables};

/// The length of a key, in bytes.
pub const KEY_BYTES: usize = 32;

/// The most characters of a user's name that are recorded.
const LONGEST_USER: usize = 200;

#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `HOOKCTL_OWNER`: the owner of webhooks that are created.
    pub owner: Option<String>,
    /// `USER`, else `LOGNAME`: who creates them.
    pub user: Option<String>,
    /// `HOOKCTL_OWNER` is set, if only to `none`.
    is_owner_set: bool,
    /// `HOOKCTL_ALLOW_NETWORKS`: addresses that every webhook may call.
    pub networks: Vec<IpNet>,
    are_networks_set: bool,
    /// `HOOKCTL_PROXY`: the proxy of every webhook that names none.
    pub proxy: Option<ProxyLogin>,
    is_proxy_set: bool,
    /// `HOOKCTL_OUTBOX`: the databases of applications that `drain` takes events in from.
    pub outboxes: Vec<OsString>,
    pub are_outboxes_of_profile: bool,
    /// The profile's file with the key of the database.
    pub key_file: Option<PathBuf>,
    /// `HOOKCTL_NOW`: the time of this run.
    pub now: Option<Timestamp>,
    /// `HOOKCTL_BUSY_TIMEOUT`: how long a command waits for a database that another keeps locked.
    pub busy_timeout: Option<Duration>,
    /// `HOOKCTL_LOG`: how much is logged, 0 to 3.
    pub verbose: Option<u8>,
    /// `HOOKCTL_LOG_FORMAT=json`: the log is JSON, an object a line.
    pub logs_json: bool,
    /// `HOOKCTL_OUTPUT`, which the command line reads: kept for errors of the command line itself.
    pub output: Option<String>,
    /// `NO_COLOR` is set and not empty.
    pub no_color: bool,
    /// `CLICOLOR_FORCE` is set, not empty and not 0.
    pub clicolor_force: bool,
    /// Where the database is by default.
    pub default_database: Option<PathBuf>,
    /// `PAGER`, else less; none where it is `cat` or empty.
    pub pager: Option<String>,
    /// Where profiles are.
    pub config_file: Option<PathBuf>,
    pub home: Option<PathBuf>,
}

impl Settings {
    pub fn from_environment() -> Result<Settings, Failure> {
        let allowed = text("HOOKCTL_ALLOW_NETWORKS")?;
        let are_networks_set = allowed.is_some();
        let networks = match allowed {
            Some(text) => parse_networks(&text).map_err(|error| Failure::option("HOOKCTL_ALLOW_NETWORKS", error))?,
            None => Vec::new(),
        };
        let proxy = text("HOOKCTL_PROXY")?;
        let is_proxy_set = proxy.is_some();
        let proxy = match proxy.as_deref() {
            None | Some("none") => None,
            Some(text) => Some(ProxyLogin::parse(text).map_err(|error| Failure::option("HOOKCTL_PROXY", error))?),
        };
        let outboxes = text("HOOKCTL_OUTBOX")?.map(|text| sources(&text)).unwrap_or_default();
        let now = match text("HOOKCTL_NOW")? {
            Some(text) => Some(
                Timestamp::parse_rfc3339(&text)
                    .ok_or_else(|| Failure::option("HOOKCTL_NOW", "not a time; write it as in 2026-01-31T12:00:00Z"))?,
            ),
            None => None,
        };
        let busy_timeout = match text("HOOKCTL_BUSY_TIMEOUT")? {
            Some(text) => Some(duration::parse(&text).map_err(|error| Failure::option("HOOKCTL_BUSY_TIMEOUT", error))?),
            None => None,
        };
        let verbose = match text("HOOKCTL_LOG")?.as_deref() {
            None => None,
            Some("0" | "off" | "error") => Some(0),
            Some("1" | "info" | "warn") => Some(1),
            Some("2" | "debug") => Some(2),
            Some("3" | "trace") => Some(3),
            Some(_) => return Err(Failure::option("HOOKCTL_LOG", "use off, info, debug or trace")),
        };
        let logs_json = match text("HOOKCTL_LOG_FORMAT")?.as_deref() {
            None | Some("text") => false,
            Some("json") => true,
            Some(_) => return Err(Failure::option("HOOKCTL_LOG_FORMAT", "use text or json")),
        };
        let owner = text("HOOKCTL_OWNER")?;
        let is_owner_set = owner.is_some();
        let owner = match owner {
            Some(owner) => {
                let owner: Owner = owner.parse().map_err(|error| Failure::option("HOOKCTL_OWNER", error))?;
                owner.name().map(str::to_owned)
            }
            None => None,
        };
        Ok(Settings {
            owner,
            is_owner_set,
            user: user(),
            networks,
            are_networks_set,
            proxy,
            is_proxy_set,
            outboxes: outboxes.into_iter().map(OsString::from).collect(),
            are_outboxes_of_profile: false,
            key_file: None,
            now,
            busy_timeout,
            verbose,
            logs_json,
            output: std::env::var("HOOKCTL_OUTPUT").ok(),
            no_color: text("NO_COLOR")?.is_some(),
            clicolor_force: text("CLICOLOR_FORCE")?.is_some_and(|value| value != "0"),
            default_database: folder("XDG_DATA_HOME", ".local/share").map(|folder| folder.join("hookctl.db")),
            config_file: config_file(),
            home: home(),
            pager: pager(),
        })
    }

    /// Takes from a profile what the environment does not say.
    pub fn fill_in(&mut self, profile: Profile) {
        if let Some(owner) = profile.owner.filter(|_| !self.is_owner_set) {
            self.owner = owner.name().map(str::to_owned);
        }
        if let Some(networks) = profile.networks.filter(|_| !self.are_networks_set) {
            self.networks = networks;
        }
        if let Some(proxy) = profile.proxy.filter(|_| !self.is_proxy_set) {
            self.proxy = Some(proxy);
        }
        self.key_file = profile.key_file;
        if let Some(outboxes) = profile.outboxes.filter(|_| self.outboxes.is_empty()) {
            self.outboxes = outboxes.into_iter().map(PathBuf::into_os_string).collect();
            self.are_outboxes_of_profile = true;
        }
    }
}

/// Where profiles are: `$XDG_CONFIG_HOME/hookctl/config.toml`.
pub fn config_file() -> Option<PathBuf> {
    folder("XDG_CONFIG_HOME", ".config").map(|folder| folder.join("config.toml"))
}

/// The key of the database: the file that `HOOKCTL_KEY_FILE` names, `HOOKCTL_KEY` in hexadecimal digits or base64, the file that
/// the profile names, or the credential `hookctl.key` that systemd hands over. An error says why the one that was named cannot be used.
pub fn data_key(of_profile: Option<&Path>) -> Result<Option<[u8; KEY_BYTES]>, String> {
    if let Some((option, path)) = key_file(of_profile) {
        return read_key(option, &path).map(Some);
    }
    if let Some(text) = key_text() {
        let bytes =
            hex::decode(&text).ok().or_else(|| STANDARD.decode(&text).ok()).and_then(|bytes| bytes.try_into().ok());
        return bytes.map(Some).ok_or_else(|| "HOOKCTL_KEY: not 32 bytes in hexadecimal digits or base64".to_owned());
    }
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    match folder.map(|folder| folder.join("hookctl.key")).filter(|path| path.exists()) {
        Some(path) => read_key("the credential hookctl.key", &path).map(Some),
        None => Ok(None),
    }
}

/// The user's own file with the key of the database, and what names it.
pub fn key_file(of_profile: Option<&Path>) -> Option<(&'static str, PathBuf)> {
    match std::env::var_os("HOOKCTL_KEY_FILE").filter(|path| !path.is_empty()) {
        Some(path) => Some(("HOOKCTL_KEY_FILE", path.into())),
        None if key_text().is_some() => None,
        None => of_profile.map(|path| ("key_file", path.to_owned())),
    }
}

fn key_text() -> Option<Vec<u8>> {
    variable("HOOKCTL_KEY").filter(|text| !text.is_empty())
}

/// Reads a file of a key; an error names `option`.
pub fn read_key(option: &str, path: &Path) -> Result<[u8; KEY_BYTES], String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(KEY_BYTES as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("{option}: cannot read '{}': {error}", path.display()))?;
    bytes.try_into().map_err(|bytes: Vec<u8>| {
        let length = match bytes.len() {
            0..=KEY_BYTES => format!("{} bytes", bytes.len()),
            _ => format!("more than {KEY_BYTES} bytes"),
        };
        format!("{option}: '{}' is not a key: it has {length}; a key has {KEY_BYTES}", path.display())
    })
}

/// The value of the variable that holds a secret, as `option` names it.
///
/// Errors do not repeat the name: whoever mixes up the two has given the secret itself.
pub fn secret_variable(option: &str, name: &str) -> Result<Vec<u8>, Failure> {
    if !is_name(name) {
        return Err(Failure::option(option, "not the name of an environment variable"));
    }
    variable(name).ok_or_else(|| {
        Failure::option(option, "that environment variable is not set")
            .hint("give the name of a variable, not the secret itself")
    })
}

/// Nobody sets these variables for hookctl: a strange value is as good as none.
fn user() -> Option<String> {
    let name = |variable| text(variable).ok().flatten().filter(|name| text::check_line(name, LONGEST_USER).is_ok());
    name("USER").or_else(|| name("LOGNAME"))
}

/// The value of a variable, if it is set.
pub fn variable(name: &str) -> Option<Vec<u8>> {
    is_name(name).then(|| std::env::var_os(name)).flatten().map(std::ffi::OsString::into_encoded_bytes)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}

/// What the environment says about a server of PostgreSQL.
pub fn postgres_variables() -> Variables {
    let value = |name: &'static str| Some((name, text(name).ok().flatten()?));
    VARIABLES.into_iter().filter_map(value).collect()
}

/// A variable's value; an empty one counts as not set.
fn text(name: &str) -> Result<Option<String>, Failure> {
    match std::env::var(name) {
        Ok(value) if value.is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(Failure::option(name, "not UTF-8")),
    }
}

/// hookctl's folder by the XDG Base Directory specification: below the variable's folder, or below that of the home folder where
/// the variable is not set or not absolute.
fn folder(variable: &str, in_home: &str) -> Option<PathBuf> {
    let named = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    Some(named.or_else(|| home().map(|home| home.join(in_home)))?.join("hookctl"))
}

fn pager() -> Option<String> {
    let pager = std::env::var("PAGER").unwrap_or_else(|_| "less".to_owned());
    (!matches!(pager.trim(), "" | "cat")).then_some(pager)
}

fn home() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE"))?;
    (!home.is_empty()).then(|| PathBuf::from(home))
}
