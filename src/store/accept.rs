//! Stores sets of events with their deliveries, in the caller's transaction.

use std::borrow::Cow;

use super::claims::{Claimed, LEASE_MARGIN_MS, Lease};
use super::counters::CounterChanges;
use super::dialect::Dialect;
use super::event_headers;
use super::lines::line_of;
use super::row::{one, pair};
use super::value::{Value, params, values};
use super::{Engine, Result, Store};
use crate::domain::attempt::{AttemptError, Trigger};
use crate::domain::delivery::Status;
use crate::domain::event::NewEvent;
use crate::domain::time::Timestamp;
use crate::domain::webhook::Order;

/// An event to be stored, with its deliveries.
#[derive(Clone, Debug)]
pub struct Offer<'a> {
    pub event: &'a NewEvent,
    pub deliveries: Vec<NewDelivery>,
    /// Bodies that some of the deliveries send instead of the event's payload; no two are equal.
    pub bodies: Vec<&'a [u8]>,
    /// If an event of the same type and content was accepted at this time or later, this is a duplicate. A known event id is
    /// decided by the id alone.
    pub known_since: Option<Timestamp>,
}

impl Offer<'_> {
    /// How many bytes a delivery sends; `None` if nothing.
    pub fn size(&self, delivery: &NewDelivery) -> Option<usize> {
        match delivery.sends {
            Sends::Payload => Some(self.event.payload.len()),
            Sends::Body(index) => self.bodies.get(index).map(|body| body.len()),
            Sends::Nothing(_) => None,
        }
    }
}

/// What a new delivery sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sends {
    /// The event's payload.
    Payload,
    /// The body at this index of the offer.
    Body(usize),
    /// Nothing: the delivery is stored as failed.
    Nothing(AttemptError),
}

/// A delivery to be stored, due at once.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    pub webhook_id: i64,
    pub order: Order,
    /// A test: not counted.
    pub is_test: bool,
    /// Claim it as it is stored, unless the webhook's state or settings limit what is sent.
    pub claim: Option<NewClaim>,
    pub sends: Sends,
}

impl Sends {
    pub(super) fn body(&self) -> Option<i64> {
        match self {
            Sends::Body(place) => Some(*place as i64),
            Sends::Payload | Sends::Nothing(_) => None,
        }
    }

    pub(super) fn error(&self) -> Option<&AttemptError> {
        match self {
            Sends::Nothing(error) => Some(error),
            Sends::Payload | Sends::Body(_) => None,
        }
    }

    pub(super) fn status(&self) -> Status {
        match self.error() {
            None => Status::Pending,
            Some(_) => Status::Failed,
        }
    }
}

/// The claim of a delivery as it is stored.
#[derive(Clone, Copy, Debug)]
pub struct NewClaim {
    pub now: Timestamp,
    pub token: i64,
}

/// What became of an event.
#[derive(Clone, Debug)]
pub struct Intake {
    pub accepted: Accepted,
    /// The new deliveries that are due: webhook and delivery.
    pub deliveries: Vec<(i64, i64)>,
    /// The new deliveries that are claimed.
    pub claimed: Vec<Claimed>,
    /// The new deliveries that failed at once.
    pub failed: Vec<i64>,
}

impl Intake {
    pub fn new(accepted: Accepted) -> Intake {
        Intake { accepted, deliveries: Vec::new(), claimed: Vec::new(), failed: Vec::new() }
    }

    pub fn count(&self) -> usize {
        self.deliveries.len() + self.claimed.len() + self.failed.len()
    }
}

/// What became of an offered event, with its row id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    New(i64),
    /// The same event was accepted before.
    Duplicate(i64),
    /// The event id was used before, with another payload or owner.
    Conflict,
    /// The schema of its type refuses its data: the reason.
    Refused(String),
}

/// The event of the deliveries.
struct Owed<'a> {
    event_row: i64,
    event_type: &'a str,
    key: Option<&'a str>,
    now: Timestamp,
    deliveries: &'a [NewDelivery],
    bodies: &'a [&'a [u8]],
}

