//! `hookctl webhook list`

use anyhow::Result;
use clap::Args;

use super::view::WebhookView;
use crate::commands::arguments;
use crate::commands::candidates::Candidates;
use crate::commands::paging::{self, Limit};
use crate::context::Context;
use crate::domain::event_type;
use crate::domain::owner::Owner;
use crate::error::Failure;
use crate::store::WebhookFilter;

/// List webhooks, newest first
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl webhook list
  hookctl webhook list --type invoice.paid  # who gets this event
  hookctl webhook list --failing
  hookctl webhook list --inactive -o json")]
pub struct List {
    /// Only active ones
    #[arg(long, conflicts_with = "inactive")]
    active: bool,
    /// Only disabled ones
    #[arg(long)]
    inactive: bool,
    /// Only those whose last five or more attempts failed, or whose circuit breaker is open
    #[arg(long)]
    failing: bool,
    /// Only those that subscribe to this event type
    #[arg(long = "type", aliases = ["event", "event-type"], value_name = "TYPE", add = Candidates::EventTypes)]
    event_type: Option<String>,
    /// Only this owner's; none for those of no owner
    #[arg(long, value_name = "OWNER", value_parser = arguments::owner)]
    owner: Option<Owner>,
    #[command(flatten)]
    limit: Limit,
    /// Only those older than this webhook: the next page
    #[arg(long, value_name = "ID", value_parser = arguments::id)]
    before: Option<i64>,
}

impl List {
    pub fn run(self, context: &mut Context) -> Result<()> {
        if let Some(event_type) = &self.event_type {
            event_type::check(event_type).map_err(|error| Failure::option("--type", error))?;
        }
        let is_active = match (self.active, self.inactive) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        };
        let store = context.store_to_read()?;
        let filter = WebhookFilter { is_active, is_failing: self.failing, owner: self.owner, before: self.before };
        let empty = match filter == WebhookFilter::default() && self.event_type.is_none() {
            true => "no webhooks yet; make one with `hookctl webhook create NAME --url URL -e PATTERN`",
            false => "no webhooks match; see them all with `hookctl webhook list`",
        };
        let (mut webhooks, now) = (store.webhooks(&filter)?, context.now());
        if let Some(event_type) = &self.event_type {
            webhooks.retain(|webhook| webhook.settings.subscribes_to(event_type));
        }
        let (limit, all) = (self.limit.rows(&context.out), webhooks.len() as u64);
        let shown = webhooks.iter().take(usize::try_from(limit).unwrap_or(usize::MAX));
        let views = shown.map(|webhook| Ok(WebhookView::new(webhook, store.count_open(webhook.id)?, now)));
        paging::show(context, limit, views, empty, |_| Ok(all))
    }
}
