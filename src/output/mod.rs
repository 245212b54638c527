//! Output: the only place that knows formats, colour, escaping and progress. Commands hand over views. Data goes to stdout,
//! everything else to stderr.

mod cell;
mod closed;
mod color;
mod csv;
mod escape;
mod filtered;
mod format;
mod graph;
mod json;
mod log_line;
mod look;
mod markdown;
mod messages;
mod pager;
mod progress;
mod prompt;
mod relative_time;
mod row;
mod table;
mod text;

use std::io::{self, BufWriter, IsTerminal as _, Write};

use anyhow::Result;
use indicatif::ProgressBar;
use serde::Serialize;

pub use cell::Cell;
pub use color::{ColorChoice, Meaning};
pub use escape::{escape, escape_bytes, is_unsafe};
pub use format::Format;
pub use graph::{bar, sparkline};
pub use look::Look;
pub use progress::Progress;
pub use prompt::Prompt;
pub use row::Row;
pub use text::{Page, Text};

use self::closed::write_error;
use crate::clock::Clock;
use crate::error::Failure;
use crate::jq::Expression;

const BUFFER: usize = 64 * 1024;

/// The widest help, in columns: longer lines are hard to read.
const WIDEST_HELP: usize = 100;

/// The width that help is wrapped to.
pub fn help_width() -> usize {
    terminal_width().map_or(WIDEST_HELP, |width| width.min(WIDEST_HELP))
}

/// The width of a terminal whose size is unknown.
const USUAL_WIDTH: usize = 80;

/// `None` when stdout is no terminal.
fn terminal_width() -> Option<usize> {
    let term = console::Term::stdout();
    let width = || term.size_checked().map_or(USUAL_WIDTH, |(_, columns)| usize::from(columns));
    term.is_term().then(width)
}

/// The settings of output, by options and environment.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub format: Format,
    pub color: ColorChoice,
    /// `NO_COLOR` is set and not empty.
    pub no_color: bool,
    /// `CLICOLOR_FORCE` is set, not empty and not `0`.
    pub clicolor_force: bool,
    /// No notices, no progress; errors only.
    pub quiet: bool,
    /// How often `-v` was given.
    pub verbose: u8,
    /// Whether the log and everything else on stderr is JSON, one object a line.
    pub logs_json: bool,
    /// Relative times are relative to when they are written, which may be long after the start: a question was asked.
    pub clock: Clock,
}

/// Writes the output of a command. Data is buffered: call [`Output::flush`] at the end.
pub struct Output {
    settings: Settings,
    stdout: BufWriter<Box<dyn Write>>,
    stderr: Box<dyn Write>,
    look: Look,
    stderr_color: bool,
    stderr_is_terminal: bool,
    bar: Option<ProgressBar>,
    /// `--jq`.
    jq: Option<Expression>,
}

impl Output {
    /// Writes to the process's stdout and stderr.
    pub fn new(settings: Settings) -> Output {
        let terminals = Terminals {
            stdout: io::stdout().is_terminal(),
            stdout_width: terminal_width(),
            stderr: io::stderr().is_terminal(),
        };
        Output::with_writers(settings, Box::new(io::stdout()), Box::new(io::stderr()), terminals)
    }

    /// Filters all JSON by this expression from now on.
    pub fn filter_by(&mut self, expression: Expression) {
        self.jq = Some(expression);
    }

    /// Whether the data is for people, not for programs.
    pub fn is_for_people(&self) -> bool {
        self.settings.format == Format::Table
    }

    /// Writes a list, streamed, but for a table. Without rows, a table is replaced by the notice `empty`, JSON is `[]`, and
    /// JSON lines and CSV are empty.
    pub fn list<R: Row>(&mut self, rows: impl IntoIterator<Item = Result<R>>, empty: &str) -> Result<()> {
        match self.settings.format {
            Format::Table => self.table(rows, empty),
            Format::Json if self.jq.is_some() => {
                let mut array = Vec::new();
                json::array(&mut array, rows)?;
                self.filtered(&array)
            }
            Format::Json => {
                json::array(&mut self.stdout, rows)?;
                self.bytes(b"\n")
            }
            Format::Jsonl => rows.into_iter().try_for_each(|row| self.json_line(&row?)),
            Format::Csv => {
                let mut table = csv::Table::default();
                rows.into_iter().try_for_each(|row| table.row(&mut self.stdout, &row?).map_err(write_error))
            }
        }
    }

