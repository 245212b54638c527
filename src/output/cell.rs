//! Cells: a text and its meaning.

use super::color::Meaning;
use super::escape::escape;

/// A text with its meaning. It is escaped when it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    pub(super) text: String,
    pub(super) meaning: Meaning,
}

impl Cell {
    pub fn new(text: impl AsRef<str>, meaning: Meaning) -> Cell {
        Cell { text: escape(text.as_ref()).into_owned(), meaning }
    }

    pub fn plain(text: impl AsRef<str>) -> Cell {
        Cell::new(text, Meaning::Plain)
    }

    pub fn good(text: impl AsRef<str>) -> Cell {
        Cell::new(text, Meaning::Good)
    }

    pub fn bad(text: impl AsRef<str>) -> Cell {
        Cell::new(text, Meaning::Bad)
    }

    pub fn warn(text: impl AsRef<str>) -> Cell {
        Cell::new(text, Meaning::Warn)
    }

    pub fn dim(text: impl AsRef<str>) -> Cell {
        Cell::new(text, Meaning::Dim)
    }

    #[expect(clippy::needless_pass_by_value, reason = "numbers and references read best as they are")]
    pub fn id(text: impl ToString) -> Cell {
        Cell::new(text.to_string(), Meaning::Id)
    }

    pub fn name(text: impl AsRef<str>) -> Cell {
        Cell::new(text, Meaning::Name)
    }

    #[expect(clippy::needless_pass_by_value, reason = "numbers and references read best as they are")]
    pub fn number(number: impl ToString) -> Cell {
        Cell::new(number.to_string(), Meaning::Number)
    }

    /// A dash.
    pub fn missing() -> Cell {
        Cell::new("-", Meaning::Missing)
    }

    /// The text in its colour.
    pub(super) fn paint(&self, color: bool) -> String {
        self.meaning.paint(&self.text, color)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::plain(text)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::plain(text)
    }
}

impl From<&String> for Cell {
    fn from(text: &String) -> Cell {
        Cell::plain(text)
    }
}

impl From<bool> for Cell {
    fn from(yes: bool) -> Cell {
        Cell::plain(if yes { "yes" } else { "no" })
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Cell {
        value.map_or_else(Cell::missing, Into::into)
    }
}

macro_rules! from_number {
    ($($number:ty)*) => {$(
        impl From<$number> for Cell {
            fn from(number: $number) -> Cell {
                Cell::number(number)
            }
        }
    )*};
}

from_number!(u8 u16 u32 u64 usize i32 i64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_from_the_start_whatever_it_is_made_of() {
        let cells = [Cell::from("\u{1b}"), Cell::from("\u{1b}".to_owned()), Cell::id("\u{1b}"), Cell::bad("\u{1b}")];
        assert!(cells.iter().all(|cell| cell.text == "\\u{1b}"));
    }

    #[test]
    fn values_turn_into_the_cell_that_fits() {
        assert_eq!(Cell::from(7_u64), Cell::number(7));
        assert_eq!(Cell::from(Some("a")), Cell::plain("a"));
        assert_eq!(Cell::from(None::<u64>), Cell::missing());
        assert_eq!(Cell::from(false), Cell::plain("no"));
    }
}
