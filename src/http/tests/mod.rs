//! Real requests to a real receiver on loopback.

mod answers;
mod connections;
mod deadline;
mod guard;
mod idle;
mod local;
mod proxies;
mod receiver;
mod tls;

use std::time::Duration;

use super::look_up::{Ask, LookUps};
use super::{Client, Egress, OutgoingRequest, Shared, Target};
use crate::domain::attempt::{ErrorType, Outcome};
use crate::domain::network::AddressPolicy;
use crate::domain::target_url;

/// Long enough never to be reached by a test that ends for another reason.
const AMPLE: Duration = Duration::from_secs(20);

fn egress(policy: &AddressPolicy) -> Egress {
    Egress { policy: policy.clone(), ..Egress::default() }
}

fn open_policy() -> AddressPolicy {
    AddressPolicy { allow_private: true, allow_networks: Vec::new() }
}

/// Idle connections do not grow old in a test that is held up.
fn shared(concurrency: usize) -> Shared {
    Shared::with(LookUps::new(), concurrency, AMPLE)
}

fn client() -> Client {
    client_of(&open_policy())
}

fn client_of(policy: &AddressPolicy) -> Client {
    Client::new(&shared(16), &egress(policy)).unwrap()
}

/// A client whose names are looked up by `ask`, on at most `threads` threads, and kept for so long.
fn client_asking(policy: &AddressPolicy, ask: Box<Ask>, kept: Duration, threads: usize) -> Client {
    Client::new(&Shared::with(LookUps::with(ask, kept, threads), 16, AMPLE), &egress(policy)).unwrap()
}

fn target(url: &str) -> Target {
    Target::new(&target_url::parse(url).unwrap()).unwrap()
}

fn post(client: &Client, url: &str, deadline: Duration) -> Outcome {
    post_body(client, url, b"{\"a\":1}", deadline)
}

fn post_body(client: &Client, url: &str, body: &[u8], deadline: Duration) -> Outcome {
    let headers = [("Content-Type", "application/json"), ("X-Webhook-Event", "invoice.paid")];
    let request = OutgoingRequest { method: "POST", target: &target(url), headers: &headers, body };
    client.send(&request, deadline).expect("nothing is missing on this machine")
}

/// The error's type and message; panics on success.
fn error_of(outcome: &Outcome) -> (ErrorType, &str) {
    let error = outcome.error.as_ref().expect("the attempt failed");
    (error.error_type, &error.message)
}
