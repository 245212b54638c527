//! What the database and the tables of the program offer as values of options and arguments.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Arg, ValueHint};
use clap_complete::{ArgValueCandidates, CompletionCandidate};

use crate::domain::attempt::ErrorType;
use crate::domain::delivery::Status;
use crate::domain::signature::schemes;
use crate::store::{DeliveryFilter, DeliveryRow, EventFilter, Store, StoreError};

/// A locked database is not worth the wait while somebody types.
const BUSY_TIMEOUT: Duration = Duration::from_millis(100);

/// As many ids as somebody looks through.
const MOST_IDS: u64 = 100;

/// What an argument takes.
#[derive(Clone, Copy)]
enum Kind {
    Webhook,
    EventType,
    Event,
    Delivery,
    Status,
    ErrorType,
    Scheme,
}

/// The command tree in which arguments know what to offer; the database is opened when it is asked for a value.
pub fn offered(command: clap::Command, database: Option<PathBuf>) -> clap::Command {
    offered_below("", command, database.map(Arc::from).as_ref())
}

fn offered_below(noun: &str, command: clap::Command, database: Option<&Arc<Path>>) -> clap::Command {
    let name = command.get_name().to_owned();
    let command = command.mut_args(|argument| match kind(noun, &argument) {
        Some(kind) => {
            let database = database.cloned();
            argument.add(ArgValueCandidates::new(move || values(kind, database.as_deref())))
        }
        // Files are the shell's own to offer: it knows the home folder and what is mounted.
        None if argument.get_action().takes_values() => argument.value_hint(ValueHint::Other),
        None => argument,
    });
    command.mut_subcommands(|below| offered_below(&name, below, database))
}

/// What the argument of a command takes, the noun being the command above it.
fn kind(noun: &str, argument: &Arg) -> Option<Kind> {
    let value_name = argument.get_value_names().and_then(<[_]>::first)?.as_str();
    match (value_name, argument.get_id().as_str()) {
        ("WEBHOOK", _) => Some(Kind::Webhook),
        ("PATTERN", _) | ("TYPE", "event_type" | "event") => Some(Kind::EventType),
        ("TYPE", "error_types") => Some(Kind::ErrorType),
        ("STATUS", "statuses") => Some(Kind::Status),
        ("SCHEME", _) => Some(Kind::Scheme),
        ("ID", _) if noun == "delivery" && argument.is_positional() => Some(Kind::Delivery),
        ("ID", id) if id == "event_id" || (noun == "event" && argument.is_positional()) => Some(Kind::Event),
        _ => None,
    }
}

fn values(kind: Kind, database: Option<&Path>) -> Vec<CompletionCandidate> {
    let names = |names: &mut dyn Iterator<Item = &'static str>| names.map(CompletionCandidate::new).collect();
    match kind {
        Kind::Status => names(&mut Status::ALL.iter().map(|status| status.as_str())),
        Kind::ErrorType => names(&mut ErrorType::ALL.iter().map(|error_type| error_type.as_str())),
        Kind::Scheme => {
            schemes::ALL.iter().map(|scheme| described(scheme.name.to_owned(), scheme.title.to_owned())).collect()
        }
        Kind::Webhook | Kind::EventType | Kind::Event | Kind::Delivery => stored(kind, database).unwrap_or_default(),
    }
}

/// What the database holds; without one, the catalogue that comes with hookctl.
fn stored(kind: Kind, database: Option<&Path>) -> Result<Vec<CompletionCandidate>, StoreError> {
    let opened = database.map_or(Ok(None), |path| Store::open_read_only(path, BUSY_TIMEOUT))?;
    let store = opened.map_or_else(Store::empty, Ok)?;
    Ok(match kind {
        Kind::Webhook => store.webhook_names()?.into_iter().map(CompletionCandidate::new).collect(),
        Kind::EventType => store.event_types()?.into_iter().map(|row| described(row.name, row.description)).collect(),
        Kind::Event => {
            let filter = EventFilter { limit: Some(MOST_IDS), ..EventFilter::default() };
            store.events(&filter)?.into_iter().map(|row| described(row.event_id, row.event_type)).collect()
        }
        _ => {
            let filter = DeliveryFilter { limit: Some(MOST_IDS), ..DeliveryFilter::default() };
            let told = |row: &DeliveryRow| format!("{} {} to {}", row.status.as_str(), row.event_type, row.webhook);
            store.deliveries(&filter)?.iter().map(|row| described(row.id.to_string(), told(row))).collect()
        }
    })
}

fn described(value: String, help: String) -> CompletionCandidate {
    CompletionCandidate::new(value).help((!help.is_empty()).then(|| help.into()))
}
