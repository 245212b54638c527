//! Deliveries that are made due again get new bodies, by the webhooks' present expressions.

use std::collections::{BTreeSet, HashMap};

use anyhow::Result;

use crate::delivery::{Case, Shaped, shape};
use crate::domain::time::Timestamp;
use crate::store::{Anew, PastEvent, Retried, ShapedDelivery, Store, StoreError};

/// Results that were evaluated before the transaction.
#[derive(Debug, Default)]
pub struct Reshaping(Vec<(ShapedDelivery, Shaped)>);

/// Evaluates the present expressions for these deliveries; filters only if `is_filtered`.
pub fn evaluate(store: &Store, ids: &[i64], is_filtered: bool) -> Result<Reshaping> {
    let deliveries = store.shaped_deliveries(ids)?;
    let mut rows: Vec<i64> = deliveries.iter().map(|delivery| delivery.event_row).collect();
    rows.sort_unstable();
    rows.dedup();
    let events: HashMap<i64, PastEvent> = rows.iter().copied().zip(store.past_events(&rows)?).collect();
    let cases = deliveries.iter().map(|delivery| Case {
        shape: &delivery.shape,
        event: events[&delivery.event_row].parts(),
        is_filtered,
    });
    let shaped = shape(&cases.collect::<Vec<_>>())?;
    Ok(Reshaping(deliveries.into_iter().zip(shaped).collect()))
}

impl Reshaping {
    /// Makes deliveries due as [`Store::retry_deliveries`] does, with the evaluated bodies. Returns what was retried, and how
    /// many are not sent because of a filter or an error.
    pub fn retry(&self, store: &Store, ids: &[i64], now: Timestamp) -> Result<(Retried, u64), StoreError> {
        // Deliveries that end here let the next ones in their order go.
        let ended = self.0.iter().filter(|(_, shaped)| matches!(shaped, Shaped::Failed(_) | Shaped::Unwanted));
        let ended: BTreeSet<i64> = ended.map(|(delivery, _)| delivery.id).collect();
        if !ended.is_empty() {
            store.lock_states_of(&ended.iter().copied().collect::<Vec<_>>())?;
        }
        let mut retried = store.retry_deliveries(ids, now)?;
        let is_due: BTreeSet<i64> = retried.due.iter().map(|(_, id)| *id).collect();
        let meant = self.0.iter().filter(|(delivery, _)| is_due.contains(&delivery.id));
        let anew: Vec<(&ShapedDelivery, Anew<'_>)> = meant.map(|(delivery, shaped)| (delivery, anew(shaped))).collect();
        if !anew.is_empty() {
            store.send_anew(&anew, now)?;
        }
        let all = retried.due.len();
        retried.due.retain(|(_, id)| !ended.contains(id));
        let refused = (all - retried.due.len()) as u64;
        Ok((retried, refused))
    }
}

fn anew(shaped: &Shaped) -> Anew<'_> {
    match shaped {
        Shaped::Unwanted => Anew::Cancelled,
        Shaped::Payload => Anew::Payload,
        Shaped::Body(body) => Anew::Body(body),
        Shaped::Failed(error) => Anew::Failed(error),
    }
}
