//! A page about one object: headings, fields, tables and blocks.

use console::measure_text_width;
use serde::Serialize;

use super::cell::Cell;
use super::color::Meaning;
use super::escape::{escape, escape_bytes};
use super::look::Look;
use super::row::Row;
use super::table;
use crate::domain::time::Timestamp;

pub trait Page: Serialize {
    fn describe(&self, text: &mut Text);
}

pub struct Text {
    look: Look,
    items: Vec<Item>,
}

enum Item {
    Field(String, Cell),
    /// Rendered lines, each with its line feed.
    Lines(String),
}

impl Text {
    pub(super) fn new(look: Look) -> Text {
        Text { look, items: Vec::new() }
    }

    pub fn look(&self) -> &Look {
        &self.look
    }

    pub fn heading(&mut self, title: &str) {
        self.line(Cell::new(title, Meaning::Heading));
    }

    /// A label and a value; consecutive fields are aligned.
    pub fn field(&mut self, label: &str, value: impl Into<Cell>) {
        self.items.push(Item::Field(escape(label).into_owned(), value.into()));
    }

    /// A field that is left out when it has no value.
    pub fn optional(&mut self, label: &str, value: Option<impl Into<Cell>>) {
        if let Some(value) = value {
            self.field(label, value);
        }
    }

    /// A time with its relative form: `2026-01-31T12:00:00.000Z (3m ago)`; a dash for none.
    pub fn time(&mut self, label: &str, time: impl Into<Option<Timestamp>>) {
        let time = time.into().map(|time| format!("{} ({})", time.rfc3339(), self.look.relative(time)));
        self.field(label, time);
    }

    pub fn blank(&mut self) {
        self.lines("\n".to_owned());
    }

    pub fn line(&mut self, cell: impl Into<Cell>) {
        let line = cell.into().paint(self.look.color) + "\n";
        self.lines(line);
    }

    /// A table of a list's rows.
    pub fn rows<'a, R: Row + 'a>(&mut self, rows: impl IntoIterator<Item = &'a R>) {
        let cells: Vec<_> = rows.into_iter().map(|row| row.cells(&self.look)).collect();
        self.lines(table::render(R::COLUMNS, R::SPARE, &cells, self.look));
    }

    pub fn table(&mut self, columns: &[&str], rows: impl IntoIterator<Item = Vec<Cell>>) {
        let rows: Vec<_> = rows.into_iter().collect();
        self.lines(table::render(columns, &[], &rows, self.look));
    }

    /// Text of any number of lines, such as a payload, indented by two; bytes that are not UTF-8 are shown as `\xNN`.
    pub fn block(&mut self, content: impl AsRef<[u8]>) {
        let content = content.as_ref();
        let content = content.strip_suffix(b"\n").unwrap_or(content);
        if content.is_empty() {
            return;
        }
        let lines = content.split(|&byte| byte == b'\n').map(|line| match escape_bytes(line) {
            line if line.is_empty() => "\n".to_owned(),
            line => format!("  {line}\n"),
        });
        self.lines(lines.collect());
    }

    pub(super) fn finish(self) -> String {
        let mut text = String::new();
        for run in self.items.chunk_by(|a, b| matches!((a, b), (Item::Field(..), Item::Field(..)))) {
            let widest = run.iter().map(label_width).max().unwrap_or(0);
            for item in run {
                match item {
                    Item::Lines(lines) => text += lines,
                    Item::Field(label, value) => {
                        let gap = " ".repeat(widest - measure_text_width(label) + 2);
                        let label = Meaning::Dim.paint(&format!("{label}:"), self.look.color);
                        let line = format!("{label}{gap}{}", value.paint(self.look.color));
                        text += line.trim_end();
                        text.push('\n');
                    }
                }
            }
        }
        text
    }

    fn lines(&mut self, lines: String) {
        self.items.push(Item::Lines(lines));
    }
}

fn label_width(item: &Item) -> usize {
    match item {
        Item::Field(label, _) => measure_text_width(label),
        Item::Lines(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    fn page(write: impl FnOnce(&mut Text)) -> String {
        let look = Look { now: Timestamp::from_millis(0), color: false, terminal_width: None };
        let mut text = Text::new(look);
        write(&mut text);
        text.finish()
    }

    #[test]
    fn fields_that_follow_each_other_are_aligned() {
        let text = page(|text| {
            text.field("URL", "https://a.example");
            text.field("Retries", 3);
            text.field("Owner", None::<&str>);
            text.blank();
            text.field("A", true);
        });
        assert_eq!(text, "URL:      https://a.example\nRetries:  3\nOwner:    -\n\nA:  yes\n");
    }

    #[test]
    fn a_block_keeps_its_lines_and_shows_what_is_not_text() {
        assert_eq!(page(|text| text.block("{\n\n\t\"a\": 1\r\n}\n")), "  {\n\n  \\t\"a\": 1\\r\n  }\n");
        assert_eq!(page(|text| text.block(b"\xff\x00")), "  \\xff\\u{0}\n");
        assert_eq!(page(|text| text.block("")), "");
    }
}
