//! What a command is handed: the time, the output, the settings, and how to open the store.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::clock::Clock;
use crate::domain::time::Timestamp;
use crate::domain::webhook::Webhook;
pub use crate::error::Exit;
use crate::error::{Failure, Kind};
use crate::http::Surroundings;
use crate::output::Output;
use crate::random::Random;
use crate::settings::{self, Settings};
use crate::signals::Stop;
use crate::store::{
    AccessFault, AccessFaultKind, EventRow, Place, Server, Store, StoreError, Subscriber, access_faults, key_fault,
};

/// What a command is handed.
pub struct Context {
    /// Where it writes.
    pub out: Output,
    pub settings: Settings,
    pub clock: Clock,
    /// `--db`.
    pub database: Option<PathBuf>,
    /// Whether `--db` is an argument, which other users of the machine see, or from the environment.
    pub is_database_argument: bool,
    /// `--read-only`.
    pub is_read_only: bool,
    /// `--yes`.
    pub is_yes: bool,
    /// The last warning about access to files: a command that opens the database again does not repeat it.
    pub reported: Option<String>,
}

/// How long a command waits for a database that another keeps locked, unless `HOOKCTL_BUSY_TIMEOUT` is set.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a command that deleted something waits for those who still read the write-ahead log; nobody writes meanwhile.
const ERASE_WAIT: Duration = Duration::from_secs(2);

impl Context {
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn busy_timeout(&self) -> Duration {
        self.settings.busy_timeout.unwrap_or(BUSY_TIMEOUT)
    }

    /// Where the database is.
    pub fn place(&self) -> Result<Place> {
        let named = self.database.as_deref().or(self.settings.default_database.as_deref());
        let named = named.ok_or_else(|| {
            Failure::new(Kind::Failed, "no place for the database: neither XDG_DATA_HOME nor HOME is set")
                .hint("name the file with --db or HOOKCTL_DB")
        })?;
        self.place_of("--db", named.as_os_str(), self.database.is_some() && self.is_database_argument)
    }

    /// The place that `option` names. A password in an argument is refused.
    pub fn place_of(&self, option: &str, named: &OsStr, is_argument: bool) -> Result<Place> {
        if named.is_empty() {
            return Err(Failure::option(option, "a value is missing").into());
        }
        let mut place = Place::parse(named, settings::postgres_variables).map_err(|error| {
            let failure = Failure::option(option, &error);
            error.hint.map_or(failure.clone(), |hint| failure.hint(hint))
        })?;
        if let Place::Server(server) = &mut place {
            server.lock_timeout = self.busy_timeout();
        }
        match &place {
            Place::Server(server) if server.has_password_in_address && is_argument => {
                let better = match option {
                    "--db" => "HOOKCTL_DB, PGPASSWORD, a password file (PGPASSFILE) or a profile",
                    "--outbox" => "HOOKCTL_OUTBOX, PGPASSWORD, a password file (PGPASSFILE) or a profile",
                    _ => "PGPASSWORD or a password file (PGPASSFILE)",
                };
                Err(Failure::option(option, "a password in an argument is seen by everybody on this machine")
                    .hint(format!("give it by {better}"))
                    .into())
            }
            _ => Ok(place),
        }
    }

    /// The database's file; a failure where the database is on a server. `instead` says what does the same there.
    pub fn database_file(&self, instead: &str) -> Result<PathBuf> {
        match self.place()? {
            Place::File(path) => Ok(path),
            Place::Server(server) => {
                Err(Failure::invalid(format!("this is for a file, and the database is {server}")).hint(instead).into())
            }
        }
    }

    /// Opens the database to write; makes it when it is not there.
    pub fn store_to_write(&mut self) -> Result<Store> {
        let store = self.store_to_emit()?;
        store.greet()?;
        Ok(store)
    }

    /// The same, but that a server is asked for nothing yet: its clock counts, and its schema is there, from the first
    /// statement on.
    pub fn store_to_emit(&mut self) -> Result<Store> {
        self.refuse_if_read_only()?;
        let place = self.place()?;
        self.out.diagnostic(1, &format!("the database is {place}"));
        let path = match place {
            Place::Server(server) => {
                self.report_warnings(&server);
                return Ok(Store::open_server(&server, self.settings.now)?);
            }
            Place::File(path) => path,
        };
        let is_missing = !path.exists();
        let store = Store::open(&path, self.busy_timeout())?;
        if is_missing {
            // Also with --quiet: where the name was mistyped, nothing would ever be delivered from there.
            self.out.announce(&format!("made {}", path.display()));
        }
        self.report_if_exposed(&path);
        let now = self.now();
        if store.has_expired_secrets(now)? {
            store.transaction(|| store.delete_expired_secrets(now))?;
            self.erase_deleted(&store);
        }
        Ok(store)
    }

