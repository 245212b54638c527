//! The system calls of a command as strace tells them, and what strace does to one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::fault::Dice;
use crate::support::{Hookctl, installed};

/// Calls that leave nothing outside the process: a kill at one of them is a kill at the next that does.
const INWARD: &[&str] = &[
    "arch_prctl",
    "brk",
    "clock_gettime",
    "clock_nanosleep",
    "close",
    "execve",
    "exit",
    "exit_group",
    "futex",
    "getcwd",
    "getegid",
    "geteuid",
    "getgid",
    "getpid",
    "getrandom",
    "gettid",
    "getuid",
    "madvise",
    "mmap",
    "mprotect",
    "mremap",
    "munmap",
    "nanosleep",
    "poll",
    "prctl",
    "prlimit64",
    "restart_syscall",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sched_getaffinity",
    "sched_yield",
    "set_robust_list",
    "set_tid_address",
    "sigaltstack",
    "uname",
];

/// Errors, and the calls that are made to fail with them.
const ERRORS: &[(&str, &[&str])] = &[
    ("EMFILE", &["openat", "socket", "socketpair", "pipe2", "eventfd2", "dup", "fcntl"]),
    (
        "ENOSPC",
        &[
            "openat",
            "write",
            "pwrite64",
            "ftruncate",
            "fallocate",
            "fsync",
            "fdatasync",
            "mkdir",
            "link",
            "linkat",
            "rename",
            "renameat",
            "renameat2",
        ],
    ),
    (
        "EIO",
        &[
            "read",
            "pread64",
            "write",
            "pwrite64",
            "ftruncate",
            "fsync",
            "fdatasync",
            "newfstatat",
            "statx",
            "unlink",
            "unlinkat",
            "link",
            "linkat",
            "rename",
            "renameat",
            "renameat2",
            "fchmod",
            "chmod",
            "fchown",
        ],
    ),
    ("EAGAIN", &["clone", "clone3", "fcntl"]),
];

/// What happens at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Kill,
    Error(&'static str),
}

/// The n-th call of that name, counted in each thread, and what happens at it.
#[derive(Clone, Debug)]
pub struct Point {
    pub call: String,
    pub number: usize,
    pub fault: Fault,
}

impl fmt::Display for Point {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fault {
            Fault::Kill => write!(formatter, "killed at {} {}", self.call, self.number),
            Fault::Error(error) => write!(formatter, "{error} at {} {}", self.call, self.number),
        }
    }
}

impl Point {
    /// The command, with this happening to it.
    pub fn inject(&self, command: Hookctl) -> Hookctl {
        let Point { call, number, fault } = self;
        let (effect, is_quick) = match fault {
            // With a filter in the kernel strace does not deliver the signal.
            Fault::Kill => ("signal=KILL".to_owned(), false),
            Fault::Error(error) => (format!("error={error}"), true),
        };
        let (trace, inject) = (format!("trace={call}"), format!("inject={call}:{effect}:when={number}"));
        let mut strace = vec!["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
        strace.extend(is_quick.then_some("--seccomp-bpf"));
        command.under(&strace)
    }
}

/// Whether strace is there and may trace. Where it is not, a note says what is skipped.
#[expect(clippy::print_stderr, reason = "a skipped test that says nothing looks like one that passed")]
pub fn can_trace() -> bool {
    if installed(&["strace"], "strace").is_none() {
        return false;
    }
    let mut trace = Command::new("strace");
    trace.args(["-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "true"]).stdin(Stdio::null());
    let may = trace.output().is_ok_and(|output| output.status.success());
    if !may {
        eprintln!("skipped: strace may not trace here (ptrace is refused)");
    }
    may
}

/// Every point of a command, as it is when nothing happens to it; `trace` is where strace writes.
pub fn points(command: Hookctl, trace: &Path) -> Vec<Point> {
    let file = trace.to_str().unwrap();
    command.under(&["strace", "-f", "-qq", "-o", file]).run().ok();
    let calls = count(&fs::read_to_string(trace).unwrap());
    let mut points = Vec::new();
    for (call, most) in &calls {
        let errors =
            ERRORS.iter().filter(|(_, names)| names.contains(&call.as_str())).map(|(error, _)| Fault::Error(error));
        let kill = (!INWARD.contains(&call.as_str())).then_some(Fault::Kill);
        for fault in kill.into_iter().chain(errors) {
            points.extend((1..=*most).map(|number| Point { call: call.clone(), number, fault }));
        }
    }
    points
}

/// Some of the points in the short form, kills and errors by turns, each kind of fault and call among them; all in the long form.
pub fn chosen(points: Vec<Point>, most: usize, dice: &mut Dice) -> Vec<Point> {
    if super::super::scale() > 1 {
        return points;
    }
    let (mut next, mut other): (Vec<Point>, Vec<Point>) =
        points.into_iter().partition(|point| point.fault == Fault::Kill);
    let mut chosen = Vec::new();
    let mut kinds = BTreeSet::new();
    while chosen.len() < most && !next.is_empty() {
        let point = next.swap_remove(dice.below(next.len() as u64) as usize);
        // A kind is not taken again before half of the room is used.
        if kinds.insert(format!("{:?}{}", point.fault, point.call)) || chosen.len() >= most / 2 {
            chosen.push(point);
            std::mem::swap(&mut next, &mut other);
        }
    }
    chosen
}

/// How often each call was made by the thread that made it most often.
fn count(trace: &str) -> BTreeMap<String, usize> {
    let mut by_thread: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let Some((name, _)) = call.trim_start().split_once('(') else { continue };
        if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            *by_thread.entry((thread, name)).or_default() += 1;
        }
    }
    let mut most = BTreeMap::new();
    for ((_, name), count) in by_thread {
        let entry = most.entry(name.to_owned()).or_default();
        *entry = count.max(*entry);
    }
    most
}

#[test]
fn calls_are_counted_in_each_thread() {
    let trace = "12 openat(AT_FDCWD, \"a\") = 3\n12 read(3, <unfinished ...>\n13 read(4, \"\") = 0\n12 <... read resumed> \"\") = 0\n\
        12 read(3, \"\") = 0\n12 +++ exited with 0 +++\n12 --- SIGCHLD {} ---\n";
    assert_eq!(count(trace), BTreeMap::from([("openat".to_owned(), 1), ("read".to_owned(), 2)]));
}
