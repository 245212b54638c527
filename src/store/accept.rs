//! Taking events in, each with its deliveries: a set of them in the caller's transaction.

use super::counters::CounterChanges;
use super::row::{one, pair};
use super::value::{params, values};
use super::{Result, Store};
use crate::domain::event::NewEvent;
use crate::domain::time::Timestamp;

/// An event to be stored, and the deliveries that it makes.
#[derive(Clone, Debug)]
pub struct Offer<'a> {
    pub event: &'a NewEvent,
    pub deliveries: Vec<NewDelivery>,
    /// An event of the same type and content that was accepted at this time or later makes it a duplicate. One whose event id
    /// is known is judged by itself.
    pub known_since: Option<Timestamp>,
}

/// A delivery to be stored, due at once.
#[derive(Clone, Copy, Debug)]
pub struct NewDelivery {
    pub webhook_id: i64,
    pub is_ordered: bool,
    /// A test is not counted.
    pub is_test: bool,
}

/// What became of an event.
#[derive(Clone, Debug)]
pub struct Intake {
    pub accepted: Accepted,
    /// The new deliveries: webhook and delivery.
    pub deliveries: Vec<(i64, i64)>,
}

/// What became of an event that was handed in; with its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    New(i64),
    /// The same event was accepted before.
    Duplicate(i64),
    /// The event id was used before, with another payload.
    Conflict,
}

/// The event that deliveries belong to.
struct Owed<'a> {
    event_row: i64,
    event_type: &'a str,
    now: Timestamp,
}

impl Store {
    /// Stores events and their deliveries, and counts these. The answers are in the order of the offers.
    pub fn accept(&self, offers: &[Offer<'_>]) -> Result<Vec<Intake>> {
        let (mut intakes, mut owed) = (Vec::with_capacity(offers.len()), Vec::new());
        for offer in offers {
            let accepted = self.insert_event(offer)?;
            if let Accepted::New(event_row) = accepted {
                let event = Owed { event_row, event_type: &offer.event.event_type, now: offer.event.created_at };
                owed.push((event, offer.deliveries.as_slice()));
            }
            intakes.push(Intake { accepted, deliveries: Vec::new() });
        }
        let mut new = self.insert_deliveries(&owed)?.into_iter();
        for intake in intakes.iter_mut().filter(|intake| matches!(intake.accepted, Accepted::New(_))) {
            intake.deliveries = new.next().unwrap_or_default();
        }
        Ok(intakes)
    }

    fn insert_event(&self, offer: &Offer<'_>) -> Result<Accepted> {
        let event = offer.event;
        if let Some(twin) = self.known_twin(offer)? {
            return Ok(Accepted::Duplicate(twin));
        }
        let inserted = self.insert(
            "INSERT INTO events (event_id, event_type, payload, fingerprint, owner, about, entity_type, entity_id, key,
                created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             ON CONFLICT (event_id) DO NOTHING",
            params![
                &event.event_id,
                &event.event_type,
                &event.payload,
                event.fingerprint.as_slice(),
                &event.owner,
                event.about,
                &event.entity_type,
                &event.entity_id,
                &event.key,
                event.created_at
            ],
        )?;
        if let Some(row) = inserted {
            return Ok(Accepted::New(row));
        }
        let known = "SELECT id, fingerprint = $1 FROM events WHERE event_id = $2";
        Ok(match self.first(known, params![event.fingerprint.as_slice(), &event.event_id], pair)? {
            Some((row, true)) => Accepted::Duplicate(row),
            _ => Accepted::Conflict,
        })
    }

    fn known_twin(&self, offer: &Offer<'_>) -> Result<Option<i64>> {
        let Some(since) = offer.known_since else { return Ok(None) };
        self.first(
            "SELECT id FROM events WHERE fingerprint = $1 AND created_at >= $2
               AND NOT EXISTS (SELECT 1 FROM events e WHERE e.event_id = $3)
             ORDER BY id DESC LIMIT 1",
            params![offer.event.fingerprint.as_slice(), since, &offer.event.event_id],
            one,
        )
    }

    /// The new deliveries of each event: webhook and delivery.
    fn insert_deliveries(&self, owed: &[(Owed<'_>, &[NewDelivery])]) -> Result<Vec<Vec<(i64, i64)>>> {
        let each = owed.iter().flat_map(|(event, deliveries)| deliveries.iter().map(move |delivery| (event, delivery)));
        let mut ids = self
            .insert_each(
                "INSERT INTO deliveries (webhook_id, event_id, event_type, status, due_at, is_ordered, is_test, created_at)
                 VALUES ($1, $2, $3, 'pending', $4, $5, $6, $4)
                 ON CONFLICT (event_id, webhook_id) DO NOTHING",
                each.map(|(event, delivery)| {
                    let NewDelivery { webhook_id, is_ordered, is_test } = delivery;
                    values![webhook_id, event.event_row, event.event_type, event.now, is_ordered, is_test]
                }),
            )?
            .into_iter();
        let mut changes = CounterChanges::default();
        let mut new_of = |deliveries: &[NewDelivery]| {
            let mut new = Vec::with_capacity(deliveries.len());
            for (delivery, id) in deliveries.iter().zip(&mut ids) {
                let Some(id) = id else { continue };
                new.push((delivery.webhook_id, id));
                if !delivery.is_test {
                    changes.create(delivery.webhook_id);
                }
            }
            new
        };
        let new = owed.iter().map(|(_, deliveries)| new_of(deliveries)).collect();
        self.count(&changes)?;
        Ok(new)
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
            created_at: NOW,
        }
    }

    /// What became of events that are offered together, each to one webhook.
    fn accept(store: &Store, webhook_id: i64, events: &[NewEvent], known_since: Option<Timestamp>) -> Vec<Intake> {
        let delivery = NewDelivery { webhook_id, is_ordered: false, is_test: false };
        let offer = |event| Offer { event, deliveries: vec![delivery], known_since };
        store.accept(&events.iter().map(offer).collect::<Vec<_>>()).unwrap()
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
    fn a_webhook_gets_an_event_once_and_a_test_is_not_counted() {
        let (store, webhook) = webhook();
        for expected in [1, 0] {
            assert_eq!(accept(&store, webhook, &[event("one", 1)], None)[0].deliveries.len(), expected);
        }
        let delivery = NewDelivery { webhook_id: webhook, is_ordered: false, is_test: true };
        let offer = Offer { event: &event("test", 2), deliveries: vec![delivery], known_since: None };
        assert_eq!(store.accept(&[offer]).unwrap()[0].deliveries.len(), 1);
        assert_eq!(store.webhook(webhook).unwrap().unwrap().counters.total, 1);
    }
}
