//! Ctrl-C, SIGTERM and SIGHUP: noticed, so that the work in flight can end well.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use signal_hook::SigId;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::error::Exit;

/// How often it is looked whether a signal came.
const POLL: Duration = Duration::from_millis(100);

/// Whether the program was asked to stop, and how.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    signal: Arc<AtomicUsize>,
    again: Arc<AtomicBool>,
}

impl Stop {
    /// Takes over Ctrl-C, SIGTERM and SIGHUP. A second Ctrl-C or SIGTERM ends the program at once.
    pub fn on_signals() -> std::io::Result<Stop> {
        let stop = Stop::default();
        for signal in [SIGINT, SIGTERM] {
            // Registered first, so it sees the flag that an earlier signal set.
            signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop.again))?;
            signal_hook::flag::register(signal, Arc::clone(&stop.again))?;
            signal_hook::flag::register_usize(signal, Arc::clone(&stop.signal), signal as usize)?;
        }
        // A terminal that closes sends it more than once, so a second one is no sign of impatience.
        #[cfg(unix)]
        if !is_hangup_ignored() {
            use signal_hook::consts::SIGHUP;
            signal_hook::flag::register_usize(SIGHUP, Arc::clone(&stop.signal), SIGHUP as usize)?;
        }
        replace_usual(None);
        Ok(stop)
    }

    /// How to end once a signal came: with 128 and its number, so 129, 130 or 143.
    pub fn exit(&self) -> Option<Exit> {
        match self.signal.load(Ordering::Relaxed) {
            0 => None,
            signal => Some(Exit::by_signal(signal as u8)),
        }
    }

    /// Asks as Ctrl-C does.
    #[cfg(test)]
    pub fn ask(&self) {
        self.signal.store(SIGINT as usize, Ordering::Relaxed);
    }

    /// Waits until then, for ever where there is no end, or until a signal comes.
    pub fn wait_until(&self, end: Option<Instant>) {
        while !self.is_asked() && end.is_none_or(|end| Instant::now() < end) {
            let left = end.map_or(POLL, |end| end.saturating_duration_since(Instant::now()));
            std::thread::sleep(left.min(POLL));
        }
    }

    pub fn is_asked(&self) -> bool {
        self.exit().is_some()
    }
}

/// Whether the program was started to go on when its terminal closes (`nohup`).
#[cfg(unix)]
fn is_hangup_ignored() -> bool {
    // Only Linux says it without `unsafe`. <https://man7.org/linux/man-pages/man5/proc_pid_status.5.html>
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or_default();
    u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 1 << (signal_hook::consts::SIGHUP - 1) != 0)
}

/// While it lives, Ctrl-C does not end the program: the prompt that waits for an answer sees it, and restores the terminal first.
#[derive(Debug)]
pub struct Asking {
    signal: SigId,
}

/// The handler that ends the program on Ctrl-C after a question: the default of the system cannot be restored.
static USUAL: Mutex<Option<SigId>> = Mutex::new(None);

impl Asking {
    pub fn begin() -> std::io::Result<Asking> {
        let asking = Asking { signal: signal_hook::flag::register(SIGINT, Arc::default())? };
        replace_usual(None);
        Ok(asking)
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let always = Arc::new(AtomicBool::new(true));
        replace_usual(signal_hook::flag::register_conditional_default(SIGINT, always).ok());
        signal_hook::low_level::unregister(self.signal);
    }
}

fn replace_usual(signal: Option<SigId>) {
    let mut usual = USUAL.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(earlier) = std::mem::replace(&mut *usual, signal) {
        signal_hook::low_level::unregister(earlier);
    }
}
