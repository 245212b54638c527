//! Whether a webhook would get an event, and why not.

use serde::Serialize;

use crate::delivery::{Matching, Shaped};
use crate::domain::attempt::{AttemptError, ErrorType};
use crate::store::Subscriber;

#[derive(Debug, Serialize)]
pub struct Verdict {
    /// Why it would get nothing; `None` if it would get the event.
    pub reason: Option<&'static str>,
    pub detail: String,
    /// Whether an expression fails on the event, so that a failed delivery is recorded.
    #[serde(skip)]
    pub fails: bool,
}

impl Verdict {
    /// `shaped` is the result of its expressions, which counts if `matching` is [`Matching::Wanted`].
    pub fn new(webhook: &Subscriber, matching: Matching, shaped: &Shaped) -> Verdict {
        let events = || webhook.events.join(", ");
        let (reason, detail) = match matching {
            Matching::Wanted => match shaped {
                Shaped::Unwanted => (Some("filter"), "its filter says no".to_owned()),
                Shaped::Failed(error) => return Verdict::failed(error, "emit"),
                Shaped::Payload | Shaped::Body(_) => (None, format!("subscribes to {}", events())),
            },
            Matching::Disabled => (Some("disabled"), "disabled".to_owned()),
            Matching::Pattern => (Some("pattern"), format!("subscribes to {} only", events())),
            Matching::Owner => (Some("owner"), format!("belongs to {}", webhook.owner.as_deref().unwrap_or("nobody"))),
            Matching::NotNamed => (Some("not-named"), "others were named with -w".to_owned()),
        };
        Verdict { reason, detail, fails: false }
    }

    /// Of an event that `command` records as a failed delivery.
    pub fn failed(error: &AttemptError, command: &str) -> Verdict {
        let reason = if error.error_type == ErrorType::FilterError { "filter" } else { "transform" };
        let detail = format!("{}; {command} records a failed delivery", error.message);
        Verdict { reason: Some(reason), detail, fails: true }
    }
}
