//! Many rows into a table, sent at once.

use super::cells::Parameter;
use super::engine::Postgres;
use super::link::{Request, at_once};
use crate::store::Result;
use crate::store::value::Value;

impl Postgres {
    /// Runs an INSERT for each row, in the caller's transaction.
    pub(in crate::store) fn write_rows<'v>(&self, sql: &str, rows: impl Iterator<Item = Vec<Value<'v>>>) -> Result<()> {
        let requests: Vec<Request> =
            rows.map(|row| Request::new(sql, row.iter().map(Parameter::from).collect())).collect();
        if requests.is_empty() {
            return Ok(());
        }
        let sent = self.round_trip(async |link| Ok(at_once(requests.iter().map(|one| link.run(one))).await))?;
        self.all(sent).map(drop)
    }
}
