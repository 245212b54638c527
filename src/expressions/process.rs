//! The child as its parent sees it.

use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::frame::{self, Message, Reply};
use super::task::{COMMAND, LONGEST, Task};
use crate::domain::attempt::LocalTrouble;
use crate::process;

/// How often it is looked whether an evaluation that goes on has used up its time.
const LOOK: Duration = Duration::from_millis(100);
/// A machine that is busy with other things gives an evaluation its time later, but no later than so many times of it.
const PATIENCE: u32 = 5;

/// A running child. Dropped, it is killed.
pub struct Process {
    child: Child,
    tasks: Sender<Vec<u8>>,
    messages: Receiver<Message>,
    /// When the evaluation began that is waited for, and what processor time the child had used soon after.
    began: Instant,
    used: Option<Duration>,
}

/// What came of the evaluation that was waited for.
pub enum Waited {
    Reply(Reply),
    TookTooLong,
    /// The child is gone.
    Ended,
}

impl Process {
    pub fn start() -> Result<Process, LocalTrouble> {
        let mut child = program()
            .and_then(|program| command(&program).spawn())
            .map_err(|error| trouble("cannot start the process that runs filters and transforms", &error))?;
        let (tasks, to_send) = mpsc::channel();
        let (received, messages) = mpsc::channel();
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (stdin, stdout) = pipes.expect("both were asked for as pipes");
        let mut process = Process { child, tasks, messages, began: Instant::now(), used: None };
        let threads = thread("expressions-out", move || write(stdin, &to_send))
            .and_then(|()| thread("expressions-in", move || read(stdout, &received)));
        match threads {
            Ok(()) => Ok(process),
            Err(error) => {
                process.end();
                Err(trouble("cannot start a thread for filters and transforms", &error))
            }
        }
    }

    /// Sends a task behind those that were sent.
    pub fn send(&mut self, task: Task<'_>) {
        // A child that is gone is noticed by who waits.
        let _ = self.tasks.send(frame::of_task(task));
    }

    /// Waits for the first task that is not answered.
    pub fn wait(&mut self) -> Waited {
        self.begin();
        loop {
            match self.messages.recv_timeout(LOOK) {
                Ok(Message::Begun) => self.begin(),
                Ok(Message::Reply(reply)) => return Waited::Reply(reply),
                Err(RecvTimeoutError::Disconnected) => return Waited::Ended,
                Err(RecvTimeoutError::Timeout) if self.is_over() => return Waited::TookTooLong,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn begin(&mut self) {
        (self.began, self.used) = (Instant::now(), None);
    }

    /// Whether the evaluation had its time: by the clock, and by what the child was given of the processor, where the system
    /// tells.
    fn is_over(&mut self) -> bool {
        let used = process::processor_time(self.child.id());
        let at_first = *self.used.get_or_insert(used.unwrap_or_default());
        let went_by = self.began.elapsed();
        went_by >= LONGEST
            && (went_by >= PATIENCE * LONGEST
                || used.is_none_or(|used| used.saturating_sub(at_first) + LOOK >= LONGEST))
    }

    fn end(&mut self) {
        // Neither fails but for a child that is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// This program as it runs, though its file may have been replaced.
fn program() -> std::io::Result<PathBuf> {
    match cfg!(target_os = "linux") {
        true => Ok(PathBuf::from("/proc/self/exe")),
        false => std::env::current_exe(),
    }
}

/// It sees no environment and has no terminal to write to.
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg(COMMAND).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    #[cfg(unix)]
    {
        // Ctrl-C at the terminal and job control are for the parent, which ends the child.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
    }
    command
}

fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(run).map(drop)
}

fn write(stdin: ChildStdin, tasks: &Receiver<Vec<u8>>) {
    let mut stdin = BufWriter::with_capacity(64 * 1024, stdin);
    while let Ok(task) = tasks.recv() {
        let mut next = Some(task);
        while let Some(task) = next {
            if stdin.write_all(&task).is_err() {
                return;
            }
            next = tasks.try_recv().ok();
        }
        if stdin.flush().is_err() {
            return;
        }
    }
}

fn read(stdout: ChildStdout, messages: &Sender<Message>) {
    let mut stdout = BufReader::with_capacity(64 * 1024, stdout);
    while let Some(message) = next(&mut stdout) {
        if messages.send(message).is_err() {
            return;
        }
    }
}

/// The next message; `None` from a child that is gone, or says what it cannot mean.
fn next(stdout: &mut impl Read) -> Option<Message> {
    let (kind, bytes) = frame::read(stdout).ok()??;
    frame::message(kind, bytes)
}

fn trouble(what: &str, error: &std::io::Error) -> LocalTrouble {
    LocalTrouble(format!("{what}: {error}"))
}
