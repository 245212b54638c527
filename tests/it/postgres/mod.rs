//! What only a server has: its faults, roles, poolers, other machines. These tests run in every run where PostgreSQL is
//! installed, whatever the engine of the others.

mod claims;
mod clock;
mod copy;
mod crash;
mod crowd;
mod cut;
mod encrypted;
mod expected;
mod hosts;
mod locks;
mod pooler;
mod references;
mod refused;
mod round_trips;
mod tools;

use crate::fault::subscribe;
use crate::support::postgres::{Proxy, Server};
use crate::support::{Engine, Hookctl, TestEnv, TestReceiver};

/// A database on the server with a webhook `crm` that wants everything, and its receiver.
fn subscribed(options: &[&str]) -> (TestEnv, TestReceiver) {
    let (env, receiver) = (TestEnv::on(Engine::Server), TestReceiver::start(200));
    subscribe(&env, &receiver, &["crm"], options);
    (env, receiver)
}

/// A proxy in front of the server of the run.
fn proxy() -> Proxy {
    Proxy::start(Server::cluster().address())
}

/// The binary, whose database is reached through the proxy.
fn through(proxy: &Proxy, env: &TestEnv, arguments: &[&str]) -> Hookctl {
    env.hookctl(arguments.iter().copied()).env("HOOKCTL_DB", proxy.url(&env.server().url()))
}
