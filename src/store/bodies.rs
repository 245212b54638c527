//! The table of bodies: what deliveries send instead of their event's payload, made by transforms.

use super::backfill::Past;
use super::counters::CounterChanges;
use super::lines::LINE;
use super::row::one;
use super::value::{params, values};
use super::{Result, Sends, Store};
use crate::domain::attempt::AttemptError;
use crate::domain::delivery::Status;
use crate::domain::event::EventParts;
use crate::domain::time::Timestamp;
use crate::domain::webhook::Shape;

/// How many ids are passed to one statement.
const LONGEST_LIST: usize = 10_000;

/// A delivery whose webhook has a filter or transform, or had one when the delivery was created.
#[derive(Clone, Debug)]
pub struct ShapedDelivery {
    pub id: i64,
    pub webhook_id: i64,
    pub event_row: i64,
    pub is_test: bool,
    /// The webhook's present expressions.
    pub shape: Shape,
}

/// An event that is shaped anew.
#[derive(Clone, Debug, Default)]
pub struct PastEvent {
    event_id: String,
    event_type: String,
    payload: Vec<u8>,
}

impl PastEvent {
    pub fn parts(&self) -> EventParts<'_> {
        EventParts { event_id: &self.event_id, event_type: &self.event_type, payload: &self.payload }
    }
}

