//! The files that packages take, completion scripts and manual pages, are those that the binary writes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{TestEnv, installed};

/// Where each shell's script stands.
const SCRIPTS: [(&str, &str); 5] = [
    ("bash", "hookctl.bash"),
    ("zsh", "_hookctl"),
    ("fish", "hookctl.fish"),
    ("elvish", "hookctl.elv"),
    ("powershell", "_hookctl.ps1"),
];

fn project(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

fn files(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let named =
        |path: PathBuf| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap());
    entries.map(named).collect()
}

/// Compares a folder of the project with what it should hold, or with `UPDATE=1` makes it so.
fn assert_current(folder: &str, wanted: &BTreeMap<String, String>) {
    let place = project(folder);
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(&place).unwrap();
        files(&place).keys().filter(|name| !wanted.contains_key(*name)).for_each(|name| {
            fs::remove_file(place.join(name)).unwrap();
        });
        wanted.iter().for_each(|(name, text)| fs::write(place.join(name), text).unwrap());
    }
    let found = files(&place);
    let stale: Vec<&String> =
        found.keys().chain(wanted.keys()).filter(|name| found.get(*name) != wanted.get(*name)).collect();
    assert!(stale.is_empty(), "stale in {folder}/: {stale:?}; run `UPDATE=1 cargo test --locked --test it artifacts`");
}

/// The folder that a test has the pages written into.
const PAGES: &str = "made/man";

fn made_pages(env: &TestEnv) -> BTreeMap<String, String> {
    let folder = env.path().join(PAGES);
    env.hookctl(["man", "--dir"]).arg(&folder).run().ok();
    files(&folder)
}

#[test]
fn every_completion_script_is_the_one_that_the_binary_prints() {
    let env = TestEnv::new();
    let print = |shell: &str| env.hookctl(["completions", shell, "--read-only"]).run().ok().text();
    assert_current("completions", &SCRIPTS.map(|(shell, name)| (name.to_owned(), print(shell))).into());
    assert!(!env.is_made());
}

#[test]
fn every_manual_page_is_the_one_that_the_binary_writes() {
    let env = TestEnv::new();
    let pages = made_pages(&env);
    assert_eq!(pages["hookctl.1"], env.hookctl(["man"]).run().ok().text());
    assert!(!pages.contains_key("hookctl-complete.1"), "what only the scripts call has no page");
    assert_current("man", &pages);
    assert!(!env.is_made());
}

#[test]
fn a_manual_page_depends_on_nothing_around_it() {
    let env = TestEnv::new();
    let plain = env.hookctl(["man"]).run().ok().text();
    let other = env.hookctl(["man"]).env("COLUMNS", "40").env("CLICOLOR_FORCE", "1").env("HOOKCTL_OUTPUT", "json");
    assert_eq!(other.env("HOOKCTL_DB", "/elsewhere").run().ok().text(), plain);
}

#[test]
fn every_manual_page_has_its_sections() {
    for (name, page) in made_pages(&TestEnv::new()) {
        let own: &[&str] = if name == "hookctl.1" { &["ENVIRONMENT", "FILES"] } else { &["SEE ALSO"] };
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "EXAMPLES"].iter().chain(own) {
            let headings = [format!("\n.SH {section}\n"), format!("\n.SH \"{section}\"\n")];
            assert!(headings.iter().any(|heading| page.contains(heading)), "{name} has no {section}");
        }
    }
}

#[test]
fn mandoc_finds_nothing_to_say_about_the_manual_pages() {
    let Some(mandoc) = installed(&["mandoc"], "mandoc") else { return };
    let env = TestEnv::new();
    let pages = made_pages(&env).into_keys().map(|name| env.path().join(PAGES).join(name));
    let run = Command::new(mandoc).args(["-T", "lint", "-W", "warning"]).args(pages).output().unwrap();
    let told = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && told.is_empty(), "{told}");
}

#[test]
fn a_closed_pipe_ends_both_quietly() {
    let env = TestEnv::new();
    for arguments in [&["man"][..], &["completions", "bash"], &[], &["help", "webhook", "create"]] {
        let run = env.hookctl(arguments.iter().copied()).run_into_closed_pipe().ok();
        assert_eq!(run.err(), "", "{arguments:?}");
    }
}
