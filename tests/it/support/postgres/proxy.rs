//! A proxy of bytes between hookctl and its server: counts round trips, takes its time, and cuts connections on command.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

/// What the server says when a session is ready for its first statement.
const READY: &[u8] = b"Z\0\0\0\x05I";

/// Which half of a round trip a cut takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// The server never gets what the client says.
    Request,
    /// The server has done it, and the client never hears of it.
    Answer,
}

/// The proxy; connections through it end with it.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    delay: Duration,
    connections: AtomicUsize,
    round_trips: AtomicUsize,
    cut: Mutex<Option<(usize, Half)>>,
    streams: Mutex<Vec<TcpStream>>,
    is_frozen: AtomicBool,
    is_refusing: AtomicBool,
    is_over: AtomicBool,
}

/// One connection through it.
struct Link {
    shared: Arc<Shared>,
    client: TcpStream,
    server: TcpStream,
    /// The server said that the session is ready.
    is_ready: AtomicBool,
    /// The client heard something since it spoke last: what it says next begins a round trip.
    has_heard: AtomicBool,
}

impl Proxy {
    /// In front of that server, without delay.
    pub fn start(server: SocketAddr) -> Proxy {
        Proxy::with_delay(server, Duration::ZERO)
    }

    /// In front of that server; each byte takes so long each way.
    pub fn with_delay(server: SocketAddr, delay: Duration) -> Proxy {
        Proxy::make(Ipv4Addr::LOCALHOST.into(), server, delay)
    }

    /// At another address of this machine.
    pub fn at(address: IpAddr, server: SocketAddr) -> Proxy {
        Proxy::make(address, server, Duration::ZERO)
    }

    fn make(address: IpAddr, server: SocketAddr, delay: Duration) -> Proxy {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let shared = Arc::new(Shared {
            server,
            delay,
            connections: AtomicUsize::new(0),
            round_trips: AtomicUsize::new(0),
            cut: Mutex::new(None),
            streams: Mutex::default(),
            is_frozen: AtomicBool::new(false),
            is_refusing: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        });
        let address = listener.local_addr().unwrap();
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &accepting));
        Proxy { address, shared }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A URL of a database behind it, given that of the server itself. Without TLS, which would hide what is said.
    pub fn url(&self, of_server: &str) -> String {
        let url = of_server.replace(&self.shared.server.to_string(), &self.address.to_string());
        assert_ne!(url, of_server, "the proxy stands in front of another server");
        format!("{url}?sslmode=disable")
    }

    /// How many clients have come.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(SeqCst)
    }

    /// How often a client spoke and waited for an answer, since its session was ready, over all connections.
    pub fn round_trips(&self) -> usize {
        self.shared.round_trips.load(SeqCst)
    }

    /// Counts from 0 again, and cuts the connection at that round trip.
    pub fn cut_at(&self, round_trip: usize, half: Half) {
        *self.shared.cut.lock().unwrap() = Some((round_trip, half));
        self.shared.round_trips.store(0, SeqCst);
    }

    /// Whether the cut was made.
    pub fn has_cut(&self) -> bool {
        self.shared.cut.lock().unwrap().is_none()
    }

    /// Ends all connections.
    pub fn cut(&self) {
        self.shared.streams.lock().unwrap().drain(..).for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    }

    /// Ends all connections, and whoever comes, until told otherwise.
    pub fn refuse(&self, is_refusing: bool) {
        self.shared.is_refusing.store(is_refusing, SeqCst);
        if is_refusing {
            self.cut();
        }
    }

    /// Keeps every byte until told otherwise, as a network does that lost its way; connections stay open.
    pub fn freeze(&self, is_frozen: bool) {
        self.shared.is_frozen.store(is_frozen, SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_over.store(true, SeqCst);
        self.cut();
        // It wakes up, and ends.
        let _ = TcpStream::connect(self.address);
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while let Ok((client, _)) = listener.accept() {
        if shared.is_over.load(SeqCst) {
            return;
        }
        shared.connections.fetch_add(1, SeqCst);
        if shared.is_refusing.load(SeqCst) {
            continue;
        }
        // A server that is gone is told by an end.
        let Ok(server) = TcpStream::connect(shared.server) else { continue };
        for stream in [&client, &server] {
            stream.set_nodelay(true).unwrap();
            shared.streams.lock().unwrap().push(stream.try_clone().unwrap());
        }
        let link = Arc::new(Link {
            shared: Arc::clone(shared),
            client,
            server,
            is_ready: AtomicBool::new(false),
            has_heard: AtomicBool::new(true),
        });
        for half in [Half::Request, Half::Answer] {
            let (sender, chunks) = channel();
            let (reading, writing) = (Arc::clone(&link), Arc::clone(&link));
            thread::spawn(move || {
                let mut buffer = [0; 16 * 1024];
                let mut from = reading.from(half);
                while let Ok(count @ 1..) = from.read(&mut buffer) {
                    if reading.is_cut_by(half, &buffer[..count]) {
                        break;
                    }
                    if sender.send((Instant::now(), buffer[..count].to_vec())).is_err() {
                        break;
                    }
                }
            });
            thread::spawn(move || writing.write(half, &chunks));
        }
    }
}

impl Link {
    fn from(&self, half: Half) -> &TcpStream {
        match half {
            Half::Request => &self.client,
            Half::Answer => &self.server,
        }
    }

    /// Counts, and says whether this is where the connection ends.
    fn is_cut_by(&self, half: Half, bytes: &[u8]) -> bool {
        if !self.is_ready.load(SeqCst) {
            return false;
        }
        // A client that says goodbye waits for nothing.
        let begins = half == Half::Request && bytes != b"X\0\0\0\x04" && self.has_heard.swap(false, SeqCst);
        if begins {
            self.shared.round_trips.fetch_add(1, SeqCst);
        }
        let mut cut = self.shared.cut.lock().unwrap();
        let is_cut = *cut == Some((self.shared.round_trips.load(SeqCst), half));
        if is_cut {
            *cut = None;
            self.end();
        }
        is_cut
    }

    /// Hands over what was read, each when its time has come.
    fn write(&self, half: Half, chunks: &Receiver<(Instant, Vec<u8>)>) {
        let mut to = match half {
            Half::Request => &self.server,
            Half::Answer => &self.client,
        };
        for (read_at, bytes) in chunks {
            sleep((read_at + self.shared.delay).saturating_duration_since(Instant::now()));
            while self.shared.is_frozen.load(SeqCst) {
                sleep(Duration::from_millis(5));
            }
            if half == Half::Answer {
                // Set before the client can have answered.
                self.has_heard.store(true, SeqCst);
                if bytes.windows(READY.len()).any(|window| window == READY) {
                    self.is_ready.store(true, SeqCst);
                }
            }
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        self.end();
    }

    fn end(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}
