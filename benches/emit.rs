//! `emit` of one event to one webhook, whole process, beside `curl` sending the same body. `cargo bench --bench figures -- emit`

use std::process::Command;
use std::time::Duration;

use crate::support::receiver::Receiver;
use crate::support::{Bench, FILLER, Target, measure, median, report, rounds};

/// Runs the benchmark.
pub fn run() {
    println!("{:<58} {:>12} {:<14} {:<10}", "emit", "figure", "unit", "target");
    let receiver = Receiver::start(Duration::ZERO);
    let bench = Bench::new();
    bench.webhook("one", &receiver.url, &[]);
    let data = format!(r#"{{"number":1,"text":"{}"}}"#, "x".repeat(FILLER));
    let (mut emits, mut curls, mut ratios, mut cpu) = (vec![], vec![], vec![], vec![]);
    for _ in 0..rounds(200) {
        let emit = bench.run(&["emit", "invoice.paid", "--data", &data, "-q"]);
        let mut curl = Command::new("curl");
        curl.args([
            "-s",
            "-o",
            "/dev/null",
            "-X",
            "POST",
            "-H",
            "Content-Type: application/json",
            "-d",
            &data,
            &receiver.url,
        ]);
        let curl = measure(curl);
        emits.push(emit.wall.as_secs_f64() * 1e3);
        curls.push(curl.wall.as_secs_f64() * 1e3);
        ratios.push(emit.wall.as_secs_f64() / curl.wall.as_secs_f64());
        cpu.push(emit.cpu.as_secs_f64() * 1e3);
    }
    report("curl", median(curls), "ms", Target::None);
    report("emit, durable before the request, signed, logged", median(emits), "ms", Target::None);
    report("  ratio to curl", median(ratios), "×", Target::AtMost(0.9));
    report("  CPU", median(cpu), "ms", Target::None);
}
