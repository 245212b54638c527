//! What is known before an event is stored, asked at once.

use super::cipher::PREFIX;
use super::encryption::{LOCKED_OUT, own_prefix};
use super::value::values;
use super::webhooks::{SUBSCRIBERS, Subscriber, subscriber};
use super::{Result, Store};

/// What decides who gets an event, and what is said about it.
#[derive(Debug, Default)]
pub struct Reception {
    /// Every webhook, oldest first.
    pub subscribers: Vec<Subscriber>,
    /// The names of the catalogue, where the event type is not among them and no event had it before: it may be mistyped.
    pub catalogue: Vec<String>,
    /// The webhooks whose requests would need another key than this process has.
    locked_out: Vec<i64>,
}

const CATALOGUE_FOR_NEW: &str = "SELECT t.name FROM event_types t
    WHERE NOT EXISTS (SELECT 1 FROM events WHERE event_type = $1)
      AND NOT EXISTS (SELECT 1 FROM event_types k WHERE k.name = $2)";

impl Store {
    /// What is known before an event of that type is stored, and where `is_sent` also at once sent.
    pub fn reception(&self, event_type: &str, is_sent: bool) -> Result<Reception> {
        let (own, _) = own_prefix();
        let (types, prefixes) = (values![event_type, event_type], values![PREFIX, &own]);
        let mut reception = Reception::default();
        let questions = [(SUBSCRIBERS, [].as_slice()), (CATALOGUE_FOR_NEW, &types), (LOCKED_OUT, &prefixes)];
        let questions = if is_sent { &questions[..] } else { &questions[..2] };
        self.ask_all(questions, &mut |number, row| {
            match number {
                0 => reception.subscribers.push(subscriber(row)?),
                1 => reception.catalogue.push(row.next()?),
                _ => reception.locked_out.push(row.next()?),
            }
            Ok(())
        })?;
        Ok(reception)
    }
}

impl Reception {
    /// An error where requests of these webhooks would need another key than this process has.
    pub fn check_key_of(&self, webhooks: &[i64]) -> Result<()> {
        match webhooks.iter().any(|id| self.locked_out.contains(id)) {
            true => Err(own_prefix().1),
            false => Ok(()),
        }
    }
}
