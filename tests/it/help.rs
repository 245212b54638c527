//! `help`: commands and guides.

use crate::support::TestEnv;

#[test]
fn help_says_of_a_command_what_its_option_says() {
    let env = TestEnv::new();
    for command in [&["emit"][..], &["webhook"], &["webhook", "secret", "rotate"], &["help"]] {
        let by_word = env.hookctl([&["help"], command].concat()).run().ok();
        let by_option = env.hookctl([command, &["--help"]].concat()).run().ok();
        assert_eq!(by_word.text(), by_option.text());
    }
    assert_eq!(env.hookctl(["help"]).run().ok().text(), env.hookctl::<&str>([]).run().ok().text());
}

#[test]
fn update_has_the_options_of_create_and_no_default() {
    let env = TestEnv::new();
    let help = |command: &str| {
        let text = env.hookctl(["webhook", command, "--help"]).run().ok().text();
        text.split("\nGlobal options:").next().unwrap().to_owned()
    };
    assert!(help("create").contains("[default: POST]"));
    let update = help("update");
    assert!(!update.contains("default: ") && update.contains("The HTTP method: POST, PUT or PATCH\n"), "{update}");
    assert!(update.contains("see `hookctl schemes` [repeatable]"), "{update}");
}

/// Files of docs/ that are read in the repository and are no guides.
const REFERENCE: [&str; 2] = ["comparison", "faults"];

#[test]
fn every_guide_is_listed_and_shown_as_its_file_stands() {
    let env = TestEnv::new();
    let overview = env.hookctl(["help"]).run().ok().text();
    let mut shown = 0;
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/docs")).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        if path.is_dir() || REFERENCE.contains(&name) {
            continue;
        }
        assert!(overview.contains(&format!("\n  {name} ")), "{name} is not listed\n{overview}");
        let text = env.hookctl(["help", name]).run().ok().text();
        assert_eq!(text, std::fs::read_to_string(&path).unwrap());
        assert!(text.starts_with("# ") && text.len() > 1_000, "{name} says next to nothing");
        shown += 1;
    }
    assert!(shown >= 8, "{shown} guides");
}

#[test]
fn an_unknown_word_is_told_with_the_nearest_command_or_guide() {
    let env = TestEnv::new();
    let cases = [
        (&["help", "recieving"][..], "no command or guide 'recieving'", "did you mean 'receiving'?"),
        (&["help", "webhok"], "no command or guide 'webhok'", "did you mean 'webhook'?"),
        (&["help", "webhook", "creat"], "no such command 'creat' of webhook", "did you mean 'create'?"),
        (&["help", "webhook", "receiving"], "no such command 'receiving' of webhook", "`hookctl help` lists them"),
        (&["help", "receiving", "more"], "no command or guide 'receiving'", "receiving"),
        (&["help", "drain", "x"], "no such command 'x' of drain", "`hookctl help` lists them"),
        (&["webhook", "help", "create"], "`help` comes first", "hookctl webhook create --help"),
    ];
    for (arguments, message, hint) in cases {
        let run = env.hookctl(arguments).run().fails(2);
        assert!(run.err().contains(message) && run.err().contains(hint), "{run:?}");
        assert_eq!(run.text(), "");
    }
}
