//! JSON Schemas of event types; the only place that names their library.
//!
//! A schema is somebody's text: what it refers to elsewhere is not read, its size is limited, and data is checked against it on a
//! thread of its own, for a limited time.

use std::collections::HashSet;
use std::fmt;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use boon::{CompileError, Compiler, ErrorKind, SchemaIndex, Schemas, UrlLoader, ValidationError};
use serde_json::{Number, Value};

use crate::domain::text::shortened;

/// The largest schema, in bytes.
pub const LONGEST: usize = 256 * 1024;

/// The most regular expressions in one.
const MOST_PATTERNS: usize = 256;
/// The largest regular expression once it is compiled, in bytes.
const LARGEST_PATTERN: usize = 256 * 1024;
/// How long reading a schema, or checking data against it, may take.
const LONGEST_CHECK: Duration = Duration::from_secs(5);
/// A check goes as deep as data and schema are nested, and a level takes a few KiB. Memory that is not used costs nothing.
const STACK: usize = 256 * 1024 * 1024;
/// How many reasons are told.
const MOST_REASONS: usize = 5;
/// The most characters of one: the library repeats the value that is wrong, however long it is.
const LONGEST_REASON: usize = 200;
/// By what name the schema knows itself.
const URL: &str = "schema:event-type";

/// A schema that is ready to check data.
#[derive(Debug)]
pub struct Schema {
    checker: Mutex<Checker>,
}

/// Why data does not go with a schema, or could not be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Each with a JSON pointer to what is wrong.
    Wrong(Vec<String>),
    TooCostly,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Wrong(reasons) => formatter.write_str(&reasons.join("; ")),
            Refusal::TooCostly => {
                write!(formatter, "checking it takes longer than {} s", LONGEST_CHECK.as_secs())
            }
        }
    }
}

type Checked = Result<(), Refusal>;

#[derive(Debug)]
struct Checker {
    data: Sender<Vec<u8>>,
    checked: Receiver<Checked>,
    /// It did not answer in time, and will not be asked again.
    is_given_up: bool,
}

impl Schema {
    /// Reads a schema; the error says what is wrong with it, and where.
    pub fn new(text: &str) -> Result<Schema, String> {
        if text.len() > LONGEST {
            return Err(format!("longer than {LONGEST} bytes, the limit"));
        }
        let schema: Value = serde_json::from_str(text).map_err(|error| format!("not valid JSON: {error}"))?;
        if !schema.is_object() && !schema.is_boolean() {
            return Err("not a JSON Schema: it is neither an object nor true or false".to_owned());
        }
        check_patterns(&schema)?;
        let (data, taken) = channel();
        let (sender, checked) = sync_channel(1);
        let (ready, is_ready) = sync_channel(1);
        let run = move || run(schema, &ready, &taken, &sender);
        thread::Builder::new().stack_size(STACK).spawn(run).map_err(|error| error.to_string())?;
        match is_ready.recv_timeout(LONGEST_CHECK) {
            Ok(Ok(())) => Ok(Schema { checker: Mutex::new(Checker { data, checked, is_given_up: false }) }),
            Ok(Err(reason)) => Err(reason),
            Err(_) => Err(format!("reading it takes longer than {} s", LONGEST_CHECK.as_secs())),
        }
    }

    /// Checks data, which is JSON.
    pub fn check(&self, data: &[u8]) -> Result<(), Refusal> {
        let Ok(mut checker) = self.checker.lock() else { return Err(Refusal::TooCostly) };
        if checker.is_given_up || checker.data.send(data.to_vec()).is_err() {
            return Err(Refusal::TooCostly);
        }
        match checker.checked.recv_timeout(LONGEST_CHECK) {
            Ok(checked) => checked,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                checker.is_given_up = true;
                Err(Refusal::TooCostly)
            }
        }
    }
}

/// Compiles the schema, says how that went, and checks what comes.
fn run(schema: Value, ready: &SyncSender<Result<(), String>>, data: &Receiver<Vec<u8>>, checked: &SyncSender<Checked>) {
    let (schemas, index) = match compile(schema) {
        Ok(compiled) => compiled,
        Err(reason) => return drop(ready.send(Err(reason))),
    };
    if ready.send(Ok(())).is_err() {
        return;
    }
    while let Ok(data) = data.recv() {
        if checked.send(check(&schemas, index, &data)).is_err() {
            return;
        }
    }
}

