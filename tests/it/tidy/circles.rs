//! Circles of files: each names the next, and the last one the first, so that none can be read or changed without the others.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::source::Source;

/// Which file names which, and on which line first.
struct Imports<'a>(BTreeMap<&'a str, BTreeMap<&'a str, usize>>);

/// The shortest circle through each file that is in one, as `a.rs:LINE → b.rs:LINE`, the last naming the first.
pub fn circles(sources: &[Source]) -> Vec<Vec<String>> {
    let imports = Imports::of(sources);
    let mut seen: BTreeSet<BTreeSet<&str>> = BTreeSet::new();
    let shortest = imports.0.keys().filter_map(|start| imports.way_back_to(start));
    // The same files are met again from each of them.
    let circles = shortest.filter(|circle| seen.insert(circle.iter().copied().collect()));
    circles.map(|circle| imports.told(&circle)).collect()
}

impl<'a> Imports<'a> {
    fn of(sources: &'a [Source]) -> Imports<'a> {
        let modules = Modules::of(sources);
        let mut imports = BTreeMap::new();
        for source in sources {
            let named: &mut BTreeMap<&str, usize> = imports.entry(source.path.as_str()).or_default();
            for found in source.module_paths(|module| modules.files.contains_key(module)) {
                let is_handed_on = found.is_exported && !found.path.last().is_some_and(|name| source.repeats(name));
                let file = modules.file_of(found.path).filter(|file| !is_handed_on && *file != source.path);
                if let Some(file) = file {
                    named.entry(file).or_insert(found.line);
                }
            }
        }
        Imports(imports)
    }

    /// The shortest circle through a file, beginning with it.
    fn way_back_to(&self, start: &'a str) -> Option<Vec<&'a str>> {
        let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(file) = queue.pop_front() {
            for next in self.0[file].keys().copied() {
                if next == start {
                    let mut circle = vec![file];
                    while let Some(before) = came_from.get(circle[circle.len() - 1]) {
                        circle.push(before);
                    }
                    circle.reverse();
                    return Some(circle);
                }
                if !came_from.contains_key(next) {
                    came_from.insert(next, file);
                    queue.push_back(next);
                }
            }
        }
        None
    }

    fn told(&self, circle: &[&str]) -> Vec<String> {
        let next = circle.iter().cycle().skip(1);
        circle.iter().zip(next).map(|(file, next)| format!("{file}:{}", self.0[file][next])).collect()
    }
}

/// Where a path leads.
struct Modules<'a> {
    files: BTreeMap<Vec<&'a str>, &'a str>,
    /// What a module hands on by `pub use`, by the path it is found at.
    exports: BTreeMap<Vec<String>, Vec<String>>,
}

impl<'a> Modules<'a> {
    fn of(sources: &'a [Source]) -> Modules<'a> {
        let files: BTreeMap<Vec<&str>, &str> =
            sources.iter().map(|source| (source.module(), source.path.as_str())).collect();
        let mut exports = BTreeMap::new();
        for source in sources {
            let named = source.module_paths(|module| files.contains_key(module));
            for found in named.into_iter().filter(|found| found.is_exported) {
                let name = found.path.last().map(String::as_str);
                let at = source.module().into_iter().chain(name).map(str::to_owned).collect();
                exports.insert(at, found.path);
            }
        }
        Modules { files, exports }
    }

    /// The file that a path leads to: that of the item's own module, whatever hands it on.
    fn file_of(&self, path: Vec<String>) -> Option<&'a str> {
        let file = |length: usize| {
            let module: Vec<&str> = path[..length].iter().map(String::as_str).collect();
            self.files.get(&module).copied()
        };
        // A function may have the name of the module that it is handed on from.
        let export = |length: usize| self.exports.get(&path[..length]).filter(|_| file(length).is_none());
        match (1..=path.len()).find_map(|length| export(length).map(|to| (length, to))) {
            Some((length, to)) => self.file_of([to, &path[length..]].concat()),
            None => (0..=path.len()).rev().find_map(file),
        }
    }
}

#[test]
fn a_circle_is_found_and_told_with_its_lines() {
    let files = |texts: &[(&str, &str)]| -> Vec<String> {
        let sources: Vec<Source> = texts.iter().map(|(path, text)| Source::new(path, text)).collect();
        circles(&sources).into_iter().map(|circle| circle.join(" → ")).collect()
    };
    let straight = [
        ("src/main.rs", "mod a;\nmod b;\nfn main() { b::run() }"),
        ("src/a.rs", "pub struct A;"),
        ("src/b.rs", "use crate::a::A;\npub fn run() {}\n#[cfg(test)]\nmod tests {\n    use crate::main;\n}"),
    ];
    assert_eq!(files(&straight), [""; 0]);
    let between_folders = [
        ("src/main.rs", "mod a;\nmod b;"),
        ("src/a/mod.rs", "mod low;\npub use self::low::Low;\npub struct Shared;"),
        ("src/a/low.rs", "\nuse crate::{b::high::High, a::Shared};"),
        ("src/b/mod.rs", "pub mod high;"),
        ("src/b/high.rs", "fn f() {\n    super::super::a::Low::new();\n}"),
    ];
    assert_eq!(files(&between_folders), ["src/a/low.rs:2 → src/b/high.rs:2"]);
    let handed_on_and_used = [
        ("src/a/mod.rs", "mod low;\npub use self::low::Low;\npub struct Shared(Low);"),
        ("src/a/low.rs", "use super::Shared;\npub struct Low;"),
    ];
    assert_eq!(files(&handed_on_and_used), ["src/a/low.rs:1 → src/a/mod.rs:2"]);
    let of_three = [
        ("src/a.rs", "use crate::b::{self, c::C};"),
        ("src/b/c.rs", "use crate::d::D;"),
        ("src/b.rs", "pub mod c;"),
        ("src/d.rs", "\n\nuse super::a::*;"),
    ];
    assert_eq!(files(&of_three), ["src/a.rs:1 → src/b/c.rs:1 → src/d.rs:3"]);
}
