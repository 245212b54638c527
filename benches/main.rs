//! The benchmarks: `cargo bench --bench figures -- NAME`, or all of them without a name. See README.md beside this file.

#![allow(clippy::print_stdout, missing_docs, reason = "a benchmark reports on stdout")]

mod batch;
#[path = "../src/domain/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the HTTP client needs a part of it")]
mod domain;
mod drain;
mod emit;
mod fanout;
mod growth;
#[path = "../src/http/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the limit needs a part of it")]
mod http;
mod instructions;
mod limit;
#[path = "../src/log.rs"]
#[allow(dead_code)]
mod log;
mod peers;
mod postgres;
mod prune;
#[path = "../tests/it/support/postgres/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::panic,
    reason = "it is made for tests, and a part is needed"
)]
mod server;
mod size;
mod startup;
mod support;
#[path = "../src/trust.rs"]
#[allow(dead_code, reason = "the HTTP client needs a part of it")]
mod trust;

const BENCHMARKS: [(&str, fn()); 11] = [
    ("drain", drain::run),
    ("peers", peers::run),
    ("emit", emit::run),
    ("batch", batch::run),
    ("fanout", fanout::run),
    ("size", size::run),
    ("startup", startup::run),
    ("instructions", instructions::run),
    ("growth", growth::run),
    ("prune", prune::run),
    ("postgres", postgres::run),
];

fn main() {
    support::receiver::serve_if_asked();
    let names: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    for name in &names {
        assert!(BENCHMARKS.iter().any(|(known, _)| known == name), "no benchmark '{name}'");
    }
    for (name, run) in BENCHMARKS {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            run();
        }
    }
}
