//! A connection of the test's own, that waits for its answers.

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, NoTls, SimpleQueryMessage};

/// A session on a server. It sees the tables of hookctl by their names.
pub struct Session {
    runtime: Runtime,
    client: Client,
}

impl Session {
    /// Connects.
    #[track_caller]
    pub fn open(url: &str) -> Session {
        Session::try_open(url).unwrap_or_else(|error| panic!("cannot connect to {url}: {error}"))
    }

    /// Connects, if the server is there.
    pub fn try_open(url: &str) -> Result<Session, Error> {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
            // It ends with the session; a failure shows in the next statement.
            tokio::spawn(async { drop(connection.await) });
            client.batch_execute("SET search_path = hookctl, public; SET client_min_messages = error").await?;
            Ok::<_, Error>(client)
        })?;
        Ok(Session { runtime, client })
    }

    /// Runs statements.
    #[track_caller]
    pub fn run(&self, statements: &str) {
        self.try_run(statements).unwrap_or_else(|error| panic!("{statements}: {error:?}"));
    }

    /// Runs statements that may fail.
    pub fn try_run(&self, statements: &str) -> Result<(), Error> {
        self.runtime.block_on(self.client.batch_execute(statements))
    }

    /// The rows of a query as text: `NULL` for null, 1 and 0 for booleans, byte strings in lower-case hex.
    #[track_caller]
    pub fn rows(&self, query: &str) -> Vec<Vec<String>> {
        self.try_rows(query).unwrap_or_else(|error| panic!("{query}: {error:?}"))
    }

    /// The first column of the only row of a query.
    #[track_caller]
    pub fn value(&self, query: &str) -> String {
        match self.rows(query).as_slice() {
            [row] => row[0].clone(),
            other => panic!("{query}: one row expected, found {other:?}"),
        }
    }

    fn try_rows(&self, query: &str) -> Result<Vec<Vec<String>>, Error> {
        self.runtime.block_on(async {
            let statement = self.client.prepare(query).await?;
            let types: Vec<Type> = statement.columns().iter().map(|column| column.type_().clone()).collect();
            let answer = self.client.simple_query(query).await?;
            let rows = answer.iter().filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(row),
                _ => None,
            });
            Ok(rows.map(|row| (0..).zip(&types).map(|(at, kind)| text(row.get(at), kind)).collect()).collect())
        })
    }
}

fn text(value: Option<&str>, kind: &Type) -> String {
    match (value, kind) {
        (None, _) => "NULL".to_owned(),
        (Some(value), &Type::BOOL) => if value == "t" { "1" } else { "0" }.to_owned(),
        (Some(value), &Type::BYTEA) => value.trim_start_matches("\\x").to_owned(),
        (Some(value), _) => value.to_owned(),
    }
}
