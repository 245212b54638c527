//! Completion of values from the database and from tables of the program.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueHint;
use clap_complete::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate};

use crate::commands::candidates::Candidates;
use crate::domain::event_type::TAKES_OUT;
use crate::domain::signature::schemes;
use crate::profile;
use crate::settings;
use crate::store::{DeliveryFilter, DeliveryRow, EventFilter, Place, Store, StoreError};

/// Short, because a user is waiting at the prompt.
const BUSY_TIMEOUT: Duration = Duration::from_millis(100);

/// The most ids that are offered.
const MOST_IDS: u64 = 100;

/// The command tree with a completer for each argument's [`Candidates`]. The database is opened when a value is completed.
pub fn offered(command: clap::Command, database: Option<Place>) -> clap::Command {
    offered_below(command, database.map(Arc::new).as_ref())
}

fn offered_below(command: clap::Command, database: Option<&Arc<Place>>) -> clap::Command {
    let command = command.mut_args(|argument| match argument.get::<Candidates>().copied() {
        Some(Candidates::Patterns) => {
            let database = database.cloned();
            argument.add(ArgValueCompleter::new(move |typed: &OsStr| patterns(typed, database.as_deref())))
        }
        Some(Candidates::Profiles) => argument.add(ArgValueCandidates::new(profiles)),
        Some(candidates) => {
            let database = database.cloned();
            argument.add(ArgValueCandidates::new(move || values(candidates, database.as_deref())))
        }
        // The shell completes file names.
        None if argument.get_action().takes_values() => argument.value_hint(ValueHint::Other),
        None => argument,
    });
    command.mut_subcommands(|below| offered_below(below, database))
}

fn values(candidates: Candidates, database: Option<&Place>) -> Vec<CompletionCandidate> {
    match candidates {
        Candidates::Schemes => {
            schemes::ALL.iter().map(|scheme| described(scheme.name.to_owned(), scheme.title.to_owned())).collect()
        }
        Candidates::Words(words) => words.iter().map(|word| CompletionCandidate::new(*word)).collect(),
        Candidates::Profiles => profiles(),
        Candidates::Webhooks
        | Candidates::EventTypes
        | Candidates::Patterns
        | Candidates::Events
        | Candidates::Deliveries => stored(candidates, database).unwrap_or_default(),
    }
}

/// The event types that begin with what was typed, also after a `!`.
fn patterns(typed: &OsStr, database: Option<&Place>) -> Vec<CompletionCandidate> {
    let typed = typed.to_str().unwrap_or_default();
    let bare = typed.strip_prefix(TAKES_OUT).unwrap_or(typed);
    let mark = &typed[..typed.len() - bare.len()];
    let types = values(Candidates::EventTypes, database).into_iter();
    let meant = types.filter(|candidate| candidate.get_value().to_string_lossy().starts_with(bare));
    meant.map(|candidate| candidate.add_prefix(mark)).collect()
}

fn profiles() -> Vec<CompletionCandidate> {
    let names = settings::config_file().map(|file| profile::names(&file)).unwrap_or_default();
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// Values from the database; without one, the built-in catalogue.
fn stored(candidates: Candidates, database: Option<&Place>) -> Result<Vec<CompletionCandidate>, StoreError> {
    let opened = database.map_or(Ok(None), |place| Store::open_place_read_only(place, BUSY_TIMEOUT))?;
    let store = opened.map_or_else(Store::empty, Ok)?;
    Ok(match candidates {
        Candidates::Webhooks => store.webhook_names()?.into_iter().map(CompletionCandidate::new).collect(),
        Candidates::EventTypes | Candidates::Patterns => {
            store.event_types()?.into_iter().map(|row| described(row.name, row.description)).collect()
        }
        Candidates::Events => {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_a_kind_offer_the_same_everywhere() {
        let mut commands = vec![crate::cli::command_tree()];
        let mut found = 0;
        while let Some(command) = commands.pop() {
            for argument in command.get_arguments() {
                let kind =
                    match argument.get_value_names().and_then(|names| names.first()).map(clap::builder::Str::as_str) {
                        Some("WEBHOOK") => Candidates::Webhooks,
                        Some("PATTERN") => Candidates::Patterns,
                        Some("SCHEME") => Candidates::Schemes,
                        _ => continue,
                    };
                assert_eq!(argument.get(), Some(&kind), "{} of {}", argument.get_id(), command.get_name());
                found += 1;
            }
            commands.extend(command.get_subcommands().cloned());
        }
        assert!(found > 15, "{found}");
    }
}
