//! Names, states and last failures of the webhooks in the log.

use std::collections::HashMap;

use anyhow::Result;

use crate::domain::time::Timestamp;
use crate::domain::webhook::{Condition, State, Webhook};
use crate::store::{DeliveryRow, FailedAttempt, Store, WebhookFilter, Window};

#[derive(Debug)]
pub struct Known {
    webhooks: Vec<Webhook>,
    /// The newest failed delivery of webhooks whose last attempt failed.
    failed: HashMap<i64, DeliveryRow>,
    pub last_failures: Vec<FailedAttempt>,
}

/// What is shown of a webhook besides its numbers.
#[derive(Debug)]
pub struct About {
    pub name: String,
    pub state: Option<State>,
    pub condition: Option<Condition>,
    pub last_error: Option<String>,
    pub last_failed_delivery: Option<i64>,
}

/// How many last failures are listed.
const MOST_FAILURES: u64 = 5;

impl Known {
    pub fn read(store: &Store, window: &Window) -> Result<Known> {
        let webhooks = store.webhooks(&WebhookFilter::default())?;
        let mut failed = HashMap::new();
        for webhook in webhooks.iter().filter(|webhook| webhook.health.failing_since.is_some()) {
            failed.extend(store.last_failed_delivery(webhook.id)?.map(|delivery| (webhook.id, delivery)));
        }
        Ok(Known { webhooks, failed, last_failures: store.last_failures(window, MOST_FAILURES)? })
    }

    pub fn webhook(&self, id: i64, now: Timestamp) -> About {
        let webhook = self.webhooks.iter().find(|webhook| webhook.id == id);
        let failed = self.failed.get(&id);
        About {
            name: webhook.map_or_else(|| format!("(deleted {id})"), |webhook| webhook.settings.name.clone()),
            state: webhook.map(|webhook| webhook.health.state()),
            condition: webhook.and_then(|webhook| webhook.health.condition(now)),
            last_error: failed.and_then(|delivery| delivery.error_message.clone()),
            last_failed_delivery: failed.map(|delivery| delivery.id),
        }
    }
}
