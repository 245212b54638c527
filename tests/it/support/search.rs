//! What is in the files of a folder.

use std::fs;
use std::path::Path;

use super::TestEnv;

impl TestEnv {
    /// Whether a file of the folder, or a row on the server, holds any of these texts.
    pub fn holds_any(&self, texts: &[&str]) -> bool {
        match self.is_on_server() {
            true => texts.iter().any(|text| holds(&self.contents(), text)),
            false => !files_with(self.path(), texts).is_empty(),
        }
    }
}

/// The names of a folder's files that hold any of these texts, in order.
pub fn files_with(folder: &Path, texts: &[&str]) -> Vec<String> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    // A log may go between the list and the look.
    let holds = |path: &Path| fs::read(path).is_ok_and(|bytes| texts.iter().any(|text| holds(&bytes, text)));
    let names = paths.filter(|path| holds(path)).map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    names
}

/// Whether bytes hold a text.
pub fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}
