//! The binary in a pseudo-terminal: a person who reads the screen and types.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use console::strip_ansi_codes;

/// How long a text may take to appear, and the program to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A run at a terminal; dropping it kills it.
pub struct Terminal {
    process: std::process::Child,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    seen: Vec<u8>,
    /// What is before it was waited for already.
    read: usize,
}

/// What a run at a terminal left.
#[derive(Debug)]
pub struct Shown {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The number of the signal that ended it.
    pub signal: Option<i32>,
    /// All that the terminal was sent, with its control sequences.
    pub raw: String,
}

impl Terminal {
    /// Starts a command at a terminal of so many columns; a `stdin` of its own takes the keyboard's place.
    #[track_caller]
    pub fn start(command: &std::process::Command, columns: u16, stdin: Option<Stdio>) -> Terminal {
        let (terminal, end) = pty_process::blocking::open().unwrap();
        terminal.resize(pty_process::Size::new(24, columns)).unwrap();
        let arguments: Vec<OsString> = command.get_args().map(OsString::from).collect();
        let mut started = pty_process::blocking::Command::new(command.get_program()).args(arguments).env_clear();
        started = started.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(folder) = command.get_current_dir() {
            started = started.current_dir(folder);
        }
        if let Some(stdin) = stdin {
            started = started.stdin(stdin);
        }
        let process = started.env("TERM", "xterm-256color").spawn(end).unwrap();
        let keyboard = File::from(OwnedFd::from(terminal));
        let mut output = keyboard.try_clone().unwrap();
        let (sender, screen) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // Reading fails once nobody has the other end open.
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Terminal { process, keyboard, screen, seen: Vec::new(), read: 0 }
    }

    /// Types these characters.
    #[track_caller]
    pub fn types(&mut self, keys: &str) -> &mut Terminal {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self
    }

    /// Presses Ctrl-C, and again until it ends: the moment between two keys, when the terminal is not read, may swallow one.
    #[track_caller]
    pub fn interrupted(mut self) -> Shown {
        for _ in 0..50 {
            // Nobody may be left to type to.
            let _ = self.keyboard.write_all(b"\x03");
            thread::sleep(Duration::from_millis(100));
            if self.process.try_wait().unwrap().is_some() {
                break;
            }
        }
        self.ends()
    }

    /// Waits until the text appears after all that was waited for before.
    #[track_caller]
    pub fn shows(&mut self, text: &str) -> &mut Terminal {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let new = String::from_utf8_lossy(&self.seen[self.read..]).into_owned();
            if let Some(at) = strip_ansi_codes(&new).find(text) {
                self.read += raw_length(&new, at + text.len());
                return self;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(bytes) = self.screen.recv_timeout(left) else {
                panic!("{text:?} does not appear after\n{new}\nin\n{}", String::from_utf8_lossy(&self.seen));
            };
            self.seen.extend(bytes);
        }
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ends(mut self) -> Shown {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "still running\n{}", String::from_utf8_lossy(&self.seen));
            thread::sleep(Duration::from_millis(5));
        };
        while let Ok(bytes) = self.screen.recv_timeout(Duration::from_secs(5)) {
            self.seen.extend(bytes);
        }
        Shown { code: status.code(), signal: status.signal(), raw: String::from_utf8_lossy(&self.seen).into_owned() }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Shown {
    /// Asserts that it ended with that exit code.
    #[track_caller]
    pub fn ended_with(self, code: i32) -> Shown {
        assert!(self.code == Some(code), "should have ended with exit code {code}\n{self:?}\n{}", self.raw);
        assert!(!self.raw.contains("panicked at"), "panicked\n{}", self.raw);
        self
    }

    /// What a person read, without control sequences.
    pub fn text(&self) -> String {
        strip_ansi_codes(&self.raw).replace("\r\n", "\n")
    }

    /// Whether the cursor is seen at the end.
    pub fn has_cursor(&self) -> bool {
        self.raw.rfind("\u{1b}[?25h") >= self.raw.rfind("\u{1b}[?25l")
    }
}

/// How many bytes of `raw` make the first `length` bytes of its text without control sequences.
fn raw_length(raw: &str, length: usize) -> usize {
    let ends = raw.char_indices().map(|(start, c)| start + c.len_utf8());
    ends.into_iter().find(|end| strip_ansi_codes(&raw[..*end]).len() >= length).unwrap_or(raw.len())
}
