//! The stage of the tour: a temporary folder and the commands that run in it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

use crate::domain::time::Timestamp;

#[derive(Debug, Serialize)]
pub struct Step {
    /// The heading, if a part begins here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<&'static str>,
    /// The command as a user types it.
    pub command: String,
    /// Its exit code; `None` for a background command and a shell built-in.
    pub exit_code: Option<i32>,
    /// Its stdout, then its stderr.
    pub output: String,
}

/// A temporary folder with background commands. Dropping it stops them and removes the folder.
pub struct Scene {
    folder: PathBuf,
    now: Option<Timestamp>,
    title: Option<&'static str>,
    steps: Vec<Step>,
    background: Vec<Background>,
}

struct Background {
    child: Child,
    log: String,
}

/// How long a background command may take to end.
const PATIENCE: Duration = Duration::from_secs(3);

impl Scene {
    /// An empty folder with mode 0700; `mark` makes its name unique. If `now` is given, the clock of commands is fixed.
    pub fn new(mark: u64, now: Option<Timestamp>) -> Result<Scene> {
        let folder = std::env::temp_dir().join(format!("hookctl-demo-{mark:016x}"));
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt;
            builder.mode(0o700);
        }
        builder.create(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let scene = Scene { folder, now, title: None, steps: Vec::new(), background: Vec::new() };
        Ok(scene)
    }

    pub fn part(&mut self, title: &'static str) {
        self.title = Some(title);
    }

    /// Shows `cd` to the folder, and the variable that names the database.
    pub fn enter(&mut self) {
        self.shell(format!("cd {}", self.folder.display()));
        self.shell("export HOOKCTL_DB=demo.db".to_owned());
    }

    /// Moves the clock of all later commands.
    pub fn move_clock(&mut self, now: Timestamp) {
        self.now = Some(now);
        self.shell(format!("export HOOKCTL_NOW={}", now.rfc3339()));
    }

    /// Runs a command that must exit with `exit_code`; returns its stdout.
    pub fn run(&mut self, arguments: &[&str], exit_code: i32) -> Result<String> {
        let output = self.command(arguments)?.output().context("cannot run hookctl")?;
        let data = String::from_utf8_lossy(&output.stdout).into_owned();
        let messages = String::from_utf8_lossy(&output.stderr);
        let code = output.status.code();
        self.show(typed(arguments), code, format!("{data}{messages}"));
        if code != Some(exit_code) {
            bail!("the tour broke off: `{}` ended with {}, not {exit_code}", typed(arguments), output.status);
        }
        Ok(data)
    }

    /// Runs a command with stdout redirected to a file.
    pub fn run_into(&mut self, arguments: &[&str], file: &str) -> Result<()> {
        let data = File::create(self.folder.join(file)).with_context(|| format!("cannot write {file}"))?;
        let output = self.command(arguments)?.stdout(data).output().context("cannot run hookctl")?;
        let messages = String::from_utf8_lossy(&output.stderr).into_owned();
        let command = format!("{} > {file}", typed(arguments));
        self.show(command.clone(), output.status.code(), messages);
        if !output.status.success() {
            bail!("the tour broke off: `{command}` ended with {}", output.status);
        }
        Ok(())
    }

    /// Starts a listener with stdout redirected to a file; returns its URL.
    pub fn listen(&mut self, arguments: &[&str], log: &str) -> Result<String> {
        let data = File::create(self.folder.join(log)).with_context(|| format!("cannot write {log}"))?;
        let mut child =
            self.command(arguments)?.stdout(data).stderr(Stdio::piped()).spawn().context("cannot run hookctl")?;
        let messages = child.stderr.take();
        self.background.push(Background { child, log: log.to_owned() });
        let mut line = String::new();
        if let Some(messages) = messages {
            BufReader::new(messages).read_line(&mut line).context("cannot read what hookctl says")?;
        }
        self.show(format!("{} > {log} &", typed(arguments)), None, line.clone());
        match line.trim_end().strip_prefix("listening on ") {
            Some(url) => Ok(url.to_owned()),
            None => bail!("the tour broke off: `{}` does not listen: {}", typed(arguments), line.trim_end()),
        }
    }

    /// Waits until the listener that writes to that file ends, and shows the file.
    pub fn show_log(&mut self, log: &str) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        for background in self.background.iter_mut().filter(|background| background.log == log) {
            while background.child.try_wait()?.is_none() {
                if Instant::now() >= deadline {
                    bail!("the tour broke off: the listener of {log} waits for more requests");
                }
                thread::sleep(Duration::from_millis(5));
            }
        }
        let text = fs::read_to_string(self.folder.join(log)).with_context(|| format!("cannot read {log}"))?;
        self.show(format!("cat {log}"), None, text.clone());
        Ok(text)
    }

    /// Stops everything and removes the folder; returns what was shown.
    pub fn end(mut self) -> Vec<Step> {
        std::mem::take(&mut self.steps)
    }

    fn shell(&mut self, command: String) {
        self.show(command, None, String::new());
    }

    fn show(&mut self, command: String, exit_code: Option<i32>, output: String) {
        self.steps.push(Step { title: self.title.take(), command, exit_code, output });
    }

    /// This program in the folder, without the user's settings.
    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let program = std::env::current_exe().context("cannot tell where hookctl itself is")?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null());
        command.env_clear().env("HOOKCTL_DB", "demo.db").env("HOOKCTL_OWNER", "demo");
        if let Some(now) = self.now {
            command.env("HOOKCTL_NOW", now.rfc3339());
        }
        Ok(command)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for Background { child, .. } in &mut self.background {
            // Killing fails if the process has ended, which is fine.
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A command as a user types it in a shell.
fn typed(arguments: &[&str]) -> String {
    let quoted = arguments.iter().map(|word| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+".contains(c);
        if !word.is_empty() && word.chars().all(is_plain) { (*word).to_owned() } else { format!("'{word}'") }
    });
    std::iter::once("hookctl".to_owned()).chain(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_quoted_where_a_shell_needs_it() {
        assert_eq!(
            typed(&["emit", "a.b", "--data", "{\"a\":1}", "-e", "*"]),
            "hookctl emit a.b --data '{\"a\":1}' -e '*'"
        );
    }

    #[test]
    fn the_folder_is_gone_with_the_scene() {
        let mark = u64::from(std::process::id());
        let scene = Scene::new(mark, None).unwrap();
        let folder = scene.folder.clone();
        assert!(folder.is_dir() && Scene::new(mark, None).is_err());
        drop(scene);
        assert!(!folder.exists());
    }
}
