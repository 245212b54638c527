//! Questions at a terminal: written to stderr, answered on stdin. Both must be terminals.

use std::io::{self, IsTerminal as _};

use anyhow::{Context as _, Result};
use console::{Term, measure_text_width, truncate_str};
use dialoguer::theme::{ColorfulTheme, SimpleTheme, Theme};
use dialoguer::{Confirm, Input, MultiSelect, Select};

use super::color::Meaning;
use super::escape::escape;
use crate::error::{Failure, Kind};
use crate::signals::Asking;

/// The smallest terminal, in lines and columns: dialoguer's lists panic on a smaller one.
const SMALLEST: (u16, u16) = (4, 20);
/// The most lines of a list of choices, with its title; longer lists have pages.
const LINES: usize = 16;
/// The width of the mark left of a choice.
const MARK: usize = 6;
/// The width of ` [y/N] no` right of a question, and of the mark left of it.
const ANSWER: usize = 12;

/// Asks questions. While it exists, Ctrl-C ends the question and not the program.
pub struct Prompt {
    term: Term,
    theme: Box<dyn Theme>,
    color: bool,
    _asking: Asking,
}

impl Prompt {
    /// `None` if stdin or stderr is no terminal, or it is too small.
    pub(super) fn new(color: bool) -> Result<Option<Prompt>> {
        let term = Term::stderr();
        let (lines, columns) = term.size();
        // dialoguer checks stderr only, and would read from /dev/tty whatever stdin is.
        if !(io::stdin().is_terminal() && io::stderr().is_terminal() && lines >= SMALLEST.0 && columns >= SMALLEST.1) {
            return Ok(None);
        }
        let theme: Box<dyn Theme> = if color { Box::new(ColorfulTheme::default()) } else { Box::new(SimpleTheme) };
        let asking = Asking::begin().context("cannot listen for Ctrl-C")?;
        Ok(Some(Prompt { term, theme, color, _asking: asking }))
    }

    /// Asks for yes or no; Enter alone is `default`.
    pub fn confirm(&self, question: &str, default: bool) -> Result<bool> {
        let question = escape(question);
        let mut asked = question.as_ref();
        // dialoguer cannot erase a line that the terminal has wrapped.
        if measure_text_width(asked) + ANSWER > self.width() {
            self.term.write_line(asked).context(CANNOT_ASK)?;
            asked = "Go ahead?";
        }
        self.answered(Confirm::with_theme(&*self.theme).with_prompt(asked).default(default).interact_on(&self.term))
    }

    /// Asks for a line of text until `check` accepts it.
    pub fn text<T>(&self, label: &str, check: impl FnMut(&str) -> Result<T>) -> Result<T> {
        self.text_shown(label, str::to_owned, check)
    }

    /// The same; the text that stays on the screen is that of `show`.
    pub fn text_shown<T>(
        &self,
        label: &str,
        show: fn(&str) -> String,
        mut check: impl FnMut(&str) -> Result<T>,
    ) -> Result<T> {
        loop {
            let input = Input::<String>::with_theme(&*self.theme).with_prompt(label).allow_empty(true).report(false);
            let answer = self.answered(input.interact_text_on(&self.term))?;
            let error = match check(answer.trim()) {
                Ok(checked) => {
                    self.keep(label, &show(answer.trim()))?;
                    return Ok(checked);
                }
                Err(error) => error,
            };
            match error.downcast_ref::<Failure>() {
                Some(failure) if failure.kind != Kind::Failed => self.tell(failure)?,
                _ => return Err(error),
            }
        }
    }

    /// Asks for any number of `choices`; returns their indexes.
    pub fn choose_some(&self, label: &str, choices: &[String]) -> Result<Vec<usize>> {
        let list = MultiSelect::with_theme(&*self.theme).with_prompt(label).items(self.fitting(choices));
        self.answered(list.max_length(LINES).report(false).interact_on(&self.term))
    }

    /// Asks for one of `choices`; returns its index. Enter alone is the first.
    pub fn choose_one(&self, label: &str, choices: &[String]) -> Result<usize> {
        let list = Select::with_theme(&*self.theme).with_prompt(label).items(self.fitting(choices)).default(0);
        self.answered(list.max_length(LINES).report(false).interact_on(&self.term))
    }

    /// Writes a label with an answer, which stay on the screen.
    pub fn keep(&self, label: &str, answer: &str) -> Result<()> {
        let label = Meaning::Dim.paint(&format!("{label}:"), self.color);
        self.term.write_line(&format!("{label} {}", escape(answer))).context(CANNOT_ASK)
    }

    pub fn line(&self, text: &str) -> Result<()> {
        self.term.write_line(&escape(text)).context(CANNOT_ASK)
    }

    /// The choices, shortened to one line of the terminal.
    fn fitting(&self, choices: &[String]) -> Vec<String> {
        let width = self.width().saturating_sub(MARK);
        choices.iter().map(|choice| truncate_str(&escape(choice), width, "…").into_owned()).collect()
    }

    fn width(&self) -> usize {
        self.term.size().1.into()
    }

    fn tell(&self, failure: &Failure) -> Result<()> {
        let mut lines = vec![(Meaning::Bad, "error: ", failure.message.as_str())];
        lines.extend(failure.hint.as_deref().map(|hint| (Meaning::Id, "hint: ", hint)));
        for (meaning, prefix, text) in lines {
            let line = format!("{}{}", meaning.paint(prefix, self.color), escape(text));
            self.term.write_line(&line).context(CANNOT_ASK)?;
        }
        Ok(())
    }

    /// The answer; after Ctrl-C the terminal is restored.
    fn answered<T>(&self, answer: dialoguer::Result<T>) -> Result<T> {
        let error = match answer.map_err(io::Error::from) {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        // The line of the question is unfinished. Errors do not matter: the terminal may be gone.
        let _ = self.term.show_cursor();
        let _ = self.term.write_line("");
        match error.kind() {
            io::ErrorKind::Interrupted => {
                Err(Failure::new(Kind::Stopped, "stopped at a question; nothing was done").into())
            }
            _ => Err(anyhow::Error::new(error).context(CANNOT_ASK)),
        }
    }
}

const CANNOT_ASK: &str = "cannot ask at the terminal";
