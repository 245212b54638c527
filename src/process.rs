//! What the program asks of the operating system for itself, before it does anything.

/// Keeps the memory of this process, which holds secrets, out of core dumps, and out of the reach of other processes of the
/// same user.
pub fn forbid_dumps() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        // Where it is not allowed the program works as well.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

/// Lets a write past the limit on file sizes (`ulimit -f`) fail like any other, where it would end the program without a word.
pub fn survive_size_limit() {
    #[cfg(unix)]
    {
        let seen = std::sync::Arc::default();
        // Without the handler the program is as it was: it ends at the limit.
        let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, seen);
    }
}
