//! Costs that the mood of the machine does not change: instructions and fsyncs of fixed work.
//! `cargo bench --bench figures -- instructions` (with valgrind and strace installed)

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::receiver::Receiver;
use crate::support::{Bench, Target, report};

const DELIVERIES: usize = 2_000;
const EMIT: [&str; 5] = ["emit", "invoice.paid", "--data", "{\"n\":1}", "-q"];

/// Runs the benchmark.
pub fn run() {
    println!("{:<58} {:>12} {:<14} {:<10}", "instructions, fsyncs", "figure", "unit", "target");
    let receiver = Receiver::start(Duration::ZERO);
    let bench = Bench::new();
    bench.webhook("one", &receiver.url, &[]);
    // The first emit finds no log; those after it do.
    bench.run(&EMIT);
    let enqueue: Vec<&str> = EMIT.into_iter().chain(["--enqueue"]).collect();
    match instructions(&bench, &enqueue) {
        Some(count) => report("emit --enqueue", count / 1e6, "million", Target::AtMost(2.8)),
        None => println!("  valgrind is not installed; no instructions"),
    }
    match fsyncs(&bench, &EMIT) {
        Some(count) => report("emit, delivered", count, "fsyncs", Target::AtMost(3.0)),
        None => println!("  strace is not installed; no fsyncs"),
    }
    bench.enqueue(DELIVERIES);
    if let Some(count) = instructions(&bench, &["drain", "-q", "--strict"]) {
        report(&format!("drain of {DELIVERIES}, 16 workers, all of it"), count / 1e6, "million", Target::None);
        report("  per delivery", count / DELIVERIES as f64, "instructions", Target::None);
    }
}

/// Instructions of one command, all threads, as callgrind counts them.
fn instructions(bench: &Bench, args: &[&str]) -> Option<f64> {
    let told = under(bench, &["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"], args)?;
    let collected = told.lines().find_map(|line| line.split_once("Collected : ")).expect("callgrind tells its count").1;
    Some(collected.trim().parse().expect("a number"))
}

fn fsyncs(bench: &Bench, args: &[&str]) -> Option<f64> {
    let told = under(bench, &["strace", "-f", "-qq", "-e", "trace=fsync,fdatasync"], args)?;
    Some(told.lines().filter(|line| line.contains("sync(")).count() as f64)
}

/// What another program tells on stderr about a command that it runs; `None` where it is not installed.
fn under(bench: &Bench, program: &[&str], args: &[&str]) -> Option<String> {
    let command = bench.hookctl(args);
    let mut outer = Command::new(program[0]);
    outer.args(&program[1..]).arg(command.get_program()).args(command.get_args());
    outer.env_clear().env("HOOKCTL_DB", bench.database()).env("PATH", "/usr/bin:/bin");
    let run = outer.stdout(Stdio::null()).output().ok()?;
    let told = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(run.status.success(), "{told}");
    Some(told)
}
