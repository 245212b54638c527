//! What only SQLite has: how statements run and errors read, its files, its journal, opening, migrations, backups. Nothing
//! outside this folder names the library.

mod access;
mod backup;
mod check;
mod error;
mod file_id;
mod files;
mod info;
mod journal;
mod migrate;
mod open;
mod ours;
mod query;
mod restore;
mod second_name;

pub use access::{AccessFault, AccessFaultKind, access_faults};
pub use file_id::FileId;
pub use files::{is_database_file, sidecar};
pub use info::Info;
pub(super) use rusqlite::Connection;
pub use second_name::has_second_name;
