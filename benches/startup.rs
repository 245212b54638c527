//! From start to exit, over `/bin/true`. `cargo bench --bench figures -- startup`

use std::process::Command;

use crate::support::{Bench, Target, measure, median, report, rounds};

/// Runs the benchmark.
pub fn run() {
    println!("{:<58} {:>12} {:<14} {:<10}", "start-up", "figure", "unit", "target");
    let bench = Bench::new();
    bench.webhook("one", "https://example.com/hook", &[]);
    let (mut nothing, mut version, mut list) = (vec![], vec![], vec![]);
    for _ in 0..rounds(200) {
        let base = measure(Command::new("/bin/true")).wall.as_secs_f64() * 1e3;
        nothing.push(base);
        version.push(bench.run(&["--version"]).wall.as_secs_f64() * 1e3 - base);
        list.push(bench.run(&["webhook", "list"]).wall.as_secs_f64() * 1e3 - base);
    }
    report("/bin/true", median(nothing), "ms", Target::None);
    report("hookctl --version, over that", median(version), "ms", Target::AtMost(1.0));
    report("hookctl webhook list, over that", median(list), "ms", Target::AtMost(2.0));
}
