//! Claiming what is due. A claim is one `UPDATE`, so that no two processes ever get the same delivery; it holds until its
//! result is recorded, it is released, or its lease ends.

use std::sync::Arc;

use rusqlite::{OptionalExtension, Row, named_params};

use super::columns::to_json;
use super::{Result, Store};
use crate::domain::attempt::Trigger;
use crate::domain::time::Timestamp;

/// A delivery that this process, and no other, may attempt.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Its id.
    pub id: i64,
    /// Its webhook.
    pub webhook_id: i64,
    /// Its event's row.
    pub event_row: i64,
    /// The number of the attempt to come.
    pub attempt_number: u32,
    /// Retries used so far.
    pub retry_count: u32,
    /// What makes the attempt happen.
    pub trigger: Trigger,
    /// Whether it is a test: never retried, not counted.
    pub is_test: bool,
    /// The claim's token.
    pub token: i64,
}

/// What a request carries of its event.
#[derive(Clone, Debug)]
pub struct Payload {
    /// The event id.
    pub event_id: String,
    /// The event type.
    pub event_type: String,
    /// The exact bytes.
    pub bytes: Vec<u8>,
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
    pub lease: Lease,
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
}

/// What was claimed for one webhook.
#[derive(Debug, Default)]
pub struct LaneClaimed {
    /// The deliveries of one event share its payload.
    pub deliveries: Vec<(Claimed, Arc<Payload>)>,
    /// How many of a list were claimed, or found not to be due.
    pub tried: usize,
    /// The head of the line that was claimed.
    pub head: Option<i64>,
    /// Whether nothing more can be claimed for the webhook now.
    pub is_exhausted: bool,
    /// Whether nothing was claimed because all processes together hold as many claims as they may.
    pub is_full: bool,
}

impl LaneClaimed {
    /// The bytes of the payloads, those of a shared one counted each time.
    pub fn bytes(&self) -> usize {
        self.deliveries.iter().map(|(_, payload)| payload.bytes.len()).sum()
    }
}

/// Claims of a group of webhooks under way: how many bytes of payloads are left, and the payload that was read last.
struct Claiming {
    bytes: usize,
    last_payload: Option<(i64, Arc<Payload>)>,
}

const CLAIMED: &str = "id, webhook_id, event_id, attempt_count + 1, retry_count, is_manual, is_test, claim_token";

