//! `emit --batch --enqueue` of many lines. `cargo bench --bench figures -- batch`

use crate::support::{Bench, Target, median, number, report, rounds};

/// Runs the benchmark.
pub fn run() {
    println!("{:<58} {:>12} {:<14} {:<10}", "batch", "figure", "unit", "target");
    let count = number("HOOKCTL_BENCH_EVENTS", 100_000);
    let (mut rates, mut memory, mut ratio) = (vec![], vec![], vec![]);
    for _ in 0..rounds(3) {
        let rate = |count: usize| {
            let bench = Bench::new();
            bench.webhook("one", "http://127.0.0.1:9/", &[]);
            let used = bench.enqueue(count);
            (count as f64 / used.wall.as_secs_f64(), used.memory as f64 / 1024.0 / 1024.0)
        };
        let (all, most) = rate(count);
        let (_, half) = rate(count / 2);
        rates.push(all);
        memory.push(most);
        ratio.push(most / half);
    }
    report(
        &format!("emit --batch --enqueue, {count} lines, one webhook"),
        median(rates),
        "events/s",
        Target::AtLeast(60_000.0),
    );
    report("  memory", median(memory), "MiB", Target::None);
    report("  memory to that of half the lines", median(ratio), "×", Target::AtMost(1.2));
}
