//! Where the claims of a webhook go on. What was claimed is still in the index of what is due until no transaction that is open
//! anywhere can see it as it was: each claim would read all of that again. So it begins where the last one ended, and now and
//! then at the start: what is due at an earlier time may have come meanwhile.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long claims go on where the last one ended.
const HOLDS: Duration = Duration::from_millis(500);

/// By webhook.
#[derive(Debug, Default)]
pub(super) struct Cursors(RefCell<HashMap<i64, Cursor>>);

#[derive(Clone, Copy, Debug)]
struct Cursor {
    /// When the delivery was due that was claimed last, in milliseconds since 1970.
    due_at: i64,
    /// When claims last began at the start.
    since: Instant,
}

impl Cursors {
    /// From which due time on a webhook's deliveries are looked through; `None` for all.
    pub(super) fn of(&self, webhook_id: i64, now: Instant) -> Option<i64> {
        let cursor = *self.0.borrow().get(&webhook_id)?;
        (now.saturating_duration_since(cursor.since) < HOLDS).then_some(cursor.due_at)
    }

    /// Notes when the last delivery was due of a claim that got all that it wanted; `None` where it found less, so that the next
    /// one looks through all.
    pub(super) fn note(&self, webhook_id: i64, last: Option<i64>, now: Instant) {
        let since = match self.of(webhook_id, now) {
            Some(_) => self.0.borrow().get(&webhook_id).map_or(now, |cursor| cursor.since),
            None => now,
        };
        match last {
            Some(due_at) => drop(self.0.borrow_mut().insert(webhook_id, Cursor { due_at, since })),
            None => drop(self.0.borrow_mut().remove(&webhook_id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_go_on_where_the_last_one_ended_and_begin_anew_after_half_a_second_or_where_too_little_was_found() {
        let (cursors, start) = (Cursors::default(), Instant::now());
        let after = |millis| start + Duration::from_millis(millis);
        assert_eq!(cursors.of(1, start), None);
        cursors.note(1, Some(7), start);
        cursors.note(1, Some(8), after(400));
        assert_eq!((cursors.of(1, after(499)), cursors.of(2, after(499))), (Some(8), None));
        assert_eq!(cursors.of(1, after(500)), None, "counted from the claim that began at the start");
        cursors.note(1, Some(9), after(600));
        assert_eq!(cursors.of(1, after(1_000)), Some(9));
        cursors.note(1, None, after(1_000));
        assert_eq!(cursors.of(1, after(1_000)), None);
    }
}
