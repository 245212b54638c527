//! The limits that a drain is held against: the same HTTP client and threads, without signatures, claims or log; and the
//! HTTP library as it comes, with a resolver that answers from memory.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use crate::domain::network::AddressPolicy;
use crate::domain::target_url;
use crate::http::{Client, Egress, OutgoingRequest, Shared, Target};

/// The headers that every request of hookctl has, without the signatures'.
const HEADERS: [(&str, &str); 6] = [
    ("Content-Type", "application/json"),
    ("User-Agent", "bench"),
    ("X-Webhook-Event", "invoice.paid"),
    ("X-Webhook-ID", "1"),
    ("X-Webhook-Delivery", "12345"),
    ("X-Webhook-Attempt", "1"),
];
const BODY: [u8; 500] = [b'x'; 500];
const DEADLINE: Duration = Duration::from_secs(30);

/// Requests per second of `count` posts of a 500-byte body by `workers` threads with hookctl's client.
pub fn http_limit(url: &str, workers: usize, count: usize) -> f64 {
    limit_of(&[url.to_owned()], None, workers, count)
}

/// The same to several places in turn, whose certificate is trusted.
pub fn limit_of(urls: &[String], certificate: Option<String>, workers: usize, count: usize) -> f64 {
    let policy = AddressPolicy { allow_private: true, allow_networks: Vec::new() };
    let egress = Egress { policy, ca_cert: certificate, ..Egress::default() };
    let client = Client::new(&Shared::new(workers), &egress).expect("a client");
    let target = |url: &String| Target::new(&target_url::parse(url).expect("a URL")).expect("a target");
    let (targets, turn): (Vec<Target>, _) = (urls.iter().map(target).collect(), AtomicUsize::new(0));
    let send = move || {
        let target = &targets[turn.fetch_add(1, Ordering::Relaxed) % targets.len()];
        let request = OutgoingRequest { method: "POST", target, headers: &HEADERS, body: &BODY };
        let outcome = client.send(&request, DEADLINE).expect("the machine lacks nothing");
        assert!(outcome.error.is_none(), "{:?}", outcome.error);
    };
    rate(workers, count, send)
}

/// The same with ureq as it comes.
pub fn library_limit(url: &str, workers: usize, count: usize) -> f64 {
    let address = url::Url::parse(url).expect("a URL").socket_addrs(|| None).expect("an address")[0];
    let config = ureq::Agent::config_builder()
        .proxy(None)
        .max_idle_connections(workers)
        .max_idle_connections_per_host(workers)
        .timeout_global(Some(DEADLINE))
        .build();
    let agent = ureq::Agent::with_parts(config, DefaultConnector::default(), Remembered(address));
    let url = url.to_owned();
    let send = move || {
        let mut request = agent.post(&url);
        for (name, value) in HEADERS {
            request = request.header(name, value);
        }
        request.send(&BODY[..]).expect("an answer").body_mut().read_to_vec().expect("its body");
    };
    rate(workers, count, send)
}

/// Answers every look-up with one address.
#[derive(Debug)]
struct Remembered(SocketAddr);

impl Resolver for Remembered {
    fn resolve(
        &self,
        _: &ureq::http::Uri,
        _: &ureq::config::Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut found = self.empty();
        found.push(self.0);
        Ok(found)
    }
}

/// How often a second `workers` threads together do `work`, of `count` times.
fn rate(workers: usize, count: usize, work: impl Fn() + Send + Sync) -> f64 {
    let next = AtomicUsize::new(0);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while next.fetch_add(1, Ordering::Relaxed) < count {
                    work();
                }
            });
        }
    });
    count as f64 / started.elapsed().as_secs_f64()
}
