//! The progress bar of a long task, on stderr.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::escape::escape;

/// A progress bar; without a terminal it does nothing.
pub struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    pub fn none() -> Progress {
        Progress { bar: None }
    }

    /// A bar on stderr, or a counter if the total is unknown.
    pub(super) fn shown(label: &str, total: Option<u64>) -> Progress {
        let (bar, template) = match total {
            Some(total) => {
                (ProgressBar::new(total), "{prefix} [{wide_bar}] {human_pos}/{human_len}  {per_sec:1}{msg}  {eta} left")
            }
            None => (ProgressBar::no_length(), "{prefix} {spinner} {human_pos}  {per_sec:1}{msg}  {elapsed}"),
        };
        let style = ProgressStyle::with_template(template).expect("the template is a constant that a test reads");
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        bar.set_style(style.progress_chars("=> "));
        bar.set_prefix(escape(label).into_owned());
        Progress { bar: Some(bar) }
    }

    /// The bar, to print lines above it.
    pub(super) fn bar(&self) -> Option<ProgressBar> {
        self.bar.clone()
    }

    pub fn set(&self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
    }

    /// Sets position and total: for a total that changes while the task runs.
    pub fn set_of(&self, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(total.max(done));
            bar.set_position(done);
        }
    }

    pub fn inc(&self, more: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(more);
        }
    }

    /// Shows how many have failed.
    pub fn note(&self, failures: u64) {
        if let Some(bar) = &self.bar
            && failures > 0
        {
            bar.set_message(format!("  {failures} failed"));
        }
    }

    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_readable_with_and_without_a_total() {
        for total in [Some(10), None] {
            let progress = Progress::shown("drain", total);
            progress.set(3);
            progress.inc(1);
            progress.note(2);
            let bar = progress.bar().unwrap();
            assert_eq!((bar.position(), bar.length(), bar.message()), (4, total, "  2 failed".to_owned()));
            drop(progress);
            assert!(bar.is_finished());
        }
    }
}
