//! Instructions of a fixed drain, which the mood of the machine does not change. `cargo bench --bench figures -- instructions`
//! (with valgrind installed)

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::receiver::Receiver;
use crate::support::{Bench, Target, report};

const DELIVERIES: usize = 2_000;

/// Runs the benchmark.
pub fn run() {
    println!("{:<58} {:>12} {:<14} {:<10}", "instructions", "figure", "unit", "target");
    let receiver = Receiver::start(Duration::ZERO);
    let bench = Bench::new();
    bench.webhook("one", &receiver.url, &[]);
    bench.enqueue(DELIVERIES);
    let drain = bench.hookctl(&["drain", "-q", "--strict"]);
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(drain.get_program());
    valgrind.args(drain.get_args()).env_clear().env("HOOKCTL_DB", bench.database()).env("PATH", "/usr/bin:/bin");
    let Ok(run) = valgrind.stdout(Stdio::null()).output() else {
        println!("  valgrind is not installed; not measured");
        return;
    };
    let told = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{told}");
    let collected = told.lines().find_map(|line| line.split_once("Collected : ")).expect("callgrind tells its count").1;
    let count: f64 = collected.trim().parse().expect("a number");
    report(&format!("drain of {DELIVERIES}, 16 workers, all of it"), count / 1e6, "million", Target::None);
    report("  per delivery", count / DELIVERIES as f64, "instructions", Target::None);
}
