//! Two machines, as two network namespaces of this one: one is cut off in the middle of its work.
#![cfg(target_os = "linux")]

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::time::Duration;

use crate::fault::{PATIENCE, assert_whole, batch, count, moment, requests_by_event};
use crate::support::postgres::{Cluster, Proxy, Server};
use crate::support::{Child, Hookctl, Recorded, Reply, TestEnv, TestReceiver};

/// A machine of its own, joined to this one by a cable.
struct Host {
    name: String,
    cable: String,
    /// This machine's end of the cable.
    ours: IpAddr,
}

fn ip(arguments: &str) -> bool {
    Command::new("ip").args(arguments.split(' ')).output().is_ok_and(|done| done.status.success())
}

impl Host {
    /// `None` where the machine lets the test make none: that needs root.
    fn make(number: u8) -> Option<Host> {
        // Names of interfaces have 15 characters at most; several runs may be under way.
        let run = std::process::id() % 100_000;
        let host = Host {
            name: format!("hookctl-{run}-{number}"),
            cable: format!("hk{run}x{number}"),
            ours: IpAddr::V4(Ipv4Addr::new(10, 213, number, 1)),
        };
        let (name, cable) = (&host.name, &host.cable);
        let is_made = ip(&format!("netns add {name}"))
            && ip(&format!("link add {cable} type veth peer name {cable}e"))
            && ip(&format!("link set {cable}e netns {name}"))
            && ip(&format!("addr add 10.213.{number}.1/24 dev {cable}"))
            && ip(&format!("link set {cable} up"))
            && ip(&format!("netns exec {name} ip addr add 10.213.{number}.2/24 dev {cable}e"))
            && ip(&format!("netns exec {name} ip link set {cable}e up"));
        is_made.then_some(host)
    }

    /// A run of the binary on that machine.
    fn on(&self, hookctl: Hookctl) -> Child {
        hookctl.under(&["ip", "netns", "exec", &self.name]).spawn()
    }

    fn is_connected(&self, is_connected: bool) {
        let state = if is_connected { "up" } else { "down" };
        assert!(ip(&format!("link set {} {state}", self.cable)));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        ip(&format!("netns del {}", self.name));
        ip(&format!("link del {}", self.cable));
    }
}

#[test]
fn what_a_machine_had_claimed_that_was_cut_off_is_taken_over_after_the_lease_and_its_late_results_change_nothing() {
    needs_postgres!();
    let (Some(left), Some(right)) = (Host::make(1), Host::make(2)) else { return };
    let cluster = Cluster::start(&["fsync=off"]);
    let env = TestEnv::with(Server::alone_on(&cluster));
    let receiver = TestReceiver::start(Reply::StatusAfter(Duration::from_millis(700), 200));
    // What the machines reach: the server and the receiver, each at this machine's end of the cable.
    let reach = |host: &Host| {
        let server = Proxy::at(host.ours, cluster.address());
        let path = Proxy::at(host.ours, receiver.address());
        (server, path)
    };
    let (left_server, left_receiver) = reach(&left);
    let (right_server, right_receiver) = reach(&right);
    let run = |host: &Host, server: &Proxy, arguments: &[&str], now: i64| {
        let url = server.url(&env.server().url());
        let hookctl = env.hookctl(arguments.iter().copied()).env("HOOKCTL_DB", url);
        host.on(hookctl.env("HOOKCTL_ALLOW_NETWORKS", "10.213.0.0/16").now(&moment(now)))
    };
    // One webhook for each way to the receiver, so that each machine reaches it.
    for (name, path) in [("left", left_receiver.address()), ("right", right_receiver.address())] {
        let url = format!("http://{path}/{name}");
        let create = ["webhook", "create", name, "--url", &url, "-e", "*", "--timeout", "5s", "--concurrency", "8"];
        let allowed = env.hookctl(create).env("HOOKCTL_ALLOW_NETWORKS", "10.213.0.0/16");
        allowed.now(&moment(0)).run().ok();
    }
    let emit = ["emit", "--enqueue", "--batch", "-", "-w", "left"];
    env.hookctl(emit).stdin(batch("e", 24)).now(&moment(0)).run().ok();
    let cut_off = run(&left, &left_server, &["drain", "--concurrency", "8"], 0);
    receiver.wait_for(8, PATIENCE);
    left.is_connected(false);
    let claimed = count(&env, "SELECT count(*) FROM deliveries WHERE claim_token IS NOT NULL");
    assert!(claimed >= 8, "{claimed}");
    // Before the lease is over nothing of it is touched; afterwards all of it is.
    let early = run(&right, &right_server, &["drain", "-w", "left", "-o", "json", "--dry-run"], 1);
    early.wait_timeout(PATIENCE).ok();
    let change = ["webhook", "update", "left", "--url", &format!("http://{}/left", right_receiver.address())];
    let allowed = env.hookctl(change).env("HOOKCTL_ALLOW_NETWORKS", "10.213.0.0/16");
    allowed.now(&moment(2)).run().ok();
    receiver.now_answers(200);
    let taken = run(&right, &right_server, &["drain", "-o", "json"], 120).wait_timeout(PATIENCE).ok().json();
    assert_eq!(taken["succeeded"].as_u64().unwrap() as usize + count(&env, RECORDED_BEFORE), 24, "{taken}");
    let log = || {
        let rows = |table| env.sql(&format!("SELECT * FROM {table} ORDER BY 1, 2"));
        (env.statuses(), ["deliveries", "attempts", "webhook_state"].map(rows))
    };
    let before = log();
    left.is_connected(true);
    let late = cut_off.wait_timeout(4 * PATIENCE);
    assert!(matches!(late.code, Some(0 | 75)), "{late:?}");
    assert_eq!(log(), before, "what came too late changes nothing");
    assert_eq!(env.statuses(), "success 24");
    let requests = requests_by_event(&receiver);
    assert_eq!(requests.len(), 24, "nothing is lost");
    let twice: Vec<_> = requests.iter().filter(|(_, requests)| **requests > 1).collect();
    assert!(twice.len() <= claimed && twice.iter().all(|(_, requests)| **requests == 2), "{twice:?}");
    let attempts: Vec<Recorded> = receiver.requests();
    assert!(attempts.iter().all(|request| request.header("x-webhook-attempt") == Some("1")));
    assert_eq!(count(&env, "SELECT count(*) FROM attempts"), 24);
    assert_whole(&env);
}

/// What the machine that was cut off had recorded: its requests began in the first seconds.
const RECORDED_BEFORE: &str = "SELECT count(*) FROM attempts WHERE started_at < 1893456060000";
