//! clap's errors in the form of all others: one line that names the option, and a hint.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::error::Failure;

/// The failure for an error of clap.
pub fn failure(error: &clap::Error, tree: &clap::Command, arguments: &[OsString]) -> Failure {
    let text_of = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    let option = match named(text_of(ContextKind::InvalidArg)) {
        "--output" if !gives_output(arguments) => "HOOKCTL_OUTPUT",
        "--db" if !gives_database(arguments) => "HOOKCTL_DB",
        option => option,
    };
    let value = text_of(ContextKind::InvalidValue);
    match error.kind() {
        ErrorKind::ValueValidation if !option.is_empty() => {
            let reason = std::error::Error::source(error).map_or_else(|| "not valid".to_owned(), ToString::to_string);
            Failure::option(option, reason)
        }
        ErrorKind::InvalidValue if !option.is_empty() => {
            let known = match error.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(known)) => known.join(", "),
                _ => String::new(),
            };
            let reason =
                if value.is_empty() { "a value is missing".to_owned() } else { format!("no such value '{value}'") };
            let failure = match known.is_empty() {
                true => Failure::option(option, reason),
                false => Failure::option(option, format!("{reason}; use {known}")),
            };
            match text_of(ContextKind::SuggestedValue) {
                "" => failure,
                meant => failure.hint(format!("did you mean '{meant}'?")),
            }
        }
        ErrorKind::MissingRequiredArgument => match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::Strings(names)) => {
                let names: Vec<&str> = names.iter().map(|name| named(name)).collect();
                advised(error, format!("{} {} missing", names.join(", "), if names.len() > 1 { "are" } else { "is" }))
            }
            _ => advised(error, first_paragraph(&error.render().to_string())),
        },
        ErrorKind::UnknownArgument if text_of(ContextKind::InvalidArg).starts_with("--secret") => Failure::invalid(
            format!("unexpected argument '{}'", text_of(ContextKind::InvalidArg)),
        )
        .hint("arguments are seen by others: a secret is given by --secret-env, --secret-file or --secret-stdin"),
        ErrorKind::UnknownArgument => {
            advised(error, format!("unexpected argument '{}'", text_of(ContextKind::InvalidArg)))
        }
        // Only the root has `help` as a command.
        ErrorKind::InvalidSubcommand if text_of(ContextKind::InvalidSubcommand) == "help" => {
            Failure::invalid("`help` comes first")
                .hint("run `hookctl help webhook create` or `hookctl webhook create --help`")
        }
        ErrorKind::InvalidSubcommand => {
            advised(error, format!("no such command '{}'", text_of(ContextKind::InvalidSubcommand)))
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            missing_command(&commands(tree, arguments))
        }
        _ => advised(error, first_paragraph(&error.render().to_string())),
    }
}

/// Whether the arguments, or else `HOOKCTL_OUTPUT`, ask for JSON. Clap has read nothing when it refuses.
pub fn wants_json(arguments: &[OsString], by_default: Option<&str>) -> bool {
    let mut words = arguments.iter().skip(1).map(|word| word.to_string_lossy()).take_while(|word| word != "--");
    let mut format = by_default.map(str::to_owned);
    while let Some(word) = words.next() {
        let given = match word.strip_prefix("--output") {
            Some("") => words.next().map(std::borrow::Cow::into_owned),
            Some(value) => value.strip_prefix('=').map(str::to_owned),
            None => match after_short_output(&word) {
                Some("") => words.next().map(std::borrow::Cow::into_owned),
                value => value.map(|value| value.trim_start_matches('=').to_owned()),
            },
        };
        format = given.or(format);
    }
    matches!(format.as_deref(), Some("json" | "jsonl"))
}

/// The commands that the arguments name, with or without global options between them. Clap tells none when it refuses. What
/// follows the commands is among them.
pub fn commands(tree: &clap::Command, arguments: &[OsString]) -> Vec<String> {
    let takes_value = |is_named: &dyn Fn(&clap::Arg) -> bool| {
        tree.get_arguments().any(|argument| is_named(argument) && argument.get_action().takes_values())
    };
    let mut words = arguments.iter().skip(1).map(|word| word.to_string_lossy());
    let mut commands = Vec::new();
    while let Some(word) = words.next() {
        let is_value_next = match (word.strip_prefix("--"), word.strip_prefix('-')) {
            (Some(name), _) => takes_value(&|argument| argument.get_long() == Some(name)),
            // Of flags in one word the last one may take the next word.
            (None, Some(flags)) => {
                let first = flags.find(|flag| takes_value(&|argument| argument.get_short() == Some(flag)));
                first.is_some_and(|at| at + 1 == flags.len())
            }
            (None, None) => {
                commands.push(word.into_owned());
                false
            }
        };
        if is_value_next {
            words.next();
        }
    }
    commands
}

