//! What only SQLite has: its files, its journal, opening, migrations, backups.

mod backup;
mod files;
mod journal;
mod migrate;
mod open;
mod ours;

pub use files::{FileId, sidecar};
pub use ours::TABLES;
