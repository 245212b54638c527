//! A drain beside what else sends webhooks: `curl --parallel` with prepared signatures and no log, and Python's aiohttp
//! with a SQLite log (when python3 and aiohttp are there). `cargo bench --bench figures -- peers`

use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::receiver::Receiver;
use crate::support::{Bench, FILLER, Target, measure, median, number, report, rounds};

/// Runs the benchmark.
pub fn run() {
    println!("{:<58} {:>12} {:<14} {:<10}", "peers", "figure", "unit", "target");
    let count = number("HOOKCTL_BENCH_DELIVERIES", 5_000);
    let receiver = Receiver::start(Duration::ZERO);
    let has_aiohttp = Command::new("python3")
        .args(["-c", "import aiohttp"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let (mut curls, mut aiohttps, mut rates) = (vec![], vec![], vec![]);
    for _ in 0..rounds(5) {
        let bench = Bench::new();
        bench.webhook("one", &receiver.url, &[]);
        bench.enqueue(count);
        let rate = count as f64 / bench.run(&["drain", "-q", "--strict"]).wall.as_secs_f64();
        rates.push(rate);
        curls.push(rate / (count as f64 / measure(curl(&bench, &receiver.url, count)).wall.as_secs_f64()));
        if has_aiohttp {
            let mut python = Command::new("python3");
            python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/aiohttp_sqlite.py"));
            python.arg(&receiver.url).arg(count.to_string()).arg(bench.path("log.db"));
            aiohttps.push(rate / (count as f64 / measure(python).wall.as_secs_f64()));
        }
    }
    report(&format!("drain of {count}, whole process"), median(rates), "deliveries/s", Target::None);
    report("  to curl --parallel 16, prepared signatures, no log", median(curls), "×", Target::AtLeast(2.0));
    match has_aiohttp {
        true => report("  to aiohttp, 16 connections, batched SQLite log", median(aiohttps), "×", Target::AtLeast(7.0)),
        false => println!("  aiohttp is not installed (pip install aiohttp); not measured"),
    }
}

/// One curl process that sends `count` bodies, 16 at once.
fn curl(bench: &Bench, url: &str, count: usize) -> Command {
    let mut config = String::new();
    let body = "x".repeat(FILLER + 160);
    for number in 0..count {
        let _ = writeln!(
            config,
            "{}url = \"{url}\"\nheader = \"webhook-id: evt_{number}\"\nheader = \"webhook-signature: v1,{:044}\"\n\
             data = \"{body}\"\noutput = \"/dev/null\"",
            if number == 0 { "" } else { "next\n" },
            number
        );
    }
    let file = bench.path("curl.config");
    std::fs::write(&file, config).expect("a file");
    let mut command = Command::new("curl");
    command.args(["-s", "--parallel", "--parallel-max", "16", "--config"]).arg(file).stderr(Stdio::null());
    command
}
