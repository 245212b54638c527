//! A drain of many due deliveries, signed and logged, beside the HTTP client alone. `cargo bench --bench figures -- drain`

use std::time::Duration;

use crate::limit;
use crate::support::receiver::{LOOPBACK_HOSTS, Receiver, loopback_host};
use crate::support::{Bench, Target, median, number, report, rounds};

/// Runs the benchmark.
pub fn run() {
    println!("{:<58} {:>12} {:<14} {:<10}", "drain", "figure", "unit", "target");
    fast_receiver();
    slow_receiver(Duration::from_millis(50), 64, 6_400);
    slow_receiver(Duration::from_millis(100), 256, 12_800);
    over_tls(1, number("HOOKCTL_BENCH_DELIVERIES", 50_000));
    over_tls(LOOPBACK_HOSTS, number("HOOKCTL_BENCH_DELIVERIES", 50_000) / 10);
}

fn fast_receiver() {
    let count = number("HOOKCTL_BENCH_DELIVERIES", 50_000);
    let (mut rates, mut limits, mut ratios, mut cpu, mut memory) = (vec![], vec![], vec![], vec![], vec![]);
    let (mut libraries, mut library_ratios) = (vec![], vec![]);
    for _ in 0..rounds(5) {
        let receiver = Receiver::start(Duration::ZERO);
        let bench = Bench::new();
        bench.webhook("one", &receiver.url, &[]);
        bench.enqueue(count);
        let limit = limit::http_limit(&receiver.url, 16, count);
        let library = limit::library_limit(&receiver.url, 16, count);
        let used = bench.run(&["drain", "--concurrency", "16", "-q", "--strict"]);
        let rate = count as f64 / used.wall.as_secs_f64();
        rates.push(rate);
        limits.push(limit);
        ratios.push(rate / limit);
        libraries.push(library);
        library_ratios.push(rate / library);
        cpu.push(used.cpu.as_secs_f64() * 1e6 / count as f64);
        memory.push(used.memory as f64 / 1024.0 / 1024.0);
    }
    report("HTTP client alone, 16 threads, no signature, no log", median(limits), "requests/s", Target::None);
    report("ureq as it comes, resolver from memory, 16 threads", median(libraries), "requests/s", Target::None);
    report("drain, 1 webhook, 16 workers, two signatures, all logged", median(rates), "deliveries/s", Target::None);
    report("  ratio to the client alone", median(ratios), "×", Target::AtLeast(0.7));
    report("  ratio to ureq as it comes", median(library_ratios), "×", Target::AtLeast(1.0));
    report("  CPU per delivery", median(cpu), "µs", Target::AtMost(25.0));
    report("  memory", median(memory), "MiB", Target::AtMost(32.0));
}

fn slow_receiver(latency: Duration, workers: usize, count: usize) {
    let (mut ratios, mut memory) = (vec![], vec![]);
    for _ in 0..rounds(3) {
        let receiver = Receiver::start(latency);
        let bench = Bench::new();
        bench.webhook("one", &receiver.url, &[]);
        bench.enqueue(count);
        let used = bench.run(&["drain", "--concurrency", &workers.to_string(), "-q", "--strict"]);
        let ideal = workers as f64 / latency.as_secs_f64();
        ratios.push(count as f64 / used.wall.as_secs_f64() / ideal);
        memory.push(used.memory as f64 / 1024.0 / 1024.0);
    }
    let what = format!("drain, {} ms an answer, {workers} workers, to workers/latency", latency.as_millis());
    report(&what, median(ratios), "×", Target::AtLeast(0.95));
    report("  memory", median(memory), "MiB", Target::AtMost(32.0));
}

/// One webhook for each host, all with the same certificate; connections are kept, so most requests make no handshake.
fn over_tls(hosts: usize, count: usize) {
    let (mut rates, mut ratios, mut cpu) = (vec![], vec![], vec![]);
    for _ in 0..rounds(3) {
        let bench = Bench::new();
        let file = bench.path("certificate.pem");
        let receiver = Receiver::with_tls(&file);
        let certificate = std::fs::read_to_string(&file).expect("a certificate");
        let at = |number| receiver.url.replace("127.0.0.1", &loopback_host(number));
        let urls: Vec<String> = (1..=hosts).map(at).collect();
        for (number, url) in urls.iter().enumerate() {
            bench.webhook(&format!("host-{number}"), url, &["--ca-cert", file.to_str().expect("UTF-8")]);
        }
        bench.enqueue(count / hosts);
        let limit = limit::limit_of(&urls, Some(certificate), 16, count);
        let used = bench.run(&["drain", "--concurrency", "16", "-q", "--strict"]);
        let rate = count as f64 / used.wall.as_secs_f64();
        rates.push(rate);
        ratios.push(rate / limit);
        cpu.push(used.cpu.as_secs_f64() * 1e6 / count as f64);
    }
    report(
        &format!("drain over TLS of {count} to {hosts} hosts, 16 workers"),
        median(rates),
        "deliveries/s",
        Target::None,
    );
    report("  ratio to the client alone over TLS", median(ratios), "×", Target::AtLeast(0.6));
    report("  CPU per delivery", median(cpu), "µs", Target::None);
}
