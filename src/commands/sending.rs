//! Runs the engine for a command: options, progress, summary, exit code, and what an interrupted run has stored.

use anyhow::Result;
use serde::Serialize;

use crate::commands::wording::listed;
use crate::context::{Context, Exit};
use crate::delivery::{Engine, Gates, RunOptions, Summary};
use crate::error::Failure;
use crate::signals::Stop;
use crate::store::Store;

/// The most webhooks that a message names.
const MOST_NAMED: usize = 5;

pub struct Sending<'a> {
    pub engine: Engine<'a>,
    pub stop: Stop,
}

/// The default options of a run. Takes over Ctrl-C and SIGTERM.
pub fn options(context: &Context, concurrency: usize) -> Result<RunOptions> {
    Ok(RunOptions {
        concurrency,
        surroundings: context.surroundings(),
        clock: context.clock,
        stop: context.stop_on_signals()?,
        limit: None,
        deadline: None,
        gates: Gates::Respect,
        waits_for_rate: false,
    })
}

impl<'a> Sending<'a> {
    pub fn new(context: &Context, store: &'a Store, options: RunOptions) -> Result<Sending<'a>> {
        let stop = options.stop.clone();
        Ok(Sending { engine: Engine::new(store, options, context.random()?), stop })
    }

    /// Attempts deliveries, each given with its webhook, until each has ended or cannot be sent now.
    pub fn deliver(&mut self, context: &mut Context, title: &str, deliveries: Vec<(i64, i64)>) -> Result<()> {
        let count = deliveries.len() as u64;
        self.engine.add_deliveries(deliveries);
        self.finish(context, title, Summary::default(), count)
    }

    /// As [`Sending::run`]; an error if deliveries stay due because the encryption key is missing.
    pub fn finish(&mut self, context: &mut Context, title: &str, before: Summary, total: u64) -> Result<()> {
        self.run(context, title, before, total)?;
        self.locked_out()?.map_or(Ok(()), Err)
    }

    /// The error about webhooks that were left out because the encryption key is missing.
    pub fn locked_out(&mut self) -> Result<Option<anyhow::Error>> {
        let Some((webhooks, reason)) = self.engine.take_locked_out() else { return Ok(None) };
        let store = self.engine.store();
        let webhooks = webhooks.into_iter().map(|id| store.webhook(id)).collect::<Result<Vec<_>, _>>()?;
        let names: Vec<String> = webhooks.into_iter().flatten().map(|webhook| webhook.settings.name).collect();
        let names = listed(&names, MOST_NAMED);
        Ok(Some(anyhow::Error::new(reason).context(format!("deliveries to {names} stay due"))))
    }

    /// Runs until nothing is due, also what becomes due meanwhile. The progress bar counts from `before` up to `total`.
    fn run(&mut self, context: &mut Context, title: &str, before: Summary, total: u64) -> Result<()> {
        self.run_beside(context, title, before, total, |_| Ok(()))
    }

    /// The same; calls `between` after each turn of the engine.
    pub fn run_beside(
        &mut self,
        context: &mut Context,
        title: &str,
        before: Summary,
        total: u64,
        mut between: impl FnMut(&mut Context) -> Result<()>,
    ) -> Result<()> {
        let progress = context.out.progress(title, Some(total));
        self.engine.run(|summary| {
            progress.set_of(summary.finished() - before.finished(), total);
            progress.note(summary.not_delivered() - before.not_delivered());
            between(context)
        })?;
        progress.finish();
        Ok(())
    }

    pub fn tally(&self) -> Tally {
        self.engine.summary().into()
    }

    /// The exit code: of the signal that stopped the run, else by whether everything was delivered.
    pub fn exit(&self, is_delivered: bool) -> Exit {
        match self.stop.exit() {
            Some(exit) => exit,
            None if is_delivered => Exit::DONE,
            None => Exit::NOT_DELIVERED,
        }
    }
}

/// Counts of attempted deliveries.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Tally {
    /// Claimed and attempted.
    pub claimed: u64,
    pub succeeded: u64,
    pub retrying: u64,
    pub failed: u64,
}

impl From<Summary> for Tally {
    fn from(Summary { claimed, succeeded, retrying, failed, .. }: Summary) -> Tally {
        Tally { claimed, succeeded, retrying, failed }
    }
}

impl Tally {
    pub fn not_delivered(&self) -> u64 {
        self.retrying + self.failed
    }

    /// `12 delivered, 2 to be retried, 1 failed`.
    pub fn told(&self) -> String {
        format!("{} delivered, {} to be retried, {} failed", self.succeeded, self.retrying, self.failed)
    }
}

/// The failure of a command that has stored something: `stored` is a clause that says what.
pub fn broken_off(error: anyhow::Error, stored: &str) -> anyhow::Error {
    let Some(failure) = Failure::of(&error) else { return error };
    Failure::new(failure.kind, format!("{stored}; {}", failure.message))
        .hint("nothing of that is lost: the next `hookctl drain` goes on, and with requests in flight once their leases expire")
        .into()
}
