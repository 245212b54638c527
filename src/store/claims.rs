//! Claiming what is due. A claim is one `UPDATE`, so that no two processes ever get the same delivery; it holds until its
//! result is recorded, it is released, or its lease ends.

use std::sync::Arc;

use super::dialect::Dialect;
use super::event_headers::EventHeaders;
use super::row::{Row, one, read_fields};
use super::value::params;
use super::{Result, Store, StoreError};
use crate::domain::attempt::Trigger;
use crate::domain::time::Timestamp;

/// A lease ends this long after the attempt's deadline, in milliseconds.
pub const LEASE_MARGIN_MS: i64 = 20_000;

/// Claims that end so much later than one that is made now, in milliseconds, are counted beside it: the clocks of those who
/// made them differ, by how long a server's answer took at least.
pub(super) const CLOCK_SKEW_MS: i64 = 60_000;

/// A delivery that this process, and no other, may attempt.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub id: i64,
    pub webhook_id: i64,
    pub event_row: i64,
    /// What it sends in the place of the event's payload.
    pub body_id: Option<i64>,
    /// The number of the attempt to come.
    pub attempt_number: u32,
    pub retry_count: u32,
    /// What makes the attempt happen.
    pub trigger: Trigger,
    /// Whether it is a test: never retried, not counted.
    pub is_test: bool,
    pub token: i64,
}

/// What is sent: the row of an event, and the body that takes the place of its payload.
pub type Sent = (i64, Option<i64>);

/// What a request carries of its event.
#[derive(Clone, Debug)]
pub struct Payload {
    pub event_id: String,
    pub event_type: String,
    /// The exact bytes.
    pub bytes: Vec<u8>,
    pub headers: EventHeaders,
}

/// A claim's terms: from when it counts, until when, and by which token.
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    /// What is due at this time may be claimed.
    pub now: Timestamp,
    /// When the claim ends by itself.
    pub until: Timestamp,
    /// Matches a result to its claim.
    pub token: i64,
}

/// What is to be claimed for one webhook.
#[derive(Clone, Copy, Debug)]
pub struct LaneClaim<'a> {
    pub webhook_id: i64,
    pub wanted: Wanted<'a>,
    /// At most so many.
    pub most: usize,
    /// How many claims of the webhook all processes together may hold at a time, where that is limited.
    pub at_once: Option<u32>,
    /// Whether these claims count against such a limit; they may also where they are not limited themselves.
    pub is_counted: bool,
    pub lease: Lease,
    pub cost: ClaimCost,
}

/// What claims change in their webhook's state, where any is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClaimCost {
    pub rate: Option<RateCost>,
    /// The claim is a probe: nothing else goes until its lease ends.
    pub is_probe: bool,
}

/// Tokens of a rate limit, in microseconds of [`crate::domain::webhook::Health::rate_next_us`].
#[derive(Clone, Copy, Debug)]
pub struct RateCost {
    /// The number that is kept where nothing is claimed.
    pub start_us: i64,
    /// What each claim adds.
    pub each_us: i64,
}

impl Claimed {
    /// What it sends: the row of its event, and the body.
    pub fn sent(&self) -> Sent {
        (self.event_row, self.body_id)
    }
}

impl ClaimCost {
    pub fn is_any(self) -> bool {
        self.is_probe || self.rate.is_some()
    }
}

impl RateCost {
    pub(super) fn after(self, claims: usize) -> i64 {
        self.start_us.saturating_add(self.each_us.saturating_mul(claims as i64))
    }
}

