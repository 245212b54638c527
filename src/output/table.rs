//! Tables, laid out by comfy-table: an upper-case header, two blanks between columns, no borders.

use std::iter;

use comfy_table::{CellAlignment, ColumnConstraint, ContentLineStyle, Row, TableStyle, Width};
use console::measure_text_width;

use super::cell::Cell;
use super::color::Meaning;
use super::look::Look;

const GAP: &str = "  ";
/// Marks the gap between columns until a line is coloured. Escaped text never contains it.
const EDGE: char = '\u{1f}';
const EDGES: ContentLineStyle = ContentLineStyle::none().junction(EDGE);
/// The least width of a shortened column.
const SHORTEST: u16 = 12;

/// A whole table, each line with its line feed. On a narrow terminal free text is shortened; if that is not enough, the `spare`
/// columns are left out one by one; then names are shortened too.
pub fn render(names: &[&str], spare: &[&str], rows: &[Vec<Cell>], look: Look) -> String {
    let mut table = Table::new(names, look);
    table.spare = spare.iter().filter_map(|spare| names.iter().position(|name| name == spare)).collect();
    table.lines(rows).concat()
}

/// What is shortened on a narrow terminal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shortened {
    Text,
    TextAndNames,
}

/// The columns of one table with their widths so far.
pub struct Table {
    look: Look,
    header: Vec<Cell>,
    columns: Vec<Column>,
    /// The columns that are left out on a narrow terminal, in this order.
    spare: Vec<usize>,
    /// Fixed widths.
    held: Option<Vec<Option<u16>>>,
}

#[derive(Clone, Copy, Default)]
struct Column {
    /// The width of the widest cell.
    width: u16,
    /// Whether it has text that may be shortened, not only ids and numbers.
    free: bool,
    /// Whether it has names, which are shortened if shortening text is not enough.
    names: bool,
    numbers: bool,
    others: bool,
}

impl Table {
    pub fn new(names: &[&str], look: Look) -> Table {
        let header: Vec<Cell> = names.iter().map(|name| Cell::new(name.to_uppercase(), Meaning::Heading)).collect();
        let columns = header.iter().map(|name| Column { width: width_of(&name.text), ..Column::default() }).collect();
        Table { look, header, columns, spare: Vec::new(), held: None }
    }

    /// The columns of an endless list, see [`super::row::Row::HELD`].
    pub fn held(names: &[&str], spare: &[&str], held: &[(u16, bool)], look: Look) -> Table {
        let mut table = Table::new(names, look);
        let Some(terminal) = look.terminal_width.filter(|_| !held.is_empty()) else { return table };
        let mut widths: Vec<_> =
            table.columns.iter().zip(held).map(|(c, (width, _))| Some(c.width.max(*width))).collect();
        for spare in spare.iter().filter_map(|spare| names.iter().position(|name| name == spare)) {
            if whole(&widths) > terminal {
                widths[spare] = None;
            }
        }
        let left = u16::try_from(terminal.saturating_sub(whole(&widths))).unwrap_or(u16::MAX);
        let takers = held.iter().filter(|(_, takes)| *takes).count().max(1) as u16;
        for (width, _) in widths.iter_mut().zip(held).filter(|(_, (_, takes))| *takes) {
            *width = width.map(|width| width + left / takers);
        }
        table.held = Some(widths);
        table
    }

    /// The header and these rows as lines with line feeds. Columns are at least as wide as for the rows before.
    pub fn lines(&mut self, rows: &[Vec<Cell>]) -> Vec<String> {
        let keep_coming = self.held.is_some();
        for row in rows {
            self.columns.iter_mut().zip(row).for_each(|(column, cell)| column.hold(cell, keep_coming));
        }
        let widths = self.widths();
        let layout = self.layout(rows, &widths);
        let shown = |cells: &[Cell]| -> Vec<Meaning> {
            let shown = cells.iter().zip(&widths).filter(|(_, width)| width.is_some());
            shown.map(|(cell, _)| cell.meaning).collect()
        };
        // A cell of more than 65,535 characters, the limit of comfy-table, continues in further lines.
        let cells = iter::once(&self.header).chain(rows).map(Vec::as_slice).chain(iter::repeat(&[][..]));
        layout.lines().zip(cells).map(|(line, cells)| paint(&line, &shown(cells), self.look.color)).collect()
    }

