//! Bytes on disk per delivered event, and of the program. `cargo bench --bench figures -- size`

use std::time::Duration;

use crate::support::receiver::Receiver;
use crate::support::{Bench, Target, report};

/// Runs the benchmark.
pub fn run() {
    println!("{:<58} {:>12} {:<14} {:<10}", "size", "figure", "unit", "target");
    let receiver = Receiver::start(Duration::ZERO);
    for webhooks in [1, 10] {
        let bench = Bench::new();
        for number in 0..webhooks {
            bench.webhook(&format!("webhook-{number}"), &receiver.url, &[]);
        }
        let empty = bench.size();
        bench.enqueue(10_000);
        bench.run(&["drain", "-q", "--strict"]);
        let each = (bench.size() - empty) as f64 / 10_000.0 / 1024.0;
        match webhooks {
            1 => report("per delivered event with one attempt, 500-byte payload", each, "KiB", Target::AtMost(1.0)),
            _ => report("per event delivered to 10 webhooks", each, "KiB", Target::None),
        }
    }
    let binary = std::fs::metadata(env!("CARGO_BIN_EXE_hookctl")).expect("the program").len();
    report("release binary, stripped", binary as f64 / 1e6, "MB", Target::AtMost(14.0));
}
