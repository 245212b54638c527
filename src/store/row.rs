//! Rows of query results, read column by column in the order of the statement: looking a column up by name takes longer than
//! reading it.

use serde::de::DeserializeOwned;

use super::{Result, StoreError};
use crate::domain::attempt::{ErrorType, Trigger};
use crate::domain::delivery::Status;
use crate::domain::presets::Preset;
use crate::domain::secret::KeyKind;
use crate::domain::text::shortened;
use crate::domain::time::Timestamp;
use crate::domain::webhook::{Order, Shape};

/// The most characters of an unreadable value in its error.
const LONGEST_VALUE: usize = 80;

/// The value in one column, of any engine; booleans are 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'r> {
    Null,
    Integer(i64),
    Text(&'r str),
    Blob(&'r [u8]),
}

/// A row of an engine.
pub trait Cells {
    fn cell(&self, column: usize) -> Result<Cell<'_>>;
    fn name(&self, column: usize) -> String;
}

/// A type that can be read from a column.
pub trait FromCell<'r>: Sized {
    /// `None` if the column has another type or an invalid value.
    fn from_cell(cell: Cell<'r>) -> Option<Self>;
}

/// A row, and which column is read next.
pub struct Row<'r> {
    cells: &'r dyn Cells,
    next: usize,
}

impl<'r> Row<'r> {
    pub fn new(cells: &'r dyn Cells) -> Row<'r> {
        Row { cells, next: 0 }
    }

    pub fn next<T: FromCell<'r>>(&mut self) -> Result<T> {
        let column = self.next;
        self.next += 1;
        let cell = self.cells.cell(column)?;
        T::from_cell(cell).ok_or_else(|| self.unreadable(column, cell))
    }

    /// Parses the JSON in the next column; errors name it `column`.
    pub fn next_json<T: DeserializeOwned>(&mut self, column: &str) -> Result<T> {
        let text: &str = self.next()?;
        serde_json::from_str(text)
            .map_err(|_| StoreError::Value { column: column.to_owned(), value: shortened(text, LONGEST_VALUE) })
    }

    pub fn next_shape(&mut self) -> Result<Shape> {
        Ok(Shape { filter: self.next()?, transform: self.next()?, preset: self.next()? })
    }

    #[cold]
    fn unreadable(&self, column: usize, cell: Cell<'_>) -> StoreError {
        let value = match cell {
            Cell::Null => "NULL".to_owned(),
            Cell::Integer(value) => value.to_string(),
            Cell::Text(text) => shortened(text, LONGEST_VALUE),
            Cell::Blob(bytes) => format!("{} bytes", bytes.len()),
        };
        StoreError::Value { column: self.cells.name(column), value }
    }
}

/// Reads the fields of a struct from the next columns of a row, in the order in which they are listed.
macro_rules! read_fields {
    ($row:ident => $type:ident { $($field:ident),+ $(,)? }) => {
        $type { $($field: $row.next()?),+ }
    };
}
pub(super) use read_fields;

/// The next column of a row, or its only one.
pub fn one<T: for<'c> FromCell<'c>>(row: &mut Row<'_>) -> Result<T> {
    row.next()
}

pub fn pair<A: for<'c> FromCell<'c>, B: for<'c> FromCell<'c>>(row: &mut Row<'_>) -> Result<(A, B)> {
    Ok((row.next()?, row.next()?))
}

impl<'r, T: FromCell<'r>> FromCell<'r> for Option<T> {
    fn from_cell(cell: Cell<'r>) -> Option<Option<T>> {
        match cell {
            Cell::Null => Some(None),
            cell => T::from_cell(cell).map(Some),
        }
    }
}

impl FromCell<'_> for bool {
    fn from_cell(cell: Cell<'_>) -> Option<bool> {
        i64::from_cell(cell).map(|value| value != 0)
    }
}

impl FromCell<'_> for i64 {
    fn from_cell(cell: Cell<'_>) -> Option<i64> {
        match cell {
            Cell::Integer(value) => Some(value),
            _ => None,
        }
    }
}

macro_rules! integers {
    ($($type:ty),*) => { $(impl FromCell<'_> for $type {
        fn from_cell(cell: Cell<'_>) -> Option<$type> {
            i64::from_cell(cell).and_then(|value| value.try_into().ok())
        }
    })* };
}
integers!(u64, u32, u16);

impl<'r> FromCell<'r> for &'r str {
    fn from_cell(cell: Cell<'r>) -> Option<&'r str> {
        match cell {
            Cell::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl FromCell<'_> for String {
    fn from_cell(cell: Cell<'_>) -> Option<String> {
        match cell {
            Cell::Text(text) => Some(text.to_owned()),
            _ => None,
        }
    }
}

impl FromCell<'_> for Vec<u8> {
    fn from_cell(cell: Cell<'_>) -> Option<Vec<u8>> {
        match cell {
            Cell::Blob(bytes) => Some(bytes.to_owned()),
            _ => None,
        }
    }
}

impl FromCell<'_> for Timestamp {
    fn from_cell(cell: Cell<'_>) -> Option<Timestamp> {
        i64::from_cell(cell).map(Timestamp::from_millis)
    }
}

