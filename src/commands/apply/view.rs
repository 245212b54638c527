//! The view of a plan, before or after it is carried out.

use serde::Serialize;
use serde_json::Value;

use super::plan::{EventTypeStep, Plan};
use super::step::{Difference, Step};
use crate::commands::wording::counted;
use crate::domain::webhook::Field;
use crate::output::{Cell, Page, Text};
use crate::store::EventTypeRow;

#[derive(Debug, Serialize)]
pub struct ApplyView {
    dry_run: bool,
    created: usize,
    changed: usize,
    deleted: usize,
    unchanged: usize,
    changes: Vec<Change>,
}

#[derive(Debug, Serialize)]
struct Change {
    action: Action,
    kind: &'static str,
    name: String,
    fields: Vec<Difference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deliveries: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Create,
    Change,
    Delete,
}

impl ApplyView {
    /// The view of a plan that is not carried out.
    pub fn planned(plan: &Plan) -> ApplyView {
        ApplyView { dry_run: true, ..ApplyView::done(plan) }
    }

    /// The view of a plan that was carried out. It has no secrets: the output may be logged.
    pub fn done(plan: &Plan) -> ApplyView {
        let mut changes: Vec<Change> = Vec::new();
        changes.extend(plan.steps.iter().filter(|step| !step.is_empty()).map(of_webhook));
        changes.extend(
            plan.deleted_webhooks
                .iter()
                .map(|doomed| Change { deliveries: Some(doomed.deliveries), ..deletion("webhook", &doomed.name) }),
        );
        changes.extend(plan.event_types.iter().filter(|step| !step.is_empty()).map(of_event_type));
        changes.extend(plan.deleted_event_types.iter().map(|name| deletion("event_type", name)));
        let count = |action| changes.iter().filter(|change| change.action == action).count();
        let (created, changed, deleted) = (count(Action::Create), count(Action::Change), count(Action::Delete));
        let named = plan.steps.len() + plan.event_types.len();
        ApplyView { dry_run: false, created, changed, deleted, unchanged: named - created - changed, changes }
    }
}

fn of_event_type(step: &EventTypeStep) -> Change {
    let values = |row: &EventTypeRow| -> [Value; 3] {
        [row.description.as_str().into(), row.schema.as_deref().into(), row.example.as_deref().into()]
    };
    let before = step.before.as_ref().map(values).unwrap_or_default();
    let fields = ["description", "schema", "example"].into_iter().zip(before.into_iter().zip(values(&step.after)));
    let fields = fields.filter(|(_, (before, after))| before != after);
    Change {
        action: if step.before.is_some() { Action::Change } else { Action::Create },
        kind: "event_type",
        name: step.after.name.clone(),
        fields: fields.map(|(field, (before, after))| Difference { field, before, after }).collect(),
        deliveries: None,
    }
}

fn of_webhook(step: &Step) -> Change {
    // The name of a new webhook is no difference.
    let fields = step.differences.iter().filter(|difference| difference.field != Field::NAME.key);
    Change {
        action: if step.existing.is_some() { Action::Change } else { Action::Create },
        kind: "webhook",
        name: step.settings.name.clone(),
        fields: fields.cloned().collect(),
        deliveries: None,
    }
}

fn deletion(kind: &'static str, name: &str) -> Change {
    Change { action: Action::Delete, kind, name: name.to_owned(), fields: Vec::new(), deliveries: None }
}

impl Page for ApplyView {
    fn describe(&self, text: &mut Text) {
        for change in &self.changes {
            change.describe(text);
        }
        let (created, changed, deleted, unchanged) = (self.created, self.changed, self.deleted, self.unchanged);
        text.line(match (self.changes.is_empty(), self.dry_run) {
            (true, _) => format!("nothing to do: {unchanged} unchanged"),
            (false, true) => {
                format!("{created} to create, {changed} to change, {deleted} to delete, {unchanged} unchanged")
            }
            (false, false) => format!("{created} created, {changed} changed, {deleted} deleted, {unchanged} unchanged"),
        });
    }
}

impl Change {
    fn describe(&self, text: &mut Text) {
        let kind = self.kind.replace('_', " ");
        match self.action {
            Action::Create => text.line(Cell::good(format!("+ create {kind} {}", self.name))),
            Action::Change => text.line(Cell::warn(format!("~ change {kind} {}", self.name))),
            Action::Delete => {
                let with = self
                    .deliveries
                    .map_or_else(String::new, |count| format!(" with {}", counted(count, "delivery", "deliveries")));
                text.line(Cell::bad(format!("- delete {kind} {}{with}", self.name)));
            }
        }
        // Unset settings of a new webhook are left out.
        let is_worth = |change: &&Difference| self.action != Action::Create || !is_empty(&change.after);
        for Difference { field, before, after } in self.fields.iter().filter(is_worth) {
            match self.action {
                Action::Create => text.line(format!("    {field}: {}", told(after))),
                _ => text.line(format!("    {field}: {} → {}", told(before), told(after))),
            }
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        value => *value == Value::Bool(false),
    }
}

/// A value as people read it.
fn told(value: &Value) -> String {
    match value {
        Value::Null => "(not set)".to_owned(),
        Value::Array(items) if items.is_empty() => "(none)".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(told).collect::<Vec<_>>().join(", "),
        value => value.to_string(),
    }
}
