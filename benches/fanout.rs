//! One event to many webhooks: enqueued, and delivered. `cargo bench --bench figures -- fanout`

use std::time::Duration;

use crate::limit;
use crate::support::receiver::Receiver;
use crate::support::{Bench, Target, median, report, rounds};

/// Runs the benchmark.
pub fn run() {
    println!("{:<58} {:>12} {:<14} {:<10}", "fan-out", "figure", "unit", "target");
    let receiver = Receiver::start(Duration::ZERO);
    let bench = Bench::new();
    for number in 0..1_000 {
        bench.webhook(&format!("webhook-{number}"), &receiver.url, &[]);
    }
    let limit = limit::http_limit(&receiver.url, 16, 20_000);
    let library = limit::library_limit(&receiver.url, 16, 20_000);
    let (mut enqueued, mut delivered) = (vec![], vec![]);
    for _ in 0..rounds(10) {
        enqueued.push(bench.run(&["emit", "invoice.paid", "--data", "{}", "--enqueue", "-q"]).wall.as_secs_f64());
        bench.run(&["drain", "-q", "--strict"]);
        let used = bench.run(&["emit", "invoice.paid", "--data", "{}", "-q", "--strict"]);
        delivered.push(1_000.0 / used.wall.as_secs_f64());
    }
    report("one event to 1,000 webhooks, enqueued", median(enqueued) * 1e3, "ms", Target::AtMost(12.0));
    let rate = median(delivered);
    report("one event to 1,000 webhooks, delivered", rate, "deliveries/s", Target::None);
    report("  ratio to the HTTP client alone", rate / limit, "×", Target::AtLeast(0.4));
    report("  ratio to ureq as it comes", rate / library, "×", Target::AtLeast(0.4));
}
