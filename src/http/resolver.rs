//! Finds the addresses of a host and refuses those that may not be called: the outgoing guard.
//!
//! ureq asks here before every request, reused connection or not, and connects to no other address than those returned.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, io, thread};

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::errors::LookUpError;
use crate::domain::network::AddressPolicy;

/// How long an answer is used again: long enough for a drain to ask once a name, short enough to follow a change.
const KEPT: Duration = Duration::from_secs(5);
/// Past this many names, old answers are thrown away before a new one is kept.
const MANY_NAMES: usize = 1_024;
/// As many as ureq tries.
const MAX_ADDRESSES: usize = 16;

/// Asks for the addresses of a host name.
pub type LookUp = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// Resolves through a look-up whose answers are kept for a few seconds, and checks every address.
pub struct GuardedResolver {
    policy: AddressPolicy,
    look_up: Arc<LookUp>,
    names: Arc<Names>,
    kept: Duration,
}

impl GuardedResolver {
    /// Resolves with the system's resolver.
    pub fn new(policy: AddressPolicy) -> Self {
        Self::with_look_up(policy, Arc::new(ask_system), KEPT)
    }

    /// Resolves with another look-up, whose answers are kept for the time given.
    pub fn with_look_up(policy: AddressPolicy, look_up: Arc<LookUp>, kept: Duration) -> Self {
        Self { policy, look_up, names: Arc::default(), kept }
    }

    fn addresses(&self, host: &str, timeout: NextTimeout) -> Result<Found, Error> {
        let began = Instant::now();
        let deadline = began.checked_add(*timeout.after);
        let mut slots = self.names.lock();
        loop {
            match slots.get(host) {
                // An answer that came while this request waited serves it, however late it wakes up.
                Some(Slot::Answered { found, at }) if *at >= began || at.elapsed() < self.kept => {
                    return Ok(Arc::clone(found));
                }
                Some(Slot::Asked) => (),
                _ => {
                    self.ask(host)?;
                    self.make_room(&mut slots);
                    slots.insert(host.into(), Slot::Asked);
                }
            }
            let left = deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Err(Error::Timeout(timeout.reason));
            }
            slots = self.names.wait(slots, left);
        }
    }

    /// Asks on a thread of its own: the system's resolver knows no deadline. All who want the name wait for it.
    ///
    /// The caller holds the lock, so the answer cannot come before the name is marked as asked for.
    fn ask(&self, host: &str) -> Result<(), Error> {
        let (names, look_up, host) = (Arc::clone(&self.names), Arc::clone(&self.look_up), Box::<str>::from(host));
        let asking = move || {
            let found = Arc::new(look_up(&host).map_err(|error| error.to_string()));
            names.lock().insert(host, Slot::Answered { found, at: Instant::now() });
            names.changed.notify_all();
        };
        thread::Builder::new().name("look-up".to_owned()).spawn(asking)?;
        Ok(())
    }

    fn make_room(&self, slots: &mut Slots) {
        if slots.len() < MANY_NAMES {
            return;
        }
        slots.retain(|_, slot| match slot {
            Slot::Asked => true,
            Slot::Answered { at, .. } => at.elapsed() < self.kept,
        });
    }
}

impl Resolver for GuardedResolver {
    fn resolve(&self, uri: &Uri, _: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().ok_or(Error::HostNotFound)?;
        let port = port_of(uri).ok_or(Error::HostNotFound)?;
        let mut result = self.empty();
        if let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            self.policy.check(address).map_err(|blocked| Error::Other(Box::new(blocked)))?;
            result.push(SocketAddr::new(address, port));
            return Ok(result);
        }
        let found = self.addresses(host, timeout)?;
        let failed =
            |reason: &str| Error::Other(Box::new(LookUpError { host: host.to_owned(), reason: reason.to_owned() }));
        let addresses = found.as_ref().as_ref().map_err(|reason| failed(reason))?;
        // One refused answer refuses all: a name that points inside and outside is not to be trusted with either.
        for address in addresses {
            self.policy.check(*address).map_err(|blocked| Error::Other(Box::new(blocked)))?;
        }
        for address in addresses.iter().take(MAX_ADDRESSES) {
            result.push(SocketAddr::new(*address, port));
        }
        if result.is_empty() { Err(failed("the name has no address")) } else { Ok(result) }
    }
}

impl fmt::Debug for GuardedResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedResolver").field("policy", &self.policy).finish_non_exhaustive()
    }
}

type Found = Arc<Result<Vec<IpAddr>, String>>;
type Slots = HashMap<Box<str>, Slot>;

enum Slot {
    Asked,
    Answered { found: Found, at: Instant },
}

#[derive(Default)]
struct Names {
    slots: Mutex<Slots>,
    changed: Condvar,
}

impl Names {
    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, slots: MutexGuard<'a, Slots>, left: Duration) -> MutexGuard<'a, Slots> {
        self.changed.wait_timeout(slots, left).unwrap_or_else(PoisonError::into_inner).0
    }
}

fn ask_system(host: &str) -> io::Result<Vec<IpAddr>> {
    Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
}

fn port_of(uri: &Uri) -> Option<u16> {
    match (uri.port_u16(), uri.scheme_str()) {
        (Some(port), _) => Some(port),
        (None, Some("https")) => Some(443),
        (None, Some("http")) => Some(80),
        (None, _) => None,
    }
}