impl Store {
    /// The active webhooks that have a delivery due at `now`.
    pub fn due_webhooks(&self, now: Timestamp) -> Result<Vec<i64>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT s.webhook_id FROM webhook_state s WHERE s.is_active = 1
               AND EXISTS (SELECT 1 FROM deliveries d WHERE d.webhook_id = s.webhook_id AND d.due_at <= :now)",
        )?;
        let ids = statement.query_map(named_params! { ":now": now }, |row| row.get(0))?;
        Ok(ids.collect::<rusqlite::Result<_>>()?)
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
            Wanted::Head => self.claim_line(lane, |_| true, claiming),
            Wanted::HeadIfListed(listed) => self.claim_line(lane, |head| listed.contains(&head), claiming),
            Wanted::Listed(listed) => {
                let mut claimed = LaneClaimed::default();
                for id in listed {
                    if claimed.deliveries.len() == lane.most || claiming.bytes == 0 {
                        break;
                    }
                    claimed.tried += 1;
                    let one = self.claim_one(*id, lane.lease)?;
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

    /// How many claims of a webhook all processes together hold. A lease that is given now ends at `longest`, and none later.
    pub fn count_claims(&self, webhook_id: i64, now: Timestamp, longest: Timestamp) -> Result<usize> {
        let held: i64 = self
            .connection
            .prepare_cached(
                "SELECT count(*) FROM deliveries WHERE webhook_id = :webhook AND due_at > :now AND due_at <= :longest
                    AND claim_token IS NOT NULL",
            )?
            .query_row(named_params! { ":webhook": webhook_id, ":now": now, ":longest": longest }, |row| row.get(0))?;
        Ok(held as usize)
    }

    fn claim_line(
        &self,
        lane: &LaneClaim<'_>,
        is_wanted: impl Fn(i64) -> bool,
        claiming: &mut Claiming,
    ) -> Result<LaneClaimed> {
        let head = match self.ordered_head(lane.webhook_id)?.filter(|head| is_wanted(*head)) {
            Some(head) if !self.is_line_under_way(lane.webhook_id, lane.lease.now)? => {
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
            let payload = match &claiming.last_payload {
                Some((row, payload)) if *row == claimed.event_row => Arc::clone(payload),
                _ => Arc::new(self.load_payload(claimed.event_row)?),
            };
            claiming.last_payload = Some((claimed.event_row, Arc::clone(&payload)));
            claiming.bytes = claiming.bytes.saturating_sub(payload.bytes.len());
            deliveries.push((claimed, payload));
        }
        Ok(deliveries)
    }

    /// Claims up to `limit` of a webhook's due deliveries, the longest due first.
    fn claim_due(&self, webhook_id: i64, lease: Lease, limit: u32) -> Result<Vec<Claimed>> {
        let mut statement = self.connection.prepare_cached(&format!(
            "UPDATE deliveries SET due_at = :until, claim_token = :token
             WHERE id IN (SELECT id FROM deliveries WHERE webhook_id = :webhook AND due_at <= :now
                          ORDER BY due_at LIMIT :limit) RETURNING {CLAIMED}"
        ))?;
        let rows = statement.query_map(
            named_params! {
                ":webhook": webhook_id, ":now": lease.now, ":until": lease.until, ":token": lease.token, ":limit": limit,
            },
            from_row,
        )?;
        let mut claimed = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        claimed.sort_unstable_by_key(|delivery| delivery.id);
        Ok(claimed)
    }

    /// The head of an ordered webhook: the oldest delivery that is not finished, due or not.
    pub fn ordered_head(&self, webhook_id: i64) -> Result<Option<i64>> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT id FROM deliveries WHERE webhook_id = :webhook AND is_ordered = 1 AND due_at IS NOT NULL
                 ORDER BY id LIMIT 1",
            )?
            .query_row(named_params! { ":webhook": webhook_id }, |row| row.get(0))
            .optional()?)
    }

    /// Whether some process attempts a delivery of an ordered webhook: what is retried by hand can come before one that is.
    fn is_line_under_way(&self, webhook_id: i64, now: Timestamp) -> Result<bool> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM deliveries WHERE webhook_id = :webhook AND is_ordered = 1
                                  AND due_at > :now AND claim_token IS NOT NULL)",
            )?
            .query_row(named_params! { ":webhook": webhook_id, ":now": now }, |row| row.get(0))?)
    }

    /// Claims one delivery by its id, if it is due. The update decides; a RETURNING clause would only cost a temporary table.
    pub fn claim_one(&self, id: i64, lease: Lease) -> Result<Option<Claimed>> {
        let claimed = self
            .connection
            .prepare_cached(
                "UPDATE deliveries SET due_at = :until, claim_token = :token WHERE id = :id AND due_at <= :now",
            )?
            .execute(named_params! { ":id": id, ":now": lease.now, ":until": lease.until, ":token": lease.token })?;
        if claimed == 0 {
            return Ok(None);
        }
        let mut statement =
            self.connection.prepare_cached(&format!("SELECT {CLAIMED} FROM deliveries WHERE id = :id"))?;
        Ok(Some(statement.query_row(named_params! { ":id": id }, from_row)?))
    }

    /// What a request carries of the event in that row.
    pub fn load_payload(&self, event_row: i64) -> Result<Payload> {
        Ok(self
            .connection
            .prepare_cached("SELECT event_id, event_type, payload FROM events WHERE id = :id")?
            .query_row(named_params! { ":id": event_row }, |row| {
                Ok(Payload { event_id: row.get(0)?, event_type: row.get(1)?, bytes: row.get(2)? })
            })?)
    }

    /// How many deliveries of active webhooks are due at `now`; of all webhooks, or of these.
    pub fn count_due(&self, now: Timestamp, webhooks: &[i64]) -> Result<u64> {
        Ok(self.due_by_webhook(now, webhooks, false)?.into_iter().map(|(_, count)| count).sum())
    }

    /// The active webhooks with deliveries due at `now`, by name, with how many; `all` counts retries whose time has not
    /// come, too.
    pub fn due_by_webhook(&self, now: Timestamp, webhooks: &[i64], all: bool) -> Result<Vec<(String, u64)>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT name, due FROM (
                SELECT w.name, (SELECT count(*) FROM deliveries d WHERE d.webhook_id = w.id
                                  AND (d.due_at <= :now OR (:all AND d.due_at > :now AND d.claim_token IS NULL))) AS due
                FROM webhooks w JOIN webhook_state s ON s.webhook_id = w.id
                WHERE s.is_active = 1 AND (:any OR w.id IN (SELECT value FROM json_each(:webhooks))))
             WHERE due > 0 ORDER BY name",
        )?;
        let rows = statement.query_map(
            named_params! { ":now": now, ":all": all, ":any": webhooks.is_empty(), ":webhooks": to_json(webhooks) },
            |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)),
        )?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Makes every waiting delivery of active webhooks due now; of all webhooks, or of these.
    pub fn make_all_due(&self, now: Timestamp, webhooks: &[i64]) -> Result<()> {
        self.connection
            .prepare_cached(
                "UPDATE deliveries SET due_at = :now
                 WHERE due_at > :now AND claim_token IS NULL AND webhook_id IN (
                    SELECT s.webhook_id FROM webhook_state s
                    WHERE s.is_active = 1 AND (:any OR s.webhook_id IN (SELECT value FROM json_each(:webhooks))))",
            )?
            .execute(named_params! { ":now": now, ":any": webhooks.is_empty(), ":webhooks": to_json(webhooks) })?;
        Ok(())
    }
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Claimed> {
    let trigger = if row.get(5)? { Trigger::Manual } else { Trigger::Scheduled };
    Ok(Claimed {
        id: row.get(0)?,
        webhook_id: row.get(1)?,
        event_row: row.get(2)?,
        attempt_number: row.get(3)?,
        retry_count: row.get(4)?,
        trigger,
        is_test: row.get(6)?,
        token: row.get(7)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The plan of a statement of this file, found by a part of its text, so that the two cannot drift apart.
    fn plan_of(part: &str) -> String {
        let source = include_str!("claims.rs");
        let at = source.find(part).expect("the statement is in this file");
        let start = source[..at].rfind('"').expect("its text begins") + 1;
        let end = at + source[at..].find('"').expect("its text ends");
        let sql = source[start..end].replace("{CLAIMED}", CLAIMED);
        let store = Store::empty().expect("a database");
        let mut statement = store.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect(&sql);
        let mut rows = statement.raw_query();
        let mut plan = String::new();
        while let Some(row) = rows.next().expect("a plan") {
            plan += &row.get::<_, String>(3).expect("a line");
            plan.push('\n');
        }
        plan
    }

    #[test]
    fn the_due_query_is_answered_from_one_partial_index() {
        let plan = plan_of("WHERE id IN (SELECT id FROM deliveries WHERE webhook_id = :webhook AND due_at <= :now");
        assert!(plan.contains("USING COVERING INDEX deliveries_due (webhook_id=? AND due_at<?)"), "{plan}");
        assert!(!plan.contains("SCAN deliveries") && !plan.contains("TEMP B-TREE"), "{plan}");
    }

    #[test]
    fn which_webhooks_have_something_due_is_asked_of_the_same_index() {
        let plan = plan_of("SELECT s.webhook_id FROM webhook_state s WHERE s.is_active = 1");
        assert!(plan.contains("deliveries_due (webhook_id=? AND due_at<?)"), "{plan}");
    }

    #[test]
    fn the_head_of_an_ordered_webhook_is_found_without_sorting() {
        let plan = plan_of("is_ordered = 1 AND due_at IS NOT NULL");
        assert!(plan.contains("deliveries_ordered (webhook_id=?)") && !plan.contains("TEMP B-TREE"), "{plan}");
        let plan = plan_of("AND due_at > :now AND claim_token IS NOT NULL)\"");
        assert!(plan.contains("deliveries_due (webhook_id=? AND due_at>?)"), "{plan}");
    }
}
