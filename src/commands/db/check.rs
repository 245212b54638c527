//! `hookctl db check`

use std::path::Path;

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Serialize;

use super::files::no_database;
use crate::context::{Context, Exit};
use crate::output::{Cell, Page, Text};
use crate::store::{AccessFault, AccessFaultKind, Store, access_faults, has_second_name};

/// Check the database, and repair it with --fix
///
/// Checked are every page and index of the file, references between rows, the schema, the webhooks' counters against the
/// rows, statuses and due times, claims, the log of attempts, rows from the future, the write-ahead log, the owners and modes
/// of the files and their folder, and the mode of the key's file. Exits with 1 when something was found and is still there.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl db check
  hookctl db check --fix  # when no drain runs: also releases claims

Exit status:
  0  the database is sound
  1  problems were found and reported")]
pub struct Check {
    /// Repair what can be repaired: counters, due times, claims, missing indexes, the write-ahead log, owners and
    /// modes
    #[arg(long)]
    fix: bool,
}

#[derive(Debug, Serialize)]
struct CheckView {
    path: String,
    ok: bool,
    checks: Vec<CheckedView>,
    findings: Vec<FindingView>,
    /// Remarks that are no problems.
    notes: Vec<NoteView>,
}

#[derive(Debug, Serialize)]
struct CheckedView {
    check: &'static str,
    ok: bool,
}

#[derive(Clone, Debug, Serialize)]
struct FindingView {
    check: &'static str,
    message: String,
    fixed: bool,
    #[serde(skip)]
    is_fixable: bool,
}

#[derive(Debug, Serialize)]
struct NoteView {
    check: &'static str,
    message: &'static str,
}

impl Page for CheckView {
    fn describe(&self, text: &mut Text) {
        for checked in &self.checks {
            let is_noted = self.notes.iter().any(|note| note.check == checked.check);
            text.field(
                checked.check,
                match (checked.ok, is_noted) {
                    (true, false) => Cell::good("ok"),
                    (true, true) => Cell::warn("see below"),
                    (false, _) => Cell::bad("not ok"),
                },
            );
        }
        if !(self.findings.is_empty() && self.notes.is_empty()) {
            text.blank();
        }
        for NoteView { check, message } in &self.notes {
            text.line(Cell::warn(format!("{check}: {message}")));
        }
        for finding in &self.findings {
            let FindingView { check, message, fixed, is_fixable } = finding;
            text.line(match (fixed, is_fixable) {
                (true, _) => Cell::good(format!("{check}: {message}; mended")),
                (false, true) => Cell::bad(format!("{check}: {message}; --fix mends it")),
                (false, false) => Cell::bad(format!("{check}: {message}")),
            });
        }
    }
}

impl Check {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        if self.fix {
            context.refuse_if_read_only()?;
        }
        let place = context.place()?;
        let Some(store) = context.store_if_any()? else { return Err(no_database(&place)) };
        let (file, checks) = (place.file(), store.checks());
        let (before, mut notes) = look(context, &store, file)?;
        // The write-ahead log comes back only while nobody else has the file open.
        drop(store);
        let mut findings = before.clone();
        if self.fix && (before.iter().any(|finding| finding.is_fixable) || !notes.is_empty()) {
            let store = context.store_to_write()?;
            store.transaction(|| store.fix(context.now()))?;
            drop(store);
            let of_key = context.key_file(file).and_then(|(_, fault)| fault);
            for fault in file.map(access_faults).into_iter().flatten().chain(of_key) {
                fault.mend().with_context(|| format!("cannot mend {}", fault.path.display()))?;
            }
            let store = context.store_to_read()?;
            let (mut after, still) = look(context, &store, file)?;
            notes = still;
            after.iter_mut().for_each(|finding| finding.is_fixable = false);
            let is_left = |finding: &FindingView| after.iter().any(|left| left.message == finding.message);
            findings.retain(|finding| !is_left(finding));
            findings.iter_mut().for_each(|finding| finding.fixed = true);
            findings.extend(after);
        }
        let is_ok = |check: &str| !findings.iter().any(|finding| finding.check == check && !finding.fixed);
        let names = checks.iter().map(|check| check.name()).chain(file.map(|_| "modes"));
        let names = names.chain(context.key_file(file).map(|_| KEY_FILE));
        let view = CheckView {
            path: place.to_string(),
            ok: findings.iter().all(|finding| finding.fixed),
            checks: names.map(|check| CheckedView { check, ok: is_ok(check) }).collect(),
            findings,
            notes,
        };
        context.out.page(&view)?;
        Ok(if view.ok { Exit::DONE } else { Exit::FAILED })
    }
}

fn look(context: &mut Context, store: &Store, file: Option<&Path>) -> Result<(Vec<FindingView>, Vec<NoteView>)> {
    let now = context.now();
    let progress = context.out.progress("Checking", Some(store.checks().len() as u64));
    let mut findings = Vec::new();
    for check in store.checks() {
        let found = store.check(check, now)?.into_iter();
        findings.extend(found.map(|finding| FindingView {
            check: check.name(),
            message: finding.message,
            fixed: false,
            is_fixable: finding.is_fixable,
        }));
        progress.inc(1);
    }
    progress.finish();
    if let Some((path, Some(AccessFault { kind: AccessFaultKind::Exposed { mode, .. }, .. }))) = context.key_file(file)
    {
        let message = format!("{} has mode {mode:04o}: others than its owner can read the key", path.display());
        findings.push(FindingView { check: KEY_FILE, message, fixed: false, is_fixable: true });
    }
    let Some(path) = file else { return Ok((findings, Vec::new())) };
    findings.extend(access_faults(path).iter().map(access_finding));
    let mut notes = if store.is_in_wal()? { Vec::new() } else { vec![NOT_IN_WAL] };
    if has_second_name(path) {
        notes.push(SECOND_NAME);
    }
    Ok((findings, notes))
}

/// The check of the key file.
const KEY_FILE: &str = "key_file";

/// For a file on a file system without shared memory, one that lost its log, or a backup.
const NOT_IN_WAL: NoteView = NoteView {
    check: "journal",
    message: "rollback journal, as in every backup; write-ahead logging is turned on by the next command that writes, \
              where the file system has shared memory",
};

const SECOND_NAME: NoteView = NoteView {
    check: "modes",
    message: "the file has a second name (hard link), with a write-ahead log of its own: using both damages it; remove \
              one, or copy with `hookctl db backup`",
};

fn access_finding(fault: &AccessFault) -> FindingView {
    let path = fault.path.display();
    let (message, is_fixable) = match fault.kind {
        AccessFaultKind::Exposed { mode, .. } => {
            (format!("{path} has mode {mode:04o}: others than its owner have access"), true)
        }
        AccessFaultKind::Foreign { owner, user } => {
            (format!("{path} belongs to user {owner}; user {user}, whose folder it is in, cannot open it"), true)
        }
        AccessFaultKind::Replaceable { mode } => {
            let told = "others can put another database in its place; run `chmod go-w` on it";
            (format!("the folder {path} has mode {mode:04o}: {told}"), false)
        }
    };
    FindingView { check: "modes", message, fixed: false, is_fixable }
}
