//! What only SQLite has: how statements run and errors read, its files, its journal, opening, migrations, backups. Nothing
//! outside this folder names the library.

mod backup;
mod error;
mod files;
mod journal;
mod migrate;
mod open;
mod ours;
mod query;

pub use files::{FileId, sidecar};
pub use ours::TABLES;
pub(super) use rusqlite::Connection;
