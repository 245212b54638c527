//! Changes of state: enable, disable, pause, resume.

use anyhow::Result;
use serde::Serialize;

use super::view::state_cell;
use crate::context::Context;
use crate::domain::webhook::{State, Webhook};
use crate::error::Failure;
use crate::output::{Cell, Look, Row};
use crate::store::Store;

#[derive(Debug, Serialize)]
pub struct StateView {
    pub id: i64,
    pub name: String,
    pub state: State,
    pub is_active: bool,
    pub disabled_reason: Option<String>,
    /// Deliveries that are not finished.
    pub waiting: u64,
    pub cancelled_deliveries: u64,
    /// Events that it missed while it was disabled; only `enable` counts them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missed_events: Option<u64>,
}

impl StateView {
    pub fn new(webhook: &Webhook, waiting: u64) -> StateView {
        StateView {
            id: webhook.id,
            name: webhook.settings.name.clone(),
            state: webhook.health.state(),
            is_active: webhook.health.is_active,
            disabled_reason: webhook.health.disabled_reason.clone(),
            waiting,
            cancelled_deliveries: 0,
            missed_events: None,
        }
    }
}

impl Row for StateView {
    const COLUMNS: &'static [&'static str] = &["id", "name", "state", "waiting", "cancelled", "missed"];

    fn cells(&self, _: &Look) -> Vec<Cell> {
        vec![
            Cell::number(self.id),
            Cell::id(&self.name),
            state_cell(self.state, None),
            Cell::number(self.waiting),
            Cell::number(self.cancelled_deliveries),
            self.missed_events.map(|missed| missed as i64).into(),
        ]
    }
}

/// Changes the state of webhooks, all or none.
pub fn change(
    context: &Context,
    store: &Store,
    names: &[String],
    change: impl Fn(&Webhook) -> Result<()>,
) -> Result<Vec<StateView>> {
    store.transaction(|| {
        let mut views = Vec::new();
        for name in names {
            let webhook = context.webhook_to_change(store, name)?;
            change(&webhook)?;
            let waiting = store.count_open(webhook.id)?;
            views.extend(store.webhook(webhook.id)?.map(|webhook| StateView::new(&webhook, waiting)));
        }
        Ok(views)
    })
}

/// Refuses a disabled webhook; `why` is a clause about it.
pub fn refuse_disabled(webhook: &Webhook, why: &str) -> Result<(), Failure> {
    if webhook.health.state() != State::Disabled {
        return Ok(());
    }
    let name = &webhook.settings.name;
    Err(Failure::invalid(format!("WEBHOOK: '{name}' is disabled{why}"))
        .hint(format!("`hookctl webhook enable {}` makes it active", shell_words::quote(name))))
}

/// Prints webhooks after the change; returns how many deliveries wait for them.
pub fn print(context: &mut Context, views: Vec<StateView>) -> Result<u64> {
    let waiting = views.iter().map(|view| view.waiting).sum();
    context.out.list(views.into_iter().map(Ok), "")?;
    Ok(waiting)
}
