//! Waiting for the lock of another process. SQLite has no queue for it: whoever asks at the right moment gets it. Those who
//! wait for long queue for a lock of the folder, whose queue is the kernel's: only the first of them keeps asking SQLite.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::new_file::folder_of;
use crate::store::Result;

/// Until then there may be nobody else who waits.
const ALONE: Duration = Duration::from_millis(5);
/// The pause before the next question of who is first.
const SHORT_PAUSE: Duration = Duration::from_millis(1);
/// The same of the others, in case that whoever is first was stopped.
const LONG_PAUSE: Duration = Duration::from_millis(100);
const QUEUE_STACK: usize = 64 * 1024;

/// How a connection waits for a lock; shared with SQLite's side of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Patience {
    /// How long, in milliseconds.
    limit: Arc<AtomicU64>,
    place: Arc<Mutex<Option<Place>>>,
}

impl Patience {
    /// Has the connection to that file wait so long.
    pub(super) fn of(connection: &mut Connection, path: &Path, limit: Duration) -> Result<Patience> {
        let patience = Patience::default();
        patience.set(limit);
        let (mine, folder, mut began) = (patience.clone(), folder_of(path).to_owned(), Instant::now());
        connection.busy_handler(Some(move |tries| {
            if tries == 0 {
                began = Instant::now();
            }
            let waited = began.elapsed();
            let left = mine.get().saturating_sub(waited);
            if left.is_zero() {
                mine.leave_queue();
            } else if waited < ALONE {
                thread::sleep(SHORT_PAUSE.min(left));
            } else {
                mine.queue(&folder, left);
            }
            !left.is_zero()
        }))?;
        Ok(patience)
    }

    pub(super) fn get(&self) -> Duration {
        Duration::from_millis(self.limit.load(Ordering::Relaxed))
    }

    pub(super) fn set(&self, limit: Duration) {
        self.limit.store(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Waits until SQLite is to be asked again.
    fn queue(&self, folder: &Path, left: Duration) {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        place.get_or_insert_with(|| Place::behind_others(folder.to_owned())).wait(left);
    }

    /// The lock is there, or no longer wanted: the next in the queue is first.
    pub(super) fn leave_queue(&self) {
        drop(self.place.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// A place in the queue.
#[derive(Debug)]
struct Place {
    first: Receiver<File>,
    /// The locked folder of whoever is first.
    held: Option<File>,
}

impl Place {
    /// A lock of the folder has a wait without end alone, so a thread waits for it. A place that was left is passed on there.
    fn behind_others(folder: PathBuf) -> Place {
        let (tell, first) = channel();
        let wait = move || {
            let Ok(folder) = File::open(folder) else { return };
            if folder.lock().is_ok() {
                let _ = tell.send(folder);
            }
        };
        // Without a thread, and where a folder cannot be locked, `wait` asks SQLite again and again.
        let _ = thread::Builder::new().stack_size(QUEUE_STACK).spawn(wait);
        Place { first, held: None }
    }

    fn wait(&mut self, left: Duration) {
        if self.held.is_none() {
            match self.first.recv_timeout(LONG_PAUSE.min(left)) {
                Ok(held) => return self.held = Some(held),
                Err(RecvTimeoutError::Timeout) => return,
                Err(RecvTimeoutError::Disconnected) => {}
            }
        }
        thread::sleep(SHORT_PAUSE.min(left));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// Whether the place becomes the first one in that time.
    fn becomes_first(place: &mut Place, within: Duration) -> bool {
        let began = Instant::now();
        while place.held.is_none() && began.elapsed() < within {
            place.wait(Duration::from_millis(10));
        }
        place.held.is_some()
    }

    #[test]
    fn one_is_first_until_it_leaves_and_one_that_left_the_queue_holds_up_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let behind = || Place::behind_others(folder.path().to_owned());
        let mut first = behind();
        assert!(becomes_first(&mut first, PATIENCE));
        let (mut second, mut third) = (behind(), behind());
        assert!(!becomes_first(&mut second, Duration::from_millis(50)));
        assert!(!becomes_first(&mut third, Duration::from_millis(50)));
        drop(second);
        drop(first);
        assert!(becomes_first(&mut third, PATIENCE));
    }

    #[test]
    fn without_a_folder_to_lock_sqlite_is_asked_again_and_again() {
        let mut place = Place::behind_others(PathBuf::from("/nowhere/at/all"));
        let began = Instant::now();
        (0..3).for_each(|_| place.wait(PATIENCE));
        assert!(place.held.is_none() && began.elapsed() < PATIENCE);
    }
}
