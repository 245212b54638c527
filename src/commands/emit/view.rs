//! The results of `emit` and `event resend`.

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::commands::delivery::view::status_cell;
use crate::delivery::{Engine, Settled};
use crate::domain::attempt::ErrorType;
use crate::domain::delivery::Status;
use crate::domain::event::NewEvent;
use crate::domain::time::Timestamp;
use crate::output::{Cell, Page, Text};
use crate::store::{DeliveryRow, Intake, Store, Subscriber};

/// An event and where its deliveries are.
#[derive(Debug, Serialize)]
pub struct EmitView {
    event_id: String,
    event_type: String,
    duplicate: bool,
    deliveries: Vec<DeliveryPart>,
}

#[derive(Debug, Serialize)]
struct DeliveryPart {
    id: i64,
    webhook: String,
    status: Status,
    response_status_code: Option<u16>,
    error_type: Option<ErrorType>,
    error_message: Option<String>,
    next_retry_at: Option<Timestamp>,
}

impl EmitView {
    /// Reads an event's deliveries as they are now.
    pub fn load(store: &Store, event_row: i64, duplicate: bool) -> Result<EmitView> {
        let event = store.event(event_row)?.context("the event was deleted meanwhile")?;
        let deliveries = store.deliveries_of_event(event_row)?.into_iter().map(DeliveryPart::new).collect();
        Ok(EmitView { event_id: event.event_id, event_type: event.event_type, duplicate, deliveries })
    }

    /// An event that was accepted just now, with its deliveries, oldest first: none is attempted yet.
    pub fn accepted(event: &NewEvent, intake: &Intake, subscribers: &[Subscriber]) -> EmitView {
        let claimed = intake.claimed.iter().map(|claimed| (claimed.webhook_id, claimed.id));
        let mut owed: Vec<(i64, i64)> = intake.deliveries.iter().copied().chain(claimed).collect();
        owed.sort_unstable_by_key(|(_, id)| *id);
        let part = |(webhook_id, id): (i64, i64)| {
            let webhook = subscribers.iter().find(|webhook| webhook.id == webhook_id);
            DeliveryPart::accepted(id, webhook.map(|webhook| webhook.name.clone()).unwrap_or_default())
        };
        let (event_id, event_type) = (event.event_id.clone(), event.event_type.clone());
        EmitView { event_id, event_type, duplicate: false, deliveries: owed.into_iter().map(part).collect() }
    }

    /// Takes over the results of the deliveries; false if the run did not attempt all of them.
    pub fn settle(&mut self, engine: &Engine<'_>) -> bool {
        self.deliveries.iter_mut().all(|part| engine.settled(part.id).map(|settled| part.settle(settled)).is_some())
    }

    /// Whether there are deliveries and each ended in success.
    pub fn is_delivered(&self) -> bool {
        !self.deliveries.is_empty() && self.deliveries.iter().all(|delivery| delivery.status == Status::Success)
    }
}

impl DeliveryPart {
    fn accepted(id: i64, webhook: String) -> DeliveryPart {
        DeliveryPart {
            id,
            webhook,
            status: Status::Pending,
            response_status_code: None,
            error_type: None,
            error_message: None,
            next_retry_at: None,
        }
    }

    fn settle(&mut self, settled: &Settled) {
        self.status = settled.status;
        self.response_status_code = settled.response_status_code;
        self.error_type = settled.error.as_ref().map(|error| error.error_type);
        self.error_message = settled.error.as_ref().map(|error| error.message.clone());
        self.next_retry_at = settled.next_retry_at;
    }

    fn new(row: DeliveryRow) -> DeliveryPart {
        DeliveryPart {
            next_retry_at: row.next_retry_at,
            id: row.id,
            webhook: row.webhook,
            status: row.status,
            response_status_code: row.response_status_code,
            error_type: row.error_type,
            error_message: row.error_message,
        }
    }
}

impl Page for EmitView {
    fn describe(&self, text: &mut Text) {
        text.field("Event", Cell::id(&self.event_id));
        text.field("Type", &self.event_type);
        if self.deliveries.is_empty() {
            return;
        }
        text.blank();
        let rows: Vec<_> = self
            .deliveries
            .iter()
            .map(|delivery| {
                vec![
                    Cell::number(delivery.id),
                    Cell::name(&delivery.webhook),
                    status_cell(delivery.status),
                    delivery.response_status_code.map(i64::from).into(),
                    delivery.error_message.clone().into(),
                    text.look().ago(delivery.next_retry_at),
                ]
            })
            .collect();
        text.table(&["delivery", "webhook", "status", "code", "error", "next"], rows);
    }
}
