//! An outbox: a table in an application's database, or hookctl's own on a server, whose rows are events to be taken in.
//! docs/design/outbox.md tells in which order things happen.

use std::time::Duration;

use serde::Serialize;

use super::postgres::Server;
use super::row::{Cell, FromCell, Row, one};
use super::value::{params, values};
use super::{Engine, Place, Result, Store, StoreError, postgres, sqlite};
use crate::domain::event::PAYLOAD_LIMIT;
use crate::domain::outbox_row::{Found, OutboxRow};

/// The table in an application's database.
pub(super) const TABLE: &str = "hookctl_outbox";

/// The columns that hold an event, in the order in which a row is read.
pub(super) const COLUMNS: [&str; 8] =
    ["event_id", "event_type", "data", "key", "owner", "entity", "headers", "created_at"];

/// Why a row was refused; NULL while it waits.
pub(super) const REJECTED: &str = "rejected";

/// How many rows are taken in at once. On SQLite the application waits while they are deleted.
const GROUP: i64 = 500;
/// A group ends when its rows reach this size, so that memory stays bounded.
const GROUP_BYTES: i64 = 4 * 1024 * 1024;
/// The most bytes of every column but the data.
const LONGEST: usize = 16 * 1024;
/// The most characters of a reason that is kept with its row.
const LONGEST_REASON: usize = 500;

/// How an outbox is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    Look,
    Change,
}

/// An open outbox.
#[derive(Debug)]
pub struct Outbox<'a> {
    place: At<'a>,
    table: &'static str,
    /// How each of [`COLUMNS`] is read.
    columns: [Reading; COLUMNS.len()],
}

/// How a column is read, whatever its type.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// Its length in bytes. Asking for it does not read the content.
    pub length: String,
    /// Its text, or its bytes.
    pub text: String,
}

#[derive(Debug)]
enum At<'a> {
    /// In the database that events are taken into.
    Own(&'a Store),
    Elsewhere(Box<Store>),
}

/// What becomes of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is taken in, now or before: it goes.
    Taken,
    /// It stays, with the reason.
    Rejected(String),
}

/// How an outbox stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    pub waiting: u64,
    /// When the first of those that wait was left there, as its row says.
    pub oldest: Option<Found>,
    pub rejected: u64,
}

/// A row that was refused.
#[derive(Clone, Debug, Serialize)]
pub struct Rejection {
    #[serde(rename = "row")]
    pub id: i64,
    pub event_id: Found,
    pub event_type: Found,
    pub reason: Found,
}

/// What came of a look at an outbox.
enum Group {
    /// Another process takes rows in.
    Busy,
    /// Rows had no event id, and have one now.
    Named,
    Rows(Vec<OutboxRow>),
}

/// The beginning of a group, without its content.
struct Ahead {
    id: i64,
    has_event_id: bool,
    bytes: i64,
}

impl Store {
    /// hookctl's own outbox, which `hookctl.emit` writes into. A file has none.
    pub fn own_outbox(&self) -> Option<Outbox<'_>> {
        match &self.engine {
            Engine::Sqlite(_) => None,
            Engine::Postgres(_) => {
                Some(Outbox { place: At::Own(self), table: "outbox", columns: postgres::own_outbox_columns() })
            }
        }
    }
}