impl FromCell<'_> for Status {
    fn from_cell(cell: Cell<'_>) -> Option<Status> {
        <&str>::from_cell(cell).and_then(Status::from_name)
    }
}

impl FromCell<'_> for ErrorType {
    fn from_cell(cell: Cell<'_>) -> Option<ErrorType> {
        <&str>::from_cell(cell).and_then(ErrorType::from_name)
    }
}

impl FromCell<'_> for Order {
    fn from_cell(cell: Cell<'_>) -> Option<Order> {
        Option::<&str>::from_cell(cell).and_then(Order::of_name)
    }
}

impl FromCell<'_> for Preset {
    fn from_cell(cell: Cell<'_>) -> Option<Preset> {
        <&str>::from_cell(cell).and_then(Preset::find)
    }
}

/// Stored as `is_ed25519`.
impl FromCell<'_> for KeyKind {
    fn from_cell(cell: Cell<'_>) -> Option<KeyKind> {
        bool::from_cell(cell).map(|is_ed25519| if is_ed25519 { KeyKind::Ed25519 } else { KeyKind::Symmetric })
    }
}

/// Stored as `is_manual`.
impl FromCell<'_> for Trigger {
    fn from_cell(cell: Cell<'_>) -> Option<Trigger> {
        bool::from_cell(cell).map(|is_manual| if is_manual { Trigger::Manual } else { Trigger::Scheduled })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Cells for Vec<Cell<'_>> {
        fn cell(&self, column: usize) -> Result<Cell<'_>> {
            Ok(self[column])
        }

        fn name(&self, column: usize) -> String {
            format!("column{column}")
        }
    }

    #[track_caller]
    fn assert_unreadable<T: std::fmt::Debug>(read: Result<T>, what: &str) {
        assert_eq!(read.unwrap_err().to_string(), format!("the database holds an unreadable value in {what}"));
    }

    #[test]
    fn columns_are_read_in_order() {
        let cells = vec![
            Cell::Integer(7),
            Cell::Integer(8),
            Cell::Integer(1),
            Cell::Integer(0),
            Cell::Text("a"),
            Cell::Text("b"),
            Cell::Blob(&[9]),
            Cell::Null,
            Cell::Text("failed"),
            Cell::Text("timeout"),
            Cell::Integer(5),
            Cell::Integer(1),
            Cell::Text(r#"["x"]"#),
        ];
        let mut row = Row::new(&cells);
        assert_eq!(row.next::<i64>().unwrap(), 7);
        assert_eq!(row.next::<u32>().unwrap(), 8);
        assert!(row.next::<bool>().unwrap());
        assert_eq!(row.next::<Option<bool>>().unwrap(), Some(false));
        assert_eq!(row.next::<String>().unwrap(), "a");
        assert_eq!(row.next::<&str>().unwrap(), "b");
        assert_eq!(row.next::<Vec<u8>>().unwrap(), [9]);
        assert_eq!(row.next::<Option<i64>>().unwrap(), None);
        assert_eq!(row.next::<Status>().unwrap(), Status::Failed);
        assert_eq!(row.next::<Option<ErrorType>>().unwrap(), Some(ErrorType::Timeout));
        assert_eq!(row.next::<Timestamp>().unwrap(), Timestamp::from_millis(5));
        assert_eq!(row.next::<Trigger>().unwrap(), Trigger::Manual);
        assert_eq!(row.next_json::<Vec<String>>("events.list").unwrap(), ["x"]);
    }

    #[test]
    fn a_value_of_another_kind_is_an_error_that_names_column_and_value() {
        let cells = vec![Cell::Null, Cell::Text("lost"), Cell::Integer(-1), Cell::Blob(&[1, 2]), Cell::Text("[")];
        let mut row = Row::new(&cells);
        assert_unreadable(row.next::<i64>(), "column0: NULL");
        assert_unreadable(row.next::<Status>(), "column1: lost");
        assert_unreadable(row.next::<u32>(), "column2: -1");
        assert_unreadable(row.next::<String>(), "column3: 2 bytes");
        assert_unreadable(row.next_json::<Vec<String>>("events.list"), "events.list: [");
    }

    #[test]
    fn a_long_value_is_shortened_in_its_error() {
        let text = "x".repeat(100);
        let cells = vec![Cell::Text(&text)];
        assert_unreadable(Row::new(&cells).next::<i64>(), &format!("column0: {}…", "x".repeat(80)));
    }
}
