//! When colour is used, and what each colour means.

use console::Style;

/// The values of `--color`.
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
    /// Whether to colour a stream. The option takes precedence over the environment, `NO_COLOR` over `CLICOLOR_FORCE`.
    pub fn applies(self, no_color: bool, clicolor_force: bool, is_terminal: bool) -> bool {
        match self {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => !no_color && (clicolor_force || is_terminal),
        }
    }
}

/// The meaning of a text, which decides its colour, its alignment, and whether it may be shortened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    Plain,
    Good,
    Bad,
    Warn,
    /// Secondary text.
    Dim,
    /// An id that users copy; never shortened.
    Id,
    /// A name beside an id; shortened last.
    Name,
    /// A number, right-aligned; never shortened.
    Number,
    Missing,
    /// A heading of a page, or the header of a table.
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
