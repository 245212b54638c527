//! The limit that a drain is held against: the same HTTP client and threads, without signatures, claims or log.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::domain::network::AddressPolicy;
use crate::domain::target_url;
use crate::http::{Client, OutgoingRequest, Target};

/// Requests per second of `count` posts of a 500-byte body by `workers` threads.
pub fn http_limit(url: &str, workers: usize, count: usize) -> f64 {
    let policy = AddressPolicy { allow_private: true, allow_networks: Vec::new() };
    let client = Arc::new(Client::new(&policy, None, workers).expect("a client"));
    let target = Arc::new(Target::new(&target_url::parse(url).expect("a URL")).expect("a target"));
    let next = Arc::new(AtomicUsize::new(0));
    let body = Arc::new(vec![b'x'; 500]);
    let started = Instant::now();
    let threads: Vec<_> = (0..workers)
        .map(|_| {
            let (client, target, next, body) = (client.clone(), target.clone(), next.clone(), body.clone());
            std::thread::Builder::new()
                .stack_size(1024 * 1024)
                .spawn(move || {
                    // The headers that every request of hookctl has, without the signatures'.
                    let headers = [
                        ("Content-Type", "application/json"),
                        ("User-Agent", "bench"),
                        ("X-Webhook-Event", "invoice.paid"),
                        ("X-Webhook-ID", "1"),
                        ("X-Webhook-Delivery", "12345"),
                        ("X-Webhook-Attempt", "1"),
                    ];
                    while next.fetch_add(1, Ordering::Relaxed) < count {
                        let request =
                            OutgoingRequest { method: "POST", target: &target, headers: &headers, body: &body };
                        let outcome = client.send(&request, Duration::from_secs(30));
                        assert!(outcome.error.is_none(), "{:?}", outcome.error);
                    }
                })
                .expect("a thread")
        })
        .collect();
    for thread in threads {
        thread.join().expect("no panic");
    }
    count as f64 / started.elapsed().as_secs_f64()
}
