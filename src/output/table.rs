//! Columns for people, laid out by comfy-table: an upper-case header, two blanks between columns, no frame.

use std::iter;

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, ContentLineStyle, Row, TableStyle, Width};
use console::measure_text_width;

use super::cell::Cell;
use super::color::Meaning;
use super::look::Look;

const GAP: &str = "  ";
/// Stands for the gap until a line is painted cell by cell. Escaped text never holds it.
const EDGE: char = '\u{1f}';
const EDGES: ContentLineStyle = ContentLineStyle::none().junction(EDGE);
/// A column that is shortened keeps at least this many characters.
const SHORTEST: u16 = 12;

/// A whole table, each line with its end. Where a terminal is too narrow, free text is shortened; where that is not enough, the
/// `spare` columns go, one after the other; then names are shortened too.
pub fn render(names: &[&str], spare: &[&str], rows: &[Vec<Cell>], look: Look) -> String {
    let kept = kept(names, spare, rows, look);
    if kept.len() == names.len() {
        return Table::new(names, look).lines(rows).concat();
    }
    let names: Vec<&str> = kept.iter().map(|index| names[*index]).collect();
    let rows: Vec<Vec<Cell>> = rows.iter().map(|row| kept.iter().map(|index| row[*index].clone()).collect()).collect();
    Table::new(&names, look).lines(&rows).concat()
}

/// The columns that are shown, by their indexes.
fn kept(names: &[&str], spare: &[&str], rows: &[Vec<Cell>], look: Look) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..names.len()).collect();
    let Some(width) = look.terminal_width.filter(|_| !spare.is_empty()) else { return kept };
    let least: Vec<usize> = names
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let mut column = Column { width: width_of(name), ..Column::default() };
            rows.iter().for_each(|row| {
                column.width = column.width.max(width_of(&row[index].text));
                column.hold(&row[index]);
            });
            column.least(name, Shortened::Text).into()
        })
        .collect();
    for name in spare {
        let needed = kept.iter().map(|index| least[*index] + GAP.len()).sum::<usize>();
        if needed.saturating_sub(GAP.len()) <= width {
            break;
        }
        kept.retain(|index| names[*index] != *name);
    }
    kept
}

fn width_of(text: &str) -> u16 {
    u16::try_from(measure_text_width(text)).unwrap_or(u16::MAX)
}

/// What is shortened where a terminal is too narrow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shortened {
    Text,
    TextAndNames,
}

/// The columns of one table, and what they have held so far.
pub struct Table {
    look: Look,
    header: Vec<Cell>,
    columns: Vec<Column>,
}

#[derive(Clone, Copy, Default)]
struct Column {
    /// The width of the widest cell.
    width: u16,
    /// Holds text that may be shortened, not only ids and numbers.
    free: bool,
    /// Holds names, which may be shortened where that of text is not enough.
    names: bool,
    numbers: bool,
    others: bool,
}

impl Table {
    /// A table without rows.
    pub fn new(names: &[&str], look: Look) -> Table {
        let header = names.iter().map(|name| Cell::new(name.to_uppercase(), Meaning::Heading)).collect();
        Table { look, header, columns: vec![Column::default(); names.len()] }
    }

    /// The header and these rows, as lines with their ends. Columns are at least as wide as for the rows before.
    pub fn lines(&mut self, rows: &[Vec<Cell>]) -> Vec<String> {
        let mut layout = self.layout(rows);
        if let Some(width) = self.look.terminal_width {
            self.fit(&mut layout, width);
        }
        // A cell of more than 65,535 characters, comfy-table's widest, goes on in lines below that belong to no row.
        let cells = iter::once(&self.header).chain(rows).map(Vec::as_slice).chain(iter::repeat(&[][..]));
        // The second line is the ruler.
        let lines = layout.lines().enumerate().filter_map(|(index, line)| (index != 1).then_some(line));
        lines.zip(cells).map(|(line, cells)| paint(&line, cells, self.look.color)).collect()
    }