    fn layout(&self, rows: &[Vec<Cell>], widths: &[Option<u16>]) -> comfy_table::Table {
        let texts = |cells: &[Cell]| Row::from(cells.iter().map(|cell| &cell.text));
        let mut layout = comfy_table::Table::new();
        layout
            .load_style(TableStyle::new().header_lines(EDGES).content_lines(EDGES))
            .set_delimiter(EDGE)
            .set_header(texts(&self.header))
            .add_rows(rows.iter().map(|row| texts(row)))
            .set_constraints(widths.iter().map(|width| match width {
                Some(width) => ColumnConstraint::Absolute(Width::Fixed(*width)),
                None => ColumnConstraint::Hidden,
            }));
        for (column, laid_out) in self.columns.iter().zip(layout.column_iter_mut()) {
            laid_out.set_padding((0, 0)).set_cell_alignment(column.alignment());
        }
        if self.look.terminal_width.is_some() {
            layout.row_iter_mut().for_each(|row| {
                row.max_height(1);
            });
        }
        layout
    }

    /// The width of each column; `None` if it is left out. Without a terminal each is as wide as its widest cell.
    fn widths(&self) -> Vec<Option<u16>> {
        if let Some(held) = &self.held {
            // An id or a number that is wider is not cut.
            let widths = held.iter().zip(&self.columns).map(|(width, column)| match column.free || column.names {
                true => *width,
                false => width.map(|width| width.max(column.width)),
            });
            return widths.collect();
        }
        let mut widths: Vec<_> = self.columns.iter().map(|column| Some(column.width)).collect();
        let Some(terminal) = self.look.terminal_width else { return widths };
        let least =
            |shortened| self.columns.iter().zip(&self.header).map(move |(c, name)| c.least(&name.text, shortened));
        let mut floor: Vec<_> = least(Shortened::Text).map(Some).collect();
        for spare in &self.spare {
            if whole(&floor) <= terminal {
                break;
            }
            (widths[*spare], floor[*spare]) = (None, None);
        }
        if whole(&floor) > terminal {
            floor = least(Shortened::TextAndNames).map(Some).collect();
        }
        // Shortens the widest shortenable column until a line fits, as far as possible.
        while whole(&widths) > terminal {
            let shrinkable = widths.iter_mut().zip(&floor).filter(|(width, least)| **width > **least);
            let Some((Some(width), _)) = shrinkable.max_by_key(|(width, _)| **width) else { break };
            *width -= 1;
        }
        widths
    }
}

/// The width of a line: its cells and the gaps between them.
fn whole(widths: &[Option<u16>]) -> usize {
    let shown = widths.iter().flatten();
    shown.clone().map(|width| usize::from(*width)).sum::<usize>() + shown.count().saturating_sub(1) * GAP.len()
}

fn width_of(text: &str) -> u16 {
    u16::try_from(measure_text_width(text)).unwrap_or(u16::MAX)
}

impl Column {
    /// In an endless list a coloured number is aligned like text: the next row may have a word there.
    fn hold(&mut self, cell: &Cell, keep_coming: bool) {
        let is_number = is_number(cell) && !(keep_coming && is_coloured(cell));
        self.width = self.width.max(width_of(&cell.text));
        self.free |= !matches!(cell.meaning, Meaning::Id | Meaning::Name | Meaning::Number | Meaning::Missing);
        self.names |= cell.meaning == Meaning::Name;
        self.numbers |= is_number;
        self.others |= !is_number && cell.meaning != Meaning::Missing;
    }