/// Nothing is read from anywhere.
struct Nowhere;

impl UrlLoader for Nowhere {
    fn load(&self, url: &str) -> Result<Value, Box<dyn std::error::Error>> {
        Err(format!("{url} is not read; put what it refers to into $defs").into())
    }
}

fn compile(schema: Value) -> Result<(Schemas, SchemaIndex), String> {
    let mut compiler = Compiler::new();
    compiler.use_loader(Box::new(Nowhere));
    let mut schemas = Schemas::new();
    compiler.add_resource(URL, schema).map_err(|error| reason(&error))?;
    let index = compiler.compile(URL, &mut schemas).map_err(|error| reason(&error))?;
    Ok((schemas, index))
}

/// Why a schema is none: what its own schema has against it, else in the library's words.
fn reason(error: &CompileError) -> String {
    let text = format!("{error:#}").replace(&format!("{URL}#"), "#").replace(URL, "the schema");
    let lines: Vec<&str> = text.lines().collect();
    let leaves = (0..lines.len()).filter_map(|at| {
        let leaf = lines[at].trim_start().strip_prefix("- at '").filter(|leaf| !leaf.ends_with(" failed"))?;
        // What is wrong with a regular expression follows it, which is on lines of its own.
        let after = if leaf.ends_with(" regex parse error:") { &lines[at..] } else { &[] };
        let why = after.iter().find_map(|line| line.trim_start().strip_prefix("error: ")).unwrap_or_default();
        Some(shortened(format!("{} {why}", leaf.replacen("': ", ": ", 1)).trim_end(), LONGEST_REASON))
    });
    let leaves: Vec<String> = leaves.take(MOST_REASONS).collect();
    match leaves.is_empty() {
        true => shortened(&text.replace('\n', " "), LONGEST_REASON),
        false => leaves.join("; "),
    }
}

fn check(schemas: &Schemas, index: SchemaIndex, data: &[u8]) -> Checked {
    let value: Value = match serde_json::from_slice(data) {
        Ok(value) => value,
        Err(error) => return Err(Refusal::Wrong(vec![format!("not JSON: {error}")])),
    };
    let Err(error) = schemas.validate(&value, index) else { return Ok(()) };
    let (mut reasons, mut seen) = (Vec::new(), HashSet::new());
    collect(&error, &mut |reason| {
        if seen.insert(reason.clone()) {
            reasons.push(reason);
        }
    });
    if reasons.is_empty() {
        return Ok(());
    }
    let more = reasons.len().saturating_sub(MOST_REASONS);
    reasons.truncate(MOST_REASONS);
    if more > 0 {
        reasons.push(format!("and {more} more"));
    }
    Err(Refusal::Wrong(reasons))
}

/// What is wrong at the leaves of an error, each with where it is.
fn collect(error: &ValidationError<'_, '_>, found: &mut impl FnMut(String)) {
    if !error.causes.is_empty() {
        error.causes.iter().for_each(|cause| collect(cause, found));
        return;
    }
    if let ErrorKind::MultipleOf { got, want } = &error.kind
        && is_decimal_multiple(got, want)
    {
        return;
    }
    let pointer = error.instance_location.to_string();
    let place = if pointer.is_empty() { "the data".to_owned() } else { pointer };
    found(shortened(&format!("{place}: {}", error.kind), LONGEST_REASON));
}

/// Regular expressions are linear in what they are asked about, but may be large.
/// Whether a number is a multiple of another in decimals, as both are written: the library divides binary fractions, by which
/// 19.99 is no multiple of 0.01.
fn is_decimal_multiple(number: &Number, of: &Number) -> bool {
    let (Some((number, exponent)), Some((of, of_exponent))) = (decimal(number), decimal(of)) else { return false };
    // Both are counted in the smaller of their units.
    let unit = exponent.min(of_exponent);
    let scale = u32::try_from(of_exponent - unit).ok().and_then(|zeros| 10_u128.checked_pow(zeros));
    let Some(of) = scale.and_then(|scale| of.checked_mul(scale)).filter(|of| (1..u128::MAX / 10).contains(of)) else {
        return false;
    };
    (unit..exponent).fold(number % of, |rest, _| rest * 10 % of) == 0
}

