//! Deliveries that are made due again send what the expressions of now make of their events.

use std::collections::HashMap;

use anyhow::Result;

use crate::delivery::{Case, Shaped, shape};
use crate::domain::time::Timestamp;
use crate::store::{Anew, Retried, ShapedDelivery, Store, StoreError};

/// What was evaluated beforehand, outside of any transaction.
#[derive(Debug, Default)]
pub struct Reshaping(Vec<(ShapedDelivery, Shaped)>);

/// Evaluates what these deliveries send by the settings of now; without `is_filtered` the filters have no say.
pub fn evaluate(store: &Store, ids: &[i64], is_filtered: bool) -> Result<Reshaping> {
    let deliveries = store.shaped_deliveries(ids)?;
    let mut rows: Vec<i64> = deliveries.iter().map(|delivery| delivery.event_row).collect();
    rows.sort_unstable();
    rows.dedup();
    let payloads: HashMap<i64, Vec<u8>> = rows.iter().copied().zip(store.payloads(&rows)?).collect();
    let cases = deliveries.iter().map(|delivery| Case {
        shape: &delivery.shape,
        event: &payloads[&delivery.event_row],
        is_filtered,
    });
    let shaped = shape(&cases.collect::<Vec<_>>())?;
    Ok(Reshaping(deliveries.into_iter().zip(shaped).collect()))
}

impl Reshaping {
    /// Makes deliveries due as [`Store::retry_deliveries`] does, and takes over what was evaluated for them. What was retried,
    /// and how many are not sent because their webhook's expressions say so.
    pub fn retry(&self, store: &Store, ids: &[i64], now: Timestamp) -> Result<(Retried, u64), StoreError> {
        // Those that end let others of their line move up.
        let ended = self.0.iter().filter(|(_, shaped)| matches!(shaped, Shaped::Failed(_) | Shaped::Unwanted));
        let ended: Vec<i64> = ended.map(|(delivery, _)| delivery.id).collect();
        if !ended.is_empty() {
            store.lock_states_of(&ended)?;
        }
        let Retried { due, under_way } = store.retry_deliveries(ids, now)?;
        let count = due.len();
        let due = self.take_over(store, due, now)?;
        let refused = (count - due.len()) as u64;
        Ok((Retried { due, under_way }, refused))
    }

    /// Takes over what was evaluated, for those deliveries that were made due: webhook and delivery. Gives those that are due
    /// still. Runs in the transaction that made them due.
    fn take_over(&self, store: &Store, due: Vec<(i64, i64)>, now: Timestamp) -> Result<Vec<(i64, i64)>, StoreError> {
        if self.0.is_empty() {
            return Ok(due);
        }
        let is_due: HashMap<i64, i64> = due.iter().map(|(webhook, id)| (*id, *webhook)).collect();
        let meant = self.0.iter().filter(|(delivery, _)| is_due.contains_key(&delivery.id));
        let anew: Vec<(ShapedDelivery, Anew<'_>)> =
            meant.map(|(delivery, shaped)| (delivery.clone(), anew(shaped))).collect();
        store.send_anew(&anew, now)?;
        let is_over = |id: i64| {
            let found = anew.iter().find(|(delivery, _)| delivery.id == id);
            found.is_some_and(|(_, anew)| matches!(anew, Anew::Failed(_) | Anew::Cancelled))
        };
        Ok(due.into_iter().filter(|(_, id)| !is_over(*id)).collect())
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
