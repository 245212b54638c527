//! Whether a webhook would get an event, or why not, in words.

use crate::delivery::{Matching, Shaped};
use crate::domain::attempt::ErrorType;
use crate::store::Subscriber;

pub struct Verdict {
    /// Why it would get nothing; `None` where it would get the event.
    pub reason: Option<&'static str>,
    pub detail: String,
}

impl Verdict {
    /// `shaped` is what its expressions make of the event, and is asked where `matching` is [`Matching::Wanted`].
    pub fn new(webhook: &Subscriber, matching: Matching, shaped: &Shaped) -> Verdict {
        let events = || webhook.events.join(", ");
        let (reason, detail) = match matching {
            Matching::Wanted => match shaped {
                Shaped::Unwanted => (Some("filter"), "its filter says no".to_owned()),
                // A delivery would be stored as failed.
                Shaped::Failed(error) if error.error_type == ErrorType::FilterError => {
                    (Some("filter"), error.message.clone())
                }
                Shaped::Failed(error) => (Some("transform"), error.message.clone()),
                Shaped::Payload | Shaped::Body(_) => (None, format!("subscribes to {}", events())),
            },
            Matching::Disabled => (Some("disabled"), "disabled".to_owned()),
            Matching::Pattern => (Some("pattern"), format!("subscribes to {} only", events())),
            Matching::Owner => (Some("owner"), format!("belongs to {}", webhook.owner.as_deref().unwrap_or("nobody"))),
            Matching::NotNamed => (Some("not-named"), "others were named with -w".to_owned()),
        };
        Verdict { reason, detail }
    }
}
