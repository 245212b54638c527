//! What the engine promises, at places that no receiver and no signal reaches.

mod life;
mod worker;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::job::{EndedJob, Job};
use super::prepared::{Clients, Prepared};
use super::recorder::record;
use super::run::Summary;
use super::step::Step;
use super::webhook_states::WebhookStates;
use crate::clock::Clock;
use crate::domain::time::Timestamp;
use crate::domain::webhook::Settings;
use crate::random::Random;
use crate::store::{Claimed, LaneClaim, LaneClaimed, Lease, Payload, Store, Wanted};

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

/// A step at that moment.
fn step<'a>(store: &'a Store, random: &'a mut Random, now: Timestamp) -> Step<'a> {
    Step { store, random, clock: Clock::new(Some(now)), states: WebhookStates::default() }
}

/// Records results as one transaction of a run does.
fn record_group(store: &Store, random: &mut Random, now: Timestamp, group: &[EndedJob]) -> Summary {
    let mut step = step(store, random, now);
    let summary = record(&mut step, group).unwrap();
    step.states.save(store).unwrap();
    summary
}

/// Claims these deliveries of a webhook, as far as they are due.
fn claim(store: &Store, webhook_id: i64, listed: &[i64], lease: Lease) -> LaneClaimed {
    let lane = LaneClaim { webhook_id, wanted: Wanted::Listed(listed), most: listed.len(), lease };
    store.claim_lanes(&[lane], usize::MAX).unwrap().remove(0)
}
