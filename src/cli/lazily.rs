//! Options that are described to clap only when they are needed: most runs parse those of one command alone.

use std::cell::Cell;
use std::ffi::OsString;

use clap::{ArgMatches, Args, Command, Error, FromArgMatches, Subcommand};

use super::negative::with_negative_values;

thread_local! {
    /// Whether the tree that is being made is the whole one.
    static IS_WHOLE: Cell<bool> = const { Cell::new(false) };
}

/// A command whose options clap is told of once the command line names it.
#[derive(Debug)]
pub struct Lazily<T>(pub T);

/// The tree with all options, for help, manual pages and completions.
pub fn whole(tree: fn() -> Command) -> Command {
    IS_WHOLE.set(true);
    let tree = tree();
    IS_WHOLE.set(false);
    tree
}

/// A tree that parses this command line in the same way, without the commands whose names are nowhere in it: clap copies every
/// global option into each command. It has no help.
pub fn for_line(tree: &Command, arguments: &[OsString]) -> Command {
    let is_named = |name: &str| arguments.iter().any(|argument| argument == name);
    let wanted = |one: &&Command| is_named(one.get_name()) || one.get_all_aliases().any(is_named);
    Command::new(tree.get_name().to_owned())
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_subcommand(true)
        .args(tree.get_arguments().cloned())
        .subcommands(tree.get_subcommands().filter(wanted).cloned())
}

fn fill(command: Command, whole: fn(Command) -> Command, later: fn(Command) -> Command) -> Command {
    if IS_WHOLE.get() { whole(command) } else { command.defer(later) }
}

impl<T: Args> Args for Lazily<T> {
    fn augment_args(command: Command) -> Command {
        fill(command, T::augment_args, |command| with_negative_values(T::augment_args(command)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        T::augment_args_for_update(command)
    }
}

impl<T: Subcommand> Subcommand for Lazily<T> {
    fn augment_subcommands(command: Command) -> Command {
        fill(command, T::augment_subcommands, |command| with_negative_values(T::augment_subcommands(command)))
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        T::augment_subcommands_for_update(command)
    }

    fn has_subcommand(name: &str) -> bool {
        T::has_subcommand(name)
    }
}

impl<T: FromArgMatches> FromArgMatches for Lazily<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Lazily<T>, Error> {
        T::from_arg_matches(matches).map(Lazily)
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Lazily<T>, Error> {
        T::from_arg_matches_mut(matches).map(Lazily)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}
