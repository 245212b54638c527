//! One file per command: its options with their help, and what it does. The folders are the command tree.

pub mod apply;
pub mod arguments;
pub mod check;
pub mod complete;
pub mod completions;
pub mod configuration;
pub mod db;
pub mod delivery;
pub mod demo;
pub mod drain;
pub mod emit;
pub mod event;
pub mod event_type;
pub mod export;
pub mod listen;
pub mod metrics;
pub mod paging;
pub mod replace_file;
pub mod schemes;
pub mod secret_source;
pub mod sign;
pub mod signature_options;
pub mod stats;
pub mod verify;
pub mod webhook;
pub mod wording;
