//! The README's commands, run as they stand there, and what it says of the tests.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::markdown::{Block, blocks, crontab, run, shell};
use crate::support::{TestEnv, TestReceiver};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(name)).unwrap()
}

/// The code blocks of the section with that heading.
fn section(heading: &str) -> Vec<Block> {
    let found: Vec<_> = blocks(&file("README.md")).into_iter().filter(|block| block.section == heading).collect();
    assert!(!found.is_empty(), "no section {heading:?} with commands");
    found
}

/// Its commands: the lines of its code blocks.
fn commands(heading: &str) -> Vec<String> {
    section(heading).iter().flat_map(|block| block.code.lines()).map(str::to_owned).collect()
}

#[test]
fn the_five_minutes_work_as_they_are_written() {
    let env = TestEnv::new();
    let lines = commands("In five minutes");
    let (listen, rest) = lines.split_first().unwrap();
    assert_eq!(listen, "hookctl listen --port 8000 --respond 500,500,200");
    // A test takes any free port; the rest is the README's own. Without `exec` the shell would outlive what it runs.
    let listener = shell(&env, &format!("exec {}", listen.replace("--port 8000", "--port 0")));
    let url = listener.wait_for_stderr("listening on ", Duration::from_secs(20));
    let port = url.trim_end_matches('/').rsplit(':').next().unwrap().to_owned();
    let mut told = Vec::new();
    for line in rest {
        told.push(run(&env, &line.replace(":8000/", &format!(":{port}/"))).ok().text());
    }
    assert!(told[1].contains("retrying"), "the first attempt fails: {told:?}");
    let shown = told.last().unwrap();
    assert!(shown.contains("Attempt 3 (scheduled)") && shown.contains("Status:   success"), "{shown}");
    drop(listener);
    assert!(env.path().join(".local/share/hookctl/hookctl.db").exists(), "where the README says");
}

#[test]
fn the_crontab_line_is_silent_and_ends_and_the_service_runs_the_same() {
    let env = TestEnv::new();
    let [block] = &section("Retries from cron")[..] else { panic!("one crontab") };
    let [command] = &crontab(&block.code)[..] else { panic!("one line") };
    let service = file("packaging/systemd/hookctl-drain.service");
    assert!(service.contains(&format!("\nExecStart=/usr/bin/{command}\n")));
    let started = Instant::now();
    let made = run(&env, command).ok();
    assert!(made.text().is_empty() && made.err().starts_with("made "), "{made:?}");
    let run = run(&env, command).ok();
    assert_eq!((run.text().as_str(), run.err().as_str()), ("", ""));
    assert!(started.elapsed() < Duration::from_secs(40));
}

#[test]
fn scripts_may_do_what_it_shows() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    let [block] = &section("From a script")[..] else { panic!("one block") };
    let script = block.code.replace("https://crm.example.com/", &receiver.url());
    let run = run(&env, &format!("export HOOKCTL_ALLOW_NETWORKS=127.0.0.0/8\n{script}")).ok();
    assert!(run.text().starts_with("success\n"), "{run:?}");
    assert_eq!(receiver.requests().len(), 4, "one, its duplicate that sends nothing, and three of a batch");
    let secret = fs::read_to_string(env.path().join("billing.secret")).unwrap();
    assert!(secret.starts_with("whsec_"));
}

#[test]
fn a_signature_is_verified_as_it_shows() {
    let env = TestEnv::new();
    let [block] = &section("Signatures")[..] else { panic!("one block") };
    assert_eq!(run(&env, &block.code).ok().text(), "valid\n");
    env.file("body.json", "{}");
    let verify = block.code.lines().last().unwrap();
    let other = run(&env, &format!("{verify} || test $? -eq 4")).ok();
    assert_ne!(other.text(), "valid\n", "another body is not valid");
}

#[test]
fn every_block_is_of_a_kind_that_is_checked() {
    for block in blocks(&file("README.md")) {
        let is_checked = match block.language.as_str() {
            "" => ["In five minutes", "Demo", "Tests"].contains(&block.section.as_str()),
            "sh" => ["From a script", "Signatures"].contains(&block.section.as_str()),
            "crontab" => block.section == "Retries from cron",
            "text" => !block.code.lines().any(|line| line.starts_with("hookctl ")),
            _ => false,
        };
        assert!(is_checked, "README.md:{}", block.line);
    }
}

