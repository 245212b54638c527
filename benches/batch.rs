//! Many events at once: `emit --batch --enqueue`, the same with a transform, and events that a webhook missed.
//! `cargo bench --bench figures -- batch`

use crate::support::receiver::Receiver;
use crate::support::{Bench, Target, median, number, report, rounds};

const DEAD: &str = "http://127.0.0.1:9/";

/// Runs the benchmark.
pub fn run() {
    println!("{:<58} {:>12} {:<14} {:<10}", "batch", "figure", "unit", "target");
    let count = number("HOOKCTL_BENCH_EVENTS", 100_000);
    let (mut rates, mut memory, mut ratio, mut transformed) = (vec![], vec![], vec![], vec![]);
    for _ in 0..rounds(3) {
        let rate = |count: usize, options: &[&str]| {
            let bench = Bench::new();
            bench.webhook("one", DEAD, options);
            let used = bench.enqueue(count);
            (count as f64 / used.wall.as_secs_f64(), used.memory as f64 / 1024.0 / 1024.0)
        };
        let (all, most) = rate(count, &[]);
        let (_, half) = rate(count / 2, &[]);
        let (shaped, _) = rate(count, &["--transform", "{number: .data.number, text: .data.text}"]);
        transformed.push(shaped / all);
        rates.push(all);
        memory.push(most);
        ratio.push(most / half);
    }
    report(
        &format!("emit --batch --enqueue, {count} lines, one webhook"),
        median(rates),
        "events/s",
        Target::AtLeast(80_000.0),
    );
    report("  memory", median(memory), "MiB", Target::None);
    report("  memory to that of half the lines", median(ratio), "×", Target::AtMost(1.2));
    report("  with a transform on the webhook", median(transformed), "×", Target::AtLeast(0.4));
    missed(count);
}

/// Events emitted while a webhook was disabled: enqueued for it, and counted where they arrive.
fn missed(count: usize) {
    let (mut enqueued, mut arrived) = (vec![], vec![]);
    for _ in 0..rounds(3) {
        let (bench, receiver) = (Bench::new(), Receiver::counting_at(0));
        bench.webhook("one", &receiver.url, &[]);
        bench.run(&["webhook", "disable", "one", "-q"]);
        bench.enqueue(count);
        bench.run(&["webhook", "enable", "one", "-q"]);
        let resend = ["event", "resend", "--missing", "-w", "one", "-y", "-q", "--enqueue"];
        let used = bench.run(&resend).wall;
        enqueued.push(used.as_secs_f64());
        let told = std::thread::spawn(move || receiver.wait_for(count));
        let sent = bench.run(&["drain", "-q", "--strict"]).wall;
        told.join().expect("a request for each");
        arrived.push((used + sent).as_secs_f64());
    }
    report(&format!("{count} missed events, enqueued"), median(enqueued), "s", Target::AtMost(3.0));
    report("  and all of them at the receiver", median(arrived), "s", Target::None);
}
