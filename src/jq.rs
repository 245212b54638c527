//! jq expressions of the user's own, run on one JSON value. Numbers keep their spelling and keys their order.

mod allowed;
mod check;
mod parse;
mod run;
mod stored;
mod value;

use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender};
use std::{fmt, iter};

use jaq_core::Filter;
use jaq_core::data::JustLut;
use jaq_json::Val;

pub use self::check::check;
pub use self::parse::Invalid;
use self::parse::{compile, large_stack, with_large_stack};
pub use self::run::RunError;
pub use self::stored::Stored;
use self::value::Node;
use crate::domain::json::{self, JsonError};

/// Results that are calculated before they are asked for.
const AHEAD: usize = 16;

/// An expression that was understood.
#[derive(Clone)]
pub struct Expression {
    text: String,
    filter: Arc<Filter<JustLut<Val>>>,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({:?})", self.text)
    }
}

/// Why an expression gives no one new value.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    #[error("what is to be edited is {0}")]
    Input(#[from] JsonError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("the expression gives nothing for this value")]
    Nothing,
    #[error("the expression gives more than one value; it must give one")]
    Many,
}

/// One result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A string, as its text.
    Text(String),
    /// Anything else, as JSON on one line.
    Json(String),
}

impl Output {
    /// As JSON: a string with its quotes.
    pub fn json(self) -> String {
        match self {
            Output::Text(text) => value::quoted(&text),
            Output::Json(json) => json,
        }
    }
}

impl Expression {
    pub fn parse(text: &str) -> Result<Expression, Invalid> {
        let filter = with_large_stack(text, compile)?;
        Ok(Expression { text: text.to_owned(), filter: Arc::new(filter) })
    }

    /// The one result for a value, as JSON.
    pub fn edit(&self, input: &[u8]) -> Result<String, EditError> {
        let mut results = self.run(input)?;
        let output = results.next().ok_or(EditError::Nothing)??;
        match results.next().transpose()? {
            None => Ok(output.json()),
            Some(_) => Err(EditError::Many),
        }
    }

    /// What the expression gives for a value, one result after another; nothing follows an error.
    pub fn run(&self, input: &[u8]) -> Result<impl Iterator<Item = Result<Output, RunError>> + use<>, JsonError> {
        json::parse(input)?;
        let (input, filter) = (input.to_vec(), Arc::clone(&self.filter));
        let (results, received) = mpsc::sync_channel(AHEAD);
        let running = large_stack().spawn(move || run(&filter, &input, &results));
        let mut going = true;
        Ok(iter::from_fn(move || {
            let next = match (going, &running) {
                (false, _) => return None,
                (true, Ok(_)) => {
                    received.recv().unwrap_or(Some(Err(RunError::Raised("it cannot be evaluated".to_owned()))))
                }
                (true, Err(_)) => Some(Err(RunError::NoMemory)),
            };
            going = matches!(next, Some(Ok(_)));
            next
        }))
    }
}

/// Sends each result, and `None` after the last; the receiver may go at any time.
fn run(filter: &Filter<JustLut<Val>>, input: &[u8], results: &SyncSender<Option<Result<Output, RunError>>>) {
    let Ok(Node(input)) = serde_json::from_slice(input) else { return };
    for result in run::results(filter, input) {
        if results.send(Some(result.and_then(|value| output(&value)))).is_err() {
            return;
        }
    }
    let _ = results.send(None);
}

fn output(value: &Val) -> Result<Output, RunError> {
    if let Val::TStr(text) = value {
        return Ok(Output::Text(String::from_utf8_lossy(text).into_owned()));
    }
    Ok(Output::Json(value::write(value)?))
}

#[cfg(test)]
mod tests {
    use super::parse::LONGEST;
    use super::value::NotJson;
    use super::*;

    fn run(expression: &str, input: &str) -> Vec<Result<String, String>> {
        let expression = Expression::parse(expression).unwrap();
        let results = expression.run(input.as_bytes()).unwrap();
        results.map(|result| result.map(Output::json).map_err(|error| error.to_string())).collect()
    }

    fn one(expression: &str, input: &str) -> String {
        match &run(expression, input)[..] {
            [Ok(json)] => json.clone(),
            results => panic!("{results:?}"),
        }
    }

