//! What the engine promises, at places that no receiver and no signal reaches.

mod life;
mod worker;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::prepared::{Clients, Prepared};
use super::queue::Job;
use crate::domain::time::Timestamp;
use crate::domain::webhook::Settings;
use crate::store::{Claimed, Payload, Store};

/// A webhook, stored and made ready.
fn webhook(store: &Store) -> Arc<Prepared> {
    let settings = Settings {
        name: "crm".to_owned(),
        url: "https://crm.example/".to_owned(),
        events: vec!["*".to_owned()],
        disable_after_ms: 0,
        ..Settings::default()
    };
    let id = store.insert_webhook(&settings, true, Timestamp::START).unwrap();
    let webhook = store.webhook(id).unwrap().unwrap();
    Arc::new(Prepared::new(store, webhook, &mut Clients::new(Vec::new(), 1), Timestamp::START).unwrap())
}

/// A claimed delivery, about to be sent.
fn job(claimed: Claimed, webhook: &Arc<Prepared>) -> Job {
    Job {
        payload: Arc::new(Payload {
            event_id: format!("e-{}", claimed.event_row),
            event_type: "a.b".to_owned(),
            bytes: Vec::new(),
        }),
        claimed,
        webhook: Arc::clone(webhook),
        start_before: Instant::now() + Duration::from_secs(60),
        is_probe: false,
    }
}
