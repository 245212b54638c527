//! `hookctl webhook list`

use anyhow::Result;
use clap::Args;

use super::view::WebhookView;
use crate::commands::arguments;
use crate::commands::candidates::Candidates;
use crate::commands::paging::Limit;
use crate::context::{Context, Exit};
use crate::domain::event_type;
use crate::domain::owner::Owner;
use crate::error::Failure;
use crate::store::WebhookFilter;

/// List webhooks, newest first
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl webhook list
  hookctl webhook list --event invoice.paid  # who gets this event
  hookctl webhook list --inactive -o json")]
pub struct List {
    /// Only active ones
    #[arg(long, conflicts_with = "inactive")]
    active: bool,
    /// Only disabled ones
    #[arg(long)]
    inactive: bool,
    /// Only those that subscribe to this event type
    #[arg(long, value_name = "TYPE", add = Candidates::EventTypes)]
    event: Option<String>,
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
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        if let Some(event) = &self.event {
            event_type::check(event).map_err(|error| Failure::option("--event", error))?;
        }
        let is_active = match (self.active, self.inactive) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        };
        let store = context.store_to_read()?;
        let is_whole = is_active.is_none() && self.event.is_none() && self.owner.is_none() && self.before.is_none();
        let empty = match is_whole {
            true => "no webhooks yet; make one with `hookctl webhook create NAME --url URL -e PATTERN`",
            false => "no webhooks match; see them all with `hookctl webhook list`",
        };
        let filter = WebhookFilter { is_active, owner: self.owner, before: self.before };
        let views = store
            .webhooks(&filter)?
            .into_iter()
            .filter(|webhook| self.event.as_ref().is_none_or(|event| webhook.settings.subscribes_to(event)))
            .take(usize::try_from(self.limit.limit).unwrap_or(usize::MAX))
            .map(|webhook| {
                let waiting = store.count_open(webhook.id)?;
                Ok(WebhookView::new(&webhook, waiting))
            });
        context.out.list(views, empty)?;
        Ok(Exit::DONE)
    }
}
