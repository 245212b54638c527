//! Operational events: what hookctl itself has to say.

use serde_json::json;

use crate::domain::attempt::AttemptError;
use crate::domain::envelope::Content;
use crate::domain::event::NewEvent;
use crate::domain::event_draft::Draft;
use crate::domain::event_type::{DELIVERY_FAILED, WEBHOOK_TEST, is_operational};
use crate::domain::time::Timestamp;
use crate::random::Random;
use crate::store::StoreError;

/// An operational event: what hookctl has to say about a webhook. It belongs to the webhook's owner.
#[derive(Debug)]
pub struct Announcement {
    pub event_type: &'static str,
    pub webhook_id: i64,
    pub owner: Option<String>,
    pub data: serde_json::Value,
}

impl Announcement {
    pub(super) fn event(&self, random: &mut Random, now: Timestamp) -> Result<NewEvent, StoreError> {
        let data = serde_json::value::to_raw_value(&self.data).map_err(|error| StoreError::Other(error.to_string()))?;
        let draft = Draft { event_type: self.event_type.into(), content: Content::of_data(&data), ..Draft::default() };
        let event = draft.into_event(now, random.next_u128()).map_err(|error| StoreError::Other(error.reason))?;
        Ok(NewEvent { owner: self.owner.clone(), about: Some(self.webhook_id), ..event })
    }
}

/// A delivery that ended as failed.
#[derive(Debug)]
pub struct FailedDelivery<'a> {
    pub id: i64,
    pub webhook_id: i64,
    pub webhook: &'a str,
    pub owner: Option<&'a str>,
    pub event_id: &'a str,
    pub event_type: &'a str,
    pub attempts: u32,
    pub status_code: Option<u16>,
    pub error: Option<&'a AttemptError>,
}

impl FailedDelivery<'_> {
    pub fn announcement(&self) -> Option<Announcement> {
        if is_operational(self.event_type) || self.event_type == WEBHOOK_TEST {
            return None; // two receivers that fail would announce each other's failures for ever
        }
        let data = json!({
            "delivery_id": self.id,
            "webhook_id": self.webhook_id,
            "webhook": self.webhook,
            "event_id": self.event_id,
            "event_type": self.event_type,
            "attempts": self.attempts,
            "response_status_code": self.status_code,
            "error_type": self.error.map(|error| error.error_type),
            "error_message": self.error.map(|error| &error.message),
        });
        let owner = self.owner.map(str::to_owned);
        Some(Announcement { event_type: DELIVERY_FAILED, webhook_id: self.webhook_id, owner, data })
    }
}
