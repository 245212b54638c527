//! Commands that are described only when they are needed: most runs parse the options of one command alone.

use std::cell::{Cell, RefCell};
use std::ffi::OsString;

use clap::{ArgMatches, Args, Command, Error, FromArgMatches, Subcommand};

use super::negative::with_negative_values;

thread_local! {
    /// Whether the tree that is being made is the whole one.
    static IS_WHOLE: Cell<bool> = const { Cell::new(false) };
    /// The command line that the tree is made for.
    static ARGUMENTS: RefCell<Vec<OsString>> = const { RefCell::new(Vec::new()) };
}

/// A command of the tree, which clap fills in when the command line names it.
#[derive(Debug)]
pub struct Lazily<T>(pub T);

/// The tree with every option in it: for help, which lists what the command line does not name, and for pages and completions.
pub fn whole(tree: fn() -> Command) -> Command {
    IS_WHOLE.set(true);
    let tree = tree();
    IS_WHOLE.set(false);
    tree
}

/// The tree for one command line: without the commands whose names are nowhere in it, it parses that line in the same way.
/// Each command that is left out saves a copy of every global option.
pub fn for_line(tree: fn() -> Command, arguments: &[OsString]) -> Command {
    ARGUMENTS.set(arguments.to_vec());
    tree()
}

/// The commands of the tree's first level.
#[derive(Debug)]
pub struct FirstLevel<T>(pub T);

impl<T: Subcommand> Subcommand for FirstLevel<T> {
    fn augment_subcommands(command: Command) -> Command {
        let arguments = ARGUMENTS.take();
        let all = T::augment_subcommands(Command::new(""));
        let is_named = |name: &str| arguments.iter().any(|argument| argument == name);
        let wanted = |one: &&Command| IS_WHOLE.get() || is_named(one.get_name()) || one.get_all_aliases().any(is_named);
        command.subcommands(all.get_subcommands().filter(wanted).cloned())
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        T::augment_subcommands_for_update(command)
    }

    fn has_subcommand(name: &str) -> bool {
        T::has_subcommand(name)
    }
}

impl<T: FromArgMatches> FromArgMatches for FirstLevel<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<FirstLevel<T>, Error> {
        T::from_arg_matches(matches).map(FirstLevel)
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<FirstLevel<T>, Error> {
        T::from_arg_matches_mut(matches).map(FirstLevel)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
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