    /// The header, a ruler that is as wide as the rows before, and these rows.
    fn layout(&mut self, rows: &[Vec<Cell>]) -> comfy_table::Table {
        let texts = |cells: &[Cell]| Row::from(cells.iter().map(|cell| &cell.text));
        let ruler = self.columns.iter().map(|column| " ".repeat(column.width.into()));
        let mut layout = comfy_table::Table::new();
        layout
            .load_style(TableStyle::new().header_lines(EDGES).content_lines(EDGES))
            .set_delimiter(EDGE)
            .set_header(texts(&self.header))
            .add_row(ruler)
            .add_rows(rows.iter().map(|row| texts(row)));

        for row in rows {
            self.columns.iter_mut().zip(row).for_each(|(column, cell)| column.hold(cell));
        }
        let widths = layout.column_max_content_widths();
        for ((column, laid_out), width) in self.columns.iter_mut().zip(layout.column_iter_mut()).zip(widths) {
            column.width = width;
            laid_out.set_padding((0, 0)).set_cell_alignment(column.alignment());
        }
        layout
    }

    /// Shortens free text, the widest first, until a line fits the terminal, as far as that goes.
    fn fit(&self, layout: &mut comfy_table::Table, width: usize) {
        let gaps = self.columns.len().saturating_sub(1);
        let whole = |widths: &mut dyn Iterator<Item = u16>| widths.map(usize::from).sum::<usize>() + gaps * GAP.len();
        if whole(&mut self.columns.iter().map(|column| column.width)) <= width {
            return;
        }
        let least = |shortened| {
            let columns = self.columns.iter().zip(&self.header);
            columns.map(move |(column, name)| column.least(&name.text, shortened))
        };
        let shortened = match whole(&mut least(Shortened::Text)) <= width {
            true => Shortened::Text,
            false => Shortened::TextAndNames,
        };
        let constraints = self.columns.iter().zip(least(shortened)).map(|(column, least)| match least < column.width {
            true => ColumnConstraint::LowerBoundary(Width::Fixed(least)),
            false => ColumnConstraint::ContentWidth,
        });
        // comfy-table counts an edge as one character, not as the gap that it becomes.
        let width = width.saturating_sub(gaps * (GAP.len() - 1));
        layout
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(u16::try_from(width).unwrap_or(u16::MAX))
            .set_constraints(constraints);
        layout.row_iter_mut().for_each(|row| {
            row.max_height(1);
        });
    }
}

impl Column {
    fn hold(&mut self, cell: &Cell) {
        self.free |= !matches!(cell.meaning, Meaning::Id | Meaning::Name | Meaning::Number | Meaning::Missing);
        self.names |= cell.meaning == Meaning::Name;
        self.numbers |= is_number(cell);
        self.others |= !is_number(cell) && cell.meaning != Meaning::Missing;
    }

    /// The width that it may be brought down to.
    fn least(self, name: &str, shortened: Shortened) -> u16 {
        let is_shortened = self.free || (self.names && shortened == Shortened::TextAndNames);
        if is_shortened { self.width.min(SHORTEST.max(width_of(name))) } else { self.width }
    }

    fn alignment(self) -> CellAlignment {
        if self.numbers && !self.others { CellAlignment::Right } else { CellAlignment::Left }
    }
}

fn is_number(cell: &Cell) -> bool {
    match cell.meaning {
        Meaning::Number => true,
        Meaning::Id => cell.text.bytes().all(|byte| byte.is_ascii_digit()),
        // A count or a share that is coloured by how good it is.
        Meaning::Good | Meaning::Warn | Meaning::Bad => {
            cell.text.ends_with(|c: char| c.is_ascii_digit() || c == '%')
                && cell.text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'%')
        }
        _ => false,
    }
}

/// A line with its gaps, its colours and its end. Colour comes last, so that a shortened cell keeps it.
fn paint(line: &str, cells: &[Cell], color: bool) -> String {
    let meanings = cells.iter().map(|cell| cell.meaning).chain(iter::repeat(Meaning::Plain));
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
