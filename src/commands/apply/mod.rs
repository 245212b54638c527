//! `hookctl apply`

mod plan;
mod step;
mod view;

use anyhow::Result;
use clap::Args;

use self::plan::{Plan, Rest};
use self::view::ApplyView;
use super::configuration;
use super::export::secret_variables;
use super::replace_file::replace;
use super::wording::counted;
use crate::context::{Context, Exit};
use crate::domain::secret::Secret;
use crate::domain::webhook::Field;
use crate::new_file::Readers;
use crate::store::Store;

/// Make webhooks and event types match a TOML or JSON file
///
/// Shows what is created, changed and, with --prune, deleted; all of it happens in one transaction or none of it.
/// Webhooks are recognised by name. A setting that the file does not name gets its default, except a webhook's owner,
/// state and secret, which stay as they are. The same file applied again changes nothing. For a webhook that becomes
/// active again, the output says how many events it missed, and the command that delivers them.
///
/// A secret is named by `secret_env` (an environment variable) or `secret_file` (a file, seen from the current
/// folder); it replaces the old one at once; with `hookctl webhook secret rotate` both stay valid for a while.
/// `{ env = "VARIABLE" }` and `{ file = "PATH" }` name any credential: the secret, a header, secret_url, client_key,
/// proxy_password; where the variable is not set, a webhook keeps what it has. A new webhook without a secret gets one,
/// which is not shown: --secrets-to writes it into a file. `hookctl export` writes the form and the keys. Durations,
/// lists and limits may be written as their options take them (`timeout_seconds = "30s"`, `retry_schedule = "svix"`);
/// `ca_cert` holds the certificate, not a path. A TOML file has at most 4 MiB, a JSON file 16 MiB, and a webhook 1,000
/// patterns.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl apply hookctl.toml --dry-run      # what would change
  hookctl apply hookctl.toml
  hookctl apply hookctl.toml --prune --yes  # deletes what it does not name
  hookctl export --with-secrets | hookctl --db copy.db apply -

Exit status:
  0  done; with --dry-run, there is nothing to change
  5  with --dry-run, there are changes to make
  6  a webhook was changed by another meanwhile")]
pub struct Apply {
    /// The file; - reads stdin
    #[arg(value_name = "FILE")]
    file: String,
    /// Show the plan and do nothing; exit with 5 when there is something to do
    #[arg(long)]
    dry_run: bool,
    /// Delete webhooks, with their deliveries, and event types that the file does not name; asks first, or needs --yes
    #[arg(long)]
    prune: bool,
    /// Write generated secrets into this file, for a shell to read; only its owner can read it
    #[arg(long, value_name = "FILE")]
    secrets_to: Option<String>,
}

impl Apply {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        if !self.dry_run {
            context.refuse_if_read_only()?;
        }
        let configuration = configuration::read(&self.file)?;
        // A wrong file must not create a database.
        let store = context.store_if_any()?.map_or_else(Store::empty, Ok)?;
        let rest = if self.prune { Rest::Deleted } else { Rest::Kept };
        let plan = Plan::make(context, &store, &configuration, rest)?;
        drop(store);
        if self.dry_run {
            context.out.page(&ApplyView::planned(&plan))?;
            return Ok(if plan.is_empty() { Exit::DONE } else { Exit::NOT_DELIVERED });
        }
        if plan.is_empty() {
            context.out.page(&ApplyView::done(&plan))?;
            return Ok(Exit::DONE);
        }
        if let Some(question) = plan.question() {
            if !context.is_yes {
                context.out.preview(&ApplyView::planned(&plan));
            }
            context.confirm(&question)?;
        }
        let store = context.store_to_write()?;
        plan.carry_out(context, &store)?;
        context.erase_deleted(&store);
        self.hand_over(context, &store, &plan.new_secrets())?;
        // The result is written before anything that can fail.
        context.out.page(&ApplyView::done(&plan))?;
        for (name, missed) in plan.count_missed(&store)? {
            missed.report(context, name, false);
        }
        plan.warn_of_slips(context, &store)?;
        Ok(Exit::DONE)
    }

    /// Writes new secrets to the file of --secrets-to, as the variables that `export` refers to.
    fn hand_over(&self, context: &mut Context, store: &Store, secrets: &[(&str, Field, &Secret)]) -> Result<()> {
        let Some((first, ..)) = secrets.first() else { return Ok(()) };
        let Some(file) = &self.secrets_to else {
            let count = counted(secrets.len() as u64, "new secret", "new secrets");
            context.out.notice(&format!("{count} stored; `hookctl webhook secret reveal {first}` shows one"));
            return Ok(());
        };
        let variables = secret_variables(store)?;
        let line = |(name, field, secret): &(&str, Field, &Secret)| {
            // The webhook may have been deleted or renamed meanwhile.
            let variable = variables.get(&((*name).to_owned(), field.key))?;
            Some(format!("{variable}={}\n", shell_words::quote(&secret.expose())))
        };
        let lines: String = secrets.iter().filter_map(line).collect();
        Ok(replace(context, "--secrets-to", file, Readers::Owner, lines.as_bytes())?)
    }
}
