//! When there is colour, and what each colour means.

use console::Style;

/// What `--color` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    /// Colour on a terminal, unless the environment says otherwise
    #[default]
    Auto,
    /// Colour everywhere
    Always,
    /// No colour anywhere
    Never,
}

impl ColorChoice {
    /// Whether to colour a stream. The option beats the environment, and `NO_COLOR` beats `CLICOLOR_FORCE`.
    pub fn applies(self, no_color: bool, clicolor_force: bool, is_terminal: bool) -> bool {
        match self {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => !no_color && (clicolor_force || is_terminal),
        }
    }
}

/// What a piece of text stands for; it decides colour, alignment, and whether the text may be shortened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    Plain,
    /// Something that went well.
    Good,
    /// Something that went wrong.
    Bad,
    /// Something to look at.
    Warn,
    /// Text of lesser weight.
    Dim,
    /// An id to type again; never shortened.
    Id,
    /// A name that stands beside an id; shortened where nothing else is left to shorten.
    Name,
    /// A number, right-aligned; never shortened.
    Number,
    /// No value.
    Missing,
    /// The title of a part of a page, or a table's header.
    Heading,
}

impl Meaning {
    /// The text in this meaning's colour, or as it is when `color` is off.
    pub fn paint(self, text: &str, color: bool) -> String {
        if !color || text.is_empty() {
            return text.to_owned();
        }
        let style = match self {
            Meaning::Plain | Meaning::Number => return text.to_owned(),
            Meaning::Good => Style::new().green(),
            Meaning::Bad => Style::new().red(),
            Meaning::Warn => Style::new().yellow(),
            Meaning::Dim | Meaning::Missing => Style::new().dim(),
            Meaning::Id | Meaning::Name => Style::new().cyan(),
            Meaning::Heading => Style::new().bold(),
        };
        style.force_styling(true).apply_to(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_beats_the_environment_and_no_color_beats_clicolor_force() {
        use ColorChoice::{Always, Auto, Never};
        let cases = [
            (Always, true, false, false, true),
            (Never, false, true, true, false),
            (Auto, true, true, true, false),
            (Auto, false, true, false, true),
            (Auto, false, false, true, true),
            (Auto, false, false, false, false),
        ];
        for (choice, no_color, force, terminal, expected) in cases {
            assert_eq!(choice.applies(no_color, force, terminal), expected, "{choice:?} {no_color} {force} {terminal}");
        }
    }

    #[test]
    fn colour_follows_the_meaning_and_leaves_no_byte_when_off() {
        assert_eq!(Meaning::Bad.paint("failed", true), "\u{1b}[31mfailed\u{1b}[0m");
        assert_eq!(Meaning::Good.paint("success", true), "\u{1b}[32msuccess\u{1b}[0m");
        assert_eq!(Meaning::Bad.paint("failed", false), "failed");
        assert_eq!(Meaning::Plain.paint("x", true), "x");
    }
}
