//! A turn of the engine on a server: two round trips, and one statement for each kind of row.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::{join, join3};
use tokio_postgres::Row as ServerRow;
use tokio_postgres::types::Type;

use super::cells::Parameter;
use super::engine::{Postgres, Transaction};
use super::link::{Answered, Link, Request};
use super::queue::Queued;
use crate::store::claims::{self, CLOCK_SKEW_MS, Claimed, LaneClaim, LaneClaimed, Payload, Wanted};
use crate::store::dialect::Dialect;
use crate::store::group::{GroupChange, GroupDone, LockedGroup};
use crate::store::lines::{self, is_behind, may_go};
use crate::store::results::ClaimStanding;
use crate::store::row::{Row, pair};
use crate::store::value::values;
use crate::store::{Result, webhook_state};

/// The statements of a turn are planned once for all turns, and in no way that reads a whole table: what a server makes of how
/// much is due is soon wrong, and planning claims anew each time takes as long as a dozen of them.
pub(super) const PLANS: &str = "SELECT set_config('plan_cache_mode', 'force_generic_plan', TRUE),
    set_config('enable_seqscan', 'off', TRUE), set_config('enable_hashjoin', 'off', TRUE),
    set_config('enable_mergejoin', 'off', TRUE)";

const STANDINGS: &str = "SELECT d.id, d.claim_token, d.status = 'cancelled' FROM unnest($1, $2) AS r (id, token)
    JOIN deliveries d ON d.id = r.id AND d.claim_token = r.token ORDER BY d.id FOR UPDATE OF d";

/// How lanes are told apart in [`CLAIM`].
const DUE: i64 = 0;
const LISTED: i64 = 1;
const HEAD: i64 = 2;
const HEAD_IF_LISTED: i64 = 3;
const IN_FRONT: i64 = 4;
const LISTED_IN_FRONT: i64 = 5;

/// Of more listed deliveries than may be claimed so many are looked at, in one turn.
const LOOKED_AT: usize = 256;

/// Claims for all lanes, with the payloads. `room` counts the claims of other processes, which wait for the webhook's state: it
/// is locked. What a lane picks and the bound of bytes leaves out stays as it is. A row that is picked is found again by its
/// place in the table: whoever else changes what is due has locked the webhook's state, so it moves no more. What is looked up for
/// each row says OFFSET 0, or the server may read the whole table instead. `due_before_claim` leaves `queued_at` as it was, so that
/// no index is written into; claims that [`FULL`] and [`CHARGE`] count are found by it, so that of these it is when they end.
const CLAIM: &str = "WITH lane AS MATERIALIZED (
    SELECT l.*, CASE WHEN l.at_once IS NULL THEN l.most ELSE least(l.most, l.at_once - (
            SELECT count(*) FROM deliveries d WHERE d.webhook_id = l.webhook_id AND d.queued_at > l.now
                AND d.queued_at <= l.until + {skew} AND d.claim_token IS NOT NULL)) END AS room
    FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) AS l (n, mode, webhook_id, most, at_once, now, until, token, queued_from,
        is_looked_for)
), due AS (
    SELECT l.n, l.now, l.until, l.token, l.is_looked_for, c.queued_at AS place, c.row, c.id, c.event_id, c.body_id
    FROM (SELECT * FROM lane WHERE mode = 0 AND room > 0) l CROSS JOIN LATERAL (
        SELECT d.ctid AS row, d.id, d.event_id, d.body_id, d.queued_at FROM deliveries d
        WHERE d.webhook_id = l.webhook_id AND d.queued_at >= l.queued_from AND d.queued_at <= l.now AND d.due_at <= l.now
        ORDER BY d.queued_at LIMIT l.room FOR UPDATE SKIP LOCKED) c
), listed AS (
    SELECT l.n, l.now, l.until, l.token, l.is_looked_for, c.place, c.row, c.id, c.event_id, c.body_id
    FROM (SELECT * FROM lane WHERE mode = 1 AND room > 0) l CROSS JOIN LATERAL (
        SELECT d.ctid AS row, d.id, d.event_id, d.body_id, w.place
        FROM unnest($11, $12) WITH ORDINALITY AS w (n, id, place)
        JOIN deliveries d ON d.id = w.id WHERE w.n = l.n AND d.due_at <= l.now
        ORDER BY w.place LIMIT l.room FOR UPDATE OF d SKIP LOCKED) c
), head AS (
    SELECT l.n, l.now, l.until, l.token, l.is_looked_for, 0 AS place, c.row, c.id, c.event_id, c.body_id
    FROM (SELECT * FROM lane WHERE mode IN (2, 3) AND room > 0) l CROSS JOIN LATERAL (
        SELECT d.ctid AS row, d.id, d.event_id, d.body_id, d.due_at FROM deliveries d
        WHERE d.webhook_id = l.webhook_id AND d.line = '*' AND d.queued_at IS NOT NULL ORDER BY d.id LIMIT 1) c
    WHERE c.due_at <= l.now
      AND (l.mode = 2 OR c.id IN (SELECT w.id FROM unnest($11, $12) AS w (n, id) WHERE w.n = l.n))
      AND NOT EXISTS (SELECT 1 FROM deliveries u WHERE u.webhook_id = l.webhook_id AND u.claimed_line = '*'
                        AND coalesce(u.due_at, u.lease_until) > l.now)
), {lines} picked AS (
    SELECT p.n, p.now, p.until, p.token, p.is_looked_for, p.place, p.row, e.event_id AS event, e.event_type, e.headers,
        coalesce(b.body, e.payload) AS payload, count(*) OVER (PARTITION BY p.n) AS picked,
        sum(octet_length(coalesce(b.body, e.payload))) OVER (ORDER BY p.n, p.place, p.id)
            - octet_length(coalesce(b.body, e.payload)) AS bytes_before
    FROM (SELECT * FROM due UNION ALL SELECT * FROM listed UNION ALL SELECT * FROM head {of_lines}) p
    CROSS JOIN LATERAL (SELECT e.* FROM events e WHERE e.id = p.event_id OFFSET 0) e
    LEFT JOIN LATERAL (SELECT b.body FROM bodies b WHERE b.id = p.body_id OFFSET 0) b ON TRUE
)
UPDATE deliveries d SET due_at = p.until, claim_token = p.token,
    due_before_claim = CASE WHEN p.is_looked_for THEN NULL ELSE d.queued_at END FROM picked p