/// The digits of a number without its sign, and the power of ten that they are multiplied by.
fn decimal(number: &Number) -> Option<(u128, i32)> {
    let text = number.to_string();
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((&text, "0"));
    let (whole, fraction) =
        digits.trim_start_matches('-').split_once('.').unwrap_or((digits.trim_start_matches('-'), ""));
    let exponent: i32 = exponent.parse().ok()?;
    Some((format!("{whole}{fraction}").parse().ok()?, exponent - i32::try_from(fraction.len()).ok()?))
}

fn check_patterns(schema: &Value) -> Result<(), String> {
    let mut patterns = Vec::new();
    collect_patterns(schema, &mut patterns);
    if patterns.len() > MOST_PATTERNS {
        let count = patterns.len();
        return Err(format!("it has {count} regular expressions; the limit is {MOST_PATTERNS}"));
    }
    for pattern in patterns {
        let built = regex::RegexBuilder::new(pattern).size_limit(LARGEST_PATTERN).build();
        if let Err(regex::Error::CompiledTooBig(_)) = built {
            return Err(format!("the regular expression '{}' is too large", shortened(pattern, LONGEST_REASON)));
        }
    }
    Ok(())
}

fn collect_patterns<'a>(schema: &'a Value, patterns: &mut Vec<&'a str>) {
    match schema {
        Value::Array(items) => items.iter().for_each(|item| collect_patterns(item, patterns)),
        Value::Object(members) => {
            for (key, value) in members {
                match (key.as_str(), value) {
                    ("pattern", Value::String(pattern)) => patterns.push(pattern),
                    ("patternProperties", Value::Object(properties)) => {
                        patterns.extend(properties.keys().map(String::as_str));
                    }
                    _ => {}
                }
                collect_patterns(value, patterns);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const ORDER: &str = r##"{"type":"object","required":["id"],"properties":{
        "id":{"type":"integer"},"lines":{"items":{"$ref":"#/$defs/line"}},"mail":{"pattern":"^\\S+@\\S+$"}},
        "$defs":{"line":{"type":"object","properties":{"count":{"minimum":1}}}}}"##;

    fn refused(schema: &str, data: &str) -> String {
        match Schema::new(schema).unwrap().check(data.as_bytes()) {
            Ok(()) => String::new(),
            Err(refusal) => refusal.to_string(),
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_a_pointer_to_it() {
        assert_eq!(refused(ORDER, r#"{"id":1,"lines":[{"count":2}],"mail":"a@b"}"#), "");
        let told = refused(ORDER, r#"{"id":"x","lines":[{"count":1},{"count":0}],"mail":"a"}"#);
        for pointer in ["/id: ", "/lines/1/count: ", "/mail: "] {
            assert!(told.contains(pointer), "{told}");
        }
        assert!(refused(ORDER, "{}").contains("id"));
        assert!(refused("false", "1").starts_with("the data: "));
        let many = format!("[{}]", ["\"x\""; 9].join(","));
        assert!(refused(r#"{"items":{"type":"integer"}}"#, &many).ends_with("and 4 more"));
    }

    #[test]
    fn multiples_are_those_of_decimal_arithmetic() {
        let amount = r#"{"properties":{"amount":{"multipleOf":0.01},"count":{"multipleOf":2.5e1}}}"#;
        for data in [
            r#"{"amount":19.99}"#,
            r#"{"amount":-0.07}"#,
            r#"{"amount":1e2}"#,
            r#"{"amount":1e300}"#,
            r#"{"amount":0}"#,
            r#"{"amount":1234567.89}"#,
            r#"{"count":50}"#,
            r#"{"count":1e20}"#,
        ] {
            assert_eq!(refused(amount, data), "", "{data}");
        }
        for (data, reason) in [
            (r#"{"amount":19.995}"#, "/amount: 19.995 is not multipleOf 0.01"),
            (r#"{"amount":1e-7}"#, "/amount: 1e-7 is not multipleOf 0.01"),
            (r#"{"amount":19.99,"count":0.5}"#, "/count: 0.5 is not multipleOf 25.0"),
        ] {
            assert_eq!(refused(amount, data), reason, "{data}");
        }
    }

    #[test]
    fn a_schema_that_is_none_is_refused_with_the_reason() {
        for (schema, reason) in [
            ("{", "not valid JSON"),
            ("[]", "neither an object"),
            (r#"{"type":"text"}"#, "/type"),
            (
                r#"{"properties":{"a":{"pattern":"("}}}"#,
                "/pattern: '(' is not valid regex: regex parse error: unclosed group",
            ),
            (r#"{"$ref":"https://example.com/schema.json"}"#, "is not read"),
            (r#"{"$ref":"file:///etc/passwd"}"#, "is not read"),
            (r#"{"$schema":"https://example.com/draft"}"#, "is not read"),
            (r##"{"$ref":"#/$defs/none"}"##, "none"),
            (r#"{"pattern":"((a{100}){100}){100}"}"#, "too large"),
        ] {
            let error = Schema::new(schema).unwrap_err();
            assert!(error.contains(reason) && !error.contains('\n') && !error.contains(URL), "{schema}: {error}");
        }
        let many: Vec<String> = (0..300).map(|number| format!("\"p{number}\":{{\"pattern\":\"a\"}}")).collect();
        let error = Schema::new(&format!("{{\"properties\":{{{}}}}}", many.join(","))).unwrap_err();
        assert!(error.contains("300 regular expressions"), "{error}");
        assert!(Schema::new(&" ".repeat(LONGEST + 1)).unwrap_err().contains("longer than"));
    }

    #[test]
    fn each_draft_is_read_as_it_names_itself() {
        for draft in ["http://json-schema.org/draft-04/schema#", "http://json-schema.org/draft-07/schema#"] {
            let schema = format!(r#"{{"$schema":"{draft}","properties":{{"a":{{"type":"string"}}}}}}"#);
            assert_eq!(refused(&schema, r#"{"a":"x"}"#), "");
            assert!(refused(&schema, r#"{"a":1}"#).starts_with("/a: "));
        }
    }

    #[test]
    fn hostile_schemas_end_in_time_and_take_nothing_with_them() {
        let chain = |length: usize| {
            let links: Vec<String> =
                (0..length).map(|at| format!("\"d{at}\":{{\"$ref\":\"#/$defs/d{}\"}}", at + 1)).collect();
            format!("{{\"$ref\":\"#/$defs/d0\",\"$defs\":{{{},\"d{length}\":{{}}}}}}", links.join(","))
        };
        let doubling: Vec<String> = (0..40)
            .map(|at| {
                let next = at + 1;
                format!("\"d{at}\":{{\"allOf\":[{{\"$ref\":\"#/$defs/d{next}\"}},{{\"$ref\":\"#/$defs/d{next}\"}}]}}")
            })
            .collect();
        let doubling = format!("{{\"$ref\":\"#/$defs/d0\",\"$defs\":{{{},\"d40\":{{}}}}}}", doubling.join(","));
        let deep = format!("{}1{}", "[".repeat(120), "]".repeat(120));
        let text = format!("\"{}!\"", "a".repeat(100_000));
        let started = Instant::now();
        for (schema, data) in [
            (r##"{"$ref":"#"}"##.to_owned(), "1"),
            (r##"{"allOf":[{"$ref":"#"}]}"##.to_owned(), "{}"),
            (r##"{"items":{"$ref":"#"},"unevaluatedItems":{"$ref":"#"}}"##.to_owned(), deep.as_str()),
            (r#"{"pattern":"^(a+)+$"}"#.to_owned(), text.as_str()),
            (chain(5_000), "1"),
            (doubling, "1"),
        ] {
            if let Ok(schema) = Schema::new(&schema) {
                let _ = schema.check(data.as_bytes());
            }
        }
        assert!(started.elapsed() < 12 * LONGEST_CHECK, "{:?}", started.elapsed());
        assert_eq!(refused(ORDER, r#"{"id":1}"#), "");
    }
}
