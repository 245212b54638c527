//! The binary, running.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::Run;

/// How long the output of a process that ended may take to arrive.
const OUTPUT_LIMIT: Duration = Duration::from_secs(5);

/// A running process; dropping it kills it.
pub struct Child {
    process: std::process::Child,
    arguments: String,
    started: Instant,
    stdout: Stream,
    stderr: Stream,
}

impl Child {
    /// Starts the command with that standard input; its standard output is collected if it is piped.
    #[track_caller]
    pub fn start(mut command: Command, stdin: Vec<u8>) -> Child {
        command.stderr(Stdio::piped());
        command.stdin(if stdin.is_empty() { Stdio::null() } else { Stdio::piped() });
        let arguments = command.get_args().map(|arg| arg.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let started = Instant::now();
        let mut process = command.spawn().unwrap_or_else(|error| panic!("cannot start hookctl {arguments}: {error}"));
        if let Some(mut pipe) = process.stdin.take() {
            // A process that ends without reading its input breaks the pipe, and may.
            thread::spawn(move || pipe.write_all(&stdin));
        }
        let stdout = Stream::collect(process.stdout.take());
        let stderr = Stream::collect(process.stderr.take());
        Child { process, arguments, started, stdout, stderr }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// Ends it on the spot (SIGKILL) and returns what it said until then.
    #[track_caller]
    pub fn kill(mut self) -> Run {
        let _ = self.process.kill();
        let status = self.process.wait().unwrap();
        self.finish(status)
    }

    /// Sends it a signal by its name without SIG, such as `TERM` or `INT`.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        // `kill` is built into every shell; as a program it is not everywhere.
        let sent = Command::new("sh").args(["-c", &format!("kill -s {name} {}", self.id())]).status().unwrap();
        assert!(sent.success(), "cannot send {name} to hookctl {}", self.arguments);
    }

    /// Waits for its end; after `limit` it is killed and the test fails with what it said.
    #[track_caller]
    pub fn wait_timeout(mut self, limit: Duration) -> Run {
        let deadline = Instant::now() + limit;
        let mut pause = Duration::from_micros(200);
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return self.finish(status);
            }
            assert!(Instant::now() < deadline, "still running after {limit:?}\n{:?}", self.kill());
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(5));
        }
    }

    /// How many whole lines it wrote to standard output so far.
    pub fn lines(&self) -> usize {
        String::from_utf8_lossy(&self.stdout.so_far()).matches('\n').count()
    }

    /// Waits for a whole line on standard output that contains the text, and returns it; fails the test after `limit`.
    #[track_caller]
    pub fn wait_for_stdout(&self, text: &str, limit: Duration) -> String {
        self.line(&self.stdout, text, limit)
    }

    /// Waits for a whole line on standard error that contains the text, and returns it; fails the test after `limit`.
    #[track_caller]
    pub fn wait_for_stderr(&self, text: &str, limit: Duration) -> String {
        self.line(&self.stderr, text, limit)
    }

    #[track_caller]
    fn line(&self, stream: &Stream, text: &str, limit: Duration) -> String {
        stream.line(text, limit).unwrap_or_else(|| {
            let (stdout, stderr) = (self.stdout.so_far(), self.stderr.so_far());
            let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
            let arguments = &self.arguments;
            panic!("no line with {text:?}\n$ hookctl {arguments}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
        })
    }

    fn finish(&mut self, status: ExitStatus) -> Run {
        Run {
            took: self.started.elapsed(),
            arguments: self.arguments.clone(),
            code: status.code(),
            signal: status.signal(),
            stdout: self.stdout.whole(),
            stderr: self.stderr.whole(),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a process wrote so far to one of its pipes.
struct Stream {
    shared: Arc<(Mutex<Collected>, Condvar)>,
}

#[derive(Default)]
struct Collected {
    bytes: Vec<u8>,
    ended: bool,
}

impl Stream {
    /// Collects a pipe on a thread; without one there is nothing.
    fn collect(pipe: Option<impl Read + Send + 'static>) -> Stream {
        let shared =
            Arc::new((Mutex::new(Collected { ended: pipe.is_none(), ..Collected::default() }), Condvar::new()));
        if let Some(mut pipe) = pipe {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let mut chunk = [0; 16 * 1024];
                loop {
                    let count = pipe.read(&mut chunk).unwrap_or(0);
                    let mut collected = shared.0.lock().unwrap();
                    collected.bytes.extend_from_slice(&chunk[..count]);
                    collected.ended = count == 0;
                    shared.1.notify_all();
                    if collected.ended {
                        return;
                    }
                }
            });
        }
        Stream { shared }
    }

    fn so_far(&self) -> Vec<u8> {
        self.shared.0.lock().unwrap().bytes.clone()
    }

    /// Everything, once the process has ended.
    fn whole(&self) -> Vec<u8> {
        let collected = self.shared.0.lock().unwrap();
        let waited = self.shared.1.wait_timeout_while(collected, OUTPUT_LIMIT, |collected| !collected.ended).unwrap();
        waited.0.bytes.clone()
    }

    fn line(&self, text: &str, limit: Duration) -> Option<String> {
        let collected = self.shared.0.lock().unwrap();
        let mut found = None;
        let _waited = self.shared.1.wait_timeout_while(collected, limit, |collected| {
            found = whole_line_with(&collected.bytes, text);
            found.is_none() && !collected.ended
        });
        found
    }
}

fn whole_line_with(bytes: &[u8], text: &str) -> Option<String> {
    let whole = bytes.iter().rposition(|byte| *byte == b'\n')?;
    String::from_utf8_lossy(&bytes[..whole]).lines().find(|line| line.contains(text)).map(str::to_owned)
}
