//! `hookctl man`

use std::fs;
use std::io;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, Command};
use clap_mangen::Man as Renderer;
use clap_mangen::roff::{Roff, bold, roman};

use crate::context::Context;

/// The date on every page: that of the last change of their text.
const DATE: &str = "2026-11-25";

/// Print the manual page, or write one page for every command
///
/// Without --dir it is the page of hookctl itself, in the format of man. The pages are made from the commands' help.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl man > hookctl.1
  hookctl man --dir man1   # then: man man1/hookctl-emit.1")]
pub struct Man {
    /// Write a page for every command into this folder; it is made when it is not there
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Man {
    pub fn run(self, context: &mut Context, tree: Command) -> Result<()> {
        let mut command = tree.disable_help_subcommand(true);
        command.build();
        let Some(dir) = self.dir else {
            context.out.plain(&page(&command, None)?)?;
            return Ok(());
        };
        let fail = || format!("--dir: cannot write to '{}'", dir.display());
        fs::create_dir_all(&dir).with_context(fail)?;
        let pages = pages(&command)?;
        for (name, text) in &pages {
            fs::write(dir.join(name), text).with_context(fail)?;
        }
        context.out.notice(&format!("{} pages are in {}", pages.len(), dir.display()));
        Ok(())
    }
}

/// The pages of all visible commands, by file name.
fn pages(root: &Command) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut pages = Vec::new();
    let mut commands: Vec<(&Command, Option<&Command>)> = vec![(root, None)];
    while let Some((command, above)) = commands.pop() {
        pages.push((format!("{}.1", display_name(command)), page(command, above)?));
        let below = command.get_subcommands().filter(|below| !below.is_hide_set());
        commands.extend(below.map(|below| (below, Some(command))));
    }
    Ok(pages)
}

/// One page: rendered from clap's tree, then the sections of the command's help. Global options and common exit codes are only
/// on the main page.
fn page(command: &Command, above: Option<&Command>) -> io::Result<Vec<u8>> {
    let sections = Sections::of(command);
    let own = match above {
        None => command.clone(),
        Some(_) => command.clone().mut_args(|argument| match argument.is_global_set() {
            true => argument.hide(true),
            false => argument,
        }),
    };
    let renderer =
        Renderer::new(own).date(DATE).source(concat!("hookctl ", env!("CARGO_PKG_VERSION"))).manual("hookctl manual");
    let mut text = Vec::new();
    renderer.render_title(&mut text)?;
    renderer.render_name_section(&mut text)?;
    renderer.render_synopsis_section(&mut text)?;
    renderer.render_description_section(&mut text)?;
    renderer.render_options_section(&mut text)?;
    if command.get_subcommands().any(|below| !below.is_hide_set()) {
        renderer.render_subcommands_section(&mut text)?;
    }
    let mut roff = Roff::new();
    sections.entries("Exit status", &mut roff);
    if above.is_some() {
        if !sections.has("Exit status") {
            roff.control("SH", ["EXIT STATUS"]).text([roman("0 when it is done.")]);
        }
        roff.control("PP", []).text([roman("The codes that all commands share are in hookctl(1), with the options,")]);
        roff.text([roman("the environment and the files.")]);
    }
    sections.entries("Environment", &mut roff);
    sections.entries("Files", &mut roff);
    sections.examples(&mut roff);
    see_also(command, above, &mut roff);
    roff.to_writer(&mut text)?;
    Ok(tidied(&String::from_utf8_lossy(&text)).into_bytes())
}

/// Removes what the separately rendered parts repeat: the definition of the apostrophe, and empty lines between line breaks.
fn tidied(text: &str) -> String {
    const APOSTROPHE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";
    format!("{APOSTROPHE}{}", text.replace(APOSTROPHE, "").replace("\n.br\n\n.br\n", "\n.br\n"))
}

/// The sections at the end of a command's help: a heading, and lines indented by two blanks.
struct Sections(Vec<(String, Vec<String>)>);

impl Sections {
    fn of(command: &Command) -> Sections {
        let text = command.get_after_long_help().or_else(|| command.get_after_help());
        let mut sections: Vec<(String, Vec<String>)> = Vec::new();
        for line in text.map(ToString::to_string).unwrap_or_default().lines() {
            match (line.strip_prefix("  "), sections.last_mut()) {
                (Some(line), Some((_, lines))) => lines.push(line.to_owned()),
                (None, _) if !line.is_empty() => sections.push((line.trim_end_matches(':').to_owned(), Vec::new())),
                _ => {}
            }
        }
        Sections(sections)
    }

    fn has(&self, heading: &str) -> bool {
        self.lines(heading).next().is_some()
    }

    fn lines(&self, heading: &str) -> impl Iterator<Item = &str> {
        let section = self.0.iter().filter(move |(name, _)| name == heading);
        section.flat_map(|(_, lines)| lines.iter().map(String::as_str))
    }

    /// A section whose lines are a word, two or more blanks, and its meaning.
    fn entries(&self, heading: &str, roff: &mut Roff) {
        if self.has(heading) {
            roff.control("SH", [heading.to_uppercase().as_str()]);
        }
        for line in self.lines(heading) {
            let (word, meaning) = line.split_once("  ").unwrap_or((line, ""));
            roff.control("TP", []).text([bold(word)]).text([roman(meaning.trim_start())]);
        }
    }

    fn examples(&self, roff: &mut Roff) {
        if !self.has("Examples") {
            return;
        }
        roff.control("SH", ["EXAMPLES"]).control("EX", []);
        for line in self.lines("Examples") {
            roff.text([roman(line)]);
        }
        roff.control("EE", []);
    }
}

/// The parent page and the sibling pages. The main page has none: it lists its commands.
fn see_also(command: &Command, above: Option<&Command>, roff: &mut Roff) {
    let Some(above) = above else { return };
    let beside = above.get_subcommands().filter(|other| !other.is_hide_set() && other.get_name() != command.get_name());
    let others = beside.filter(|_| above.get_name() != "hookctl");
    let names: Vec<String> =
        std::iter::once(above).chain(others).map(|page| format!("{}(1)", display_name(page))).collect();
    roff.control("SH", ["SEE ALSO"]).text([roman(names.join(", "))]);
}

fn display_name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}