/// Whether an option, and not the environment, gives the format.
fn gives_output(arguments: &[OsString]) -> bool {
    let mut words = arguments.iter().skip(1).map(|word| word.to_string_lossy()).take_while(|word| word != "--");
    words.any(|word| word.starts_with("--output") || after_short_output(&word).is_some())
}

/// The same of the database.
fn gives_database(arguments: &[OsString]) -> bool {
    let mut words = arguments.iter().skip(1).map(|word| word.to_string_lossy()).take_while(|word| word != "--");
    words.any(|word| word == "--db" || word.starts_with("--db="))
}

/// What follows the `o` of `-o` or of flags in one word, such as `-qojson`.
fn after_short_output(word: &str) -> Option<&str> {
    let flags = word.strip_prefix('-')?;
    flags.trim_start_matches(['q', 'v', 'y']).strip_prefix('o')
}

/// `--timeout <DURATION>` is `--timeout`, `<ID>` and `[ID]...` are `ID`.
fn named(argument: &str) -> &str {
    let word = argument.split([' ', '[']).find(|part| !part.is_empty()).unwrap_or_default();
    match word.starts_with('-') {
        true => word.split('=').next().unwrap_or(word),
        false => word.trim_end_matches('.').trim_matches(['<', '>', ']']),
    }
}

fn advised(error: &clap::Error, message: String) -> Failure {
    let near =
        [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg].into_iter().find_map(|kind| error.get(kind));
    let failure = Failure::invalid(message);
    match near {
        Some(ContextValue::String(name)) => failure.hint(format!("did you mean '{name}'?")),
        Some(ContextValue::Strings(names)) => {
            failure.hint(format!("did you mean '{}'?", names.last().map_or("", String::as_str)))
        }
        _ => failure.hint("run the command with --help to see its options"),
    }
}

fn missing_command(commands: &[String]) -> Failure {
    let name = std::iter::once("hookctl").chain(commands.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    Failure::invalid(format!("{name}: a command is missing"))
        .hint(format!("see `{name} --help` for the commands there are"))
}

/// Clap's own message on one line, without the usage that follows it.
fn first_paragraph(text: &str) -> String {
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    let line = paragraph.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    line.strip_prefix("error: ").map_or(line.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_of_an_error_is_that_of_the_data() {
        let asks = |line: &str, by_default| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            wants_json(&words, by_default)
        };
        for line in [
            "h -o json x",
            "h x --output jsonl",
            "h -ojson",
            "h -o=json",
            "h --output=json",
            "h -qo json",
            "h -qyojsonl",
        ] {
            assert!(asks(line, None), "{line}");
        }
        for line in ["h x json", "h emit --data json", "h -o json -o table", "h -- -o json", "h --db json", "h -o"] {
            assert!(!asks(line, None), "{line}");
        }
        assert!(asks("h x", Some("json")));
        assert!(!asks("h -o csv", Some("json")));
    }

    #[test]
    fn the_command_is_found_behind_global_options() {
        let found = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            commands(&crate::cli::command_tree(), &words)
        };
        for line in [
            "h check --x",
            "h --db stats check",
            "h --db=stats -qo json check",
            "h -ojson -q --yes check",
            "h -v check",
        ] {
            assert_eq!(found(line).first().map(String::as_str), Some("check"), "{line}");
        }
        for line in ["h webhook secret", "h --db x webhook -qo json secret", "h -v webhook --db=x secret"] {
            assert_eq!(found(line), ["webhook", "secret"], "{line}");
        }
        assert!(found("h --db check").is_empty());
    }

    #[test]
    fn an_argument_is_named_as_it_is_typed() {
        let names = [
            ("--timeout <DURATION>", "--timeout"),
            ("--ordered[=<webhook|key>]", "--ordered"),
            ("<ID>", "ID"),
            ("[ID]...", "ID"),
        ];
        for (shown, name) in names {
            assert_eq!(named(shown), name);
        }
    }
}