    /// Opens the database to read; nothing is made when it is not there.
    pub fn store_to_read(&mut self) -> Result<Store> {
        if let Some(store) = self.store_if_any()? {
            return Ok(store);
        }
        let place = self.place()?;
        self.out.notice(&format!("there is no database at {place} yet (--db, HOOKCTL_DB)"));
        Ok(Store::empty()?)
    }

    /// Opens the database to read; `None` when it is not there.
    pub fn store_if_any(&mut self) -> Result<Option<Store>> {
        let place = self.place()?;
        let opened = Store::open_place_read_only(&place, self.busy_timeout());
        match (opened, place) {
            (Ok(Some(store)), Place::File(path)) => {
                self.report_if_exposed(&path);
                Ok(Some(store))
            }
            (Ok(Some(store)), Place::Server(server)) => {
                self.report_warnings(&server);
                Ok(Some(store))
            }
            (Err(StoreError::Older { .. }), _) if !self.is_read_only => self.store_to_write().map(Some),
            (Ok(None), _) => Ok(None),
            (Err(error), _) => Err(error.into()),
        }
    }

    /// Refuses what writes while `--read-only` is on.
    pub fn refuse_if_read_only(&self) -> Result<()> {
        self.refuse_read_only("writes")
    }

    /// Refuses what shows credentials while `--read-only` is on.
    pub fn refuse_to_show_credentials(&self) -> Result<()> {
        self.refuse_read_only("shows credentials")
    }

    fn refuse_read_only(&self, does: &str) -> Result<()> {
        if self.is_read_only {
            return Err(Failure::new(Kind::ReadOnly, format!("this command {does}, and --read-only is on"))
                .hint("leave out --read-only, or unset HOOKCTL_READ_ONLY")
                .into());
        }
        Ok(())
    }

    /// A webhook by its name or id, or a failure that suggests the nearest name.
    pub fn webhook(&self, store: &Store, name_or_id: &str) -> Result<Webhook> {
        match store.find_webhook(name_or_id)? {
            Some(webhook) => Ok(webhook),
            None => Err(no_webhook(store, name_or_id)?.into()),
        }
    }

    /// The same in the transaction that changes it; nobody deletes it until that ends.
    pub fn webhook_to_change(&self, store: &Store, name_or_id: &str) -> Result<Webhook> {
        let webhook = self.webhook(store, name_or_id)?;
        self.check_still_there(store, webhook.id, name_or_id)?;
        Ok(webhook)
    }

    /// A webhook that was found before the transaction that changes it: another process may have deleted it in between.
    pub fn check_still_there(&self, store: &Store, id: i64, name_or_id: &str) -> Result<()> {
        match store.lock_webhook(id)? {
            true => Ok(()),
            false => Err(no_webhook(store, name_or_id)?.into()),
        }
    }

    /// The ids of webhooks named by name or id.
    pub fn webhook_ids(&self, store: &Store, names: &[String]) -> Result<Vec<i64>> {
        names.iter().map(|name| self.webhook(store, name).map(|webhook| webhook.id)).collect()
    }

    /// The same among webhooks that were read.
    pub fn subscriber_ids(&self, subscribers: &[Subscriber], names: &[String]) -> Result<Vec<i64>> {
        let id = |name: &String| {
            let named = subscribers.iter().find(|webhook| webhook.name == *name);
            let numbered = || {
                let id: i64 = name.parse().ok().filter(|_| name.bytes().all(|byte| byte.is_ascii_digit()))?;
                subscribers.iter().find(|webhook| webhook.id == id)
            };
            let known = subscribers.iter().map(|webhook| webhook.name.as_str());
            named.or_else(numbered).map(|webhook| webhook.id).ok_or_else(|| no_webhook_among(known, name).into())
        };
        names.iter().map(id).collect()
    }

    /// An event by its event id.
    pub fn event(&self, store: &Store, event_id: &str) -> Result<EventRow> {
        Ok(store.find_event(event_id)?.ok_or_else(|| {
            Failure::new(Kind::NotFound, format!("no event '{event_id}'")).hint("see `hookctl event list`")
        })?)
    }

