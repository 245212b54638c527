//! A PostgreSQL server of the test's own: made by `initdb`, on a free port of loopback, gone when this process ends, even by a
//! kill.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Session;
use crate::support::{Identity, closed_port};

/// How long a server may take to start, to stop or to recover.
const PATIENCE: Duration = Duration::from_secs(60);

/// What makes a server of tests quick: it keeps nothing when the machine loses power.
pub const QUICK: &[&str] = &["fsync=off", "full_page_writes=off", "synchronous_commit=off"];

/// Ends the server when its standard input ends, which it does with the process that holds the other side, and removes it.
const KEEPER: &str = r#"folder=$1; shift
"$@" >>"$folder/log" 2>&1 </dev/null & server=$!
cat >/dev/null
kill -QUIT "$server" 2>/dev/null; wait "$server"
rm -rf "$folder""#;

/// A server with its data.
pub struct Cluster {
    folder: PathBuf,
    port: u16,
    user: Option<User>,
    settings: Vec<String>,
    keeper: Child,
}

/// Whom the server runs as: it refuses root.
#[derive(Clone, Copy)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
}

/// The folder of `initdb` and `postgres`, where they are installed.
pub fn programs() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map_or_else(|_| Vec::new(), |entries| entries.flatten().map(|entry| entry.path().join("bin")).collect());
    versions.sort();
    folders.extend(versions.into_iter().rev());
    folders.into_iter().find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
}

impl Cluster {
    /// Makes one and starts it with these settings, such as `fsync=off`.
    pub fn start(settings: &[&str]) -> Cluster {
        let programs = programs().expect("PostgreSQL is installed");
        let user = server_user();
        let folder: TempDir = tempfile::Builder::new().prefix("hookctl-postgres-").tempdir().unwrap();
        // From here on the keeper removes it.
        let folder = folder.keep();
        if let Some(user) = user {
            chown(&folder, Some(user.uid), Some(user.gid)).unwrap();
        }
        let mut initdb = command(&programs.join("initdb"), user);
        initdb.args(["-N", "-A", "trust", "-U", "postgres", "--locale=C", "-E", "UTF8", "-D"]).arg(folder.join("data"));
        let made = initdb.current_dir(&folder).output().unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        certify(&folder, user);
        let settings: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let port = closed_port().port();
        let keeper = run(&folder, port, user, &settings);
        let cluster = Cluster { folder, port, user, settings, keeper };
        cluster.wait_until_ready();
        cluster
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The URL of a database for a role.
    pub fn url(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@127.0.0.1:{}/{database}", self.port)
    }

    /// A session of the superuser.
    pub fn admin(&self) -> Session {
        Session::open(&self.url("postgres", "postgres"))
    }

    /// The certificate of its TLS, for `localhost` and 127.0.0.1, which signs itself.
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("server.crt")
    }

    /// Stops it without a goodbye, as a crash does; what was committed is recovered at the next start.
    pub fn crash(&mut self) {
        let postmaster = self.postmaster();
        self.signal("QUIT");
        self.wait_until_stopped(&postmaster);
    }

    /// Kills it and every process of it on the spot.
    pub fn kill(&mut self) {
        let postmaster = self.postmaster();
        let children = fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).unwrap_or_default();
        let all: Vec<&str> = [postmaster.as_str()].into_iter().chain(children.split_whitespace()).collect();
        let _ = Command::new("sh").args(["-c", &format!("kill -s KILL {}", all.join(" "))]).status();
        self.wait_until_stopped(&postmaster);
    }

    /// Starts it again, on the same port.
    pub fn start_again(&mut self) {
        self.keeper = run(&self.folder, self.port, self.user, &self.settings);
        self.wait_until_ready();
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -s {name} {}", self.postmaster())]).status().unwrap();
        assert!(sent.success(), "cannot send {name} to the server");
    }

    fn postmaster(&self) -> String {
        let text = fs::read_to_string(self.folder.join("data/postmaster.pid")).expect("the server runs");
        text.lines().next().expect("its process id").to_owned()
    }

    /// Replaces the keeper of a server that ended by one that only removes the folder, so that the folder stays.
    fn wait_until_stopped(&mut self, postmaster: &str) {
        let deadline = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(self.address()).is_ok() {
            assert!(Instant::now() < deadline, "the server does not stop");
            sleep(Duration::from_millis(10));
        }
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
        // Without the keeper, its parent, it is gone only once init has noticed: until then it looks like a server that runs,
        // and the next one refuses its folder.
        while Path::new("/proc").join(postmaster).exists() {
            assert!(Instant::now() < deadline, "nobody takes away what is left of the server");
            sleep(Duration::from_millis(10));
        }
        // One that was started while the server was killed holds its memory until it sees that the server is gone; the next
        // server would refuse the folder.
        while is_worked_in(&self.folder.join("data")) {
            assert!(Instant::now() < deadline, "a process of the server stays");
            sleep(Duration::from_millis(10));
        }
    }

    fn wait_until_ready(&self) {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = Session::try_open(&self.url("postgres", "postgres")) {
            let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "the server does not start: {error}\n{}", log());
            sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Whether a process has this working directory, as all of a server have its data directory.
fn is_worked_in(folder: &Path) -> bool {
    let mut processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    processes.any(|process| fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd == folder))
}

/// Starts the server, and what ends it with this process.
fn run(folder: &Path, port: u16, user: Option<User>, settings: &[String]) -> Child {
    let programs = programs().expect("PostgreSQL is installed");
    let mut keeper = command(Path::new("sh"), user);
    keeper.args(["-c", KEEPER, "sh"]).arg(folder).arg(programs.join("postgres")).arg("-D").arg(folder.join("data"));
    let port = format!("port={port}");
    // A pool of its own for each test, and a few drains and emitters in some.
    let fixed = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=400", "ssl=on"];
    let files = [("ssl_cert_file", "server.crt"), ("ssl_key_file", "server.key")]
        .map(|(setting, name)| format!("{setting}={}", folder.join(name).display()));
    let all = fixed.into_iter().chain([port.as_str()]).chain(files.iter().map(String::as_str));
    for setting in all.chain(settings.iter().map(String::as_str)) {
        keeper.args(["-c", setting]);
    }
    // Ctrl-C at a terminal is for the tests; the server ends after them.
    keeper.current_dir(folder).process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    keeper.spawn().unwrap()
}

/// A certificate for its TLS, and a role whose password is asked for.
fn certify(folder: &Path, user: Option<User>) {
    let identity = Identity::local();
    let key = folder.join("server.key");
    fs::write(folder.join("server.crt"), identity.pem()).unwrap();
    fs::write(&key, identity.key_pem()).unwrap();
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    if let Some(user) = user {
        chown(&key, Some(user.uid), Some(user.gid)).unwrap();
    }
    let rules = "host all with_password 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n";
    fs::write(folder.join("data/pg_hba.conf"), rules).unwrap();
}

/// A command that runs as the server's user, in a session of its own.
fn command(program: &Path, user: Option<User>) -> Command {
    let mut command = Command::new(program);
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    command.env("LC_ALL", "C").env_remove("PGDATA");
    command
}

/// Another user where this is root: `postgres`, else `nobody`.
pub fn server_user() -> Option<User> {
    let own = fs::metadata("/proc/self").map(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata));
    if !matches!(own, Ok(0)) {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let find = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2).map(str::parse);
        Some(User { uid: numbers.next()?.ok()?, gid: numbers.next()?.ok()? })
    };
    Some(find("postgres").or_else(|| find("nobody")).expect("a user for the server"))
}