impl Outbox<'_> {
    /// Opens an application's outbox. Nothing is made where there is none. A file that another keeps locked is waited for.
    pub fn open(place: &Place, access: Use, busy_timeout: Duration) -> Result<Outbox<'static>> {
        let (store, columns) = match place {
            Place::File(path) => (sqlite::open_outbox(path, access, busy_timeout)?, COLUMNS.map(sqlite::outbox_column)),
            Place::Server(server) => postgres::open_outbox(server)?,
        };
        Ok(Outbox { place: At::Elsewhere(Box::new(store)), table: TABLE, columns })
    }

    /// Whether it is in the database that events are taken into: rows are deleted in the transaction that accepts them.
    pub fn is_own(&self) -> bool {
        matches!(self.place, At::Own(_))
    }

    fn store(&self) -> &Store {
        match &self.place {
            At::Own(store) => store,
            At::Elsewhere(store) => store,
        }
    }

    /// Takes the rows after row `after`, as many as are one group: `judge` makes sure that they are accepted, durably, and says
    /// what becomes of each, or of the first of them. The last row that it judged; `None` where there was none.
    ///
    /// On a server the rows are locked meanwhile, and one process at a time takes them, so that they keep their order. Over a
    /// file nothing is locked meanwhile: two processes that take the same row accept it once, by its event id.
    pub fn take<E: From<StoreError>>(
        &self,
        after: i64,
        mut judge: impl FnMut(&[OutboxRow]) -> std::result::Result<Vec<Verdict>, E>,
    ) -> std::result::Result<Option<i64>, E> {
        let store = self.store();
        // Asked alone first: to a server that is one round trip, and a transaction with its lock three.
        if !self.has_rows(after)? {
            return Ok(None);
        }
        loop {
            let group = match &store.engine {
                Engine::Sqlite(_) => self
                    .group(after)?
                    .judged(&mut judge, |rows, verdicts| store.transaction(|| self.settle(rows, verdicts)))?,
                Engine::Postgres(_) => store.shared_transaction(|| {
                    self.group(after)?.judged(&mut judge, |rows, verdicts| self.settle(rows, verdicts))
                })?,
            };
            match group {
                Group::Named => {}
                Group::Busy => return Ok(None),
                Group::Rows(rows) => return Ok(rows.last().map(|row| row.id)),
            }
        }
    }

    /// Reads a group in two steps: how long the rows are, and then no more than fits.
    fn group(&self, after: i64) -> Result<Group> {
        let (store, table) = (self.store(), self.table);
        let is_server = matches!(store.engine, Engine::Postgres(_));
        if is_server && !store.only::<bool>(postgres::OUTBOX_LOCK, params![table], one)? {
            return Ok(Group::Busy);
        }
        let lock = if is_server { "FOR UPDATE SKIP LOCKED" } else { "" };
        let lengths = self.columns.iter().map(|column| format!("CAST(coalesce({}, 0) AS BIGINT)", column.length));
        let bytes = lengths.collect::<Vec<_>>().join(" + ");
        let sql = format!(
            "SELECT id, event_id IS NOT NULL, {bytes} FROM {table} WHERE {REJECTED} IS NULL AND id > $1
             ORDER BY id LIMIT {GROUP} {lock}"
        );
        let read = |row: &mut Row<'_>| Ok(Ahead { id: row.next()?, has_event_id: row.next()?, bytes: row.next()? });
        let mut ahead = store.rows(&sql, params![after], read)?;
        let mut bytes = 0_i64;
        let fitting = ahead.iter().take_while(|row| {
            let fits = bytes < GROUP_BYTES;
            bytes = bytes.saturating_add(row.bytes);
            fits
        });
        let fitting = fitting.count();
        ahead.truncate(fitting);
        if ahead.is_empty() {
            return Ok(Group::Rows(Vec::new()));
        }
        let nameless: Vec<i64> = ahead.iter().filter(|row| !row.has_event_id).map(|row| row.id).collect();
        if !nameless.is_empty() {
            self.name(&nameless)?;
            return Ok(Group::Named);
        }
        let ids: Vec<i64> = ahead.iter().map(|row| row.id).collect();
        let columns = COLUMNS.iter().zip(&self.columns).map(|(name, column)| bounded(name, column));
        let columns = columns.collect::<Vec<_>>().join(", ");
        let is_one = store.dialect().one_of("id", "$1");
        let sql = format!("SELECT id, {columns} FROM {table} WHERE {is_one} AND {REJECTED} IS NULL ORDER BY id");
        store.rows(&sql, params![ids.as_slice()], outbox_row).map(Group::Rows)
    }

    /// Gives rows an event id before they are taken in: whoever takes them again must find the same one.
    fn name(&self, ids: &[i64]) -> Result<()> {
        let (store, table) = (self.store(), self.table);
        let random = match &store.engine {
            Engine::Sqlite(_) => sqlite::RANDOM_EVENT_ID,
            Engine::Postgres(_) => postgres::RANDOM_EVENT_ID,
        };
        let is_one = store.dialect().one_of("id", "$1");
        let sql = format!("UPDATE {table} SET event_id = {random} WHERE {is_one} AND event_id IS NULL");
        store.execute(&sql, params![ids]).map(drop)
    }

    /// Deletes what is taken and marks what is refused. A row that another event stands in by now is left alone: without
    /// AUTOINCREMENT the numbers of rows come again.
    fn settle(&self, rows: &[OutboxRow], verdicts: &[Verdict]) -> Result<()> {
        let (store, table) = (self.store(), self.table);
        let judged = || rows.iter().zip(verdicts);
        let taken = judged().filter(|(_, verdict)| **verdict == Verdict::Taken).map(|(row, _)| row);
        let refused = judged().filter_map(|(row, verdict)| match verdict {
            Verdict::Taken => None,
            Verdict::Rejected(reason) => Some((row, kept(reason))),
        });
        let refused: Vec<(&OutboxRow, String)> = refused.collect();
        let event_id = content("event_id", &self.columns[0]);
        match &store.engine {
            Engine::Sqlite(_) => {
                let sql = format!("DELETE FROM {table} WHERE id = $1 AND {event_id} IS $2");
                store.execute_each(&sql, taken.map(|row| values![row.id, row.event_id.content()]))?;
                let sql = format!("UPDATE {table} SET {REJECTED} = $1 WHERE id = $2 AND {event_id} IS $3");
                store.execute_each(
                    &sql,
                    refused.iter().map(|(row, reason)| values![reason, row.id, row.event_id.content()]),
                )
            }
            Engine::Postgres(_) => {
                let ids: Vec<i64> = taken.map(|row| row.id).collect();
                let sql = format!("DELETE FROM {table} WHERE {}", store.dialect().one_of("id", "$1"));
                store.execute_each(&sql, [values![ids.as_slice()]])?;
                let sql = format!("UPDATE {table} SET {REJECTED} = $1 WHERE id = $2");
                store.execute_each(&sql, refused.iter().map(|(row, reason)| values![reason, row.id]))
            }
        }
    }

    /// Whether something waits.
    pub fn is_waiting(&self) -> Result<bool> {
        self.has_rows(i64::MIN)
    }

    /// Whether something waits after row `after`.
    fn has_rows(&self, after: i64) -> Result<bool> {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {} WHERE {REJECTED} IS NULL AND id > $1)", self.table);
        self.store().only(&sql, params![after], one)
    }

    pub fn standing(&self) -> Result<Standing> {
        let table = self.table;
        let sql = format!(
            "SELECT coalesce(sum(CASE WHEN {REJECTED} IS NULL THEN 1 ELSE 0 END), 0), count({REJECTED}) FROM {table}"
        );
        let (waiting, rejected) = self.store().only(&sql, &[], |row| Ok((row.next::<u64>()?, row.next::<u64>()?)))?;
        let [.., column] = &self.columns;
        let created_at = bounded("created_at", column);
        let sql = format!("SELECT {created_at} FROM {table} WHERE {REJECTED} IS NULL ORDER BY id LIMIT 1");
        let oldest = self.store().first(&sql, &[], |row| found(row, LONGEST))?;
        Ok(Standing { waiting, oldest, rejected })
    }

    /// Rows that were refused, the first ones first.
    pub fn rejections(&self, most: u32) -> Result<Vec<Rejection>> {
        let [event_id, event_type, ..] = &self.columns;
        let (event_id, event_type) = (bounded("event_id", event_id), bounded("event_type", event_type));
        let reason = match &self.store().engine {
            Engine::Sqlite(_) => sqlite::outbox_column(REJECTED),
            Engine::Postgres(_) => postgres::outbox_column(REJECTED, "text"),
        };
        let sql = format!(
            "SELECT id, {event_id}, {event_type}, {} FROM {} WHERE {REJECTED} IS NOT NULL ORDER BY id LIMIT $1",
            bounded(REJECTED, &reason),
            self.table
        );
        self.store().rows(&sql, params![most], |row| {
            Ok(Rejection {
                id: row.next()?,
                event_id: found(row, longest("event_id"))?,
                event_type: found(row, longest("event_type"))?,
                reason: found(row, LONGEST)?,
            })
        })
    }

    /// Has refused rows taken in again by the next drain: these, or all. How many.
    pub fn retry(&self, ids: &[i64]) -> Result<usize> {
        self.change_rejected(&format!("UPDATE {} SET {REJECTED} = NULL", self.table), ids)
    }

    /// Deletes refused rows: these, or all. How many.
    pub fn discard(&self, ids: &[i64]) -> Result<usize> {
        self.change_rejected(&format!("DELETE FROM {}", self.table), ids)
    }

    /// The first of these ids that no refused row has.
    pub fn first_not_rejected(&self, ids: &[i64]) -> Result<Option<i64>> {
        let is_one = self.store().dialect().one_of("id", "$1");
        let sql = format!("SELECT id FROM {} WHERE {REJECTED} IS NOT NULL AND {is_one}", self.table);
        let rejected: Vec<i64> = self.store().rows(&sql, params![ids], one)?;
        Ok(ids.iter().copied().find(|id| !rejected.contains(id)))
    }

    fn change_rejected(&self, change: &str, ids: &[i64]) -> Result<usize> {
        let store = self.store();
        if ids.is_empty() {
            return store.execute(&format!("{change} WHERE {REJECTED} IS NOT NULL"), &[]);
        }
        let is_one = store.dialect().one_of("id", "$1");
        store.execute(&format!("{change} WHERE {REJECTED} IS NOT NULL AND {is_one}"), params![ids])
    }
}