/// Which of a webhook's due deliveries.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// The longest due.
    Due,
    /// The head of an ordered webhook.
    Head,
    /// These, in this order.
    Listed(&'a [i64]),
    /// The head of an ordered webhook, if it is one of these.
    HeadIfListed(&'a [i64]),
    /// The longest due that may go in the order of their lines.
    InFront,
    /// Of these, in this order, those that may go in the order of their lines.
    ListedInFront(&'a [i64]),
}

/// What was claimed for one webhook.
#[derive(Debug, Default)]
pub struct LaneClaimed {
    /// The deliveries of one event share its payload.
    pub deliveries: Vec<(Claimed, Arc<Payload>)>,
    /// How many of a list were claimed, or found not to be due.
    pub tried: usize,
    /// The head of the webhook that was claimed.
    pub head: Option<i64>,
    /// Of a list, those that were tried and are behind others of their lines.
    pub behind: Vec<i64>,
    /// Whether nothing more can be claimed for the webhook now.
    pub is_exhausted: bool,
    /// Whether nothing was claimed because all processes together hold as many claims as they may.
    pub is_full: bool,
}

impl LaneClaimed {
    pub fn count(&self) -> usize {
        self.deliveries.len()
    }
}

/// Claims of a group of webhooks under way: how many bytes of payloads are left, and the payload that was read last.
struct Claiming {
    bytes: usize,
    last_payload: Option<(Sent, Arc<Payload>)>,
}

/// The columns of a [`Claimed`].
macro_rules! claimed {
    () => {
        "id, webhook_id, event_id, body_id, attempt_count + 1, retry_count, is_manual, is_test, claim_token"
    };
}
pub(super) use claimed;

/// The active webhooks that have a delivery due at $1.
pub(super) fn due_webhooks(dialect: Dialect) -> String {
    format!(
        "SELECT s.webhook_id FROM webhook_state s WHERE s.is_active AND s.paused_at IS NULL
        AND (SELECT d.due_at FROM deliveries d WHERE d.webhook_id = s.webhook_id AND {} ORDER BY d.{} LIMIT 1) IS NOT NULL",
        dialect.is_due("$1"),
        dialect.queued()
    )
}

/// The longest due first.
const CLAIM_DUE: &str = concat!(
    "UPDATE deliveries SET due_at = $1, claim_token = $2
     WHERE id IN (SELECT id FROM deliveries WHERE webhook_id = $3 AND due_at <= $4 ORDER BY due_at LIMIT $5) RETURNING ",
    claimed!()
);

/// The update decides; a RETURNING clause would only cost a temporary table.
const CLAIM_ONE: &str = "UPDATE deliveries SET due_at = $1, claim_token = $2 WHERE id = $3 AND due_at <= $4";

const CLAIMED_ONE: &str = concat!("SELECT ", claimed!(), " FROM deliveries WHERE id = $1");

const WEBHOOK_UNDER_WAY: &str = "SELECT EXISTS (SELECT 1 FROM deliveries
    WHERE webhook_id = $1 AND line = '*' AND claim_token IS NOT NULL AND coalesce(due_at, lease_until) > $2)";

/// The claims of webhook $1 that hold at $2 and were given until $3 at the latest.
fn held_claims(dialect: Dialect) -> String {
    format!(
        "SELECT count(*) FROM deliveries WHERE webhook_id = $1 AND {0} > $2 AND {0} <= $3 AND claim_token IS NOT NULL",
        dialect.queued()
    )
}

impl Store {
    /// The active webhooks that have a delivery due at `now`.
    pub fn due_webhooks(&self, now: Timestamp) -> Result<Vec<i64>> {
        self.rows(&due_webhooks(self.dialect()), params![now], one)
    }

    /// Claims for several webhooks, and reads the payloads: no more once these have `bytes` bytes. The answers are in the
    /// order of the lanes. Runs in the caller's transaction.
    pub fn claim_lanes(&self, lanes: &[LaneClaim<'_>], bytes: usize) -> Result<Vec<LaneClaimed>> {
        let mut claiming = Claiming { bytes, last_payload: None };
        lanes.iter().map(|lane| self.claim_lane(lane, &mut claiming)).collect()
    }

    fn claim_lane(&self, lane: &LaneClaim<'_>, claiming: &mut Claiming) -> Result<LaneClaimed> {
        let Some(most) = self.most(lane)? else { return Ok(LaneClaimed { is_full: true, ..LaneClaimed::default() }) };
        let lane = &LaneClaim { most, ..*lane };
        match lane.wanted {
            Wanted::Due => {
                let claimed = self.claim_due(lane.webhook_id, lane.lease, lane.most as u32)?;
                let is_exhausted = claimed.len() < lane.most;
                let (claimed, deliveries) = (claimed.len(), self.with_payloads(claimed, lane.lease, claiming)?);
                let is_exhausted = is_exhausted && deliveries.len() == claimed;
                Ok(LaneClaimed { deliveries, is_exhausted, ..LaneClaimed::default() })
            }
            Wanted::InFront => {
                let (claimed, is_all) = self.claim_in_front(lane.webhook_id, lane.lease, lane.most)?;
                let (claimed, deliveries) = (claimed.len(), self.with_payloads(claimed, lane.lease, claiming)?);
                let is_exhausted = is_all && deliveries.len() == claimed;
                Ok(LaneClaimed { deliveries, is_exhausted, ..LaneClaimed::default() })
            }
            Wanted::Head => self.claim_line(lane, |_| true, claiming),
            Wanted::HeadIfListed(listed) => self.claim_line(lane, |head| listed.contains(&head), claiming),
            Wanted::Listed(listed) | Wanted::ListedInFront(listed) => {
                let mut claimed = LaneClaimed::default();
                for id in listed {
                    if claimed.deliveries.len() == lane.most || claiming.bytes == 0 {
                        break;
                    }
                    claimed.tried += 1;
                    let one = match lane.wanted {
                        Wanted::ListedInFront(_) => {
                            let (one, is_behind) = self.claim_in_line(*id, lane.lease)?;
                            claimed.behind.extend(is_behind.then_some(*id));
                            one
                        }
                        _ => self.claim_one(*id, lane.lease)?,
                    };
                    claimed.deliveries.extend(self.with_payloads(one, lane.lease, claiming)?);
                }
                claimed.is_exhausted = claimed.tried == listed.len();
                Ok(claimed)
            }
        }
    }

    /// How many may be claimed for a lane; `None` when other claims fill its limit.
    fn most(&self, lane: &LaneClaim<'_>) -> Result<Option<usize>> {
        let Some(at_once) = lane.at_once else { return Ok(Some(lane.most)) };
        let held = self.count_claims(lane.webhook_id, lane.lease.now, lane.lease.until)?;
        Ok(Some(lane.most.min((at_once as usize).saturating_sub(held))).filter(|most| *most > 0))
    }

    /// How many claims of a webhook all processes together hold. A lease that is given now ends at `longest`.
    pub fn count_claims(&self, webhook_id: i64, now: Timestamp, longest: Timestamp) -> Result<usize> {
        let latest = longest.plus_millis(CLOCK_SKEW_MS);
        let held: u64 = self.only(&held_claims(self.dialect()), params![webhook_id, now, latest], one)?;
        Ok(held as usize)
    }

    fn claim_line(
        &self,
        lane: &LaneClaim<'_>,
        is_wanted: impl Fn(i64) -> bool,
        claiming: &mut Claiming,
    ) -> Result<LaneClaimed> {
        let head = match self.head_of_webhook(lane.webhook_id)?.filter(|head| is_wanted(*head)) {
            Some(head) if !self.is_webhook_under_way(lane.webhook_id, lane.lease.now)? => {
                self.claim_one(head, lane.lease)?
            }
            _ => None,
        };
        let is_exhausted = head.is_none();
        let deliveries = self.with_payloads(head, lane.lease, claiming)?;
        let head = deliveries.first().map(|(head, _)| head.id);
        Ok(LaneClaimed { deliveries, head, is_exhausted, ..LaneClaimed::default() })
    }

    /// Claimed deliveries with their payloads; those for which no bytes are left are released.
    fn with_payloads(
        &self,
        claimed: impl IntoIterator<Item = Claimed>,
        lease: Lease,
        claiming: &mut Claiming,
    ) -> Result<Vec<(Claimed, Arc<Payload>)>> {
        let mut deliveries = Vec::new();
        for claimed in claimed {
            if claiming.bytes == 0 {
                self.release(&[&claimed], lease.now)?;
                continue;
            }
            let sent = claimed.sent();
            let payload = match &claiming.last_payload {
                Some((known, payload)) if *known == sent => Arc::clone(payload),
                _ => Arc::new(self.load_payload(sent)?),
            };
            claiming.last_payload = Some((sent, Arc::clone(&payload)));
            claiming.bytes = claiming.bytes.saturating_sub(payload.bytes.len());
            deliveries.push((claimed, payload));
        }
        Ok(deliveries)
    }

    fn claim_due(&self, webhook_id: i64, lease: Lease, limit: u32) -> Result<Vec<Claimed>> {
        let values = params![lease.until, lease.token, webhook_id, lease.now, limit];
        let mut claimed = self.rows(CLAIM_DUE, values, from_row)?;
        claimed.sort_unstable_by_key(|delivery| delivery.id);
        Ok(claimed)
    }

    /// Whether some process attempts a delivery of an ordered webhook: what is retried by hand can come before one that is.
    fn is_webhook_under_way(&self, webhook_id: i64, now: Timestamp) -> Result<bool> {
        self.only(WEBHOOK_UNDER_WAY, params![webhook_id, now], one)
    }

    /// Claims one delivery by its id, if it is due.
    pub fn claim_one(&self, id: i64, lease: Lease) -> Result<Option<Claimed>> {
        match self.execute(CLAIM_ONE, params![lease.until, lease.token, id, lease.now])? {
            0 => Ok(None),
            _ => self.claimed(id),
        }
    }

    /// The claim that a delivery is under.
    pub(super) fn claimed(&self, id: i64) -> Result<Option<Claimed>> {
        self.first(CLAIMED_ONE, params![id], from_row)
    }

    /// What a request carries of the event in that row, with that body.
    pub fn load_payload(&self, (event_row, body_id): Sent) -> Result<Payload> {
        let with_body =
            "SELECT e.event_id, e.event_type, b.body, e.headers FROM events e JOIN bodies b ON b.event_id = e.id
            WHERE e.id = $1 AND b.id = $2";
        let (sql, values) = match body_id {
            None => ("SELECT event_id, event_type, payload, headers FROM events WHERE id = $1", vec![event_row.into()]),
            Some(body_id) => (with_body, vec![event_row.into(), body_id.into()]),
        };
        let payload = self.first(sql, &values, |row| {
            let (event_id, event_type) = (row.next()?, row.next()?);
            Ok(Payload { event_id, event_type, bytes: row.next()?, headers: row.next()? })
        })?;
        payload.ok_or(StoreError::Gone("event"))
    }
}

pub(super) fn from_row(row: &mut Row<'_>) -> Result<Claimed> {
    Ok(read_fields!(row => Claimed {
        id, webhook_id, event_row, body_id, attempt_number, retry_count, trigger, is_test, token
    }))
}

#[cfg(test)]
mod tests;
