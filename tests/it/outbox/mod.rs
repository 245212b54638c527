//! The outbox: what an application commits is delivered, what it rolls back is not, on a file and on a server.

mod emit;
mod gentle;
mod hostile;
mod init;
mod kills;
mod rows;
mod snippets;
mod watch;
mod watched;

use std::path::PathBuf;

use rusqlite::Connection;

use crate::support::postgres::Server;
use crate::support::{Engine, Run, TestEnv, TestReceiver};

/// An application's database, with an outbox.
enum App {
    File(PathBuf),
    Server(Server),
}

impl App {
    /// A file beside hookctl's own.
    fn file(env: &TestEnv) -> App {
        let app = App::File(env.path().join("app.db"));
        app.init(env, &[]);
        app
    }

    /// A database on the server of the run.
    fn server(env: &TestEnv, options: &[&str]) -> App {
        let app = App::Server(Server::take());
        app.init(env, options);
        app
    }

    #[track_caller]
    fn init(&self, env: &TestEnv, options: &[&str]) {
        env.hookctl(["outbox", "init"]).args(options.iter().copied()).arg(self.source()).run().ok();
    }

    /// As --outbox takes it.
    fn source(&self) -> String {
        match self {
            App::File(path) => path.display().to_string(),
            App::Server(server) => server.url(),
        }
    }

    /// Runs statements as the application does.
    #[track_caller]
    fn run(&self, statements: &str) {
        match self {
            App::File(_) => self.connection().execute_batch(statements).unwrap(),
            App::Server(server) => server.session().run(statements),
        }
    }

    /// The file, opened.
    fn connection(&self) -> Connection {
        let App::File(path) = self else { panic!("it is no file") };
        let connection = Connection::open(path).unwrap();
        connection.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
        connection
    }

    /// The one value of a query, as text.
    #[track_caller]
    fn value(&self, query: &str) -> String {
        match self {
            App::File(_) => {
                let value: rusqlite::types::Value = self.connection().query_row(query, [], |row| row.get(0)).unwrap();
                match value {
                    rusqlite::types::Value::Text(text) => text,
                    rusqlite::types::Value::Integer(number) => number.to_string(),
                    other => format!("{other:?}"),
                }
            }
            App::Server(server) => server.session().value(query),
        }
    }

    fn count(&self) -> usize {
        self.value("SELECT count(*) FROM hookctl_outbox").parse().unwrap()
    }

    fn drain(&self, env: &TestEnv) -> Run {
        env.hookctl(["drain", "-o", "json", "--outbox"]).arg(self.source()).run()
    }

    fn status(&self, env: &TestEnv) -> serde_json::Value {
        env.hookctl(["outbox", "status", "-o", "json"]).arg(self.source()).run().ok().json()
    }
}

/// An application of each kind that this machine can have.
fn apps(env: &TestEnv) -> Vec<App> {
    let mut apps = vec![App::file(env)];
    if Engine::has_server() {
        apps.push(App::server(env, &[]));
    }
    apps
}

/// A database with a webhook that wants everything, and its receiver.
fn subscribed() -> (TestEnv, TestReceiver) {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    crate::fault::subscribe(&env, &receiver, &["crm"], &[]);
    (env, receiver)
}

/// An INSERT of rows, each with type and data.
fn insert(rows: &[(&str, &str)]) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let rows: Vec<String> = rows.iter().map(|(kind, data)| format!("({}, {})", quoted(kind), quoted(data))).collect();
    format!("INSERT INTO hookctl_outbox (event_type, data) VALUES {};", rows.join(", "))
}
