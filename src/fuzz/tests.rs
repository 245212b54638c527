//! The saved inputs of `fuzz/corpus/`, and changes of them, through every function that is fuzzed: half a second each, or a
//! minute with `HOOKCTL_TEST_LONG=1`. An input that fails is printed with the seed; `HOOKCTL_TEST_SEED` repeats it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// No input takes longer: a hang is a fault.
const PATIENCE: Duration = Duration::from_secs(10);
/// Inputs grow no longer than this, in bytes.
const LONGEST: usize = 64 * 1024;
const TOKENS: [&[u8]; 24] = [
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b": ",
    b"\0",
    b"\xff",
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b"=",
    b"%",
    b"\\u0000",
    b"//",
    b"@",
    b"HTTP/1.1 200 OK\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 5\r\n",
    b"-1",
    b"99999999999999999999",
    b"\xf0\x9f\x98\x80",
    b"\xe2\x80\xae",
];

macro_rules! fuzzed {
    ($($name:ident),+) => {
        $(#[test]
        fn $name() {
            run(stringify!($name), super::$name);
        })+

        #[test]
        fn every_target_has_a_corpus_and_every_corpus_a_target() {
            let names = |folder: &str| {
                let entries = fs::read_dir(fuzz_folder().join(folder)).unwrap();
                let stem = |entry: fs::DirEntry| entry.path().file_stem().unwrap().to_str().unwrap().to_owned();
                let mut names: Vec<String> = entries.map(|entry| stem(entry.unwrap())).collect();
                names.sort();
                names
            };
            let mut targets = vec![$(stringify!($name)),+];
            targets.sort_unstable();
            assert_eq!(names("corpus"), targets);
            assert_eq!(names("targets"), targets);
        }
    };
}

fuzzed!(
    answer,
    apply_json,
    apply_toml,
    batch_line,
    database,
    expression,
    headers_file,
    preset,
    recording,
    schema,
    url,
    verify
);

/// `UPDATE=1` writes them anew, as it does with what else is made from the sources.
#[test]
fn the_crate_of_the_targets_has_the_programs_dependencies() {
    const FIRST: &str = "[dependencies]\n";
    let path = fuzz_folder().join("Cargo.toml");
    let manifest = fs::read_to_string(&path).unwrap();
    let root = fs::read_to_string(fuzz_folder().join("../Cargo.toml")).unwrap();
    let between = |text: &str, end: &str| text.split_once(FIRST).unwrap().1.split_once(end).unwrap().0.to_owned();
    let needed = between(&root, "\n[dev-dependencies]");
    let needed = needed.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n"));
    let needed = format!("libfuzzer-sys = \"0.4\"\n{}", needed.collect::<String>());
    let found = between(&manifest, "\n[[bin]]");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, manifest.replace(&found, &needed)).unwrap();
        return;
    }
    assert_eq!(found, needed, "run `UPDATE=1 cargo test --locked fuzz`");
}

#[expect(clippy::print_stdout, reason = "how much was done is for whoever reads the output")]
fn run(name: &str, target: fn(&[u8])) {
    let is_long = std::env::var_os("HOOKCTL_TEST_LONG").is_some();
    let length = if is_long { Duration::from_secs(60) } else { Duration::from_millis(500) };
    let corpus = corpus(name);
    let mut dice = Dice::new();
    for input in &corpus {
        run_one(target, input, dice.seed);
    }
    let began = Instant::now();
    let mut executions = corpus.len() as u64;
    while began.elapsed() < length {
        let mut input = corpus[dice.below(corpus.len())].clone();
        for _ in 0..=dice.below(6) {
            change(&mut input, &corpus, &mut dice);
        }
        input.truncate(LONGEST);
        run_one(target, &input, dice.seed);
        executions += 1;
    }
    println!("{name}: {executions} executions");
}

fn run_one(target: fn(&[u8]), input: &[u8], seed: u64) {
    let shown = Shown { input, seed };
    let began = Instant::now();
    target(input);
    assert!(began.elapsed() < PATIENCE, "it took {:?}", began.elapsed());
    drop(shown);
}

/// Prints the input when it makes the test fail.
struct Shown<'a> {
    input: &'a [u8],
    seed: u64,
}

impl Drop for Shown<'_> {
    #[expect(clippy::print_stderr, reason = "the input that fails is for whoever reads the output")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the input: b\"{}\"; HOOKCTL_TEST_SEED={}", self.input.escape_ascii(), self.seed);
        }
    }
}

/// One change, of the kinds that fuzzers make.
fn change(input: &mut Vec<u8>, corpus: &[Vec<u8>], dice: &mut Dice) {
    let at = dice.below(input.len() + 1);
    let end = (at + 1 + dice.below(32)).min(input.len());
    match dice.below(8) {
        0 => input.truncate(at),
        1 if at < input.len() => input[at] ^= 1 << dice.below(8),
        2 if at < input.len() => input[at] = dice.below(256) as u8,
        3 => drop(input.drain(at.min(end)..end)),
        4 => {
            let repeated = input[at.min(end)..end].to_vec();
            insert(input, at, &repeated);
        }
        5 => insert(input, at, &[dice.below(256) as u8]),
        6 => {
            let other = &corpus[dice.below(corpus.len())];
            let from = dice.below(other.len() + 1);
            insert(input, at, &other[from..]);
        }
        _ => insert(input, at, TOKENS[dice.below(TOKENS.len())]),
    }
}

fn insert(input: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    input.splice(at..at, bytes.iter().copied());
}

/// Random numbers from a seed (`SplitMix64`).
struct Dice {
    seed: u64,
    state: u64,
}

impl Dice {
    fn new() -> Dice {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let seed = match std::env::var("HOOKCTL_TEST_SEED") {
            Ok(seed) => seed.parse().unwrap(),
            Err(_) => since_1970.as_micros() as u64,
        };
        Dice { seed, state: seed }
    }

    fn below(&mut self, end: usize) -> usize {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = fuzz_folder().join("corpus").join(name);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn fuzz_folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz"))
}