impl Store {
    /// Stores events and their deliveries, and counts the deliveries. Results are in the order of the offers. With `is_last`
    /// nothing follows in the transaction, and a server commits in the same round trip.
    pub fn accept(&self, offers: &[Offer<'_>], is_last: bool) -> Result<Vec<Intake>> {
        self.check_key_for(offers.iter().map(|offer| offer.event))?;
        if let Engine::Postgres(server) = &self.engine {
            if offers.iter().all(|offer| offer.known_since.is_none()) {
                if let Some(first) = offers.first() {
                    self.wake_sleepers(first.event.created_at)?;
                }
                return server.accept(offers, is_last);
            }
            server.lock_fingerprints(offers);
        }
        let (mut intakes, mut owed) = (Vec::with_capacity(offers.len()), Vec::new());
        for offer in offers {
            let accepted = self.insert_event(offer)?;
            if let Accepted::New(event_row) = accepted {
                owed.push(Owed {
                    event_row,
                    event_type: &offer.event.event_type,
                    key: offer.event.key.as_deref(),
                    now: offer.event.created_at,
                    deliveries: &offer.deliveries,
                    bodies: &offer.bodies,
                });
            }
            intakes.push(Intake::new(accepted));
        }
        let mut new = self.insert_deliveries(&owed)?.into_iter();
        for intake in intakes.iter_mut().filter(|intake| matches!(intake.accepted, Accepted::New(_))) {
            if let Some(made) = new.next() {
                *intake = made;
            }
        }
        Ok(intakes)
    }

    fn insert_event(&self, offer: &Offer<'_>) -> Result<Accepted> {
        let event = offer.event;
        if let Some(twin) = self.known_twin(event, offer.known_since)? {
            return Ok(Accepted::Duplicate(twin));
        }
        let insert =
            "INSERT INTO events (event_id, event_type, payload, fingerprint, owner, about, entity_type, entity_id, key,
                headers, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
             ON CONFLICT (event_id) DO NOTHING";
        let inserted = self.insert(insert, &event_values(event)?)?;
        if let Some(row) = inserted {
            return Ok(Accepted::New(row));
        }
        Ok(self.known_by_id(event)?.unwrap_or(Accepted::Conflict))
    }

    /// What would become of an event that is no new one; `None` for a new one.
    pub fn known(&self, event: &NewEvent, known_since: Option<Timestamp>) -> Result<Option<Accepted>> {
        match self.known_twin(event, known_since)? {
            Some(twin) => Ok(Some(Accepted::Duplicate(twin))),
            None => self.known_by_id(event),
        }
    }

    fn known_by_id(&self, event: &NewEvent) -> Result<Option<Accepted>> {
        let known = "SELECT id, fingerprint = $1 FROM events WHERE event_id = $2";
        let known = self.first(known, params![event.fingerprint.as_slice(), &event.event_id], pair)?;
        Ok(known.map(|(row, is_same)| if is_same { Accepted::Duplicate(row) } else { Accepted::Conflict }))
    }

    fn known_twin(&self, event: &NewEvent, known_since: Option<Timestamp>) -> Result<Option<i64>> {
        let Some(since) = known_since else { return Ok(None) };
        self.first(
            "SELECT id FROM events WHERE fingerprint = $1 AND created_at >= $2
               AND NOT EXISTS (SELECT 1 FROM events e WHERE e.event_id = $3)
             ORDER BY id DESC LIMIT 1",
            params![event.fingerprint.as_slice(), since, &event.event_id],
            one,
        )
    }

    /// The [`Intake`] of each event.
    fn insert_deliveries(&self, owed: &[Owed<'_>]) -> Result<Vec<Intake>> {
        let each = owed.iter().flat_map(|event| event.deliveries.iter().map(move |delivery| (event, delivery)));
        let (leases, body_ids) = (self.leases(owed)?, self.insert_bodies(owed)?);
        let ids = self.insert_each(
            INSERT_DELIVERY,
            each.zip(&leases).zip(&body_ids).map(|(((event, delivery), lease), body_id)| {
                let NewDelivery { webhook_id, order, is_test, .. } = delivery;
                let error = delivery.sends.error();
                let (due_at, token) = lease.map_or((event.now, None), |lease| (lease.until, Some(lease.token)));
                values![
                    webhook_id,
                    event.event_row,
                    event.event_type,
                    *body_id,
                    delivery.sends.status(),
                    Some(due_at).filter(|_| error.is_none()),
                    token.filter(|_| error.is_none()),
                    line_of(*order, event.key),
                    is_test,
                    event.now,
                    error.map(|_| event.now),
                    error.map(|error| error.error_type),
                    error.map(|error| error.message.as_str())
                ]
            }),
        )?;
        let mut inserted = ids.into_iter().zip(leases).zip(body_ids);
        let mut changes = CounterChanges::default();
        let mut intake_of = |event: &Owed<'_>| {
            let mut intake = Intake::new(Accepted::New(event.event_row));
            for (delivery, ((id, lease), body_id)) in event.deliveries.iter().zip(&mut inserted) {
                let Some(id) = id else { continue };
                match lease {
                    _ if delivery.sends.error().is_some() => intake.failed.push(id),
                    Some(lease) => {
                        intake.claimed.push(first_claim((id, event.event_row, body_id), delivery, lease.token));
                    }
                    None => intake.deliveries.push((delivery.webhook_id, id)),
                }
                if !delivery.is_test {
                    changes.create(delivery.webhook_id);
                    changes.enter(delivery.webhook_id, delivery.sends.status());
                }
            }
            intake
        };
        let new = owed.iter().map(&mut intake_of).collect();
        self.count(&changes)?;
        if let Some(event) = owed.first() {
            self.wake_sleepers(event.now)?;
        }
        Ok(new)
    }

    /// Stores the bodies of all events, and returns the id of the body of each delivery.
    fn insert_bodies(&self, owed: &[Owed<'_>]) -> Result<Vec<Option<i64>>> {
        let each =
            owed.iter().flat_map(|event| (0_i64..).zip(event.bodies).map(move |(number, body)| (event, number, body)));
        let sql = "INSERT INTO bodies (event_id, number, body) VALUES ($1, $2, $3)";
        let ids = self.insert_each(sql, each.map(|(event, number, body)| values![event.event_row, number, *body]))?;
        let mut ids = ids.as_slice();
        let mut of_deliveries = Vec::new();
        for event in owed {
            let (own, others) = ids.split_at(event.bodies.len());
            let id = |delivery: &NewDelivery| own.get(delivery.sends.body()? as usize).copied().flatten();
            of_deliveries.extend(event.deliveries.iter().map(id));
            ids = others;
        }
        Ok(of_deliveries)
    }

    /// The claim of each delivery of all events; `None` if it is not claimed as it is stored.
    fn leases(&self, owed: &[Owed<'_>]) -> Result<Vec<Option<Lease>>> {
        let each = owed.iter().flat_map(|event| event.deliveries.iter());
        let claims: Vec<(i64, NewClaim)> =
            each.clone().filter_map(|delivery| Some((delivery.webhook_id, delivery.claim?))).collect();
        if claims.is_empty() {
            return Ok(vec![None; each.count()]);
        }
        let dialect = self.dialect();
        let (timeout, unlimited) = (timeout_ms(dialect), unlimited(dialect));
        let sql = format!(
            "SELECT {timeout} FROM webhooks w JOIN webhook_state s ON s.webhook_id = w.id
             WHERE w.id = $1 AND {unlimited} AND coalesce(s.held_until, 0) <= $2"
        );
        let timeouts = self.first_each(&sql, claims.iter().map(|(id, claim)| values![id, claim.now]), one::<i64>)?;
        let mut timeouts = timeouts.into_iter();
        let lease = |delivery: &NewDelivery| {
            let NewClaim { now, token } = delivery.claim?;
            let until = now.plus_millis(timeouts.next()?? + LEASE_MARGIN_MS);
            Some(Lease { now, until, token })
        };
        Ok(each.map(lease).collect())
    }
}

const INSERT_DELIVERY: &str = "INSERT INTO deliveries
        (webhook_id, event_id, event_type, body_id, status, due_at, claim_token, line, is_test, created_at,
         completed_at, error_type, error_message)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
     ON CONFLICT (event_id, webhook_id) DO NOTHING";

pub(super) fn event_values(event: &NewEvent) -> Result<[Value<'_>; 11]> {
    Ok(values![
        &event.event_id,
        &event.event_type,
        &event.payload,
        event.fingerprint.as_slice(),
        &event.owner,
        event.about,
        &event.entity_type,
        &event.entity_id,
        &event.key,
        event_headers::stored(event)?.map(Cow::Owned),
        event.created_at
    ])
}

/// The time-out of webhook `w`, in milliseconds.
pub(super) fn timeout_ms(dialect: Dialect) -> String {
    format!("CAST(1000 * CAST({} AS NUMERIC) AS BIGINT)", dialect.setting("w.settings", "timeout_seconds"))
}

/// Whether everything due for webhook `w` with state `s` may be sent at once, apart from a hold.
pub(super) fn unlimited(dialect: Dialect) -> String {
    let (rate, at_once) = (dialect.setting("w.settings", "rate_limit"), dialect.setting("w.settings", "concurrency"));
    format!(
        "s.is_active AND s.paused_at IS NULL AND s.breaker_open_until IS NULL AND w.ordered IS NULL AND {rate} IS NULL AND {at_once} IS NULL"
    )
}

/// The claim of a new delivery, by its id, the row id of its event, and its body.
pub(super) fn first_claim(
    (id, event_row, body_id): (i64, i64, Option<i64>),
    delivery: &NewDelivery,
    token: i64,
) -> Claimed {
    Claimed {
        id,
        webhook_id: delivery.webhook_id,
        event_row,
        body_id,
        attempt_number: 1,
        retry_count: 0,
        trigger: Trigger::Scheduled,
        is_test: delivery.is_test,
        token,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::webhook::Settings;

    const NOW: Timestamp = Timestamp::START;

    fn event(id: &str, fingerprint: u8) -> NewEvent {
        NewEvent {
            event_id: id.to_owned(),
            event_type: "a.b".to_owned(),
            payload: vec![fingerprint],
            fingerprint: [fingerprint; 16],
            owner: None,
            about: None,
            entity_type: None,
            entity_id: None,
            key: None,
            data: None,
            headers: Vec::new(),
            created_at: NOW,
        }
    }

    /// What became of events that are offered together, each to one webhook.
    fn accept(store: &Store, webhook_id: i64, events: &[NewEvent], known_since: Option<Timestamp>) -> Vec<Intake> {
        let delivery =
            NewDelivery { webhook_id, order: Order::None, is_test: false, claim: None, sends: Sends::Payload };
        let offer = |event| Offer { event, deliveries: vec![delivery.clone()], bodies: Vec::new(), known_since };
        store.accept(&events.iter().map(offer).collect::<Vec<_>>(), true).unwrap()
    }

    fn webhook() -> (Store, i64) {
        let store = Store::empty().unwrap();
        let webhook =
            store.insert_webhook(&Settings { name: "crm".to_owned(), ..Settings::default() }, true, None, NOW);
        (store, webhook.unwrap())
    }

    fn accepted(intakes: &[Intake]) -> Vec<(&Accepted, usize)> {
        intakes.iter().map(|intake| (&intake.accepted, intake.deliveries.len())).collect()
    }

    #[test]
    fn events_of_one_set_are_judged_in_their_order_and_their_deliveries_counted() {
        let (store, webhook) = webhook();
        let events = [event("one", 1), event("two", 2), event("one", 1), event("one", 3)];
        let intakes = accept(&store, webhook, &events, None);
        let (one, two) = (Accepted::New(1), Accepted::New(2));
        let expected = [(&one, 1), (&two, 1), (&Accepted::Duplicate(1), 0), (&Accepted::Conflict, 0)];
        assert_eq!(accepted(&intakes), expected);
        assert_eq!(store.webhook(webhook).unwrap().unwrap().counters.total, 2);
    }

    #[test]
    fn a_twin_within_the_window_is_a_duplicate_and_an_event_id_that_is_known_is_judged_by_itself() {
        let (store, webhook) = webhook();
        accept(&store, webhook, &[event("one", 1)], None);
        let twins = [event("two", 1), event("three", 3), event("four", 3), event("one", 3)];
        let intakes = accept(&store, webhook, &twins, Some(NOW));
        let three = Accepted::New(2);
        let expected =
            [(&Accepted::Duplicate(1), 0), (&three, 1), (&Accepted::Duplicate(2), 0), (&Accepted::Conflict, 0)];
        assert_eq!(accepted(&intakes), expected);
        let later = accept(&store, webhook, &[event("five", 1)], Some(NOW.plus_millis(1)));
        assert_eq!(accepted(&later), [(&Accepted::New(3), 1)]);
    }

    #[test]
    fn a_delivery_that_is_to_be_claimed_is_stored_so_where_nothing_limits_what_is_sent() {
        let claimed = |change: fn(&mut Settings)| {
            let store = Store::empty().unwrap();
            let mut settings = Settings { name: "crm".to_owned(), timeout_ms: 5_000, ..Settings::default() };
            change(&mut settings);
            let webhook_id = store.insert_webhook(&settings, true, None, NOW).unwrap();
            if settings.description.is_some() {
                store.pause_webhook(webhook_id, NOW).unwrap();
            }
            let claim = Some(NewClaim { now: NOW, token: 7 });
            let delivery =
                NewDelivery { webhook_id, order: settings.order, is_test: false, claim, sends: Sends::Payload };
            let offer =
                Offer { event: &event("one", 1), deliveries: vec![delivery], bodies: Vec::new(), known_since: None };
            let intake = store.accept(&[offer], true).unwrap().remove(0);
            assert_eq!(intake.deliveries.len() + intake.claimed.len(), 1);
            let row = store.delivery(1).unwrap().unwrap();
            assert_eq!(row.is_claimed, !intake.claimed.is_empty());
            intake.claimed.first().map(|claimed| (claimed.id, claimed.token, row.due_at))
        };
        assert_eq!(claimed(|_| ()), Some((1, 7, Some(NOW.plus_millis(25_000)))));
        assert_eq!(claimed(|settings| settings.order = Order::Webhook), None);
        assert_eq!(claimed(|settings| settings.order = Order::Key), None);
        assert_eq!(claimed(|settings| settings.concurrency = Some(9)), None);
        assert_eq!(claimed(|settings| settings.description = Some("paused".to_owned())), None);
        assert_eq!(claimed(|settings| settings.set_rate_limit("100/s").unwrap()), None);
    }

    #[test]
    fn a_webhook_gets_an_event_once_and_a_test_is_not_counted() {
        let (store, webhook) = webhook();
        for expected in [1, 0] {
            assert_eq!(accept(&store, webhook, &[event("one", 1)], None)[0].deliveries.len(), expected);
        }
        let delivery =
            NewDelivery { webhook_id: webhook, order: Order::None, is_test: true, claim: None, sends: Sends::Payload };
        let offer =
            Offer { event: &event("test", 2), deliveries: vec![delivery], bodies: Vec::new(), known_since: None };
        assert_eq!(store.accept(&[offer], true).unwrap()[0].deliveries.len(), 1);
        assert_eq!(store.webhook(webhook).unwrap().unwrap().counters.total, 1);
    }
}
