//! Lines: deliveries of a webhook that are sent one at a time, oldest first: those with one ordering key, or all.
//!
//! The oldest open delivery of a line is its head. Only heads are claimed. So that claims need not look for heads among all
//! due deliveries, one that was found behind another is marked `is_behind`, which removes it from the index that claims
//! read; when a head is finished, the mark of the next one is removed. Both happen while the state of the webhook is locked,
//! so no head stays marked. Deliveries without the mark may be behind others too: each claim checks.

use super::claims::{Claimed, Lease, from_row};
use super::dialect::Dialect;
use super::row::{one, pair};
use super::value::params;
use super::{Result, Store};
use crate::domain::webhook::Order;

/// How many more deliveries are looked at than are to be claimed, as some may be behind others.
pub(super) const LOOKED_AT: usize = 64;

/// How many rounds one claim takes at most; the rest is left to the next turn.
const MOST_ROUNDS: usize = 100;

/// The line of a delivery of event `e` to webhook `w`: NULL without an order, empty for a delivery without a key.
pub(super) const LINE: &str = "CASE w.ordered WHEN 'webhook' THEN '*' WHEN 'key' THEN coalesce(e.key, '') END";

/// The same for a known order and key.
pub(super) fn line_of(order: Order, key: Option<&str>) -> Option<&str> {
    match order {
        Order::None => None,
        Order::Webhook => Some("*"),
        Order::Key => Some(key.unwrap_or_default()),
    }
}

/// The head of the line of delivery `c`, with the engine's [`Dialect::queued`]. As a value: PostgreSQL may answer an EXISTS by
/// hashing all deliveries.
macro_rules! head {
    ($queued:literal) => {
        concat!(
            "(SELECT min(h.id) FROM deliveries h WHERE h.webhook_id = c.webhook_id AND h.line = c.line AND h.",
            $queued,
            " IS NOT NULL)"
        )
    };
}

/// Whether delivery `c`, which is open, is behind another of its line.
macro_rules! is_behind {
    ($queued:literal) => {
        concat!("c.line <> '' AND c.id > ", crate::store::lines::head!($queued))
    };
}

/// Whether delivery `c`, which is due at `$now`, may be sent: it has no key, or is the head of its line and none of the line
/// is in flight. One may be in flight if the head was retried by hand, or if it was cancelled during its attempt. `$claimed`
/// says of delivery `u` that it is claimed and of the same line, in the words of the engine's index.
macro_rules! may_go {
    ($now:literal, $queued:literal, $claimed:literal) => {
        concat!(
            "(c.line = '' OR (c.id = ",
            crate::store::lines::head!($queued),
            " AND (SELECT count(*) FROM deliveries u WHERE u.webhook_id = c.webhook_id AND ",
            $claimed,
            " AND coalesce(u.due_at, u.lease_until) > ",
            $now,
            ") = 0))"
        )
    };
}
pub(super) use {head, is_behind, may_go};

/// The deliveries that are due longest and not marked as behind others.
macro_rules! in_front {
    ($webhook:literal, $now:literal, $most:literal) => {
        concat!(
            "(SELECT d.id, d.webhook_id, d.line, d.due_at FROM deliveries d WHERE d.webhook_id = ",
            $webhook,
            " AND d.line IS NOT NULL AND NOT d.is_behind AND d.due_at <= ",
            $now,
            " ORDER BY d.due_at LIMIT ",
            $most,
            ")"
        )
    };
}

const MARK_BEHIND: &str = concat!(
    "UPDATE deliveries SET is_behind = TRUE WHERE id IN (SELECT c.id FROM ",
    in_front!("$1", "$2", "$3"),
    " c WHERE ",
    is_behind!("due_at"),
    ")"
);

const CLAIM_IN_FRONT: &str = concat!(
    "UPDATE deliveries SET due_at = $1, claim_token = $2 WHERE id IN (SELECT c.id FROM ",
    in_front!("$3", "$4", "$5"),
    " c WHERE ",
    may_go!("$4", "due_at", "u.line = c.line AND u.claim_token IS NOT NULL"),
    " LIMIT $6) RETURNING ",
    super::claims::claimed!()
);