/// What a delivery that is retried sends now.
#[derive(Clone, Debug)]
pub enum Anew<'a> {
    Payload,
    Body(&'a [u8]),
    Failed(&'a AttemptError),
    /// The filter refuses the event now.
    Cancelled,
}

impl Store {
    /// Those of these deliveries whose webhook has, or had, a filter or transform.
    pub fn shaped_deliveries(&self, ids: &[i64]) -> Result<Vec<ShapedDelivery>> {
        let sql = format!(
            "SELECT d.id, d.webhook_id, d.event_id, d.is_test, w.filter, w.transform, w.preset
             FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id
             WHERE {} AND (w.filter IS NOT NULL OR w.transform IS NOT NULL OR w.preset IS NOT NULL
                OR d.body_id IS NOT NULL OR d.error_type IN ('filter_error', 'transform_error'))
             ORDER BY d.id",
            self.dialect().one_of("d.id", "$1")
        );
        self.rows(&sql, params![ids], |row| {
            Ok(ShapedDelivery {
                id: row.next()?,
                webhook_id: row.next()?,
                event_row: row.next()?,
                is_test: row.next()?,
                shape: row.next_shape()?,
            })
        })
    }

    /// The events in these rows, in their order; their payloads are empty where they were pruned.
    pub fn past_events(&self, rows: &[i64]) -> Result<Vec<PastEvent>> {
        let sql = "SELECT event_id, event_type, payload FROM events WHERE id = $1";
        let events = self.first_each(sql, rows.iter().map(|row| values![row]), |row| {
            let (event_id, event_type) = (row.next()?, row.next()?);
            Ok(PastEvent { event_id, event_type, payload: row.next::<Option<Vec<u8>>>()?.unwrap_or_default() })
        })?;
        Ok(events.into_iter().map(Option::unwrap_or_default).collect())
    }

    /// Replaces what retried deliveries send. Runs in the transaction that made them due.
    pub fn send_anew(&self, deliveries: &[(&ShapedDelivery, Anew<'_>)], now: Timestamp) -> Result<()> {
        let bodies: Vec<(i64, &[u8])> = deliveries
            .iter()
            .filter_map(|(delivery, anew)| match anew {
                Anew::Body(body) => Some((delivery.event_row, *body)),
                _ => None,
            })
            .collect();
        let mut body_ids = self.keep_bodies(&bodies)?.into_iter();
        let (mut sent, mut ended, mut changes) = (Vec::new(), Vec::new(), CounterChanges::default());
        for (delivery, anew) in deliveries {
            match anew {
                Anew::Payload => sent.push((delivery.id, None)),
                Anew::Body(_) => sent.push((delivery.id, body_ids.next())),
                Anew::Failed(error) => {
                    ended.push((delivery.id, Status::Failed, Some(*error)));
                    if !delivery.is_test {
                        changes.enter(delivery.webhook_id, Status::Failed);
                    }
                }
                Anew::Cancelled => ended.push((delivery.id, Status::Cancelled, None)),
            }
        }
        // Errors of the expressions are replaced; errors of attempts stay.
        let sql = "UPDATE deliveries SET body_id = $1,
                completed_at = CASE WHEN error_type IN ('filter_error', 'transform_error') THEN NULL ELSE completed_at END,
                error_message = CASE WHEN error_type IN ('filter_error', 'transform_error') THEN NULL ELSE error_message END,
                error_type = CASE WHEN error_type IN ('filter_error', 'transform_error') THEN NULL ELSE error_type END
             WHERE id = $2";
        self.execute_each(sql, sent.iter().map(|(id, body)| values![*body, *id]))?;
        let sql =
            "UPDATE deliveries SET body_id = NULL, status = $1, due_at = NULL, is_manual = FALSE, completed_at = $2,
                error_type = $3, error_message = $4 WHERE id = $5";
        self.execute_each(
            sql,
            ended.iter().map(|(id, status, error)| {
                let (error_type, message) =
                    (error.map(|error| error.error_type), error.map(|error| error.message.as_str()));
                values![*status, now, error_type, message, *id]
            }),
        )?;
        self.count(&changes)?;
        self.move_up(&ended.iter().map(|(id, ..)| *id).collect::<Vec<_>>())?;
        let events: Vec<i64> = deliveries.iter().map(|(delivery, _)| delivery.event_row).collect();
        self.forget_bodies(&events).map(drop)
    }

    /// Creates deliveries of events, given by row id with what each sends, due at `now`, in that order; returns how many.
    pub fn deliver_shaped(
        &self,
        past: &Past,
        events: &[(i64, Sends)],
        bodies: &[&[u8]],
        now: Timestamp,
    ) -> Result<u64> {
        let webhook = &past.webhook;
        let sent = |(row, sends): &(i64, Sends)| match sends {
            Sends::Body(place) => Some((*row, bodies[*place])),
            Sends::Payload | Sends::Nothing(_) => None,
        };
        let mut body_ids = self.keep_bodies(&events.iter().filter_map(sent).collect::<Vec<_>>())?.into_iter();
        let sql = format!(
            "INSERT INTO deliveries (webhook_id, event_id, event_type, body_id, status, due_at, line, is_test, created_at,
                completed_at, error_type, error_message)
             VALUES ($1, $2, (SELECT e.event_type FROM events e WHERE e.id = $2), $3, $4, $5,
                (SELECT {LINE} FROM webhooks w JOIN events e ON e.id = $2 WHERE w.id = $1), FALSE, $6, $7, $8, $9)
             ON CONFLICT (event_id, webhook_id) DO NOTHING"
        );
        let made = self.insert_each(
            &sql,
            events.iter().map(|(row, sends)| {
                let body = sends.body().and_then(|_| body_ids.next());
                let (status, error) = (sends.status(), sends.error());
                let due_at = error.is_none().then_some(now);
                let (error_type, message) =
                    (error.map(|error| error.error_type), error.map(|error| error.message.as_str()));
                let ended = error.map(|_| now);
                values![webhook.id, *row, body, status, due_at, now, ended, error_type, message]
            }),
        )?;
        let mut changes = CounterChanges::default();
        for ((_, sends), _) in events.iter().zip(made.iter()).filter(|(_, id)| id.is_some()) {
            changes.create(webhook.id);
            changes.enter(webhook.id, sends.status());
        }
        self.count(&changes)?;
        Ok(made.iter().flatten().count() as u64)
    }

    /// Stores bodies, each given with the row id of its event, unless an equal one is there, and returns their ids.
    fn keep_bodies(&self, bodies: &[(i64, &[u8])]) -> Result<Vec<i64>> {
        let find = || {
            let sql = "SELECT id FROM bodies WHERE event_id = $1 AND body = $2";
            self.first_each(sql, bodies.iter().map(|(row, body)| values![*row, *body]), one::<i64>)
        };
        let known = find()?;
        let new = bodies.iter().zip(&known).filter(|(_, id)| id.is_none()).map(|(body, _)| body);
        let mut distinct: Vec<&(i64, &[u8])> = Vec::new();
        for body in new {
            if !distinct.contains(&body) {
                distinct.push(body);
            }
        }
        let found = |ids: Vec<Option<i64>>| ids.into_iter().flatten().collect();
        if distinct.is_empty() {
            return Ok(found(known));
        }
        let sql = "INSERT INTO bodies (event_id, number, body)
             VALUES ($1, (SELECT coalesce(max(b.number) + 1, 0) FROM bodies b WHERE b.event_id = $1), $2)";
        self.insert_each(sql, distinct.into_iter().map(|(row, body)| values![*row, *body]))?;
        find().map(found)
    }

    /// Deletes the bodies of these events that no delivery uses.
    pub(super) fn forget_bodies(&self, events: &[i64]) -> Result<usize> {
        let sql = format!(
            "DELETE FROM bodies WHERE {} AND NOT EXISTS (
                SELECT 1 FROM deliveries d WHERE d.event_id = bodies.event_id AND d.body_id = bodies.id)",
            self.dialect().one_of("event_id", "$1")
        );
        let gone = events.chunks(LONGEST_LIST).map(|some| self.execute(&sql, params![some])).sum::<Result<usize>>()?;
        self.note_deletion(gone);
        Ok(gone)
    }
}
