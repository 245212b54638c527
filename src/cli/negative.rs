//! Values that begin with `-`.

use clap::ArgAction;

/// A negative number after an option, and any word after one that takes a number, is the option's value, so that what is
/// wrong with it is reported with the option's name. An option whose value may be missing takes none that begins with `-`.
pub fn with_negative_values(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|argument| {
        let takes_value = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
        let is_number = argument.get_value_names().is_some_and(|names| {
            names.iter().any(|name| matches!(name.as_str(), "N" | "N|all" | "N/UNIT" | "DURATION" | "TIME"))
        });
        match takes_value {
            true if is_number && argument.get_num_args().is_none() => argument.allow_hyphen_values(true),
            true => argument.allow_negative_numbers(true),
            false => argument,
        }
    });
    command.mut_subcommands(with_negative_values)
}