    #[test]
    fn what_an_expression_does_not_touch_keeps_its_spelling_and_its_order() {
        for input in [
            r#"{"b":12345678901234567890.10,"a":[-0,1E5,1e400,1.50,-0.0,0],"é\u0007":"\ud83d\ude00"}"#,
            r#"[123456789012345678901234567890,{"z":1,"y":{"x":null,"w":[true,false]}},""]"#,
            &format!("[{}]", "9".repeat(5000)),
        ] {
            let expected = input.replace("\\ud83d\\ude00", "😀");
            assert_eq!(one(".", input), expected);
        }
        assert_eq!(one(".a = 1", r#"{ "b": 1.0, "a": 2, "c": 3 }"#), r#"{"b":1.0,"a":1,"c":3}"#);
        assert_eq!(one(".", r#"{"a":1,"b":2,"a":3}"#), r#"{"a":3,"b":2}"#);
    }

    #[test]
    fn calculated_numbers_are_written_as_jq_does() {
        for (expression, result) in [
            ("1 / 4", "0.25"),
            ("36 / 3", "12"),
            ("nan", "null"),
            ("[infinite, -infinite]", "[1.7976931348623157e+308,-1.7976931348623157e+308]"),
            ("9007199254740993 + 1", "9007199254740994"),
            ("\"+1.5\" | fromjson", "1.5"),
            ("1e1000 * 10", "1.7976931348623157e+308"),
            ("3.10", "3.10"),
        ] {
            assert_eq!(one(expression, "null"), result, "{expression}");
        }
    }

    #[test]
    fn strings_come_raw_where_they_are_asked_for_raw() {
        let expression = Expression::parse(".a, .b").unwrap();
        let outputs: Vec<_> =
            expression.run(br#"{"a":"x\ny","b":["x"]}"#).unwrap().map(|output| output.unwrap()).collect();
        assert_eq!(outputs, [Output::Text("x\ny".to_owned()), Output::Json(r#"["x"]"#.to_owned())]);
    }

    #[test]
    fn the_whole_library_is_there() {
        for (expression, result) in [
            ("[.[] | select(.n > 1) | .s] | join(\"-\")", "\"b-c\""),
            ("map(.n) | add", "6"),
            ("def twice: . * 2; .[1].n | twice", "4"),
            ("[.[].s | test(\"[bc]\")]", "[false,true,true]"),
            ("reduce .[] as $x (0; . + $x.n)", "6"),
            (".[0] | @base64 \"\\(.s)\"", "\"YQ==\""),
            ("try error(\"no\") catch .", "\"no\""),
            ("1700000000 | todate", "\"2023-11-14T22:13:20Z\""),
            (".[0] | [.n, .s, null, true, \"a\\\"b, c\"] | @csv", r#""1,\"a\",,true,\"a\"\"b, c\"""#),
            (".[0] | [.n, 1.50, \"a\\tb\\\\c\\n\"] | @tsv", r#""1\t1.50\ta\\tb\\\\c\\n""#),
            ("try ({} | @csv) catch .", "\"object cannot be formatted as csv, only an array can\""),
            ("try ([[]] | @tsv) catch .", "\"array is not valid in a row of tsv\""),
        ] {
            assert_eq!(one(expression, r#"[{"n":1,"s":"a"},{"n":2,"s":"b"},{"n":3,"s":"c"}]"#), result);
        }
        assert_eq!(run("empty", "1"), []);
        assert_eq!(run("., 2", "1"), [Ok("1".to_owned()), Ok("2".to_owned())]);
    }

    #[test]
    fn an_error_tells_what_and_where_in_one_line() {
        for (expression, message) in [
            ("", "not a jq expression: expected term at column 1"),
            (".a |", "not a jq expression: expected term at column 5"),
            ("(.a", "not a jq expression: expected closing parenthesis at column 4"),
            (".a | nope", "not a jq expression: no filter nope at column 6"),
            (". | \"é\" | map(.;.)", "not a jq expression: no filter map/2 at column 11"),
            (".\n  | $x", "not a jq expression: no variable $x at line 2, column 5"),
            (". ] 1", "not a jq expression: expected token at column 3"),
            ("import \"a\" as a; .", "not a jq expression: modules cannot be loaded at column 9"),
            ("input", "not a jq expression: no filter input at column 1"),
        ] {
            assert_eq!(Expression::parse(expression).unwrap_err().to_string(), message, "{expression}");
        }
    }

    #[test]
    fn a_failing_expression_ends_with_its_error() {
        assert_eq!(run("1, error(\"no\"), 2", "1"), [Ok("1".to_owned()), Err("no".to_owned())]);
        assert_eq!(run(".a", "1"), [Err("cannot index 1 with \"a\"".to_owned())]);
        assert_eq!(run("1, halt, 2", "1"), [Ok("1".to_owned())]);
        assert_eq!(run("halt_error", "1"), [Err("halted with status 5".to_owned())]);
        assert_eq!(run("{(1 | tostring | .): 1} | {(1): .}", "1").len(), 1);
        assert!(run("{(1): 1}", "1")[0].is_err());
        assert!(run("\"a\" | tobytes", "1")[0].is_err());
        assert_eq!(run("reduce range(1000) as $i (0; [.])", "1"), [Err(NotJson::TooDeep.to_string())]);
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for input in ["", "NaN", "+1", "{1:2}", "# no", "1 2", "\"\\ud800\"", "b\"a\"", &"[".repeat(1000)] {
            assert!(Expression::parse(".").unwrap().run(input.as_bytes()).is_err(), "{input}");
        }
    }

    #[test]
    fn no_expression_is_so_long_or_so_deep_that_the_stack_ends() {
        assert_eq!(Expression::parse(&"(".repeat(20_000)).unwrap_err(), Invalid::TooLong(20_000));
        let message = "a jq expression has at most 100 levels, and goes deeper at column 101";
        assert_eq!(Expression::parse(&"[".repeat(101)).unwrap_err().to_string(), message);
        for (piece, end) in [(".|", "."), ("-", "1"), ("1+", "1"), ("def f:", "."), ("try ", "."), ("if . then ", ".")]
        {
            let text = piece.repeat((LONGEST - end.len()) / piece.len()) + end;
            if let Ok(expression) = Expression::parse(&text) {
                assert!(expression.run(b"1").unwrap().next().unwrap().is_ok(), "{piece}");
            }
        }
        assert_eq!(one("reduce range(100000) as $i (0; [.]) | 1", "1"), "1");
    }

    #[test]
    fn an_endless_expression_gives_its_results_one_by_one() {
        let expression = Expression::parse("repeat(.)").unwrap();
        assert_eq!(expression.run(b"1").unwrap().take(3).count(), 3);
    }
}
