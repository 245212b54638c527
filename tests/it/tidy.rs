//! The import rule, kept by reading the sources: every outside thing has one home, and modules name each other one way.

mod circles;
mod source;

use std::fmt;
use std::fs;
use std::path::Path;

use circles::circles;
use source::Source;

/// Something that only some files may name.
struct Home {
    what: &'static str,
    /// Any of these, in code, names it.
    needles: &'static [&'static str],
    /// Files, or folders with a slash at the end, that may.
    homes: &'static [&'static str],
    /// How many files may at the same time.
    files: usize,
}

const HOMES: &[Home] = &[
    Home { what: "the SQLite library", needles: &["rusqlite"], homes: &["src/store/sqlite/"], files: usize::MAX },
    Home {
        what: "the PostgreSQL library",
        needles: &["tokio_postgres", "tokio::"],
        homes: &["src/store/postgres/"],
        files: usize::MAX,
    },
    Home { what: "the HTTP client", needles: &["ureq"], homes: &["src/http/"], files: usize::MAX },
    Home { what: "the jq library", needles: &["jaq_"], homes: &["src/jq.rs", "src/jq/"], files: usize::MAX },
    Home { what: "the JSON Schema library", needles: &["boon"], homes: &["src/schema.rs"], files: usize::MAX },
    Home {
        what: "the system clock",
        needles: &["SystemTime::now", "Utc::now", "Local::now"],
        homes: &["src/context.rs", "src/clock.rs"],
        files: 1,
    },
    Home {
        what: "the environment",
        needles: &["env::var", "env::vars", "env::var_os"],
        homes: &["src/settings.rs", "src/context.rs"],
        files: 1,
    },
    Home {
        what: "randomness",
        needles: &["getrandom", "OsRng", "SysRng", "thread_rng", "RandomState"],
        homes: &["src/random.rs", "src/context.rs"],
        files: 1,
    },
    Home {
        what: "standard output and error",
        needles: &["stdout()", "stderr()", "io::stdout", "io::stderr"],
        homes: &["src/output/", "src/main.rs", "src/expressions/"],
        files: usize::MAX,
    },
];

/// A folder, or a file, and the modules of the crate that it must not name.
const LAYERS: &[(&str, &[&str])] = &[
    (
        "src/domain/",
        &[
            "store",
            "http",
            "delivery",
            "receiver",
            "commands",
            "output",
            "cli",
            "context",
            "settings",
            "error",
            "jq",
            "expressions",
        ],
    ),
    ("src/store/", &["http", "delivery", "receiver", "commands", "output", "cli", "context", "error"]),
    ("src/http/", &["store", "delivery", "receiver", "commands", "output", "cli", "context", "error"]),
    ("src/receiver/", &["store", "http", "delivery", "commands", "output", "cli", "context", "error"]),
    (
        "src/expressions/",
        &["store", "http", "delivery", "receiver", "commands", "output", "cli", "context", "error", "settings"],
    ),
    ("src/delivery/", &["receiver", "commands", "output", "cli"]),
    ("src/output/", &["store", "http", "delivery", "receiver", "commands", "cli"]),
    ("src/error.rs", &["http", "delivery", "receiver", "commands", "output", "cli", "context", "settings"]),
    ("src/commands/", &["cli"]),
];

/// Files above this many lines have more than one reason to exist.
const LONGEST: usize = 480;

/// Those that are longer all the same, each with its reason.
const LONGER: &[(&str, &str)] = &[];

/// One break of a rule.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    line: usize,
    rule: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.rule)
    }
}

#[test]
fn outside_things_have_one_home_each() {
    let sources = sources();
    assert_none(&HOMES.iter().flat_map(|home| strangers(home, &sources)).collect::<Vec<_>>());
}

#[test]
fn imports_go_one_way() {
    let sources = sources();
    assert_none(&sources.iter().flat_map(wrong_way).collect::<Vec<_>>());
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let circles: Vec<String> = circles(&sources()).iter().map(|circle| circle.join(" → ")).collect();
    assert!(circles.is_empty(), "files that import each other in a circle:\n{}", circles.join("\n"));
}

#[test]
fn no_file_is_too_long() {
    let excused = |source: &&Source| !LONGER.iter().any(|(path, _)| *path == source.path);
    assert_none(&sources().iter().filter(excused).filter_map(too_long).collect::<Vec<_>>());
}

#[test]
fn a_library_outside_its_home_is_found() {
    let home = Home { what: "the database", needles: &["rusqlite"], homes: &["src/store/"], files: usize::MAX };
    let found = |path: &str, text: &str| strangers(&home, &[Source::new(path, text)]);
    assert!(found("src/store/mod.rs", "use rusqlite::Connection;").is_empty());
    assert!(found("src/storefront.rs", "// rusqlite\nconst A: &str = \"rusqlite\";").is_empty());
    assert!(found("src/cli.rs", "fn f() {}\n#[cfg(test)]\nmod tests {\n    use rusqlite::Connection;\n}\n").is_empty());
    assert_eq!(
        found("src/cli.rs", "/* rusqlite */\nuse rusqlite as db;"),
        [Finding { path: "src/cli.rs".to_owned(), line: 2, rule: "only src/store/ names the database".to_owned() }]
    );
}