    /// Writes an endless list, flushed after each row. The columns of a table grow as needed; JSON is one object a line.
    pub fn follow<R: Row>(&mut self, rows: impl IntoIterator<Item = Result<R>>) -> Result<()> {
        let mut lines = table::Table::held(R::COLUMNS, R::SPARE, R::HELD, self.look());
        let mut records = csv::Table::default();
        for (index, row) in rows.into_iter().enumerate() {
            let row = row?;
            match self.settings.format {
                Format::Table => {
                    let cells = row.cells(&self.look());
                    let known = usize::from(index > 0);
                    self.bytes(lines.lines(&[cells])[known..].concat().as_bytes())?;
                }
                Format::Json | Format::Jsonl => self.json_line(&row)?,
                Format::Csv => records.row(&mut self.stdout, &row).map_err(write_error)?,
            }
            self.flush()?;
        }
        Ok(())
    }

    /// Writes one object: a page of text, indented JSON, one line of JSON, or a CSV header and row.
    pub fn page<P: Page>(&mut self, page: &P) -> Result<()> {
        match self.settings.format {
            Format::Table => {
                let mut text = Text::new(self.look());
                page.describe(&mut text);
                self.bytes(text.finish().as_bytes())
            }
            Format::Json | Format::Jsonl | Format::Csv => self.object(page),
        }
    }

    /// Writes one object for programs.
    fn object<S: Serialize>(&mut self, object: &S) -> Result<()> {
        match self.settings.format {
            Format::Json if self.jq.is_none() => {
                json::pretty(&mut self.stdout, object).map_err(write_error)?;
                self.bytes(b"\n")
            }
            Format::Csv => csv::Table::default().row(&mut self.stdout, object).map_err(write_error),
            Format::Json | Format::Jsonl | Format::Table => self.json_line(object),
        }
    }

    /// Writes a page that replaces the last one: on a cleared terminal; JSON as one object a line.
    pub fn screen<P: Page>(&mut self, page: &P) -> Result<()> {
        match self.settings.format {
            Format::Table if self.look.terminal_width.is_some() => {
                // Moves to the top and clears the rest.
                self.bytes(b"\x1b[H\x1b[J")?;
                self.page(page)?;
            }
            Format::Json => self.json_line(page)?,
            Format::Table | Format::Jsonl | Format::Csv => self.page(page)?,
        }
        self.flush()
    }

    /// Writes one object as [`Output::page`] does, in `format` if it is given.
    pub fn page_in<P: Page>(&mut self, format: Option<Format>, page: &P) -> Result<()> {
        let usual = self.settings.format;
        self.settings.format = format.unwrap_or(usual);
        let done = self.page(page);
        self.settings.format = usual;
        done
    }

    /// Writes an endless list of objects, flushed after each one: pages separated by a blank line, or one JSON object a line.
    pub fn follow_pages<P: Page>(&mut self, pages: impl IntoIterator<Item = Result<P>>) -> Result<()> {
        let mut records = csv::Table::default();
        for (index, page) in pages.into_iter().enumerate() {
            let page = page?;
            match self.settings.format {
                Format::Table => {
                    if index > 0 {
                        self.bytes(b"\n")?;
                    }
                    self.page(&page)?;
                }
                Format::Json | Format::Jsonl => self.json_line(&page)?,
                Format::Csv => records.row(&mut self.stdout, &page).map_err(write_error)?,
            }
            self.flush()?;
        }
        Ok(())
    }

    /// Writes a slow list: a table and JSON lines are flushed after each row, JSON is one array.
    pub fn follow_to_end<R: Row>(&mut self, rows: impl IntoIterator<Item = Result<R>>) -> Result<()> {
        match self.settings.format {
            Format::Table | Format::Jsonl => self.follow(rows),
            Format::Json | Format::Csv => self.list(rows, ""),
        }
    }

    /// Writes objects: for people each on a page, for programs as a list.
    pub fn pages<P: Page + Row>(&mut self, pages: impl IntoIterator<Item = Result<P>>) -> Result<()> {
        match self.settings.format {
            Format::Table => self.follow_pages(pages),
            Format::Json | Format::Jsonl | Format::Csv => self.list(pages, ""),
        }
    }

    /// Writes a result: a page for people, unless quiet; the object for programs.
    pub fn outcome<P: Page>(&mut self, page: &P) -> Result<()> {
        match self.settings.format {
            Format::Table if self.settings.quiet => Ok(()),
            Format::Table | Format::Json | Format::Jsonl | Format::Csv => self.page(page),
        }
    }

    /// Writes a result: one line on stderr for people, unless quiet; the object on stdout for programs.
    pub fn report<S: Serialize>(&mut self, object: &S, line: &str) -> Result<()> {
        match self.settings.format {
            Format::Table => {
                self.summary(line);
                Ok(())
            }
            Format::Json | Format::Jsonl | Format::Csv => self.object(object),
        }
    }

    /// Asks questions; `None` without a terminal.
    pub fn prompt(&mut self) -> Result<Option<Prompt>> {
        self.flush()?;
        Prompt::new(self.stderr_color)
    }

