//! `hookctl db check`

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Serialize;

use super::files;
use crate::context::{Context, Exit};
use crate::domain::time::Timestamp;
use crate::output::{Cell, Page, Text};
use crate::store::{Check as StoreCheck, Store};

/// Look for damage, and mend what can be mended
///
/// Checked are every page and index of the file, references between rows, the schema, the webhooks' counters against the
/// rows, statuses and due times, claims, the log of attempts, the files' modes, and rows from the future. Exits with 1 when
/// something was found and is still there.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl db check
  hookctl db check --fix  # when no drain runs: also releases claims

Exit status:
  0  the database is sound
  1  something is wrong with it, and told")]
pub struct Check {
    /// Mend what can be mended: counters, due times, claims, missing indexes, modes
    #[arg(long)]
    fix: bool,
}

/// What was checked, and what was found.
#[derive(Debug, Serialize)]
struct CheckView {
    path: PathBuf,
    ok: bool,
    checks: Vec<CheckedView>,
    findings: Vec<FindingView>,
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

impl Page for CheckView {
    fn describe(&self, text: &mut Text) {
        for checked in &self.checks {
            text.field(checked.check, if checked.ok { Cell::good("ok") } else { Cell::bad("not ok") });
        }
        if !self.findings.is_empty() {
            text.blank();
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
    /// Runs the command.
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        if self.fix {
            context.refuse_if_read_only()?;
        }
        let path = context.database()?.to_owned();
        let now = context.now();
        let before = look(context, &path, now)?;
        let mut findings = before.clone();
        if self.fix && before.iter().any(|finding| finding.is_fixable) {
            let store = context.store_to_write()?;
            store.transaction(|| store.fix(now))?;
            for file in files::files(&path).iter().filter(|file| files::is_open_to_others(file)) {
                files::make_private(file).with_context(|| format!("cannot change the mode of {}", file.display()))?;
            }
            drop(store);
            let after = look(context, &path, now)?;
            let is_left = |finding: &FindingView| after.iter().any(|left| left.message == finding.message);
            findings.retain(|finding| !is_left(finding));
            findings.iter_mut().for_each(|finding| finding.fixed = true);
            findings.extend(after);
        }
        let is_ok = |check: &str| !findings.iter().any(|finding| finding.check == check && !finding.fixed);
        let names = StoreCheck::ALL.into_iter().map(StoreCheck::name).chain(["modes"]);
        let view = CheckView {
            path,
            ok: findings.iter().all(|finding| finding.fixed),
            checks: names.map(|check| CheckedView { check, ok: is_ok(check) }).collect(),
            findings,
        };
        context.out.page(&view)?;
        Ok(if view.ok { Exit::DONE } else { Exit::FAILED })
    }
}

/// Makes every check.
fn look(context: &mut Context, path: &Path, now: Timestamp) -> Result<Vec<FindingView>> {
    let store: Store = context.store_to_read()?;
    let progress = context.out.progress("Checking", Some(StoreCheck::ALL.len() as u64));
    let mut findings = Vec::new();
    for check in StoreCheck::ALL {
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
    let exposed = files::files(path).into_iter().filter(|file| files::is_open_to_others(file));
    findings.extend(exposed.map(|file| FindingView {
        check: "modes",
        message: format!(
            "{} has mode {}: others than its owner have access",
            file.display(),
            files::mode(&file).unwrap_or_default()
        ),
        fixed: false,
        is_fixable: true,
    }));
    Ok(findings)
}