    /// The width that it may be shortened to.
    fn least(self, name: &str, shortened: Shortened) -> u16 {
        let is_shortened = self.free || (self.names && shortened == Shortened::TextAndNames);
        if is_shortened { self.width.min(SHORTEST.max(width_of(name))) } else { self.width }
    }

    fn alignment(self) -> CellAlignment {
        if self.numbers && !self.others { CellAlignment::Right } else { CellAlignment::Left }
    }
}

/// Whether its colour says how good it is, as with counts and shares.
fn is_coloured(cell: &Cell) -> bool {
    matches!(cell.meaning, Meaning::Good | Meaning::Warn | Meaning::Bad)
}

fn is_number(cell: &Cell) -> bool {
    match cell.meaning {
        Meaning::Number => true,
        Meaning::Id => cell.text.bytes().all(|byte| byte.is_ascii_digit()),
        _ if is_coloured(cell) => {
            cell.text.ends_with(|c: char| c.is_ascii_digit() || c == '%')
                && cell.text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'%')
        }
        _ => false,
    }
}

/// A line with gaps, colours and line feed. Colour is added last, so that a shortened cell keeps it.
fn paint(line: &str, meanings: &[Meaning], color: bool) -> String {
    let meanings = meanings.iter().copied().chain(iter::repeat(Meaning::Plain));
    let parts = line.split(EDGE).zip(meanings).map(|(part, meaning)| {
        let text = part.trim_matches(' ');
        part.replacen(text, &meaning.paint(text, color), 1)
    });
    let mut line = parts.collect::<Vec<_>>().join(GAP);
    line.truncate(line.trim_end().len());
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    fn look(terminal_width: Option<usize>) -> Look {
        Look { now: Timestamp::from_millis(0), color: false, terminal_width }
    }

    #[test]
    fn numbers_are_right_aligned_and_a_dash_goes_with_its_column() {
        let rows = [
            vec![Cell::number(5), Cell::missing(), Cell::id("ev_1")],
            vec![Cell::missing(), Cell::missing(), Cell::id(7)],
        ];
        assert_eq!(
            render(&["count", "state", "id"], &[], &rows, look(None)),
            "COUNT  STATE  ID\n    5  -      ev_1\n    -  -      7\n"
        );
    }

    #[test]
    fn a_column_of_rows_that_keep_coming_stays_on_its_side_when_a_word_follows_a_code() {
        let mut table = Table::held(&["id", "result"], &[], &[(4, false), (16, false)], look(Some(40)));
        let code = table.lines(&[vec![Cell::number(1), Cell::good("200")]]);
        let word = table.lines(&[vec![Cell::number(2), Cell::bad("connection_error")]]);
        let again = table.lines(&[vec![Cell::number(3), Cell::bad("502")]]);
        assert_eq!(code, ["  ID  RESULT\n", "   1  200\n"]);
        assert_eq!([&word[1], &again[1]], ["   2  connection_error\n", "   3  502\n"]);
    }

    #[test]
    fn the_widest_free_text_is_shortened_first_and_ids_never() {
        let rows = [vec![Cell::id("i".repeat(40)), Cell::plain("short name"), Cell::plain("w".repeat(60))]];
        let table = render(&["id", "name", "text"], &[], &rows, look(Some(80)));
        assert_eq!(table.lines().nth(1).unwrap(), format!("{}  short name  {}…", "i".repeat(40), "w".repeat(25)));
    }

    #[test]
    fn a_terminal_too_narrow_for_the_ids_still_gets_them_whole() {
        let rows = [vec![Cell::id("i".repeat(40)), Cell::plain("w".repeat(60))]];
        let table = render(&["id", "text"], &[], &rows, look(Some(30)));
        assert_eq!(table.lines().nth(1).unwrap(), format!("{}  {}…", "i".repeat(40), "w".repeat(11)));
    }

    #[test]
    fn names_are_shortened_where_text_is_not_enough() {
        let rows = [vec![Cell::name("n".repeat(40)), Cell::plain("w".repeat(60))]];
        let line = |width| render(&["name", "text"], &[], &rows, look(Some(width))).lines().nth(1).unwrap().to_owned();
        assert_eq!(line(60), format!("{}  {}…", "n".repeat(40), "w".repeat(17)));
        assert_eq!(line(30), format!("{}…  {}…", "n".repeat(13), "w".repeat(13)));
    }

    #[test]
    fn spare_columns_go_where_the_terminal_is_too_narrow_for_shortened_text() {
        let rows = [vec![Cell::id("i".repeat(20)), Cell::number(1), Cell::plain("w".repeat(30)), Cell::number(2)]];
        let header = |width| {
            let table = render(&["id", "one", "text", "two"], &["two", "one"], &rows, look(width));
            table.lines().next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(header(None), "ID ONE TEXT TWO");
        assert_eq!(header(Some(44)), "ID ONE TEXT TWO");
        assert_eq!(header(Some(43)), "ID ONE TEXT");
        assert_eq!(header(Some(38)), "ID TEXT");
    }

    #[test]
    fn wide_characters_count_twice() {
        let rows = [vec![Cell::plain("請求"), Cell::plain("a")], vec![Cell::plain("abcd"), Cell::plain("b")]];
        assert_eq!(render(&["n", "x"], &[], &rows, look(None)), "N     X\n請求  a\nabcd  b\n");
    }

    #[test]
    fn a_table_that_fits_is_not_shortened_however_long_its_header_is() {
        let names = ["h".repeat(35), "b".to_owned(), "c".to_owned()];
        let rows = [vec![Cell::plain("w".repeat(36)), Cell::plain("x".repeat(32)), Cell::plain("y".repeat(32))]];
        let table = render(&names.each_ref().map(String::as_str), &[], &rows, look(Some(104)));
        assert_eq!(table.lines().nth(1).unwrap().len(), 104, "{table}");
    }

    #[test]
    fn a_shortened_cell_keeps_its_colour_and_blanks_get_none() {
        let look = Look { color: true, ..look(Some(20)) };
        let rows = [vec![Cell::bad("two words and more"), Cell::good(" a ")]];
        assert_eq!(
            render(&["x", "y"], &[], &rows, look),
            "\u{1b}[1mX\u{1b}[0m                \u{1b}[1mY\u{1b}[0m\n\u{1b}[31mtwo words and …\u{1b}[0m   \u{1b}[32ma\u{1b}[0m\n"
        );
    }

    #[test]
    fn columns_keep_the_width_of_earlier_rows_and_grow_for_later_ones() {
        let mut table = Table::new(&["id", "name"], look(Some(30)));
        let mut row = |id: u64, name: &str| table.lines(&[vec![Cell::id(id), Cell::plain(name)]]).remove(1);
        assert_eq!(row(12345, "a"), "12345  a\n");
        assert_eq!(row(1, "b"), "    1  b\n");
        assert_eq!(row(1, &"c".repeat(60)), format!("    1  {}…\n", "c".repeat(22)));
        assert_eq!(row(1_234_567, &"c".repeat(60)), format!("1234567  {}…\n", "c".repeat(20)));
    }

    #[test]
    fn text_wider_than_any_terminal_is_whole_in_a_pipe_and_one_line_on_a_terminal() {
        let rows = [vec![Cell::plain("w".repeat(70_000)), Cell::id(1)], vec![Cell::plain("x"), Cell::id(2)]];
        let piped = render(&["text", "id"], &[], &rows, look(None));
        assert_eq!(piped.matches('w').count(), 70_000);
        assert!(piped.ends_with("2\n"));
        let shown = render(&["text", "id"], &[], &rows, look(Some(80)));
        assert_eq!(shown.lines().map(|line| line.chars().count()).collect::<Vec<_>>(), [80, 80, 80]);
    }
}
