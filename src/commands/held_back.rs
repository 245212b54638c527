//! Notices about due deliveries that are not sent.

use super::wording::more;
use crate::context::Context;
use crate::delivery::{HeldBack, Hold};
use crate::domain::webhook::Pause;
use crate::store::Due;

/// How many webhooks are named.
const MOST_NAMED: usize = 5;

/// Says for each webhook why its due deliveries are not sent, and what sends them.
pub fn tell(context: &mut Context, held_back: &[HeldBack], due: &[Due]) {
    let idle = due.iter().filter(|row| !row.is_sent()).map(|row| {
        let pause = if row.is_active { Pause::ByHand } else { Pause::Disabled };
        (row.webhook.as_str(), row.due, Hold::Pause(pause))
    });
    let held_back = held_back.iter().map(|held| (held.webhook.as_str(), held.count, held.hold));
    let told: Vec<String> =
        held_back.chain(idle).filter_map(|(webhook, count, hold)| one(webhook, count, hold)).collect();
    for line in told.iter().take(MOST_NAMED) {
        context.out.notice(line);
    }
    if let Some(left_out @ 1..) = told.len().checked_sub(MOST_NAMED) {
        context.out.notice(&format!("{} webhooks; `hookctl webhook list` has them all", more(left_out)));
    }
}

/// `None` if an error reports it.
fn one(webhook: &str, count: u64, hold: Hold) -> Option<String> {
    let enable = format!("`hookctl webhook enable {}`", shell_words::quote(webhook));
    let why = match hold {
        Hold::Pause(Pause::Disabled) => format!("it is disabled; {enable}"),
        Hold::Pause(Pause::ByHand) => {
            format!("it is paused; `hookctl webhook resume {}`", shell_words::quote(webhook))
        }
        Hold::Pause(Pause::Held(until)) => format!("its receiver asked to wait until {}", until.rfc3339()),
        Hold::Pause(Pause::Unreachable(until)) => format!(
            "its receiver could not be reached, and its circuit breaker is open until {}; {enable} closes it",
            until.rfc3339()
        ),
        Hold::Pause(Pause::Refusing(until)) => format!(
            "its receiver refused many requests, and its circuit breaker is open until {}; {enable} closes it",
            until.rfc3339()
        ),
        Hold::RateLimit => "its rate limit is used up".to_owned(),
        Hold::Order => "it is ordered, and the delivery before them is not done".to_owned(),
        Hold::Concurrency => "as many requests are under way as it may have at once".to_owned(),
        Hold::Key => return None,
    };
    Some(format!("{webhook}: {count} not sent: {why}"))
}
