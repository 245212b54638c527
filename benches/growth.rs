//! What a long log costs: the hot paths beside millions of finished deliveries. `cargo bench --bench figures -- growth`

use std::time::Duration;

use crate::support::receiver::Receiver;
use crate::support::{Bench, Target, median, number, report, rounds};

struct Figures {
    drain: f64,
    list: f64,
    of_entity: f64,
    webhooks: f64,
    status: f64,
    emit: f64,
}

/// Runs the benchmark.
pub fn run() {
    println!("{:<58} {:>12} {:<14} {:<10}", "growth", "figure", "unit", "target");
    let receiver = Receiver::start(Duration::ZERO);
    let count = number("HOOKCTL_BENCH_FINISHED", 5_000_000);
    let (empty, full) = (Bench::new(), Bench::new());
    for bench in [&empty, &full] {
        bench.webhook("one", &receiver.url, &[]);
        // Old enough to look for, and none so old that it goes.
        bench.run(&["db", "policy", "--keep", "3650d", "-q"]);
    }
    full.fill_finished(count);
    let pairs: Vec<(Figures, Figures)> = (0..rounds(5)).map(|_| (figures(&empty), figures(&full))).collect();
    let ratio =
        |figure: fn(&Figures) -> f64| median(pairs.iter().map(|(empty, full)| figure(full) / figure(empty)).collect());
    println!("beside {count} finished deliveries, to the same on an empty log");
    report("  drain of 10,000 due, rate", 1.0 / ratio(|figures| figures.drain), "×", Target::AtLeast(0.9));
    report("  delivery list, a page", ratio(|figures| figures.list), "×", Target::AtMost(2.0));
    report("  delivery list, a page of one entity", ratio(|figures| figures.of_entity), "×", Target::AtMost(2.0));
    report("  status", ratio(|figures| figures.status), "×", Target::AtMost(2.0));
    report("  webhook list", ratio(|figures| figures.webhooks), "×", Target::AtMost(2.0));
    report("  emit", ratio(|figures| figures.emit), "×", Target::AtMost(2.0));
}

fn figures(bench: &Bench) -> Figures {
    bench.enqueue(10_000);
    let seconds = |arguments: &[&str]| bench.run(arguments).wall.as_secs_f64();
    let several = |arguments: &[&str]| median((0..20).map(|_| seconds(arguments)).collect());
    Figures {
        drain: seconds(&["drain", "-q", "--strict"]),
        list: several(&["delivery", "list"]),
        of_entity: several(&["delivery", "list", "--entity", "invoice:42"]),
        webhooks: several(&["webhook", "list"]),
        status: several(&["status"]),
        emit: several(&["emit", "invoice.paid", "--data", "{}", "-q"]),
    }
}
