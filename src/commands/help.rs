//! `hookctl help`

use anyhow::Result;
use clap::Args;

use crate::context::{Context, Exit};
use crate::domain::event_type::nearest;
use crate::error::Failure;

/// Show the help of a command, or a guide
///
/// Without a word it lists the commands and the guides there are.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl help webhook create
  hookctl help receiving")]
pub struct Help {
    /// A command, such as `webhook create`, or a guide
    #[arg(value_name = "COMMAND|GUIDE")]
    words: Vec<String>,
}

/// A guide: a file of docs/ that is shown as it stands there.
struct Guide {
    name: &'static str,
    about: &'static str,
    text: &'static str,
}

const GUIDES: &[Guide] = &[
    Guide {
        name: "receiving",
        about: "Receivers in Python, Node, Go, Rust and shell, signatures checked",
        text: include_str!("../../docs/receiving.md"),
    },
    Guide {
        name: "secrets",
        about: "Where secrets are, and how to change one at no loss",
        text: include_str!("../../docs/secrets.md"),
    },
    Guide {
        name: "monitoring",
        about: "Checks, metrics, alert rules and reports",
        text: include_str!("../../docs/monitoring.md"),
    },
    Guide {
        name: "backup",
        about: "Copies of the database, and how to put one back",
        text: include_str!("../../docs/backup.md"),
    },
    Guide {
        name: "timetracker",
        about: "Moving from TimeTracker's webhooks",
        text: include_str!("../../docs/timetracker.md"),
    },
];

/// The guides, as the overview lists them.
pub fn guides() -> String {
    let lines = GUIDES.iter().map(|guide| format!("\n  {:11}  {}", guide.name, guide.about));
    format!("Guides, shown by `hookctl help GUIDE`:{}", lines.collect::<String>())
}

impl Help {
    /// Runs the command.
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        let guide = GUIDES.iter().find(|guide| self.words == [guide.name]);
        let text = match guide {
            Some(guide) => guide.text.to_owned(),
            None => crate::cli::fitted(&of_command(&self.words)?, &context.out),
        };
        context.out.bytes(text.as_bytes())?;
        Ok(Exit::DONE)
    }
}

/// What `--help` says of the command that the words lead to.
fn of_command(words: &[String]) -> Result<String, Failure> {
    let mut tree = crate::cli::command();
    tree.build();
    let mut command = &mut tree;
    for (depth, word) in words.iter().enumerate() {
        if command.find_subcommand(word).is_none() {
            return Err(unknown(command, word, depth == 0));
        }
        command = command.find_subcommand_mut(word).expect("it was found just now");
    }
    Ok(match words {
        [] => crate::cli::overview::overview(command),
        _ => command.render_long_help().to_string(),
    })
}

fn unknown(command: &clap::Command, word: &str, at_root: bool) -> Failure {
    let commands = command.get_subcommands().filter(|command| !command.is_hide_set()).map(clap::Command::get_name);
    let guides = GUIDES.iter().filter(|_| at_root).map(|guide| guide.name);
    let failure = match at_root {
        true => Failure::invalid(format!("no command or guide '{word}'")),
        false => Failure::invalid(format!("no such command '{word}' of {}", command.get_name())),
    };
    failure.hint(match nearest(word, commands.chain(guides)) {
        Some(name) => format!("did you mean '{name}'?"),
        None => "`hookctl help` lists them".to_owned(),
    })
}