#[test]
fn a_second_home_is_found() {
    let home = Home { what: "the clock", needles: &["Utc::now"], homes: &["src/a.rs", "src/b.rs"], files: 1 };
    let (a, b) = (Source::new("src/a.rs", "Utc::now()"), Source::new("src/b.rs", "\nUtc::now()"));
    assert!(strangers(&home, &[a.clone(), Source::new("src/b.rs", "")]).is_empty());
    assert_eq!(
        strangers(&home, &[a, b]),
        [Finding { path: "src/b.rs".to_owned(), line: 2, rule: "the clock has a home already: src/a.rs".to_owned() }]
    );
}

#[test]
fn an_import_that_goes_back_is_found_however_it_is_written() {
    let lines = |path: &str, text: &str| -> Vec<usize> {
        wrong_way(&Source::new(path, text)).into_iter().map(|finding| finding.line).collect()
    };
    assert_eq!(lines("src/store/events.rs", "use crate::http::Client;"), [1]);
    assert_eq!(lines("src/store/events.rs", "fn f() {\n    crate :: http::send();\n}"), [2]);
    assert_eq!(
        lines("src/store/events.rs", "use crate::{\n    domain::{event, http},\n    http::{self, Client},\n};"),
        [3]
    );
    assert_eq!(lines("src/store/events.rs", "use super::super::http;"), [1]);
    assert_eq!(lines("src/store/mod.rs", "use super::{domain, http};"), [1]);
    assert_eq!(lines("src/store/events.rs", "use super::http;\nuse crate::domain::http;\nuse crate::https;"), [0; 0]);
    assert_eq!(lines("src/delivery/send.rs", "use crate::{http, store, domain};"), [0; 0]);
    assert_eq!(lines("src/store/events.rs", "#[cfg(test)]\nmod tests {\n    use crate::http;\n}"), [0; 0]);
}

#[test]
fn a_file_that_is_too_long_is_found() {
    assert_eq!(too_long(&Source::new("src/a.rs", &"\n".repeat(LONGEST))), None);
    assert!(too_long(&Source::new("src/a.rs", &"\n".repeat(LONGEST + 1))).is_some());
}

/// The lines that name something outside its home, or in a home too many.
fn strangers(home: &Home, sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut residents: Vec<&str> = Vec::new();
    for source in sources {
        let lines = || source.lines().filter(|(_, text)| home.needles.iter().any(|needle| text.contains(needle)));
        let Some((first, _)) = lines().next() else { continue };
        if !home.homes.iter().any(|place| is_in(&source.path, place)) {
            let rule = format!("only {} names {}", home.homes.join(" or "), home.what);
            findings.extend(lines().map(|(line, _)| source.finding(line, rule.clone())));
        } else if residents.len() >= home.files {
            findings.push(source.finding(first, format!("{} has a home already: {}", home.what, residents.join(", "))));
        } else {
            residents.push(&source.path);
        }
    }
    findings
}

/// The lines that name a module which the file's layer must not know.
fn wrong_way(source: &Source) -> Vec<Finding> {
    let layers = LAYERS.iter().filter(|(place, _)| is_in(&source.path, place));
    let broken = layers.flat_map(|(place, forbidden)| {
        let named = source.crate_modules().into_iter().filter(|(_, name)| forbidden.contains(&name.as_str()));
        named.map(move |(line, name)| source.finding(line, format!("{place} must not name crate::{name}")))
    });
    broken.collect()
}

fn too_long(source: &Source) -> Option<Finding> {
    let length = source.length;
    (length > LONGEST).then(|| source.finding(length, format!("{length} lines, more than {LONGEST}: split it")))
}

/// Whether a path is that file, or lies in that folder (which ends in a slash).
fn is_in(path: &str, place: &str) -> bool {
    if place.ends_with('/') { path.starts_with(place) } else { path == place }
}

#[track_caller]
fn assert_none(findings: &[Finding]) {
    let told: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(findings.is_empty(), "the layout is broken (tests/it/tidy.rs has the rules):\n{}", told.join("\n"));
}

/// Whether a file holds tests alone, by the project's habit: `tests.rs` beside what it tests, or a folder `tests`.
fn is_for_tests(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// Every source file but those that hold tests alone, by path.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src")];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") && !is_for_tests(&name) {
                sources.push(Source::new(&name, &fs::read_to_string(path).unwrap()));
            }
        }
    }
    assert!(sources.iter().any(|source| source.path == "src/main.rs"), "the sources are elsewhere");
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    sources
}
