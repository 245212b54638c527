//! The output of `hookctl` without arguments: its commands in groups.

use std::fmt::Write as _;

use super::guides::GUIDES;

const GROUPS: &[(&str, &[&str])] = &[
    ("Webhooks", &["webhook", "event-type"]),
    ("Events and delivery", &["emit", "event", "outbox", "drain", "delivery"]),
    ("Signatures", &["sign", "verify", "schemes"]),
    ("Watching", &["status", "stats", "check", "metrics"]),
    ("Trying out", &["demo", "listen", "replay", "probe"]),
    ("Administration", &["db", "export", "apply", "completions", "man", "help"]),
];

pub fn overview(command: &clap::Command) -> String {
    let about = |command: &clap::Command| command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut text = format!("{}\n", about(command));
    for (heading, names) in GROUPS {
        let _ = write!(text, "\n{heading}:\n");
        for sub in names.iter().filter_map(|name| command.find_subcommand(name)) {
            let _ = writeln!(text, "  {:11}  {}", sub.get_name(), about(sub));
        }
    }
    text += "\nGuides, shown by `hookctl help GUIDE`:\n";
    for guide in GUIDES {
        let _ = writeln!(text, "  {:15}  {}", guide.name, guide.about);
    }
    text + "\nhookctl demo is a guided tour. hookctl help COMMAND explains a command, and\n\
            hookctl --help the options, exit codes and the environment.\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_its_group() {
        let command = crate::cli::command_tree();
        let mut grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
        let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
        let mut there: Vec<&str> = shown.map(clap::Command::get_name).collect();
        grouped.sort_unstable();
        there.sort_unstable();
        assert_eq!(grouped, there);
    }
}
