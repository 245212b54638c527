//! A place of its own for each test.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tempfile::TempDir;

use super::postgres::Server;
use super::{Engine, Hookctl, database};

/// A temporary folder, and a database: a file in the folder, or one on the server of the run. Nothing of the machine's own
/// settings is seen from there.
pub struct TestEnv {
    folder: TempDir,
    engine: Engine,
    server: OnceLock<Server>,
}

impl TestEnv {
    /// An empty folder, removed at the end, with the engine of the run.
    pub fn new() -> TestEnv {
        TestEnv::on(Engine::of_run())
    }

    /// The same with that engine.
    pub fn on(engine: Engine) -> TestEnv {
        let folder = tempfile::Builder::new().prefix("hookctl-").tempdir().unwrap();
        TestEnv { folder, engine, server: OnceLock::new() }
    }

    /// The same with that database.
    pub fn with(server: Server) -> TestEnv {
        let env = TestEnv::on(Engine::Server);
        assert!(env.server.set(server).is_ok());
        env
    }

    /// Another with copies of the files and of the database.
    pub fn copy(&self) -> TestEnv {
        let copy = TestEnv::on(self.engine);
        copy_folder(self.path(), copy.path());
        if self.is_on_server() {
            assert!(copy.server.set(self.server().copy()).is_ok());
        }
        copy
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where the database file is once something was written; on a server there is none.
    pub fn database(&self) -> PathBuf {
        self.path().join("hookctl.db")
    }

    /// Whether the database is on a server.
    pub fn is_on_server(&self) -> bool {
        self.engine == Engine::Server
    }

    /// The database on the server, which is taken when it is first asked for.
    pub fn server(&self) -> &Server {
        assert_eq!(self.engine, Engine::Server, "the database is a file");
        self.server.get_or_init(Server::take)
    }

    /// The database as `--db` takes it.
    pub fn address(&self) -> OsString {
        match self.engine {
            Engine::File => self.database().into(),
            Engine::Server => self.server().url().into(),
        }
    }

    /// Whether a command has made the database: the file, or hookctl's schema on the server.
    pub fn is_made(&self) -> bool {
        match self.engine {
            Engine::File => self.database().exists(),
            Engine::Server => self.server().is_made(),
        }
    }

    /// Writes a file into the folder and returns its path.
    pub fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, contents).unwrap();
        path
    }

    /// The binary with these arguments, in this environment, yet to be run.
    pub fn hookctl<A: Into<OsString>>(&self, args: impl IntoIterator<Item = A>) -> Hookctl {
        let mut command = Hookctl::new(self.path()).args(args);
        for name in ["PATH", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command = command.env(name, value);
            }
        }
        command
            .env("HOME", self.path())
            .env("XDG_DATA_HOME", self.path())
            .env("HOOKCTL_DB", self.address())
            .env("HOOKCTL_OWNER", "tester")
            .env("HOOKCTL_ALLOW_NETWORKS", "127.0.0.0/8,::1/128")
            .env("TZ", "UTC")
    }

    /// The rows of a query as text: `NULL` for null, 1 and 0 for booleans, blobs in lower-case hex.
    #[track_caller]
    pub fn sql(&self, query: &str) -> Vec<Vec<String>> {
        match self.engine {
            Engine::File => database::read(&self.database(), query),
            Engine::Server => self.server().session().rows(query),
        }
    }

    /// The first column of the only row of a query, as `sql` tells it.
    #[track_caller]
    pub fn sql_value(&self, query: &str) -> String {
        match self.sql(query).as_slice() {
            [row] => row[0].clone(),
            other => panic!("{query}: one row expected, found {other:?}"),
        }
    }

    /// Runs statements that change the database behind the program's back.
    #[track_caller]
    pub fn sql_write(&self, statements: &str) {
        match self.engine {
            Engine::File => database::write(&self.database(), statements),
            Engine::Server => self.server().session().run(statements),
        }
    }

    /// The settings of each webhook, as they are stored.
    #[track_caller]
    pub fn settings(&self) -> Vec<serde_json::Value> {
        let rows = self.sql("SELECT settings FROM webhooks ORDER BY id");
        rows.iter().map(|row| serde_json::from_str(&row[0]).unwrap()).collect()
    }

    /// Changes these keys of the settings of every webhook, past what the commands allow.
    #[track_caller]
    pub fn set_settings(&self, keys: &serde_json::Value) {
        let keys = keys.to_string().replace('\'', "''");
        self.sql_write(&match self.engine {
            Engine::File => format!("UPDATE webhooks SET settings = json_patch(settings, '{keys}')"),
            Engine::Server => format!("UPDATE webhooks SET settings = (settings::jsonb || '{keys}')::text"),
        });
    }

    /// Everything that is stored: the bytes of the file, or the rows on the server.
    pub fn contents(&self) -> Vec<u8> {
        match self.engine {
            Engine::File => fs::read(self.database()).unwrap(),
            Engine::Server => {
                let session = self.server().session();
                let tables = session.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'hookctl' ORDER BY 1");
                let rows = tables.iter().map(|table| session.rows(&format!("SELECT * FROM {} ORDER BY 1", table[0])));
                format!("{:?}", rows.collect::<Vec<_>>()).into_bytes()
            }
        }
    }

    /// Keeps everybody else from writing, as a transaction does that has written and goes on.
    #[track_caller]
    pub fn lock(&self) -> Held {
        match self.engine {
            Engine::File => self.begin(""),
            Engine::Server => self.begin(
                "LOCK TABLE webhooks, webhook_state, secrets, events, deliveries, attempts, attempt_counts, event_types
                    IN EXCLUSIVE MODE",
            ),
        }
    }

    /// A transaction that has run these statements, and is open.
    #[track_caller]
    pub fn begin(&self, statements: &str) -> Held {
        match self.engine {
            Engine::File => Held::File(database::begin(&self.database(), statements)),
            Engine::Server => {
                let session = self.server().session();
                session.run(&format!("BEGIN; {statements}"));
                Held::Server(session)
            }
        }
    }
}

/// A transaction of the test's that is open. Dropping it takes it back.
pub enum Held {
    File(rusqlite::Connection),
    Server(super::postgres::Session),
}

impl Held {
    /// Makes it last.
    #[track_caller]
    pub fn commit(self) {
        self.end("COMMIT");
    }

    /// Takes it back.
    #[track_caller]
    pub fn roll_back(self) {
        self.end("ROLLBACK");
    }

    #[track_caller]
    fn end(&self, statement: &str) {
        match self {
            Held::File(connection) => connection.execute_batch(statement).unwrap(),
            Held::Server(session) => session.run(statement),
        }
    }
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            fs::create_dir(&target).unwrap();
            copy_folder(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}
