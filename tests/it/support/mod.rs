//! What every integration test stands on: an environment of its own, the binary as a child process with a time limit,
//! and a receiver that records everything and misbehaves as told.

#![allow(dead_code, unused_imports, reason = "each kind of test uses its part of it")]

mod child;
mod command;
mod database;
#[macro_use]
mod engine;
mod env;
pub mod markdown;
mod port;
pub mod postgres;
mod program;
mod receiver;
mod recorded;
mod reply;
mod run;
mod script;
mod search;
mod self_test;
mod steps;
mod terminal;
mod tls;
mod tls_front;
mod verifying;
mod wait;
mod wire;

pub use child::Child;
pub use command::Hookctl;
pub use engine::Engine;
pub use env::{Held, TestEnv};
pub use port::closed_port;
pub use program::installed;
pub use receiver::TestReceiver;
pub use recorded::Recorded;
pub use reply::Reply;
pub use run::Run;
pub use script::{OnConnect, Script};
pub use search::{files_with, holds};
pub use steps::{second, seconds_of};
pub use terminal::{Shown, Terminal};
pub use tls::Identity;
pub use tls_front::TlsFront;
pub use verifying::{Fault, verifying};
pub use wait::wait_until;