const MARK_ONE: &str = concat!(
    "UPDATE deliveries AS c SET is_behind = TRUE WHERE c.id = $1 AND c.due_at IS NOT NULL AND ",
    is_behind!("due_at")
);

const CLAIM_ONE: &str = concat!(
    "UPDATE deliveries AS c SET due_at = $1, claim_token = $2 WHERE c.id = $3 AND c.due_at <= $4 AND (c.line IS NULL OR ",
    may_go!("$4", "due_at", "u.line = c.line AND u.claim_token IS NOT NULL"),
    ")"
);

impl Store {
    /// The head of an ordered webhook: the oldest delivery that is not finished, due or not.
    pub(super) fn head_of_webhook(&self, webhook_id: i64) -> Result<Option<i64>> {
        self.first(HEAD_OF_WEBHOOK, params![webhook_id], one)
    }

    /// Assigns the open deliveries of a webhook to lines, after its order has changed.
    pub(super) fn line_up(&self, webhook_id: i64) -> Result<()> {
        let sql = format!(
            "UPDATE deliveries SET is_behind = FALSE, line = (SELECT {LINE} FROM webhooks w
                JOIN events e ON e.id = deliveries.event_id WHERE w.id = $1)
             WHERE webhook_id = $1 AND {} IS NOT NULL",
            self.dialect().queued()
        );
        self.execute(&sql, params![webhook_id]).map(drop)
    }

    /// The delivery that another waits for: the head of its line, unless it is the head itself.
    pub fn ahead_in_line(&self, delivery: i64) -> Result<Option<i64>> {
        let sql = format!("SELECT {} FROM deliveries c WHERE c.id = $1 AND c.line <> ''", head_of(self.dialect()));
        let head: Option<Option<i64>> = self.first(&sql, params![delivery], one)?;
        Ok(head.flatten().filter(|head| *head < delivery))
    }

    /// Claims at most `most` due deliveries of a webhook: heads of lines, and those without a key. Also returns whether those
    /// were all.
    pub(super) fn claim_in_front(&self, webhook_id: i64, lease: Lease, most: usize) -> Result<(Vec<Claimed>, bool)> {
        let (mut claimed, mut is_all) = (Vec::new(), false);
        for _ in 0..MOST_ROUNDS {
            let left = most - claimed.len();
            let looked_at = (left + LOOKED_AT) as i64;
            let marked = self.execute(MARK_BEHIND, params![webhook_id, lease.now, looked_at])?;
            let values = params![lease.until, lease.token, webhook_id, lease.now, looked_at, left as i64];
            let more = self.rows(CLAIM_IN_FRONT, values, from_row)?;
            is_all = marked == 0 && more.len() < left;
            claimed.extend(more);
            if is_all || claimed.len() == most {
                break;
            }
        }
        claimed.sort_unstable_by_key(|delivery| delivery.id);
        Ok((claimed, is_all))
    }

    /// Claims a delivery if it is due and may be sent; otherwise returns whether it is behind another.
    pub(super) fn claim_in_line(&self, id: i64, lease: Lease) -> Result<(Option<Claimed>, bool)> {
        match self.execute(CLAIM_ONE, params![lease.until, lease.token, id, lease.now])? {
            0 => Ok((None, self.execute(MARK_ONE, params![id])? > 0)),
            _ => Ok((self.claimed(id)?, false)),
        }
    }

    /// Locks the states of the webhooks of these deliveries, in the order of ids.
    pub fn lock_states_of(&self, deliveries: &[i64]) -> Result<()> {
        let dialect = self.dialect();
        let sql = format!(
            "SELECT s.webhook_id FROM webhook_state s WHERE s.webhook_id IN (SELECT d.webhook_id FROM deliveries d WHERE {})
             ORDER BY s.webhook_id {}",
            dialect.one_of("d.id", "$1"),
            dialect.for_update()
        );
        self.rows(&sql, params![deliveries], one::<i64>).map(drop)
    }

    /// After deliveries are finished, in a transaction that has locked the states of their webhooks: removes the mark from the
    /// new heads of their lines, and returns those, webhook and delivery.
    pub fn move_up(&self, ended: &[i64]) -> Result<Vec<(i64, i64)>> {
        if ended.is_empty() {
            return Ok(Vec::new());
        }
        self.rows(&move_up(self.dialect()), params![ended], pair)
    }
}

