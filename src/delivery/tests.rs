//! What a worker does when the code that it runs fails.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use super::engine::work;
use super::prepared::{Clients, Prepared};
use super::queue::{Job, LaneLimits, Queue};
use super::record::Ending;
use crate::clock::Clock;
use crate::domain::attempt::{Attempt, ErrorType, Outcome, Trigger};
use crate::domain::network::AddressPolicy;
use crate::domain::retry::RetryPolicy;
use crate::domain::time::Timestamp;
use crate::domain::webhook::Settings;
use crate::store::{Claimed, Payload, Store};

fn webhook() -> Arc<Prepared> {
    let settings = Settings {
        name: "crm".to_owned(),
        description: None,
        url: "https://crm.example/".to_owned(),
        events: vec!["*".to_owned()],
        http_method: "POST".to_owned(),
        content_type: "application/json".to_owned(),
        headers: Vec::new(),
        signature_schemes: Vec::new(),
        owner: None,
        retry: RetryPolicy { max_retries: 3, delay_ms: 60_000, schedule: None },
        timeout_ms: 30_000,
        disable_after_ms: 0,
        rate_limit: None,
        concurrency: None,
        is_ordered: false,
        addresses: AddressPolicy { allow_private: false, allow_networks: Vec::new() },
        ca_cert: None,
    };
    let store = Store::empty().unwrap();
    let id = store.insert_webhook(&settings, true, Timestamp::START).unwrap();
    let webhook = store.webhook(id).unwrap().unwrap();
    Arc::new(Prepared::new(&store, webhook, &mut Clients::new(Vec::new(), 1), Timestamp::START).unwrap())
}

fn job(id: i64, webhook: &Arc<Prepared>) -> Job {
    Job {
        claimed: Claimed {
            id,
            webhook_id: webhook.webhook_id,
            event_row: id,
            attempt_number: 1,
            retry_count: 0,
            trigger: Trigger::Scheduled,
            is_test: false,
            token: id,
        },
        payload: Arc::new(Payload { event_id: format!("e-{id}"), event_type: "a.b".to_owned(), bytes: Vec::new() }),
        webhook: Arc::clone(webhook),
        start_before: Instant::now() + Duration::from_secs(60),
        is_probe: false,
    }
}

#[test]
fn a_panic_costs_a_worker_its_attempt_and_not_the_ones_after_it() {
    let (webhook, queue, clock) = (webhook(), Queue::default(), Clock::new(Some(Timestamp::START)));
    let limits = LaneLimits { alone: 1, shared: 1, unopposed: 1, unheard: 1 };
    let jobs = (1..=3).map(|id| (job(id, &webhook), limits)).collect();
    queue.push(jobs, &HashSet::from([webhook.webhook_id]));
    queue.close();
    let (sender, results) = channel();
    work(&queue, &sender, clock, |job| {
        assert_ne!(job.claimed.id, 2, "the second one fails on purpose");
        Attempt {
            number: 1,
            trigger: Trigger::Scheduled,
            started_at: clock.now(),
            completed_at: clock.now(),
            duration_ms: 0,
            outcome: Outcome::default(),
        }
    });
    let error_types: Vec<(i64, Option<ErrorType>)> = results
        .try_iter()
        .map(|ended| match ended.ending {
            Ending::Attempted(attempt) => (ended.job.claimed.id, attempt.outcome.error.map(|error| error.error_type)),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(error_types, [(1, None), (2, Some(ErrorType::UnknownError)), (3, None)]);
    assert_eq!(queue.load(), (0, 0), "nothing is left over");
}
