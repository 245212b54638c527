//! A database on the cluster of the run for each test that asks for one.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use super::Session;
use super::cluster::{Cluster, QUICK};

/// The cluster that all tests of a run share, and its databases that nobody uses now.
struct Shared {
    cluster: Cluster,
    free: Mutex<Vec<String>>,
    made: Mutex<usize>,
}

/// Who may log in; one of them by a password alone.
const ROLES: &str =
    "CREATE ROLE tester LOGIN; CREATE ROLE stranger LOGIN; CREATE ROLE with_password LOGIN PASSWORD 'sesame open'";

/// A database on a server, for one test; another gets it afterwards, emptied.
pub struct Server {
    name: String,
    address: SocketAddr,
    afterwards: Afterwards,
}

/// What becomes of a database after its test.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Afterwards {
    IsUsedAgain,
    IsDropped,
    GoesWithItsCluster,
}

impl Server {
    /// An empty database. Making one takes longer than emptying one, so each is used again.
    pub fn take() -> Server {
        let shared = shared();
        let free = shared.free.lock().unwrap().pop();
        if let Some(name) = free {
            let server = Server { name, address: shared.cluster.address(), afterwards: Afterwards::IsUsedAgain };
            server.empty();
            return server;
        }
        let number = {
            let mut made = shared.made.lock().unwrap();
            *made += 1;
            *made
        };
        Server::make(&shared.cluster, &format!("test_{number}"), "template1", Afterwards::IsUsedAgain)
    }

    /// The one database of a cluster of its own.
    pub fn alone_on(cluster: &Cluster) -> Server {
        cluster.admin().run(ROLES);
        Server::make(cluster, "alone", "template1", Afterwards::GoesWithItsCluster)
    }

    /// A copy of it, while nobody is connected to it.
    pub fn copy(&self) -> Server {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let name = format!("{}_copy_{}", self.name, MADE.fetch_add(1, Ordering::SeqCst));
        Server::make(&shared().cluster, &name, &self.name, Afterwards::IsDropped)
    }

    fn make(cluster: &Cluster, name: &str, template: &str, afterwards: Afterwards) -> Server {
        let statement = format!("CREATE DATABASE {name} OWNER tester TEMPLATE {template} STRATEGY file_copy");
        cluster.admin().run(&statement);
        Server { name: name.to_owned(), address: cluster.address(), afterwards }
    }

    /// Its URL, for a role that owns it and is no superuser.
    pub fn url(&self) -> String {
        self.url_as("tester")
    }

    /// Its URL for another role.
    pub fn url_as(&self, role: &str) -> String {
        format!("postgres://{role}@{}/{}", self.address, self.name)
    }

    /// Its name on the server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The cluster of the run.
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

    /// Where its server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every other session, and drops what is in it.
    pub fn empty(&self) {
        self.admin().run(&format!(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid();
            DROP SCHEMA IF EXISTS hookctl CASCADE;
            DROP SCHEMA public CASCADE;
            CREATE SCHEMA public AUTHORIZATION tester;
            REVOKE ALL ON DATABASE {} FROM stranger",
            self.name
        ));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        match self.afterwards {
            // A test that failed may be looked into.
            _ if std::thread::panicking() => {}
            Afterwards::IsUsedAgain => shared().free.lock().unwrap().push(std::mem::take(&mut self.name)),
            Afterwards::IsDropped => shared().cluster.admin().run(&format!("DROP DATABASE {} WITH (FORCE)", self.name)),
            Afterwards::GoesWithItsCluster => {}
        }
    }
}

fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let cluster = Cluster::start(QUICK);
        cluster.admin().run(ROLES);
        Shared { cluster, free: Mutex::default(), made: Mutex::default() }
    })
}
