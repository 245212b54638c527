//! Why an open delivery is not sent now.

use anyhow::Result;
use serde::Serialize;

use crate::domain::time::Timestamp;
use crate::domain::webhook::{Order, Pause, Webhook};
use crate::store::{DeliveryRow, Store};

#[derive(Clone, Debug, Serialize)]
pub struct Waiting {
    /// For programs: `attempt`, `enable`, `resume`, `receiver`, `breaker`, `retry`, `order` or `drain`.
    #[serde(rename = "for")]
    pub cause: &'static str,
    /// When the wait ends by itself.
    pub until: Option<Timestamp>,
    /// For people.
    #[serde(skip)]
    pub told: String,
}

impl Waiting {
    /// What a delivery of `webhook` waits for at `now`; `None` if it is finished.
    pub fn of(store: &Store, delivery: &DeliveryRow, webhook: &Webhook, now: Timestamp) -> Result<Option<Waiting>> {
        let Some(due_at) = delivery.due_at.filter(|_| delivery.status.is_open()) else { return Ok(None) };
        let waiting = |cause, until, told: &str| Ok(Some(Waiting { cause, until, told: told.to_owned() }));
        if delivery.is_claimed && due_at > now {
            return waiting("attempt", Some(due_at), "the end of the attempt under way, or of its lease");
        }
        match webhook.health.pause(now) {
            Some(Pause::Disabled) => {
                let reason = webhook.health.disabled_reason.as_deref().unwrap_or("disabled");
                return waiting(
                    "enable",
                    None,
                    &format!("`hookctl webhook enable`: the webhook is disabled ({reason})"),
                );
            }
            Some(Pause::ByHand) => {
                return waiting("resume", None, "`hookctl webhook resume`: the webhook is paused");
            }
            Some(Pause::Held(until)) => {
                return waiting("receiver", Some(until), "the receiver, which asked for patience");
            }
            Some(Pause::Unreachable(until)) => {
                return waiting(
                    "breaker",
                    Some(until),
                    "the receiver, which could not be reached several times in a row",
                );
            }
            Some(Pause::Refusing(until)) => {
                return waiting("breaker", Some(until), "the receiver, which refused many requests in a row");
            }
            None => {}
        }
        if due_at > now {
            return waiting("retry", Some(due_at), "the time of its next attempt");
        }
        match store.ahead_in_line(delivery.id)? {
            Some(head) if webhook.settings.order == Order::Key => {
                let key = delivery.key.as_deref().unwrap_or_default();
                waiting("order", None, &format!("delivery {head}, which has the same key: {key}"))
            }
            Some(head) => waiting("order", None, &format!("delivery {head}: the webhook is ordered")),
            None => waiting("drain", None, "the next `hookctl drain`"),
        }
    }
}
