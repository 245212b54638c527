//! Warnings of event types that the catalogue does not know.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::context::Context;
use crate::domain::event_type;
use crate::store::Store;

/// After so many warnings the rest is counted.
const MOST_WARNINGS: usize = 10;

/// Warns when the catalogue does not know an event type.
pub fn warn_of_unknown_type(context: &mut Context, store: &Store, event_type: &String) -> Result<()> {
    match store.knows_event_type(event_type)? {
        true => Ok(()),
        false => warn_of_unknown_types(context, store, [event_type]),
    }
}

/// Warns of event types that the catalogue does not know, each once, with the nearest one that it does. Patterns are left out.
pub fn warn_of_unknown_types<'a>(
    context: &mut Context,
    store: &Store,
    types: impl IntoIterator<Item = &'a String>,
) -> Result<()> {
    let types: BTreeSet<&String> = types.into_iter().filter(|name| !name.contains('*')).collect();
    if types.is_empty() {
        return Ok(());
    }
    let known = store.event_types()?;
    let known: BTreeSet<&str> = known.iter().map(|known| known.name.as_str()).collect();
    let unknown: Vec<&String> = types.into_iter().filter(|name| !known.contains(name.as_str())).collect();
    for name in unknown.iter().take(MOST_WARNINGS) {
        let advice = match event_type::nearest(name, known.iter().copied()) {
            Some(nearest) => format!("did you mean '{nearest}'?"),
            None => "add it with `hookctl event-type add` if it is right".to_owned(),
        };
        context.out.warning(&format!("the event type '{name}' is not in the catalogue; {advice}"));
    }
    if let more @ 1.. = unknown.len().saturating_sub(MOST_WARNINGS) {
        context
            .out
            .warning(&format!("{more} more event types are not in the catalogue; see `hookctl event-type list`"));
    }
    Ok(())
}
