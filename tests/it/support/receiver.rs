//! A receiver on loopback that records every request and answers as its script says.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::reply::Then;
use super::script::Turns;
use super::wire::{Wire, hold, read_request};
use super::{Identity, OnConnect, Recorded, Reply, Script};

/// A running receiver; dropping it closes everything.
pub struct TestReceiver {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl TestReceiver {
    /// Starts on a free port of 127.0.0.1. The script may be a status code, a reply, a list of either, or `Script::each`.
    pub fn start(script: impl Into<Script>) -> TestReceiver {
        TestReceiver::start_as(script.into(), None, "http")
    }

    /// The same with TLS.
    pub fn start_tls(identity: Identity, script: impl Into<Script>) -> TestReceiver {
        TestReceiver::start_as(script.into(), Some(identity), "https")
    }

    fn start_as(script: Script, identity: Option<Identity>, scheme: &'static str) -> TestReceiver {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { identity, state: Mutex::new(State::new(script)), changed: Condvar::new() });
        let accepting = Arc::clone(&shared);
        let acceptor = thread::spawn(move || accept(&listener, &accepting));
        TestReceiver { address, scheme, shared, acceptor: Some(acceptor) }
    }

    /// Answers requests to this path (without its query) by a script of its own, from its beginning.
    #[must_use]
    pub fn on(self, path: &str, script: impl Into<Script>) -> TestReceiver {
        self.shared.state.lock().unwrap().by_path.insert(path.to_owned(), Turns::new(script.into()));
        self
    }

    /// Decides on each new connection by its number, from 1.
    #[must_use]
    pub fn on_connect(self, decide: impl Fn(usize) -> OnConnect + Send + Sync + 'static) -> TestReceiver {
        self.shared.state.lock().unwrap().on_connect = Arc::new(decide);
        self
    }

    /// Answers everything that has no path of its own by this script from now on.
    pub fn now_answers(&self, script: impl Into<Script>) {
        self.shared.state.lock().unwrap().script = Turns::new(script.into());
    }

    /// Sends the answers that wait for it, and those that would.
    pub fn release(&self) {
        self.shared.state.lock().unwrap().released = true;
        self.shared.changed.notify_all();
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its root URL, with a slash at the end.
    pub fn url(&self) -> String {
        self.url_at("/")
    }

    /// The URL of a path, which begins with a slash.
    pub fn url_at(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// Every request so far, in order of arrival.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.state.lock().unwrap().requests.clone()
    }

    /// The requests to one path (without its query) so far.
    pub fn requests_at(&self, path: &str) -> Vec<Recorded> {
        self.requests().into_iter().filter(|request| without_query(&request.path) == path).collect()
    }

    /// How many requests came so far.
    pub fn count(&self) -> usize {
        self.shared.state.lock().unwrap().requests.len()
    }

    /// How many connections came so far.
    pub fn connections(&self) -> usize {
        self.shared.state.lock().unwrap().connections
    }

    /// How many requests waited for their answers at once, at the most.
    pub fn most_at_once(&self) -> usize {
        self.shared.state.lock().unwrap().most_at_once
    }

    /// What came that was no request, by connection: what a sender that dies in the middle leaves.
    pub fn malformed(&self) -> Vec<Vec<u8>> {
        self.shared.state.lock().unwrap().malformed.clone()
    }

    /// Waits until that many requests came and returns all there are; fails the test when they do not come.
    #[track_caller]
    pub fn wait_for(&self, count: usize, limit: Duration) -> Vec<Recorded> {
        let state = self.shared.state.lock().unwrap();
        let waited = self.shared.changed.wait_timeout_while(state, limit, |state| state.requests.len() < count);
        let requests = waited.unwrap().0.requests.clone();
        assert!(requests.len() >= count, "{} of {count} requests came: {requests:?}", requests.len());
        requests
    }
}

impl Drop for TestReceiver {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        state.stopped = true;
        for stream in state.open.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(state);
        self.shared.changed.notify_all();
        if TcpStream::connect(self.address).is_ok()
            && let Some(acceptor) = self.acceptor.take()
        {
            let _ = acceptor.join();
        }
    }
}

struct Shared {
    identity: Option<Identity>,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    script: Turns,
    by_path: HashMap<String, Turns>,
    on_connect: Arc<dyn Fn(usize) -> OnConnect + Send + Sync>,
    requests: Vec<Recorded>,
    malformed: Vec<Vec<u8>>,
    connections: usize,
    waiting: usize,
    most_at_once: usize,
    /// A handle of each open connection, to end it from outside.
    open: HashMap<usize, TcpStream>,
    released: bool,
    stopped: bool,
}

impl State {
    fn new(script: Script) -> State {
        State {
            script: Turns::new(script),
            by_path: HashMap::new(),
            on_connect: Arc::new(|_| OnConnect::Serve),
            requests: Vec::new(),
            malformed: Vec::new(),
            connections: 0,
            waiting: 0,
            most_at_once: 0,
            open: HashMap::new(),
            released: false,
            stopped: false,
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        let accepted = listener.accept();
        let mut state = shared.state.lock().unwrap();
        if state.stopped {
            return;
        }
        let Ok((stream, _)) = accepted else { continue };
        state.connections += 1;
        let connection = state.connections;
        let decision = Arc::clone(&state.on_connect)(connection);
        state.open.insert(connection, stream.try_clone().unwrap());
        drop(state);
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let then = match decision {
                OnConnect::Serve => Then::Keep,
                OnConnect::Close => Then::Close,
                OnConnect::Reset => Then::Reset,
                OnConnect::Stall => Then::Hold,
            };
            let control = stream.try_clone().unwrap();
            let end = match then {
                Then::Keep => shared.serve(stream, connection),
                Then::Close | Then::Reset => then,
                Then::Hold => {
                    hold(&mut &stream);
                    Then::Close
                }
            };
            if end == Then::Reset {
                // The last handle that is closed then sends a reset instead of an end.
                SockRef::from(&control).set_linger(Some(Duration::ZERO)).unwrap();
            }
            shared.state.lock().unwrap().open.remove(&connection);
        });
    }
}

