//! The report of a probe.

use std::time::Duration;

use serde::Serialize;

use crate::output::{Cell, Page, Text};

#[derive(Debug, Serialize)]
pub struct ProbeView {
    /// With query values masked.
    pub url: String,
    pub scheme: &'static str,
    pub checks: Vec<CheckView>,
}

#[derive(Debug, Serialize)]
pub struct CheckView {
    pub name: &'static str,
    pub result: CheckResult,
    pub expected: String,
    /// The answers, or why it was not judged.
    pub seen: String,
    #[serde(skip)]
    pub took: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckResult {
    Pass,
    Fail,
    NotJudged,
}

impl CheckResult {
    pub fn of(is_right: bool) -> CheckResult {
        if is_right { CheckResult::Pass } else { CheckResult::Fail }
    }
}

impl ProbeView {
    pub fn count(&self, outcome: CheckResult) -> usize {
        self.checks.iter().filter(|check| check.result == outcome).count()
    }
}

impl Page for ProbeView {
    fn describe(&self, text: &mut Text) {
        text.field("URL", &self.url);
        text.field("Scheme", self.scheme);
        text.blank();
        text.table(&["check", "result", "expected", "seen"], self.checks.iter().map(CheckView::cells));
        text.blank();
        let [pass, fail, not_judged] =
            [CheckResult::Pass, CheckResult::Fail, CheckResult::NotJudged].map(|of| self.count(of));
        text.line(format!("{pass} passed, {fail} failed, {not_judged} not judged"));
    }
}

impl CheckView {
    fn cells(&self) -> Vec<Cell> {
        let result = match self.result {
            CheckResult::Pass => Cell::good("pass"),
            CheckResult::Fail => Cell::bad("FAIL"),
            CheckResult::NotJudged => Cell::dim("not judged"),
        };
        vec![Cell::id(self.name), result, Cell::plain(&self.expected), Cell::plain(&self.seen)]
    }
}
