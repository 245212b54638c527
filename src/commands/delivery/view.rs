//! Deliveries as they are shown.

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::request::{Bytes, Pairs, RequestView, Sent};
use super::waiting::Waiting;
use crate::context::Context;
use crate::domain::attempt::{Attempt, ErrorType, Trigger};
use crate::domain::delivery::Status;
use crate::domain::event::payload_hash;
use crate::domain::time::Timestamp;
use crate::error::{Failure, Kind};
use crate::output::{Cell, Look, Page, Row, Text};
use crate::store::{DeliveryRow, Store};

impl Row for DeliveryRow {
    const COLUMNS: &'static [&'static str] =
        &["id", "webhook", "event", "status", "tries", "result", "created", "next"];

    fn cells(&self, look: &Look) -> Vec<Cell> {
        vec![
            Cell::number(self.id),
            Cell::name(&self.webhook),
            Cell::plain(&self.event_type),
            status_cell(self.status),
            Cell::number(self.attempt_count),
            match (self.response_status_code, self.error_type) {
                (Some(code), None | Some(ErrorType::HttpError)) => Cell::number(code),
                (_, error_type) => error_type.map(ErrorType::as_str).into(),
            },
            look.ago(Some(self.created_at)),
            match self.next_retry_at {
                Some(next) if next <= look.now() => Cell::plain("due"),
                next => look.ago(next),
            },
        ]
    }
}

/// A status in its colour.
pub fn status_cell(status: Status) -> Cell {
    match status {
        Status::Success => Cell::good(status.as_str()),
        Status::Failed => Cell::bad(status.as_str()),
        Status::Retrying => Cell::warn(status.as_str()),
        Status::Pending => Cell::plain(status.as_str()),
        Status::Cancelled => Cell::dim(status.as_str()),
    }
}

#[derive(Debug, Serialize)]
pub struct DeliveryPage {
    #[serde(flatten)]
    delivery: DeliveryRow,
    waiting: Option<Waiting>,
    payload_hash: String,
    payload: Bytes,
    /// The body made by a transform, which is sent instead of the payload.
    body: Option<Bytes>,
    request: RequestView,
    attempts: Vec<AttemptView>,
}

#[derive(Debug, Serialize)]
struct AttemptView {
    attempt_number: u32,
    trigger: Trigger,
    started_at: Timestamp,
    completed_at: Timestamp,
    duration_ms: i64,
    response_status_code: Option<u16>,
    response_headers: Option<Pairs>,
    response_body: Option<Bytes>,
    response_truncated: bool,
    resent: bool,
    error_type: Option<ErrorType>,
    error_message: Option<String>,
}

impl DeliveryPage {
    pub fn load(context: &Context, store: &Store, id: i64) -> Result<DeliveryPage> {
        let delivery = store.delivery(id)?.ok_or_else(|| {
            Failure::new(Kind::NotFound, format!("no delivery {id}")).hint("see `hookctl delivery list`")
        })?;
        let payload = store.load_payload((delivery.event_row, None))?;
        let sent = match delivery.body_id {
            Some(_) => Some(store.load_payload((delivery.event_row, delivery.body_id))?),
            None => None,
        };
        let attempts = store.attempts(id)?;
        // As the last attempt sent it, or as the first will.
        let last = attempts.last();
        let request = Sent {
            delivery_id: Some(delivery.id),
            attempt_number: last.map_or(1, |attempt| attempt.number),
            payload: sent.as_ref().unwrap_or(&payload),
            timestamp: last.map_or_else(|| context.now(), |attempt| attempt.started_at),
        };
        let outgoing = store.outgoing(&[delivery.webhook_id], request.timestamp)?.pop();
        let outgoing = outgoing.context("the webhook was deleted meanwhile")?;
        let waiting = Waiting::of(store, &delivery, &outgoing.webhook, context.now())?;
        let request = RequestView::new(outgoing, request)?;
        Ok(DeliveryPage {
            delivery,
            waiting,
            payload_hash: payload_hash(&payload.bytes),
            payload: Bytes(payload.bytes),
            body: sent.map(|sent| Bytes(sent.bytes)),
            request,
            attempts: attempts.into_iter().map(AttemptView::from).collect(),
        })
    }

    pub fn status(&self) -> Status {
        self.delivery.status
    }
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> AttemptView {
        let (status, headers, body, truncated) = match attempt.outcome.answer {
            Some(answer) => {
                (Some(answer.status), Some(Pairs(answer.headers)), Some(Bytes(answer.body)), answer.truncated)
            }
            None => (None, None, None, false),
        };
        let (error_type, error_message) = match attempt.outcome.error {
            Some(error) => (Some(error.error_type), Some(error.message)),
            None => (None, None),
        };
        AttemptView {
            attempt_number: attempt.number,
            trigger: attempt.trigger,
            started_at: attempt.started_at,
            completed_at: attempt.completed_at,
            duration_ms: attempt.duration_ms,
            response_status_code: status,
            response_headers: headers,
            response_body: body,
            response_truncated: truncated,
            resent: attempt.outcome.resent,
            error_type,
            error_message,
        }
    }
}

impl Page for DeliveryPage {
    fn describe(&self, text: &mut Text) {
        let delivery = &self.delivery;
        text.heading(&format!("Delivery {}", delivery.id));
        text.field("Webhook", Cell::id(&delivery.webhook));
        text.field("Event", Cell::id(&delivery.event_id));
        text.field("Type", &delivery.event_type);
        text.optional("Key", delivery.key.as_ref());
        text.field("Status", status_cell(delivery.status));
        text.optional("Error", delivery.error_message.as_ref().map(Cell::bad));
        text.time("Created", delivery.created_at);
        if let Some(waiting) = &self.waiting {
            text.field("Waits for", Cell::warn(&waiting.told));
            if waiting.until.is_some() {
                text.time("Until", waiting.until);
            }
        }
        text.blank();
        self.request.describe(text);
        text.blank();
        text.heading("Payload");
        text.field("SHA-256", Cell::id(&self.payload_hash));
        text.block(&self.payload.0);
        if let Some(body) = &self.body {
            text.blank();
            text.heading("Body");
            text.block(&body.0);
        }
        for attempt in &self.attempts {
            attempt.describe(text);
        }
        if self.attempts.is_empty() {
            text.blank();
            text.line(Cell::dim("No attempt yet."));
        }
    }
}

impl AttemptView {
    fn describe(&self, text: &mut Text) {
        text.blank();
        text.heading(&format!("Attempt {} ({})", self.attempt_number, self.trigger.as_str()));
        text.time("Started", self.started_at);
        text.field("Took", format!("{} ms", self.duration_ms));
        if let Some(error) = &self.error_message {
            let kind = self.error_type.map_or("", ErrorType::as_str);
            text.field("Error", Cell::bad(format!("{kind}: {error}")));
        }
        if self.resent {
            text.field("Resent", Cell::warn("once: the kept-alive connection had been closed before any answer"));
        }
        let Some(status) = self.response_status_code else { return };
        text.field(
            "Answer",
            if (200..300).contains(&status) { Cell::good(status.to_string()) } else { Cell::bad(status.to_string()) },
        );
        self.response_headers.iter().for_each(|headers| headers.describe(text));
        match &self.response_body {
            Some(body) if !body.0.is_empty() => text.block(&body.0),
            _ => {}
        }
        if self.response_truncated {
            text.line(Cell::dim("(cut: the answer went on)"));
        }
    }
}