impl Group {
    /// Has its rows judged, and settles them by the verdicts. Those without a verdict are left out.
    fn judged<E: From<StoreError>>(
        self,
        judge: &mut impl FnMut(&[OutboxRow]) -> std::result::Result<Vec<Verdict>, E>,
        settle: impl FnOnce(&[OutboxRow], &[Verdict]) -> Result<()>,
    ) -> std::result::Result<Group, E> {
        match self {
            Group::Rows(mut rows) if !rows.is_empty() => {
                let verdicts = judge(&rows)?;
                rows.truncate(verdicts.len());
                settle(&rows, &verdicts)?;
                Ok(Group::Rows(rows))
            }
            group => Ok(group),
        }
    }
}

/// The statements that make an outbox there; a server notifies of new rows with `notifies`.
pub fn outbox_statements(place: &Place, notifies: bool) -> String {
    match place {
        Place::File(_) => sqlite::CREATE_OUTBOX.to_owned(),
        Place::Server(_) => postgres::create_outbox(notifies),
    }
}

/// Makes an outbox where there is none. Whether it was made now.
pub fn init_outbox(place: &Place, notifies: bool, busy_timeout: Duration) -> Result<bool> {
    match place {
        Place::File(path) => sqlite::init_outbox(path, busy_timeout),
        Place::Server(server) => postgres::init_outbox(server, notifies),
    }
}

