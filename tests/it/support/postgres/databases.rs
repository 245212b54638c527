//! A database on the cluster of the run for each test that asks for one.

use std::sync::{Mutex, OnceLock};

use super::Session;
use super::cluster::{Cluster, QUICK};

/// The cluster that all tests of a run share, and its databases that nobody uses now.
struct Shared {
    cluster: Cluster,
    free: Mutex<Vec<String>>,
    made: Mutex<usize>,
}

/// A database on a server, for one test; another gets it afterwards, emptied.
pub struct Server {
    name: String,
}

impl Server {
    /// An empty database. Making one takes longer than emptying one, so each is used again.
    pub fn take() -> Server {
        let shared = shared();
        let free = shared.free.lock().unwrap().pop();
        if let Some(name) = free {
            let server = Server { name };
            server.empty();
            return server;
        }
        let number = {
            let mut made = shared.made.lock().unwrap();
            *made += 1;
            *made
        };
        let name = format!("test_{number}");
        shared.cluster.admin().run(&format!("CREATE DATABASE {name} OWNER tester STRATEGY file_copy"));
        Server { name }
    }

    /// Its URL, for a role that owns it and is no superuser.
    pub fn url(&self) -> String {
        self.url_as("tester")
    }

    /// Its URL for another role.
    pub fn url_as(&self, role: &str) -> String {
        shared().cluster.url(role, &self.name)
    }

    /// Its name on the server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The cluster it is on.
    pub fn cluster() -> &'static Cluster {
        &shared().cluster
    }

    /// A session of the role that owns it.
    #[track_caller]
    pub fn session(&self) -> Session {
        Session::open(&self.url())
    }

    /// A session of the superuser in it.
    #[track_caller]
    pub fn admin(&self) -> Session {
        Session::open(&self.url_as("postgres"))
    }

    /// Whether hookctl has made its schema there.
    pub fn is_made(&self) -> bool {
        self.session().value("SELECT count(*) FROM pg_namespace WHERE nspname = 'hookctl'") == "1"
    }

    /// Ends every other session, and drops what is in it.
    fn empty(&self) {
        self.admin().run(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid();
            DROP SCHEMA IF EXISTS hookctl CASCADE;
            DROP SCHEMA public CASCADE;
            CREATE SCHEMA public AUTHORIZATION tester",
        );
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A test that failed may be looked into.
        if !std::thread::panicking() {
            shared().free.lock().unwrap().push(std::mem::take(&mut self.name));
        }
    }
}

fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let cluster = Cluster::start(QUICK);
        cluster.admin().run(
            "CREATE ROLE tester LOGIN; CREATE ROLE stranger LOGIN; CREATE ROLE with_password LOGIN PASSWORD 'sesame open'",
        );
        Shared { cluster, free: Mutex::default(), made: Mutex::default() }
    })
}
