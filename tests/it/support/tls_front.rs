//! TLS in front of a server that has none.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::tls::Identity;

/// How long to wait for bytes of one side before looking at the other.
const TURN: Duration = Duration::from_millis(5);

/// Passes on what comes; dropping it ends that.
pub struct TlsFront {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl TlsFront {
    /// Listens on a free port of loopback, for the server at `behind`.
    pub fn start(identity: Identity, behind: SocketAddr) -> TlsFront {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let acceptor = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let (identity, over) = (identity.clone(), Arc::clone(&over));
                thread::spawn(move || pass_on(&identity, stream, behind, &over));
            }
        });
        TlsFront { address, is_over, acceptor: Some(acceptor) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn pass_on(identity: &Identity, stream: TcpStream, behind: SocketAddr, is_over: &AtomicBool) {
    let Ok(mut server) = TcpStream::connect(behind) else { return };
    let sides = [&stream, &server];
    if sides.iter().any(|side| side.set_read_timeout(Some(TURN)).is_err()) {
        return;
    }
    let mut client = identity.accept(stream);
    while !is_over.load(Ordering::SeqCst) {
        if !passed(&mut client, &mut server) || !passed(&mut server, &mut client) {
            break;
        }
    }
    client.conn.send_close_notify();
    let _ = client.flush();
    let _ = client.sock.shutdown(Shutdown::Both);
}

/// Passes on what is there; whether more may come.
fn passed(from: &mut impl Read, to: &mut impl Write) -> bool {
    let mut bytes = [0; 16 * 1024];
    match from.read(&mut bytes) {
        Ok(0) => false,
        Ok(count) => to.write_all(&bytes[..count]).and_then(|()| to.flush()).is_ok(),
        Err(error) => is_patient(&error),
    }
}

fn is_patient(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