pub(super) const HEAD_OF_WEBHOOK: &str =
    "SELECT id FROM deliveries WHERE webhook_id = $1 AND line = '*' AND due_at IS NOT NULL ORDER BY id LIMIT 1";

fn head_of(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => head!("due_at"),
        Dialect::Postgres => head!("queued_at"),
    }
}

pub(super) fn move_up(dialect: Dialect) -> String {
    format!(
        "UPDATE deliveries SET is_behind = FALSE WHERE is_behind AND id IN (
            SELECT {} FROM deliveries c WHERE {} AND c.line <> '') RETURNING webhook_id, id",
        head_of(dialect),
        dialect.one_of("c.id", "$1")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;
    use crate::domain::webhook::Settings;

    const NOW: Timestamp = Timestamp::START;

    /// A webhook ordered by key with deliveries due, of several keys in turn.
    fn store(deliveries: usize, keys: usize) -> (Store, i64) {
        let store = Store::empty().unwrap();
        let settings = Settings { name: "crm".to_owned(), order: Order::Key, ..Settings::default() };
        let webhook = store.insert_webhook(&settings, true, None, NOW).unwrap();
        let numbers = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $1)";
        store
            .execute(
                &format!(
                    "{numbers} INSERT INTO events (event_id, event_type, payload, fingerprint, key, created_at)
                     SELECT 'e' || i, 'a.b', x'', x'', 'k' || (i % $2), 0 FROM n"
                ),
                params![deliveries as i64, keys as i64],
            )
            .unwrap();
        store
            .execute(
                "INSERT INTO deliveries (webhook_id, event_id, event_type, status, due_at, line, created_at)
                 SELECT $1, id, event_type, 'pending', id, key, 0 FROM events",
                params![webhook],
            )
            .unwrap();
        (store, webhook)
    }

    fn lease(token: i64) -> Lease {
        Lease { now: Timestamp::from_millis(10_000_000), until: Timestamp::from_millis(20_000_000), token }
    }

    fn ids(claimed: &[Claimed]) -> Vec<i64> {
        claimed.iter().map(|claimed| claimed.id).collect()
    }

    fn end(store: &Store, ids: &[i64]) -> Vec<(i64, i64)> {
        let sql = "UPDATE deliveries SET status = 'success', due_at = NULL, claim_token = NULL WHERE id = $1";
        ids.iter().for_each(|id| assert_eq!(store.execute(sql, params![*id]).unwrap(), 1));
        store.move_up(ids).unwrap()
    }

    #[test]
    fn the_heads_of_lines_are_claimed_and_the_next_ones_when_they_end() {
        let (store, webhook) = store(9, 3);
        let (claimed, is_all) = store.claim_in_front(webhook, lease(1), 2).unwrap();
        assert_eq!((ids(&claimed), is_all), (vec![1, 2], false));
        let (claimed, is_all) = store.claim_in_front(webhook, lease(2), 5).unwrap();
        assert_eq!((ids(&claimed), is_all), (vec![3], true), "the others are behind these");
        assert_eq!(end(&store, &[1, 3]), [(webhook, 4), (webhook, 6)]);
        assert_eq!(store.ahead_in_line(8).unwrap(), Some(2));
        assert_eq!(store.ahead_in_line(4).unwrap(), None);
        let (claimed, _) = store.claim_in_front(webhook, lease(3), 5).unwrap();
        assert_eq!(ids(&claimed), [4, 6]);
    }

    #[test]
    fn heads_of_which_nobody_is_behind_are_all_only_if_there_are_fewer_than_asked_for() {
        let (store, webhook) = store(3, 3);
        let (claimed, is_all) = store.claim_in_front(webhook, lease(1), 2).unwrap();
        assert_eq!((ids(&claimed), is_all), (vec![1, 2], false));
        let (claimed, is_all) = store.claim_in_front(webhook, lease(2), 2).unwrap();
        assert_eq!((ids(&claimed), is_all), (vec![3], true));
    }

    #[test]
    fn what_is_behind_a_long_line_is_looked_through_for_other_heads_and_no_more_are_claimed_than_asked_for() {
        let (store, webhook) = store(203, 203);
        store.execute("UPDATE deliveries SET line = 'k0' WHERE id <= 200", &[]).unwrap();
        let (claimed, is_all) = store.claim_in_front(webhook, lease(1), 2).unwrap();
        assert_eq!((ids(&claimed), is_all), (vec![1, 201], false));
        let (claimed, is_all) = store.claim_in_front(webhook, lease(2), 9).unwrap();
        assert_eq!((ids(&claimed), is_all), (vec![202, 203], true));
    }

    #[test]
    fn one_that_comes_before_the_one_under_way_waits_for_it_and_is_not_marked() {
        let (store, webhook) = store(2, 1);
        end(&store, &[1]);
        assert_eq!(ids(&store.claim_in_front(webhook, lease(1), 5).unwrap().0), [2]);
        store.retry_deliveries(&[1], NOW).unwrap();
        assert_eq!(ids(&store.claim_in_front(webhook, lease(2), 5).unwrap().0), [0; 0]);
        let (one, is_behind) = store.claim_in_line(1, lease(3)).unwrap();
        assert!(one.is_none() && !is_behind);
        end(&store, &[2]);
        assert_eq!(ids(&store.claim_in_front(webhook, lease(4), 5).unwrap().0), [1]);
    }

    #[test]
    fn of_a_list_it_is_said_who_is_behind() {
        let (store, _) = store(2, 1);
        let (second, is_behind) = store.claim_in_line(2, lease(1)).unwrap();
        assert!(second.is_none() && is_behind);
        assert!(store.claim_in_line(1, lease(1)).unwrap().0.is_some());
        assert_eq!(end(&store, &[1]).len(), 1);
        assert!(store.claim_in_line(2, lease(2)).unwrap().0.is_some());
    }

    #[test]
    fn lines_are_looked_into_by_their_indexes() {
        let store = Store::empty().unwrap();
        for sql in [MARK_BEHIND, CLAIM_IN_FRONT] {
            let plan = store.plan(sql);
            assert!(plan.contains("deliveries_in_front (webhook_id=? AND due_at<?)"), "{plan}");
            assert!(plan.contains("deliveries_in_line (webhook_id=? AND line=?)"), "{plan}");
            assert!(!plan.contains("SCAN deliveries") && !plan.contains("TEMP B-TREE"), "{plan}");
        }
        assert!(store.plan(CLAIM_IN_FRONT).contains("deliveries_under_way (webhook_id=? AND line=?)"));
        let plan = store.plan(HEAD_OF_WEBHOOK);
        assert!(
            plan.contains("deliveries_in_line (webhook_id=? AND line=?)") && !plan.contains("TEMP B-TREE"),
            "{plan}"
        );
        let plan = store.plan(&move_up(store.dialect()));
        assert!(plan.contains("deliveries_in_line (webhook_id=? AND line=?)") && !plan.contains("SCAN c"), "{plan}");
    }

    /// A million in 100,000 keys in the long form.
    #[test]
    fn a_claim_takes_as_many_steps_among_many_lines_as_among_few() {
        let steps = |deliveries: usize, keys: usize| {
            let (store, webhook) = store(deliveries, keys);
            // What waits for a head is looked at once, and not again.
            let (claimed, _) = store.claim_in_front(webhook, lease(1), 16).unwrap();
            end(&store, &ids(&claimed));
            let lease = lease(2);
            let mark = store.steps(MARK_BEHIND, params![webhook, lease.now, 80_i64]);
            let claim = params![lease.until, lease.token, webhook, lease.now, 80_i64, 16_i64];
            let claim = store.steps(CLAIM_IN_FRONT, claim);
            let ended: &[i64] = &[17];
            (mark, claim, store.steps(&move_up(store.dialect()), params![ended]))
        };
        let is_long = std::env::var_os("HOOKCTL_TEST_LONG").is_some();
        let few = steps(2_000, 200);
        let long_lines = steps(20_000, 200);
        let many_lines = if is_long { steps(1_000_000, 100_000) } else { steps(20_000, 2_000) };
        for many in [long_lines, many_lines] {
            for (few, many) in [(few.0, many.0), (few.1, many.1), (few.2, many.2)] {
                assert!(many <= few + few / 10, "{few} steps and {many}");
            }
        }
    }
}