    /// Writes one line in any format, escaped.
    #[cfg(test)]
    pub fn line(&mut self, text: &str) -> Result<()> {
        self.bytes(escape(text).as_bytes())?;
        self.bytes(b"\n")
    }

    /// Shows people, on stderr, what the next question is about. Programs get it on stdout when it is done.
    pub fn preview<P: Page>(&mut self, page: &P) {
        if self.settings.format == Format::Table && !self.settings.quiet {
            let mut text = Text::new(Look { color: self.stderr_color, ..self.look() });
            page.describe(&mut text);
            self.tell(text.finish().as_bytes());
        }
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.stdout.write_all(bytes).map_err(write_error)
    }

    /// Writes what is never JSON; an error with --jq.
    pub fn plain(&mut self, bytes: &[u8]) -> Result<()> {
        match self.jq {
            Some(_) => Err(Failure::option("--jq", "this command writes no JSON").into()),
            None => self.bytes(bytes),
        }
    }

    /// Writes bytes from outside: as they are, but escaped at a terminal.
    pub fn payload(&mut self, bytes: &[u8]) -> Result<()> {
        if self.look.terminal_width.is_none() {
            return self.plain(bytes);
        }
        let lines: Vec<String> = bytes.split(|byte| *byte == b'\n').map(escape_bytes).collect();
        self.plain(lines.join("\n").as_bytes())
    }

    /// Writes a guide: rendered and in the pager at a terminal, else as Markdown.
    pub fn guide(&mut self, markdown: &str, pager: Option<&str>) -> Result<()> {
        if self.look.terminal_width.is_none() {
            return self.bytes(markdown.as_bytes());
        }
        self.flush()?;
        let text = markdown::render(markdown, self.look.color);
        match pager {
            Some(pager) if pager::show(pager, &text) => Ok(()),
            _ => self.bytes(text.as_bytes()),
        }
    }

    /// A progress bar, if stderr is a terminal and the run is not quiet.
    pub fn progress(&mut self, label: &str, total: Option<u64>) -> Progress {
        // Other threads write log lines, which would break it up.
        if self.settings.quiet || !self.stderr_is_terminal || self.settings.verbose > 0 {
            return Progress::none();
        }
        // Data so far appears above the bar. If the reader has gone, the next write reports it.
        let _ = self.stdout.flush();
        let progress = Progress::shown(label, total);
        self.bar = progress.bar();
        progress
    }

    pub fn flush(&mut self) -> Result<()> {
        self.stdout.flush().map_err(write_error)
    }

    fn with_writers(
        settings: Settings,
        stdout: Box<dyn Write>,
        stderr: Box<dyn Write>,
        terminals: Terminals,
    ) -> Output {
        let color = |is_terminal| settings.color.applies(settings.no_color, settings.clicolor_force, is_terminal);
        Output {
            stdout: BufWriter::with_capacity(BUFFER, stdout),
            stderr,
            look: Look {
                now: settings.clock.now(),
                color: color(terminals.stdout),
                terminal_width: terminals.stdout_width,
            },
            stderr_color: color(terminals.stderr),
            stderr_is_terminal: terminals.stderr,
            bar: None,
            jq: None,
            settings,
        }
    }

    fn table<R: Row>(&mut self, rows: impl IntoIterator<Item = Result<R>>, empty: &str) -> Result<()> {
        let look = self.look();
        let rows = rows.into_iter().map(|row| Ok(row?.cells(&look))).collect::<Result<Vec<_>>>()?;
        if rows.is_empty() {
            self.notice(empty);
            return Ok(());
        }
        self.bytes(table::render(R::COLUMNS, R::SPARE, &rows, look).as_bytes())
    }

    fn look(&self) -> Look {
        Look { now: self.settings.clock.now(), ..self.look }
    }

    fn json_line<T: Serialize>(&mut self, value: &T) -> Result<()> {
        if self.jq.is_some() {
            let mut json = Vec::new();
            json::compact(&mut json, value).map_err(write_error)?;
            return self.filtered(&json);
        }
        json::compact(&mut self.stdout, value).map_err(write_error)?;
        self.bytes(b"\n")
    }

    /// Writes a JSON value filtered by `--jq`.
    fn filtered(&mut self, json: &[u8]) -> Result<()> {
        let expression = self.jq.as_ref().expect("it is asked for with --jq alone");
        filtered::write(&mut self.stdout, expression, json)
    }
}

/// Which streams are terminals, and how wide.
#[derive(Clone, Copy, Default)]
struct Terminals {
    stdout: bool,
    stdout_width: Option<usize>,
    stderr: bool,
}

#[cfg(test)]
mod tests;
