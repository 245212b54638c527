//! `hookctl help`

mod guides;
mod overview;

use anyhow::Result;
use clap::Args;

pub use self::guides::GUIDES;
use crate::context::Context;
use crate::domain::event_type::nearest;
use crate::error::Failure;

/// Show the help of a command, or a guide
///
/// Without arguments it lists all commands and guides. At a terminal a guide is shown by PAGER, or less.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl help webhook create
  hookctl help receiving")]
pub struct Help {
    /// A command, such as `webhook create`, or a guide
    #[arg(value_name = "COMMAND|GUIDE")]
    words: Vec<String>,
}

impl Help {
    /// Without arguments: the overview.
    pub fn overview() -> Help {
        Help { words: Vec::new() }
    }

    pub fn run(self, context: &mut Context, tree: clap::Command) -> Result<()> {
        let guide = GUIDES.iter().find(|guide| self.words == [guide.name]);
        match guide {
            Some(guide) => context.out.guide(guide.text, context.settings.pager.as_deref()),
            None => context.out.bytes(of_command(tree, &self.words)?.as_bytes()),
        }
    }
}

/// The output of `--help` for the command that the words name.
fn of_command(mut tree: clap::Command, words: &[String]) -> Result<String, Failure> {
    tree.build();
    let mut command = &mut tree;
    for (depth, word) in words.iter().enumerate() {
        if command.find_subcommand(word).is_none() {
            return Err(unknown(command, word, depth == 0));
        }
        command = command.find_subcommand_mut(word).expect("it was found just now");
    }
    Ok(match words {
        [] => overview::overview(command),
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
