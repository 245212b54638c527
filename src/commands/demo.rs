//! `hookctl demo`

mod scene;
mod tour;

use anyhow::Result;
use clap::Args;

use crate::context::{Context, Exit};

/// A guided tour in a temporary folder; nothing is left behind
///
/// Receive, create, emit, fail, drain, verify, read the log: it runs hookctl itself, step by step, and prints each command with its real output. Requests go to receivers on 127.0.0.1.
/// Your own database is not touched, and the folder is removed at the end.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl demo
  hookctl demo -o json | jq -r '.steps[].command'")]
pub struct Demo {}

impl Demo {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        let stop = context.stop_on_signals()?;
        let mut scene = scene::Scene::new(context.random()?.next_u64(), context.settings.now)?;
        let done = tour::play(&mut scene, context.now(), &stop);
        // The steps before a failure explain it.
        context.out.page(&tour::Tour { steps: scene.end() })?;
        done?;
        Ok(stop.exit().unwrap_or(Exit::DONE))
    }
}
