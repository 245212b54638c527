//! The store on PostgreSQL beside the one in a file, on a server of the benchmark's own with the settings it comes with; and
//! beside a Svix server, where one is named. `cargo bench --bench figures -- postgres`

use std::process::Child;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::server::{Cluster, Proxy, Server, programs};
use crate::support::receiver::Receiver;
use crate::support::{Bench, FILLER, Target, measure, median, number, report, rounds};

/// Runs the benchmark.
pub fn run() {
    println!("{:<58} {:>12} {:<14} {:<10}", "postgres", "figure", "unit", "target");
    if programs().is_none() {
        println!("  PostgreSQL is not installed (Debian's package is postgresql); not measured");
        return;
    }
    let server = Server::alone_on(Box::leak(Box::new(Cluster::start(&[]))));
    let count = number("HOOKCTL_BENCH_DELIVERIES", 20_000);
    drains(&server, count);
    with_snapshot(&server, number("HOOKCTL_BENCH_SNAPSHOT", 100_000));
    batches(&server, count);
    watched(&server, 320);
    peer(&server, number("HOOKCTL_BENCH_PEER_EVENTS", 5_000));
}

/// A database on the server, empty but for one webhook.
fn fresh(server: &Server, address: String, receiver: &str) -> Bench {
    server.empty();
    let bench = Bench::at(address);
    bench.webhook("one", receiver, &[]);
    bench
}

/// Deliveries per second of a drain of so many.
fn drain(bench: &Bench, count: usize) -> f64 {
    bench.enqueue(count);
    count as f64 / bench.run(&["drain", "--concurrency", "16", "-q", "--strict"]).wall.as_secs_f64()
}

fn drains(server: &Server, count: usize) {
    let receiver = Receiver::start(Duration::ZERO);
    let near = Proxy::start(server.address());
    let far = Proxy::with_delay(server.address(), Duration::from_micros(2_500));
    let (mut rates, mut to_file, mut to_near) = (vec![], vec![], vec![]);
    for _ in 0..rounds(3) {
        let file = Bench::new();
        file.webhook("one", &receiver.url, &[]);
        let in_file = drain(&file, count);
        let on_server = drain(&fresh(server, server.url(), &receiver.url), count);
        let through = |proxy: &Proxy| drain(&fresh(server, proxy.url(&server.url()), &receiver.url), count);
        let (near, far) = (through(&near), through(&far));
        rates.push(on_server);
        to_file.push(on_server / in_file);
        to_near.push(far / near);
    }
    report(&format!("drain of {count} on the server"), median(rates), "deliveries/s", Target::None);
    report("  to the same in a file", median(to_file), "×", Target::AtLeast(0.55));
    report("  with 5 ms to the server, to the same without", median(to_near), "×", Target::AtLeast(0.55));
}

fn with_snapshot(server: &Server, count: usize) {
    let receiver = Receiver::start(Duration::ZERO);
    let mut ratios = vec![];
    for _ in 0..rounds(3) {
        let free = drain(&fresh(server, server.url(), &receiver.url), count);
        let bench = fresh(server, server.url(), &receiver.url);
        let session = server.session();
        session.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM deliveries");
        ratios.push(drain(&bench, count) / free);
        session.run("COMMIT");
    }
    report(&format!("drain of {count}, a snapshot held elsewhere, to none"), median(ratios), "×", Target::AtLeast(0.7));
}

fn batches(server: &Server, count: usize) {
    let (mut rates, mut ratios) = (vec![], vec![]);
    for _ in 0..rounds(3) {
        let rate = |bench: &Bench| count as f64 / bench.enqueue(count).wall.as_secs_f64();
        let file = Bench::new();
        file.webhook("one", "http://127.0.0.1:9/", &[]);
        let on_server = rate(&fresh(server, server.url(), "http://127.0.0.1:9/"));
        rates.push(on_server);
        ratios.push(on_server / rate(&file));
    }
    report(&format!("emit --batch --enqueue, {count} lines"), median(rates), "events/s", Target::None);
    report("  to the same in a file", median(ratios), "×", Target::AtLeast(0.35));
}

/// Sixteen emitters, one process for each event, beside a drain that sleeps and is to be woken, and beside none.
fn watched(server: &Server, count: usize) {
    let mut ratios = vec![];
    for _ in 0..rounds(3) {
        let bench = fresh(server, server.url(), "http://127.0.0.1:9/");
        // The watcher finds nothing that it may send: what is compared is the waking alone.
        bench.run(&["webhook", "disable", "one", "-q"]);
        let alone = emit_all(&bench, count);
        let watcher = Ended(bench.hookctl(&["drain", "--watch", "1h", "-q"]).spawn().expect("a drain"));
        std::thread::sleep(Duration::from_secs(1));
        ratios.push(emit_all(&bench, count) / alone);
        drop(watcher);
    }
    report("emits of 16 emitters beside a watcher, to none", median(ratios), "×", Target::AtLeast(0.8));
}

fn emit_all(bench: &Bench, count: usize) -> f64 {
    let data = format!(r#"{{"text":"{}"}}"#, "x".repeat(FILLER));
    let started = Instant::now();
    side_by_side(count, || {
        measure(bench.hookctl(&["emit", "invoice.paid", "--data", &data, "--enqueue", "-q"]));
    });
    count as f64 / started.elapsed().as_secs_f64()
}

/// Does it so many times, sixteen at a time.
fn side_by_side(count: usize, act: impl Fn() + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                while next.fetch_add(1, Ordering::Relaxed) < count {
                    act();
                }
            });
        }
    });
}

/// A process that ends with this value.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// From sixteen posters to the receiver, beside emitters and a drain of ours. `HOOKCTL_BENCH_SVIX` is the URL to which messages
/// are posted, `HOOKCTL_BENCH_SVIX_TOKEN` its token; README.md beside this file says how the server is set up.
fn peer(server: &Server, count: usize) {
    let Ok(url) = std::env::var("HOOKCTL_BENCH_SVIX") else {
        println!("  no Svix server is named (HOOKCTL_BENCH_SVIX); not compared");
        return;
    };
    let token = format!("Bearer {}", std::env::var("HOOKCTL_BENCH_SVIX_TOKEN").expect("its token"));
    let port = number("HOOKCTL_BENCH_SVIX_RECEIVER", 8099) as u16;
    let body = format!(r#"{{"eventType":"invoice.paid","payload":{{"text":"{}"}}}}"#, "x".repeat(FILLER));
    let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().proxy(None).build());
    let mut ratios = vec![];
    for _ in 0..rounds(3) {
        let receiver = Receiver::counting_at(port);
        let started = Instant::now();
        side_by_side(count, || {
            let post = agent.post(&url).header("Authorization", &token).header("Content-Type", "application/json");
            post.send(&body).expect("the peer takes a message");
        });
        receiver.wait_for(count);
        let theirs = count as f64 / started.elapsed().as_secs_f64();
        let receiver = Receiver::start(Duration::ZERO);
        ratios.push(drain(&fresh(server, server.url(), &receiver.url), count) / theirs);
    }
    report("drain of a backlog, to the peer from post to receiver", median(ratios), "×", Target::AtLeast(15.0));
}
