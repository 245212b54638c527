//! The failure for a type that is not in the catalogue.

use crate::domain::event_type::nearest;
use crate::error::{Failure, Kind};
use crate::store::EventTypeRow;

/// The hint names the nearest type in the catalogue.
pub fn not_found(event_type: &str, known: &[EventTypeRow]) -> Failure {
    let hint = match nearest(event_type, known.iter().map(|known| known.name.as_str())) {
        Some(nearest) => format!("did you mean '{nearest}'?"),
        None => "see `hookctl event-type list`".to_owned(),
    };
    Failure::new(Kind::NotFound, format!("no event type '{event_type}' in the catalogue")).hint(hint)
}
