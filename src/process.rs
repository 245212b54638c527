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

/// The bounds that a process has put around itself.
#[derive(Debug)]
pub struct Confinement {
    seconds: u64,
}

/// Bounds this process: it writes no core, ends by none of the signals that are for its parent, grows its stack as far as
/// memory goes, and never takes more than `memory` bytes beside what it has.
pub fn confine(memory: u64) -> Confinement {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
        // Where a limit cannot be set, the others and the parent's deadline hold.
        for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
            let _ = signal_hook::flag::register(signal, std::sync::Arc::default());
        }
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
        let stack = getrlimit(Resource::Stack).maximum;
        let _ =
            setrlimit(Resource::Stack, Rlimit { current: Some(stack.unwrap_or(memory).min(memory)), maximum: stack });
        limit_memory(memory, true);
    }
    Confinement { seconds: 0 }
}

impl Confinement {
    /// Lets this process take `memory` bytes beside what it has now, within what it was confined to.
    pub fn allow_memory(&self, memory: u64) {
        #[cfg(unix)]
        limit_memory(memory, false);
    }

    /// Lets this process use so many seconds of the processor in all.
    pub fn allow_seconds(&mut self, seconds: u64) {
        if seconds == self.seconds {
            return;
        }
        self.seconds = seconds;
        #[cfg(unix)]
        {
            use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
            let maximum = getrlimit(Resource::Cpu).maximum;
            let current = Some(maximum.map_or(seconds, |most| most.min(seconds)));
            let _ = setrlimit(Resource::Cpu, Rlimit { current, maximum });
        }
    }
}

#[cfg(unix)]
fn limit_memory(memory: u64, is_for_good: bool) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Some(used) = address_space() else { return };
    let known = getrlimit(Resource::As).maximum;
    let wanted = known.map_or(used + memory, |most| most.min(used + memory));
    let _ = setrlimit(
        Resource::As,
        Rlimit { current: Some(wanted), maximum: if is_for_good { Some(wanted) } else { known } },
    );
}

/// How much of the address space this process has taken, in bytes, where the system tells.
/// <https://man7.org/linux/man-pages/man5/proc_pid_status.5.html>
#[cfg(unix)]
fn address_space() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmSize:"))?.trim().strip_suffix("kB")?;
    Some(kibibytes.trim().parse::<u64>().ok()? * 1024)
}

/// How much of the processor another process has used, where the system tells.
/// <https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>
pub fn processor_time(process: u32) -> Option<std::time::Duration> {
    const TICK: std::time::Duration = std::time::Duration::from_millis(10);
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name of the program, in brackets, may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split_ascii_whitespace().skip(11).map_while(|field| field.parse::<u32>().ok());
    Some(TICK * (ticks.next()? + ticks.next()?))
}
