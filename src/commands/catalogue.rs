//! Warnings about event types that look like a misspelling of one in the catalogue.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::context::Context;
use crate::domain::event_type::{TAKES_OUT, slip_of};
use crate::store::Store;

/// The most warnings; the rest is counted.
const MOST_WARNINGS: usize = 10;

/// Warns once of each event type that is not in the catalogue and looks like one that is. Patterns are not checked.
pub fn warn_of_slips<'a>(
    context: &mut Context,
    store: &Store,
    types: impl IntoIterator<Item = &'a String>,
) -> Result<()> {
    let types = types.into_iter().map(|name| name.strip_prefix(TAKES_OUT).unwrap_or(name));
    let types: BTreeSet<&str> = types.filter(|name| !name.contains('*')).collect();
    if types.is_empty() {
        return Ok(());
    }
    let known = store.event_types()?;
    warn_of_slips_from(context, types, known.iter().map(|known| known.name.as_str()));
    Ok(())
}

/// The same, with the names in the catalogue given.
pub fn warn_of_slips_from<'a, 'k>(
    context: &mut Context,
    types: impl IntoIterator<Item = &'a str>,
    known: impl IntoIterator<Item = &'k str>,
) {
    let known: BTreeSet<&str> = known.into_iter().collect();
    let unknown = types.into_iter().filter(|name| !known.contains(name));
    let slips: Vec<(&str, &str)> =
        unknown.filter_map(|name| Some((name, slip_of(name, known.iter().copied())?))).collect();
    for (name, meant) in slips.iter().take(MOST_WARNINGS) {
        context.out.warning(&format!("the event type '{name}' is not in the catalogue; did you mean '{meant}'?"));
    }
    if let more @ 1.. = slips.len().saturating_sub(MOST_WARNINGS) {
        context
            .out
            .warning(&format!("{more} more event types are not in the catalogue; see `hookctl event-type list`"));
    }
}
