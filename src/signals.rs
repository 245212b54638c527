//! Ctrl-C and SIGTERM: noticed, and left to the work under way to end well.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};

/// Lets a write past the limit on file sizes (`ulimit -f`) fail like any other, where it would end the program without a word.
pub fn survive_size_limit() {
    #[cfg(unix)]
    {
        let seen = Arc::new(AtomicBool::new(false));
        // Without the handler the program is as it was: it ends at the limit.
        let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, seen);
    }
}

/// Whether the program was asked to stop, and how.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    signal: Arc<AtomicUsize>,
    again: Arc<AtomicBool>,
}

impl Stop {
    /// Takes over Ctrl-C and SIGTERM. A second signal ends the program at once.
    pub fn on_signals() -> std::io::Result<Stop> {
        let stop = Stop::default();
        for signal in [SIGINT, SIGTERM] {
            // Registered first, so it sees the flag that an earlier signal set.
            signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop.again))?;
            signal_hook::flag::register(signal, Arc::clone(&stop.again))?;
            signal_hook::flag::register_usize(signal, Arc::clone(&stop.signal), signal as usize)?;
        }
        Ok(stop)
    }

    /// The exit code to end with, 130 or 143, once a signal came.
    pub fn exit_code(&self) -> Option<u8> {
        match self.signal.load(Ordering::Relaxed) {
            0 => None,
            signal => Some((128 + signal) as u8),
        }
    }

    /// Whether a signal came.
    pub fn is_asked(&self) -> bool {
        self.exit_code().is_some()
    }
}