impl Shared {
    /// Answers the requests of a connection, and says how it is to end.
    fn serve(&self, stream: TcpStream, connection: usize) -> Then {
        stream.set_nodelay(true).unwrap();
        let mut wire = match &self.identity {
            Some(identity) => Wire::Tls(Box::new(identity.accept(stream))),
            None => Wire::Plain(stream),
        };
        let mut unread = Vec::new();
        for on_connection in 1.. {
            let Some(request) = read_request(&mut wire, &mut unread, connection, on_connection) else {
                if !unread.is_empty() {
                    self.state.lock().unwrap().malformed.push(unread);
                }
                break;
            };
            let close = request.header_values("connection").iter().any(|value| value.eq_ignore_ascii_case(b"close"));
            let reply = self.record(request);
            if matches!(reply, Reply::WhenReleased(_)) {
                let state = self.state.lock().unwrap();
                drop(self.changed.wait_while(state, |state| !state.released && !state.stopped).unwrap());
            }
            let paused = self.pause(reply.delay());
            self.state.lock().unwrap().waiting -= 1;
            let sent = paused.and_then(|()| reply.write(&mut wire, |wait| self.pause(wait)));
            match sent {
                Ok(Then::Keep) if !close => {}
                Ok(Then::Hold) => {
                    hold(&mut wire);
                    return Then::Close;
                }
                Ok(Then::Reset) => return Then::Reset,
                Ok(Then::Keep | Then::Close) | Err(_) => break,
            }
        }
        wire.close();
        Then::Close
    }

    /// Writes the request down and finds its answer, in one step.
    fn record(&self, mut request: Recorded) -> Reply {
        let mut state = self.state.lock().unwrap();
        let state = &mut *state;
        state.waiting += 1;
        state.most_at_once = state.most_at_once.max(state.waiting);
        request.number = state.requests.len() + 1;
        let turns = state.by_path.get_mut(without_query(&request.path)).unwrap_or(&mut state.script);
        let reply = turns.reply(&request);
        request.status = reply.status();
        state.requests.push(request);
        self.changed.notify_all();
        reply
    }

    /// Waits; an error when the receiver stops meanwhile.
    fn pause(&self, wait: Duration) -> io::Result<()> {
        if wait.is_zero() {
            return Ok(());
        }
        let deadline = Instant::now() + wait;
        let mut state = self.state.lock().unwrap();
        while !state.stopped {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            state = self.changed.wait_timeout(state, left).unwrap().0;
        }
        Err(io::ErrorKind::ConnectionAborted.into())
    }
}

fn without_query(path: &str) -> &str {
    path.split('?').next().unwrap_or(path)
}
