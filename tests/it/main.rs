//! Drives the real binary, a real SQLite file, and real HTTP to a receiver on loopback. It needs a Unix: signals, file modes,
//! pseudo-terminals, shells.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

// First: its macros are used in the others.
#[macro_use]
mod support;

mod artifacts;
mod auto_disable;
mod backfill;
mod bad_input;
mod batch;
mod breaker;
mod check;
mod completions;
mod contracts;
mod demo;
mod desk;
mod drain;
mod egress;
mod emit;
mod encryption;
mod erasing;
mod escaping;
mod event_headers;
mod event_type;
mod examples;
mod export_apply;
mod fairness;
mod fault;
mod files;
mod found;
mod glance;
mod guard;
mod guides;
mod help;
mod honest;
mod hostile_answers;
mod hostile_database;
mod leaks;
mod listen;
mod log;
mod logging;
mod main_job;
mod meanwhile;
mod metrics;
mod ordered;
mod ordered_by_key;
mod outbox;
mod owners;
mod patterns;
mod pause;
mod postgres;
mod presets;
mod preview;
mod probe;
mod profiles;
mod progress;
mod prompts;
mod prune;
mod rate_limit;
mod readme;
mod receivers;
mod recording;
mod retry;
mod schemes;
mod screens;
mod secrets;
mod settings;
mod shaping;
mod shared;
mod sign;
mod signatures;
mod stats;
mod tail;
mod tidy;
mod vectors;
mod verify;
mod webhook;
mod written_files;