    /// Asks before something is destroyed. Without a terminal there is nobody to ask: `--yes` is needed.
    pub fn confirm(&mut self, question: &str) -> Result<()> {
        if self.is_yes {
            return Ok(());
        }
        let Some(prompt) = self.out.prompt()? else {
            return Err(Failure::invalid(format!("{question} There is no terminal to ask at"))
                .hint("say --yes to go ahead")
                .into());
        };
        match prompt.confirm(question, false)? {
            true => Ok(()),
            false => Err(Failure::invalid("not done: the answer was no").into()),
        }
    }

    /// What the environment says for the requests of every webhook.
    pub fn surroundings(&self) -> Surroundings {
        Surroundings { networks: self.settings.networks.clone(), proxy: self.settings.proxy.clone() }
    }

    /// A source of random numbers.
    pub fn random(&self) -> Result<Random> {
        Random::new().context("the system gives no random numbers")
    }

    /// Takes over Ctrl-C, SIGTERM and SIGHUP.
    pub fn stop_on_signals(&self) -> Result<Stop> {
        Stop::on_signals().context("cannot listen for signals")
    }

    /// Removes what was deleted from the write-ahead log too, or says that this is still to be done.
    pub fn erase_deleted(&mut self, store: &Store) {
        if !store.erase_deleted(ERASE_WAIT) {
            self.out.warning(
                "what was deleted is still in the write-ahead log, which another process is reading; the next command that \
                 writes removes it",
            );
        }
    }

    /// The file with the key of the database, where there is one, and what is wrong with the access to it.
    pub fn key_file(&self, database: Option<&Path>) -> Option<(PathBuf, Option<AccessFault>)> {
        let (_, path) = settings::key_file(self.settings.key_file.as_deref())?;
        let fault = key_fault(&path, database);
        Some((path, fault))
    }

    /// Warns of the file of a key that others can read.
    pub fn report_exposed_key(&mut self, path: &Path) -> Result<()> {
        let place = self.place()?;
        if let Some(told) = key_fault(path, place.file()).and_then(|fault| key_exposure(path, &fault)) {
            self.out.warning(&told);
        }
        Ok(())
    }

    fn report_warnings(&mut self, server: &Server) {
        server.warnings.iter().for_each(|warning| self.out.warning(warning));
        self.report_exposure(None);
    }

    /// Warns, in one line, of a database that others can read or replace: it holds secrets.
    fn report_if_exposed(&mut self, path: &Path) {
        self.report_exposure(Some(path));
    }

    fn report_exposure(&mut self, database: Option<&Path>) {
        let mut told = Vec::new();
        if let Some(path) = database {
            told.extend(access_faults(path).iter().filter_map(|fault| exposure(fault, path)));
        }
        if let Some((key, Some(fault))) = self.key_file(database) {
            told.extend(key_exposure(&key, &fault));
        }
        let told = told.join("; ");
        if !told.is_empty() && self.reported.replace(told.clone()).as_ref() != Some(&told) {
            self.out.warning(&told);
        }
    }
}

fn key_exposure(key: &Path, fault: &AccessFault) -> Option<String> {
    let AccessFaultKind::Exposed { mode, right } = fault.kind else { return None };
    let path = key.display();
    Some(format!("{path} can be read by others (mode {mode:04o}) and holds the key; run `chmod {right:o}` on it"))
}

fn exposure(fault: &AccessFault, database: &Path) -> Option<String> {
    let path = fault.path.display();
    match fault.kind {
        // The files beside the database take its mode.
        AccessFaultKind::Exposed { mode, right } if fault.is_of(database) => Some(format!(
            "{path} can be read by others (mode {mode:04o}) and holds secrets; run `chmod {right:o}` on it"
        )),
        AccessFaultKind::Replaceable { mode } => {
            Some(format!("others can put another database into {path} (mode {mode:04o}); run `chmod go-w` on it"))
        }
        AccessFaultKind::Exposed { .. } | AccessFaultKind::Foreign { .. } => None,
    }
}

fn no_webhook(store: &Store, name_or_id: &str) -> Result<Failure> {
    let names = store.webhook_names()?;
    Ok(no_webhook_among(names.iter().map(String::as_str), name_or_id))
}

fn no_webhook_among<'a>(names: impl Iterator<Item = &'a str>, name_or_id: &str) -> Failure {
    let nearest = crate::domain::event_type::nearest(name_or_id, names);
    Failure::new(Kind::NotFound, format!("no webhook '{name_or_id}'")).hint(match nearest {
        Some(name) => format!("did you mean '{name}'? see `hookctl webhook list`"),
        None => "see `hookctl webhook list`".to_owned(),
    })
}
