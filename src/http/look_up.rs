//! Resolves host names on separate threads, since the system's resolver has no deadline.
//!
//! Answers are cached for a few seconds and shared by all clients. The number of threads is limited.

use std::collections::HashMap;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, io, thread};

use super::local;
use crate::domain::attempt::LocalTrouble;
use crate::log::{self, Field, Level};

/// How long an answer is cached: a drain looks a name up once, and still notices a change.
const KEPT: Duration = Duration::from_secs(5);
/// With more names than this, expired answers are dropped before another is added.
const MANY_NAMES: usize = 1_024;
/// A look-up that hangs occupies its thread until the system's resolver gives up, often after 30 s.
const MOST_THREADS: usize = 64;
/// How long starting a thread is tried again: one that has just ended may still count towards the limit.
const FREED_WITHIN: Duration = Duration::from_millis(200);
const TRY_AGAIN: Duration = Duration::from_millis(10);
/// The stack of a thread, in bytes; modules of the name service need some.
const STACK: usize = 512 * 1024;

/// Asks for the addresses of a host name.
pub type Ask = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookUpFailure {
    /// The look-up failed on this machine.
    Local(LocalTrouble),
    /// The resolver's reason.
    Name(String),
    TimedOut,
}

type Found = Result<Arc<[IpAddr]>, LookUpFailure>;

/// Running look-ups and cached answers.
pub struct LookUps {
    ask: Box<Ask>,
    kept: Duration,
    most_threads: usize,
    names: Mutex<Names>,
    changed: Condvar,
}

#[derive(Default)]
struct Names {
    slots: HashMap<Box<str>, Slot>,
    threads: usize,
}

enum Slot {
    Asked,
    Answered { found: Found, at: Instant },
}

impl LookUps {
    /// Look-ups by the system's resolver.
    pub fn new() -> Arc<LookUps> {
        // A look-up opens about two files.
        let share = local::most_open_files().map_or(MOST_THREADS, |files| files / 8);
        Self::with(Box::new(ask_system), KEPT, share.clamp(1, MOST_THREADS))
    }

    /// Look-ups by `ask`, whose answers are cached for `kept`.
    pub(super) fn with(ask: Box<Ask>, kept: Duration, most_threads: usize) -> Arc<LookUps> {
        Arc::new(LookUps { ask, kept, most_threads, names: Mutex::default(), changed: Condvar::new() })
    }

    /// The addresses of a host, from the cache or a look-up. Requests for the same name share one look-up.
    pub fn find(self: &Arc<Self>, host: &str, patience: Duration) -> Found {
        let began = Instant::now();
        let deadline = began.checked_add(patience);
        let mut names = self.lock();
        // Since when no thread is running and none could be started.
        let mut short_since: Option<Instant> = None;
        loop {
            let mut shortage = None;
            let is_asked = match names.slots.get(host) {
                // An answer that arrived while this request waited is used, whatever its age.
                Some(Slot::Answered { found, at }) if *at >= began || self.is_current(found, *at) => {
                    return found.clone();
                }
                Some(Slot::Asked) => true,
                _ if names.threads < self.most_threads => match self.start(host) {
                    Ok(()) => {
                        names.threads += 1;
                        self.make_room(&mut names);
                        names.slots.insert(host.into(), Slot::Asked);
                        true
                    }
                    Err(trouble) => {
                        shortage = Some(trouble);
                        false
                    }
                },
                _ => false,
            };
            // If no thread can be started, wait for a running look-up.
            let left = deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
            if let Some(trouble) = shortage {
                short_since = short_since.or_else(|| Some(Instant::now())).filter(|_| names.threads == 0);
                if left.is_zero() || short_since.is_some_and(|since| since.elapsed() >= FREED_WITHIN) {
                    return Err(LookUpFailure::Local(trouble));
                }
                names = self.wait(names, left.min(TRY_AGAIN));
                continue;
            }
            short_since = None;
            match (left.is_zero(), is_asked) {
                (false, _) => names = self.wait(names, left),
                (true, true) => return Err(LookUpFailure::TimedOut),
                (true, false) => {
                    let reason = format!("{} look-ups of other names had no answer yet", self.most_threads);
                    return Err(LookUpFailure::Name(reason));
                }
            }
        }
    }

    /// The caller holds the lock, so the answer cannot arrive before the name is marked as pending.
    fn start(self: &Arc<Self>, host: &str) -> Result<(), LocalTrouble> {
        let (look_ups, host) = (Arc::clone(self), Box::<str>::from(host));
        let asking = move || {
            let found = (look_ups.ask)(&host).map(Arc::from).map_err(|error| match local::trouble(&error) {
                Some(trouble) => LookUpFailure::Local(trouble),
                None => LookUpFailure::Name(error.to_string()),
            });
            log_answer(&host, &found);
            let mut names = look_ups.lock();
            names.threads -= 1;
            names.slots.insert(host, Slot::Answered { found, at: Instant::now() });
            drop(names);
            look_ups.changed.notify_all();
        };
        match thread::Builder::new().name("look-up".to_owned()).stack_size(STACK).spawn(asking) {
            Ok(_) => Ok(()),
            Err(error) => Err(LocalTrouble(format!("cannot start a thread to look up a host name: {error}"))),
        }
    }

    fn is_current(&self, found: &Found, at: Instant) -> bool {
        at.elapsed() < self.kept && !matches!(found, Err(LookUpFailure::Local(_)))
    }

    fn make_room(&self, names: &mut Names) {
        if names.slots.len() < MANY_NAMES {
            return;
        }
        names.slots.retain(|_, slot| match slot {
            Slot::Asked => true,
            Slot::Answered { at, .. } => at.elapsed() < self.kept,
        });
    }

    fn lock(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, names: MutexGuard<'a, Names>, left: Duration) -> MutexGuard<'a, Names> {
        self.changed.wait_timeout(names, left).unwrap_or_else(PoisonError::into_inner).0
    }
}

impl fmt::Debug for LookUps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LookUps").finish_non_exhaustive()
    }
}

fn log_answer(host: &str, found: &Found) {
    if !log::is_on(Level::Debug) {
        return;
    }
    let host = ("host", Field::Text(host));
    let answer = |name, text: &str| log::write(Level::Debug, "look-up", &[host, (name, Field::Text(text))]);
    match found {
        Ok(found) => answer("addresses", &found.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")),
        Err(LookUpFailure::Name(reason)) => answer("error", reason),
        Err(LookUpFailure::Local(trouble)) => answer("error", &trouble.to_string()),
        Err(LookUpFailure::TimedOut) => answer("error", "timeout"),
    }
}

fn ask_system(host: &str) -> io::Result<Vec<IpAddr>> {
    match (host, 0).to_socket_addrs() {
        Ok(addresses) => Ok(addresses.map(|address| address.ip()).collect()),
        Err(error) => Err(local::look_up_error(error)),
    }
}