WHERE d.ctid = p.row AND d.due_at <= p.now AND p.bytes_before < $13
RETURNING p.n, p.place, p.picked, d.id, d.webhook_id, d.event_id, d.body_id, d.attempt_count + 1, d.retry_count, d.is_manual, d.is_test,
    d.claim_token, p.event, p.event_type, p.payload, p.headers";

/// The parts of [`CLAIM`] for webhooks that order by keys.
const CLAIM_IN_FRONT: &str = concat!(
    "in_front AS (
    SELECT l.n, l.now, l.until, l.token, l.is_looked_for, c.queued_at AS place, c.row, c.id, c.event_id, c.body_id
    FROM (SELECT * FROM lane WHERE mode = 4 AND room > 0) l CROSS JOIN LATERAL (
        SELECT c.* FROM (
            SELECT d.ctid AS row, d.id, d.webhook_id, d.line, d.event_id, d.body_id, d.queued_at FROM deliveries d
            WHERE d.webhook_id = l.webhook_id AND d.line IS NOT NULL AND NOT d.is_behind AND d.queued_at <= l.now
                AND d.due_at <= l.now
            ORDER BY d.queued_at LIMIT l.room + 256 FOR UPDATE SKIP LOCKED) c
        WHERE ",
    may_go!("l.now", "queued_at", "u.claimed_line = c.line"),
    " ORDER BY c.queued_at LIMIT l.room) c
), listed_in_front AS (
    SELECT l.n, l.now, l.until, l.token, l.is_looked_for, p.place, p.row, p.id, p.event_id, p.body_id
    FROM (SELECT * FROM lane WHERE mode = 5 AND room > 0) l CROSS JOIN LATERAL (
        SELECT c.ctid AS row, c.id, c.event_id, c.body_id, w.place FROM unnest($11, $12) WITH ORDINALITY AS w (n, id, place)
        JOIN deliveries c ON c.id = w.id WHERE w.n = l.n AND c.due_at <= l.now AND (c.line IS NULL OR ",
    may_go!("l.now", "queued_at", "u.claimed_line = c.line"),
    ") ORDER BY w.place LIMIT l.room FOR UPDATE OF c SKIP LOCKED) p
),"
);

/// Marks those that are behind others: before [`CLAIM`], behind the same locks. The first that are due of a webhook, and all
/// that are listed.
const MARK_BEHIND: &str = concat!(
    "WITH lane AS MATERIALIZED (SELECT * FROM unnest($1, $2, $3, $4, $5) AS l (n, mode, webhook_id, most, now)
), behind AS (
    SELECT l.n, c.id FROM (SELECT * FROM lane WHERE mode = 4) l CROSS JOIN LATERAL (
        SELECT d.id, d.webhook_id, d.line FROM deliveries d
        WHERE d.webhook_id = l.webhook_id AND d.line IS NOT NULL AND NOT d.is_behind AND d.queued_at <= l.now AND d.due_at <= l.now
        ORDER BY d.queued_at LIMIT l.most + 256 FOR UPDATE SKIP LOCKED) c
    WHERE ",
    is_behind!("queued_at"),
    "
), listed AS (
    SELECT w.n, c.id FROM unnest($6, $7) AS w (n, id) JOIN lane l ON l.n = w.n AND l.mode = 5
    JOIN deliveries c ON c.id = w.id WHERE c.queued_at IS NOT NULL AND ",
    is_behind!("queued_at"),
    "
)
UPDATE deliveries d SET is_behind = TRUE FROM (SELECT * FROM behind UNION ALL SELECT * FROM listed) b WHERE d.id = b.id
RETURNING b.n, d.id"
);

/// Which lanes are full: asked in the same round trip, behind the same locks, before [`CLAIM`].
const FULL: &str = "SELECT l.n FROM unnest($1, $2, $3, $4, $5) AS l (n, webhook_id, at_once, now, until)
    WHERE l.at_once <= (SELECT count(*) FROM deliveries d WHERE d.webhook_id = l.webhook_id AND d.queued_at > l.now
        AND d.queued_at <= l.until AND d.claim_token IS NOT NULL)";

/// What claims cost, counted as they were made.
const CHARGE: &str =
    "UPDATE webhook_state s SET rate_next_us = coalesce(c.start_us + c.each_us * k.claims, s.rate_next_us),
        breaker_open_until = CASE WHEN c.is_probe THEN c.until ELSE s.breaker_open_until END,
        breaker_probing = s.breaker_probing OR c.is_probe
    FROM unnest($1, $2, $3, $4, $5, $6) AS c (webhook_id, start_us, each_us, is_probe, until, token)
    CROSS JOIN LATERAL (SELECT count(*) AS claims FROM deliveries d
        WHERE d.webhook_id = c.webhook_id AND d.queued_at = c.until AND d.claim_token = c.token) k
    WHERE s.webhook_id = c.webhook_id AND k.claims > 0";

impl Postgres {
    /// [`crate::store::Store::lock_group`] in one round trip. States are locked in the order of ids, then deliveries.
    pub(in crate::store) fn lock_group(&self, claims: &[&Claimed], webhooks: &[i64]) -> Result<LockedGroup> {
        let columns = webhook_state::HEALTH_COLUMNS;
        let states = format!(
            "SELECT webhook_id, {columns} FROM webhook_state WHERE webhook_id = ANY($1) ORDER BY webhook_id FOR UPDATE"
        );
        let states = Request::new(states, vec![Parameter::Integers(webhooks.to_vec())]);
        let kinds = [Type::INT8_ARRAY, Type::INT8_ARRAY];
        let rows = claims.iter().map(|claimed| values![claimed.id, claimed.token]);
        let standings = (!claims.is_empty()).then(|| Request::new(STANDINGS, Parameter::columns(kinds, rows)));
        self.queue.borrow_mut().push(Queued::Run(Request::new(PLANS, Vec::new())));
        let (states, standings) = self.round_trip(async |link| {
            let (states, standings) = join(link.rows(&states), optional_rows(link, standings.as_ref())).await;
            Ok((states?, standings?))
        })?;
        let mut held = HashMap::new();
        for row in &standings {
            let mut row = Row::new(row);
            held.insert((row.next::<i64>()?, row.next::<i64>()?), row.next::<bool>()?);
        }
        let standing = |claimed: &&Claimed| match held.get(&(claimed.id, claimed.token)) {
            Some(true) => ClaimStanding::Cancelled,
            Some(false) => ClaimStanding::Held,
            None => ClaimStanding::Lost,
        };
        let state = |row: &ServerRow| {
            let mut row = Row::new(row);
            let id = row.next()?;
            let (health, version) = webhook_state::health(&mut row)?;
            Ok((id, health, version))
        };
        Ok(LockedGroup {
            states: states.iter().map(state).collect::<Result<_>>()?,
            standings: claims.iter().map(standing).collect(),
            is_expected: false,
        })
    }

    /// Claims for all lanes, notes what that costs, and commits: one round trip, with all that waits.
    pub(in crate::store) fn claim_and_commit(&self, change: &GroupChange<'_>) -> Result<GroupDone> {
        let (lanes, bytes) = (change.lanes, change.bytes);
        if lanes.is_empty() && change.ended.is_empty() {
            self.commit()?;
            self.transaction.set(Transaction::Committed);
            return Ok(GroupDone::default());
        }
        let moved_up = (!change.ended.is_empty())
            .then(|| Request::new(lines::move_up(Dialect::Postgres), vec![Parameter::Integers(change.ended.to_vec())]));
        let queued_from: Vec<Option<i64>> = lanes.iter().map(|lane| self.queued_from(lane)).collect();
        let claim = (!lanes.is_empty()).then(|| claim(lanes, &queued_from, bytes));
        let (behind, full, charge) = (mark_behind(lanes), full(lanes), charge(lanes));
        let commit = Request::new("COMMIT", Vec::new());
        let (moved_up, behind, full, claimed) = self.round_trip(async |link| {
            let optional = |request| optional_rows(link, request);
            let ((moved_up, behind, full), (claimed, charged, committed)) = join(
                join3(optional(moved_up.as_ref()), optional(behind.as_ref()), optional(full.as_ref())),
                join3(optional(claim.as_ref()), optional(charge.as_ref()), link.run(&commit)),
            )
            .await;
            let answer = (moved_up?, behind?, full?, claimed?);
            charged?;
            committed?;
            Ok(answer)
        })?;
        self.transaction.set(Transaction::Committed);
        let told = Told {
            behind: behind.iter().map(|row| pair(&mut Row::new(row))).collect::<Result<_>>()?,
            full: full.iter().map(|row| Row::new(row).next()).collect::<Result<_>>()?,
        };
        let found = found(queued_from, &claimed)?;
        self.note_cursors(lanes, &found);
        Ok(GroupDone {
            claimed: answers(lanes, bytes, &told, found),
            moved_up: moved_up.iter().map(|row| pair(&mut Row::new(row))).collect::<Result<_>>()?,
        })
    }
}

impl Postgres {
    fn queued_from(&self, lane: &LaneClaim<'_>) -> Option<i64> {
        match lane.wanted {
            Wanted::Due => self.cursors.of(lane.webhook_id, Instant::now()),
            _ => None,
        }
    }

    fn note_cursors(&self, lanes: &[LaneClaim<'_>], found: &[Lane]) {
        let due = lanes.iter().zip(found).filter(|(lane, _)| matches!(lane.wanted, Wanted::Due));
        for (lane, found) in due {
            let last = found.claimed.iter().map(|(place, ..)| *place).max();
            self.cursors.note(lane.webhook_id, last.filter(|_| found.picked >= most(lane)), Instant::now());
        }
    }
}

async fn optional_rows(link: &Link, request: Option<&Request>) -> Answered<Vec<ServerRow>> {
    match request {
        Some(request) => link.rows(request).await,
        None => Ok(Vec::new()),
    }
}

fn numbered<'l, 'a>(lanes: &'l [LaneClaim<'a>]) -> impl Iterator<Item = (i64, &'l LaneClaim<'a>)> {
    (0..).zip(lanes)
}

fn claim(lanes: &[LaneClaim<'_>], queued_from: &[Option<i64>], bytes: usize) -> Request {
    let int = || Type::INT8_ARRAY;
    let rows = numbered(lanes).zip(queued_from).map(|((n, lane), queued_from)| {
        let most = lane.most.min(i32::MAX as usize) as i64;
        let (lease, queued_from, is_looked_for) = (lane.lease, queued_from.unwrap_or(i64::MIN), is_looked_for(lane));
        let (now, until, token) = (lease.now, lease.until, lease.token);
        values![n, mode(lane), lane.webhook_id, most, lane.at_once, now, until, token, queued_from, is_looked_for]
    });
    let kinds = [int(), int(), int(), int(), int(), int(), int(), int(), int(), Type::BOOL_ARRAY];
    let mut parameters = Parameter::columns(kinds, rows);
    let listed = numbered(lanes).flat_map(|(n, lane)| looked_at(lane).iter().map(move |id| values![n, id]));
    parameters.extend(Parameter::columns([int(), int()], listed));
    parameters.push(Parameter::Integer(i64::try_from(bytes).unwrap_or(i64::MAX)));
    let (lines, of_lines) = match lanes.iter().any(is_in_front) {
        true => (CLAIM_IN_FRONT, " UNION ALL SELECT * FROM in_front UNION ALL SELECT * FROM listed_in_front"),
        false => ("", ""),
    };
    let claim = CLAIM.replace("{lines}", lines).replace("{of_lines}", of_lines);
    Request::new(claim.replace("{skew}", &CLOCK_SKEW_MS.to_string()), parameters)
}

fn mode(lane: &LaneClaim<'_>) -> i64 {
    match lane.wanted {
        Wanted::Due => DUE,
        Wanted::Listed(_) => LISTED,
        Wanted::Head => HEAD,
        Wanted::HeadIfListed(_) => HEAD_IF_LISTED,
        Wanted::InFront => IN_FRONT,
        Wanted::ListedInFront(_) => LISTED_IN_FRONT,
    }
}

/// Whether claims of a lane are looked for by when they end.
fn is_looked_for(lane: &LaneClaim<'_>) -> bool {
    lane.is_counted || lane.at_once.is_some() || lane.cost.is_any()
}

/// Whether a lane's webhook orders by keys.
fn is_in_front(lane: &LaneClaim<'_>) -> bool {
    matches!(lane.wanted, Wanted::InFront | Wanted::ListedInFront(_))
}

fn mark_behind(lanes: &[LaneClaim<'_>]) -> Option<Request> {
    let in_front = || numbered(lanes).filter(|(_, lane)| is_in_front(lane));
    let rows = in_front().map(|(n, lane)| {
        let most = lane.most.min(i32::MAX as usize) as i64;
        values![n, mode(lane), lane.webhook_id, most, lane.lease.now]
    });
    let int = || Type::INT8_ARRAY;
    let mut parameters = Parameter::columns([int(), int(), int(), int(), int()], rows);
    let listed = in_front().flat_map(|(n, lane)| looked_at(lane).iter().map(move |id| values![n, id]));
    parameters.extend(Parameter::columns([int(), int()], listed));
    in_front().next().map(|_| Request::new(MARK_BEHIND, parameters))
}

/// The listed deliveries of a lane that are looked at in this turn.
fn looked_at<'a>(lane: &LaneClaim<'a>) -> &'a [i64] {
    match lane.wanted {
        Wanted::Due | Wanted::Head | Wanted::InFront => &[],
        Wanted::HeadIfListed(listed) => listed,
        Wanted::Listed(listed) | Wanted::ListedInFront(listed) => {
            &listed[..listed.len().min(lane.most.saturating_add(LOOKED_AT))]
        }
    }
}

fn full(lanes: &[LaneClaim<'_>]) -> Option<Request> {
    let limited = numbered(lanes).filter(|(_, lane)| lane.at_once.is_some());
    let rows: Vec<_> = limited
        .map(|(n, lane)| {
            values![n, lane.webhook_id, lane.at_once, lane.lease.now, lane.lease.until.plus_millis(CLOCK_SKEW_MS)]
        })
        .collect();
    let int = || Type::INT8_ARRAY;
    (!rows.is_empty()).then(|| Request::new(FULL, Parameter::columns([int(), int(), int(), int(), int()], rows)))
}

fn charge(lanes: &[LaneClaim<'_>]) -> Option<Request> {
    let rows: Vec<_> = lanes
        .iter()
        .filter(|lane| lane.cost.is_any())
        .map(|lane| {
            let (rate, lease) = (lane.cost.rate, lane.lease);
            let (start, each) = (rate.map(|rate| rate.start_us), rate.map(|rate| rate.each_us));
            values![lane.webhook_id, start, each, lane.cost.is_probe, lease.until, lease.token]
        })
        .collect();
    let int = || Type::INT8_ARRAY;
    let kinds = [int(), int(), int(), Type::BOOL_ARRAY, int(), int()];
    (!rows.is_empty()).then(|| Request::new(CHARGE, Parameter::columns(kinds, rows)))
}

/// What was said of lanes, by their numbers, beside what was claimed.
struct Told {
    /// Lane and delivery.
    behind: Vec<(i64, i64)>,
    full: Vec<i64>,
}

/// What came of each lane.
struct Lane {
    /// It was looked through from this due time on.
    queued_from: Option<i64>,
    /// Place in the list and delivery.
    claimed: Vec<(i64, Claimed, Arc<Payload>)>,
    picked: usize,
}

fn found(queued_from: Vec<Option<i64>>, rows: &[ServerRow]) -> Result<Vec<Lane>> {
    let lane = |queued_from| Lane { queued_from, claimed: Vec::new(), picked: 0 };
    let mut found: Vec<Lane> = queued_from.into_iter().map(lane).collect();
    let mut payloads = HashMap::<claims::Sent, Arc<Payload>>::new();
    for row in rows {
        let mut row = Row::new(row);
        let (n, place, picked) = (row.next::<i64>()?, row.next()?, row.next::<i64>()?);
        let claimed = claims::from_row(&mut row)?;
        let (event_id, event_type) = (row.next()?, row.next()?);
        let payload = match payloads.get(&claimed.sent()) {
            Some(payload) => Arc::clone(payload),
            None => Arc::new(Payload { event_id, event_type, bytes: row.next()?, headers: row.next()? }),
        };
        payloads.insert(claimed.sent(), Arc::clone(&payload));
        let lane = &mut found[n as usize];
        lane.picked = picked as usize;
        lane.claimed.push((place, claimed, payload));
    }
    Ok(found)
}

fn answers(lanes: &[LaneClaim<'_>], bytes: usize, told: &Told, found: Vec<Lane>) -> Vec<LaneClaimed> {
    let claimed = found.iter().flat_map(|lane| &lane.claimed);
    let is_out_of_bytes = claimed.map(|(_, _, payload)| payload.bytes.len()).sum::<usize>() >= bytes;
    let answer = |((n, lane), found): ((i64, &LaneClaim<'_>), Lane)| {
        if told.full.contains(&n) {
            return LaneClaimed { is_full: true, ..LaneClaimed::default() };
        }
        let behind = told.behind.iter().filter(|(lane, _)| *lane == n).map(|(_, id)| *id).collect();
        answer(lane, found, behind, is_out_of_bytes)
    };
    numbered(lanes).zip(found).map(answer).collect()
}

/// How many a lane may claim at the most.
fn most(lane: &LaneClaim<'_>) -> usize {
    lane.at_once.map_or(lane.most, |at_once| lane.most.min(at_once as usize))
}

fn answer(lane: &LaneClaim<'_>, found: Lane, mut behind: Vec<i64>, is_out_of_bytes: bool) -> LaneClaimed {
    let Lane { queued_from, mut claimed, picked } = found;
    let is_cut = claimed.len() < picked || (claimed.is_empty() && is_out_of_bytes);
    let most = most(lane);
    claimed.sort_unstable_by_key(|(place, claimed, _)| match lane.wanted {
        Wanted::Listed(_) | Wanted::ListedInFront(_) => *place,
        _ => claimed.id,
    });
    let (mut tried, mut head) = (0, None);
    let is_exhausted = match lane.wanted {
        Wanted::Due => !is_cut && picked < most && queued_from.is_none(),
        Wanted::InFront => !is_cut && picked < most && behind.is_empty(),
        Wanted::Head | Wanted::HeadIfListed(_) => {
            head = claimed.first().map(|(_, claimed, _)| claimed.id);
            head.is_none() && !is_cut
        }
        Wanted::Listed(listed) | Wanted::ListedInFront(listed) => {
            let looked_at = looked_at(lane);
            let last = claimed.last().map(|(_, claimed, _)| claimed.id);
            let upto_last = || looked_at.iter().position(|id| Some(*id) == last).map_or(0, |at| at + 1);
            tried = if is_cut || picked >= most { upto_last() } else { looked_at.len() };
            behind.retain(|id| looked_at[..tried].contains(id));
            tried == listed.len()
        }
    };
    let deliveries = claimed.into_iter().map(|(_, claimed, payload)| (claimed, payload)).collect();
    if matches!(lane.wanted, Wanted::InFront) {
        behind.clear(); // a drain finds them again by itself
    }
    LaneClaimed { deliveries, tried, head, behind, is_exhausted, is_full: false }
}