#[test]
fn every_test_that_the_table_of_faults_names_is_there() {
    let text = file("docs/faults.md");
    let names = text.split('`').filter(|word| word.contains("::") && !word.contains(' '));
    let mut found = 0;
    for name in names {
        let (path, test) = name.rsplit_once("::").unwrap();
        let source = file(&format!("tests/it/{}.rs", path.replace("::", "/")));
        assert!(source.contains(&format!("#[test]\nfn {test}() {{")), "no test {name}");
        found += 1;
    }
    assert!(found > 20, "the table is elsewhere");
    let long = "HOOKCTL_TEST_LONG=1 cargo test --locked --test it fault";
    assert!(text.contains(long) && file("tests/it/fault/mod.rs").contains("HOOKCTL_TEST_LONG"));
}

#[test]
fn every_file_that_a_document_links_to_is_there() {
    let root = Path::new(ROOT);
    let documents = ["", "docs", "docs/design"].map(|folder| fs::read_dir(root.join(folder)));
    for document in documents.into_iter().flatten().flatten().map(|entry| entry.unwrap().path()) {
        if document.extension().is_none_or(|kind| kind != "md") {
            continue;
        }
        let text = fs::read_to_string(&document).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let is_there = link.starts_with("https://") || document.with_file_name(link).exists();
            assert!(is_there, "{}: {link}", document.display());
        }
    }
}

#[test]
fn the_two_commands_that_build_are_the_ones_that_are_promised() {
    assert_eq!(commands("Demo"), ["cargo run --release --locked -- demo"]);
    assert_eq!(commands("Tests"), ["cargo test --locked"]);
    assert!(file(".ci/run").contains("\ntry cargo test --locked\n"), "the check runs the tests by the same command");
    let recipes = file("justfile");
    for step in ["cargo fmt --check", "cargo clippy --all-targets --locked -- -D warnings", "cargo test --locked"] {
        let ci = file(".ci/run").replace("\ntry ", "\n");
        assert!(ci.contains(&format!("\n{step}")) && recipes.contains(&format!("\n    {step}")), "{step}");
    }
}

#[test]
fn every_test_that_a_design_page_names_is_there() {
    let root = Path::new(ROOT);
    let mut folders = vec![root.join("tests/it"), root.join("src")];
    let mut sources = String::new();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|kind| kind == "rs") => {
                    sources += &fs::read_to_string(path).unwrap();
                }
                false => {}
            }
        }
    }
    let mut found = 0;
    for page in fs::read_dir(root.join("docs/design")).unwrap().map(|entry| entry.unwrap().path()) {
        let text = fs::read_to_string(&page).unwrap();
        // The names of tests are sentences.
        let is_name = |word: &&str| word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':');
        let tests = text.split('`').skip(1).step_by(2).filter(is_name).filter(|word| word.matches('_').count() > 3);
        for test in tests {
            let name = test.rsplit("::").next().unwrap();
            assert!(sources.contains(&format!("fn {name}(")), "{}: no test {test}", page.display());
            found += 1;
        }
    }
    assert!(found > 4, "the tests are named elsewhere");
}

#[test]
fn the_reference_has_every_exit_code_and_variable_that_help_has() {
    let (help, reference) = (file("src/cli/reference.txt"), file("docs/reference.md"));
    let words = |heading: &str| {
        let lines = help.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| !line.is_empty());
        let lines = lines.filter(|line| !line.starts_with("   "));
        lines.map(|line| line.trim().split("  ").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (codes, variables) = (words("Exit status:"), words("Environment:"));
    assert!(codes.len() > 8 && variables.len() > 8, "{codes:?} {variables:?}");
    for code in codes {
        assert!(reference.contains(&format!("\n| {code} | ")), "exit code {code}");
    }
    for variable in variables {
        assert!(reference.contains(&format!("`{variable}`")), "{variable}");
    }
}
