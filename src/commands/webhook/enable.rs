//! `hookctl webhook enable`

use anyhow::Result;
use clap::Args;

use super::disable::StateView;
use crate::commands::candidates::Candidates;
use crate::commands::wording::counted;
use crate::context::{Context, Exit};

/// Resume deliveries to webhooks, and reset their breaker
///
/// What waited goes out with the next drain.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl webhook enable crm && hookctl drain -w crm")]
pub struct Enable {
    /// Their names or ids
    #[arg(value_name = "WEBHOOK", add = Candidates::Webhooks, required = true)]
    webhooks: Vec<String>,
}

impl Enable {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        let store = context.store_to_write()?;
        let now = context.now();
        let views = store.transaction(|| {
            let mut views = Vec::new();
            for id in context.webhook_ids(&store, &self.webhooks)? {
                store.enable_webhook(id, now)?;
                let waiting = store.count_open(id)?;
                views.extend(store.webhook(id)?.map(|webhook| StateView::new(&webhook, waiting, 0)));
            }
            anyhow::Ok(views)
        })?;
        let waiting: u64 = views.iter().map(|view| view.waiting_deliveries).sum();
        context.out.list(views.into_iter().map(Ok), "")?;
        if waiting > 0 {
            context.out.notice(&format!(
                "{} with the next `hookctl drain`",
                counted(waiting, "delivery resumes", "deliveries resume")
            ));
        }
        Ok(Exit::DONE)
    }
}