/// Calls `ring` whenever rows are written into the outbox on that server, where a trigger notifies of them. Whether one does.
pub fn ring_for_outbox(server: &Server, ring: impl Fn() + Send + 'static) -> Result<bool> {
    postgres::ring_for_outbox(server, ring)
}

/// How long a column is, and what stands there unless it is too long.
fn bounded(name: &str, column: &Reading) -> String {
    let (length, content) = (&column.length, content(name, column));
    format!("CASE WHEN {name} IS NULL THEN NULL ELSE coalesce(CAST({length} AS BIGINT), -1) END, {content}")
}

/// What stands in a column, or NULL where it is too long.
fn content(name: &str, Reading { length, text }: &Reading) -> String {
    format!("CASE WHEN {length} <= {} THEN {text} END", longest(name))
}

fn longest(column: &str) -> usize {
    match column {
        "data" => PAYLOAD_LIMIT,
        // Headers may have 16 KiB, and as JSON more.
        "headers" => 2 * LONGEST,
        _ => LONGEST,
    }
}

/// A reason as it is kept.
fn kept(reason: &str) -> String {
    reason.chars().filter(|c| *c != '\0').take(LONGEST_REASON).collect()
}

/// Refuses a table that is not as `outbox init` makes it, given the names of its columns.
pub(super) fn check_columns(place: &str, found: &[String]) -> Result<()> {
    let wanted = ["id"].into_iter().chain(COLUMNS).chain([REJECTED]);
    let missing: Vec<&str> = wanted.filter(|column| !found.iter().any(|name| name == column)).collect();
    match missing.as_slice() {
        [] => Ok(()),
        missing => Err(StoreError::NoOutbox {
            place: place.to_owned(),
            reason: format!("its table {TABLE} has no column {}", missing.join(", ")),
            missing_table: false,
        }),
    }
}

/// Text or bytes.
struct Bytes(Vec<u8>);

impl FromCell<'_> for Bytes {
    fn from_cell(cell: Cell<'_>) -> Option<Bytes> {
        match cell {
            Cell::Text(text) => Some(Bytes(text.as_bytes().to_vec())),
            Cell::Blob(bytes) => Some(Bytes(bytes.to_vec())),
            Cell::Null | Cell::Integer(_) => None,
        }
    }
}

/// Reads what [`Outbox::bounded`] asks for.
fn found(row: &mut Row<'_>, most: usize) -> Result<Found> {
    let (length, bytes): (Option<i64>, Option<Bytes>) = (row.next()?, row.next()?);
    Ok(match (length, bytes) {
        (None, _) => Found::Nothing,
        (_, Some(Bytes(bytes))) => Found::Bytes(bytes),
        (Some(bytes), None) if bytes > most as i64 => Found::TooLong { bytes, most },
        (Some(_), None) => Found::Other,
    })
}

fn outbox_row(row: &mut Row<'_>) -> Result<OutboxRow> {
    Ok(OutboxRow {
        id: row.next()?,
        event_id: found(row, longest("event_id"))?,
        event_type: found(row, longest("event_type"))?,
        data: found(row, longest("data"))?,
        key: found(row, longest("key"))?,
        owner: found(row, longest("owner"))?,
        entity: found(row, longest("entity"))?,
        headers: found(row, longest("headers"))?,
        created_at: found(row, longest("created_at"))?,
    })
}
