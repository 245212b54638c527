//! What a prune of a long log costs those who emit meanwhile. `cargo bench --bench figures -- prune`

use crate::support::{Bench, Target, median, number, p99, report, rounds};

/// Runs the benchmark.
pub fn run() {
    println!("{:<58} {:>12} {:<14} {:<10}", "prune", "figure", "unit", "target");
    let count = number("HOOKCTL_BENCH_PRUNED", 1_000_000);
    let bench = Bench::new();
    bench.webhook("one", "http://127.0.0.1:9/", &[]);
    bench.fill_finished(count);
    let emit = || bench.run(&["emit", "invoice.paid", "--data", "{}", "--enqueue", "-q"]).wall.as_secs_f64() * 1e3;
    let alone: Vec<f64> = (0..rounds(500)).map(|_| emit()).collect();
    let mut prune = bench.hookctl(&["delivery", "prune", "--older-than", "30d", "--yes", "-q"]);
    let mut prune = prune.spawn().expect("the prune starts");
    let mut beside = Vec::new();
    while prune.try_wait().expect("the prune runs").is_none() {
        beside.push(emit());
    }
    assert!(prune.wait().expect("the prune ended").success(), "the prune failed");
    let what = format!("emit --enqueue alone, {} times, p99", alone.len());
    report(&what, p99(alone.clone()), "ms", Target::None);
    let what = format!("beside a prune of {count}, {} times, p99", beside.len());
    report(&what, p99(beside.clone()), "ms", Target::None);
    report("  p99 to that alone", p99(beside.clone()) / p99(alone.clone()), "×", Target::AtMost(3.0));
    report("  median to that alone", median(beside) / median(alone), "×", Target::None);
}
