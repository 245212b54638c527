use super::*;
use crate::jq::Stored;

const GENERATOR: &str = " is not allowed here: it can make values without end";
const OUTSIDE: &str = " is not allowed here: an expression sees nothing but the event";
const DEFINITION: &str = " is not allowed here: a definition can call itself without end";

/// Each with what its refusal says, but for the reason.
const REFUSED: &[(&str, &str, &str)] = &[
    // Without end.
    ("range(10)", "range/1 at column 1", GENERATOR),
    ("[range(1; 10)]", "range/2 at column 2", GENERATOR),
    (".data | range(0; 10; 2)", "range/3 at column 9", GENERATOR),
    ("repeat(.)", "repeat/1 at column 1", GENERATOR),
    ("limit(3; repeat(1))", "repeat/1 at column 10", GENERATOR),
    ("first(repeat(.a))", "repeat/1 at column 7", GENERATOR),
    ("recurse(.a)", "recurse/1 at column 1", GENERATOR),
    ("recurse(.[]?; . != null)", "recurse/2 at column 1", GENERATOR),
    ("[.data | recurse(.children[])]", "recurse/1 at column 10", GENERATOR),
    ("while(. < 10; . + 1)", "while/2 at column 1", GENERATOR),
    ("until(. > 10; . * 2)", "until/2 at column 1", GENERATOR),
    ("0 | until(false; .)", "until/2 at column 5", GENERATOR),
    ("combinations", "combinations at column 1", GENERATOR),
    ("[.a, .b] | combinations(3)", "combinations/1 at column 12", GENERATOR),
    ("if .a then range(3) else . end", "range/1 at column 12", GENERATOR),
    ("reduce range(1000000) as $i (0; . + $i)", "range/1 at column 8", GENERATOR),
    ("foreach repeat(1) as $x (0; . + $x)", "repeat/1 at column 9", GENERATOR),
    ("reduce .a[] as $x (range(2); .)", "range/1 at column 20", GENERATOR),
    ("try repeat(.) catch .", "repeat/1 at column 5", GENERATOR),
    ("try .a catch repeat(.)", "repeat/1 at column 14", GENERATOR),
    ("\"\\(range(3))\"", "range/1 at column 4", GENERATOR),
    ("{a: range(3)}", "range/1 at column 5", GENERATOR),
    ("{(repeat(\"a\")): 1}", "repeat/1 at column 3", GENERATOR),
    (".a[range(3)]", "range/1 at column 4", GENERATOR),
    (".a[repeat(1):]", "repeat/1 at column 4", GENERATOR),
    (".a[:while(true; .)]", "while/2 at column 5", GENERATOR),
    (". as {(range(3)): $x} | $x", "range/1 at column 8", GENERATOR),
    (". as [$a, {b: [$c], (repeat(1)): $d}] | $a", "repeat/1 at column 22", GENERATOR),
    ("label $out | repeat(1)", "repeat/1 at column 14", GENERATOR),
    ("-repeat(1)", "repeat/1 at column 2", GENERATOR),
    ("map(\n  range(3)\n)", "range/1 at line 2, column 3", GENERATOR),
    (".a = range(3)", "range/1 at column 6", GENERATOR),
    (".[\"é\"] |= range(3)", "range/1 at column 11", GENERATOR),
    ("@base64 \"\\(repeat(1))\"", "repeat/1 at column 12", GENERATOR),
    // Definitions.
    ("def f: f; f", "def f at column 5", DEFINITION),
    ("def f(g): g; f(.)", "def f at column 5", DEFINITION),
    (".a | def twice: . * 2; twice", "def twice at column 10", DEFINITION),
    ("map(def f: 1; f)", "def f at column 9", DEFINITION),
    ("reduce .[] as $x (0; def f: ., f; f)", "def f at column 26", DEFINITION),
    // The outside.
    ("env", "env at column 1", OUTSIDE),
    ("env.PATH", "env at column 1", OUTSIDE),
    ("$ENV", "$ENV at column 1", OUTSIDE),
    ("$ENV.HOME", "$ENV at column 1", OUTSIDE),
    ("{a: $ENV}", "$ENV at column 5", OUTSIDE),
    ("input", "input at column 1", OUTSIDE),
    ("[inputs]", "inputs at column 2", OUTSIDE),
    ("input_filename", "input_filename at column 1", OUTSIDE),
    ("input_line_number", "input_line_number at column 1", OUTSIDE),
    ("now", "now at column 1", OUTSIDE),
    (".timestamp < (now | todate)", "now at column 15", OUTSIDE),
    ("debug", "debug at column 1", OUTSIDE),
    ("debug(\"x\")", "debug/1 at column 1", OUTSIDE),
    (".a | stderr", "stderr at column 6", OUTSIDE),
    ("halt", "halt at column 1", OUTSIDE),
    ("halt_error", "halt_error at column 1", OUTSIDE),
    ("halt_error(1)", "halt_error/1 at column 1", OUTSIDE),
    ("localtime", "localtime at column 1", OUTSIDE),
    (".t | strflocaltime(\"%H\")", "strflocaltime/1 at column 6", OUTSIDE),
    ("get_search_list", "get_search_list at column 1", OUTSIDE),
    ("import \"a\" as a; .", "import at column 1", OUTSIDE),
    ("include \"a\"; .", "include at column 1", OUTSIDE),
    ("module {}; env", "module at column 1", OUTSIDE),
    ("module {}; def f: f; f", "module at column 1", OUTSIDE),
    ("a::f", "a::f at column 1", OUTSIDE),
    ("$__loc__", "$__loc__ at column 1", OUTSIDE),
    // What the library has for itself, and what is no jq.
    ("stderr_empty", "not a jq expression: no filter stderr_empty at column 1", ""),
    ("matches(\"a\"; \"\")", "not a jq expression: no filter matches/2 at column 1", ""),
    ("error_empty", "not a jq expression: no filter error_empty at column 1", ""),
    ("@xml", "not a jq expression: no filter @xml at column 1", ""),
    (".a | nope", "not a jq expression: no filter nope at column 6", ""),
    ("map(.;.)", "not a jq expression: no filter map/2 at column 1", ""),
    ("$x", "not a jq expression: no variable $x at column 1", ""),
    (".a |", "not a jq expression: expected term at column 5", ""),
    ("", "not a jq expression: expected term at column 1", ""),
    ("(.a", "not a jq expression: expected closing parenthesis at column 4", ""),
    (".a == \"x", "not a jq expression: expected closing quote at column 9", ""),
    ("if .a then 1", "not a jq expression: expected else or end at column 13", ""),
];

#[test]
fn what_cannot_be_meant_is_refused_with_its_position_and_a_hint() {
    assert!(REFUSED.len() >= 60);
    let mut wrong = Vec::new();
    for (expression, what, reason) in REFUSED {
        let (expected, refusal) = (format!("{what}{reason}"), check(expression));
        let told = refusal.as_ref().map_err(ToString::to_string);
        if told != Err(expected.clone()) || refusal.as_ref().is_err_and(|refusal| refusal.hint().is_empty()) {
            wrong.push(format!("{expression}: {told:?}, expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_too_long_or_too_deep_is_refused() {
    for (expression, message) in [
        ("a".repeat(16 * 1024 + 1), "a jq expression has at most 16384 bytes; this one has 16385".to_owned()),
        ("[".repeat(101), too_deep(101)),
        (format!("{}1{}", "(".repeat(101), ")".repeat(101)), too_deep(101)),
        (format!("{}1", "-".repeat(101)), too_deep(102)),
        (format!("{}.a", "try ".repeat(101)), too_deep(406)),
        (format!("{}.{}", "if . then ".repeat(101), " end".repeat(101)), too_deep(1)),
    ] {
        assert_eq!(check(&expression).unwrap_err().to_string(), message, "{expression:.40}");
    }
    for expression in [
        format!("{}1{}", "(".repeat(100), ")".repeat(100)),
        format!(".a{}", " + .a".repeat(3_000)),
        format!(".{}", "|.".repeat(8_000)),
        format!(".{}", ",.".repeat(8_000)),
    ] {
        assert_eq!(check(&expression), Ok(()), "{expression:.40}");
    }
}

fn too_deep(column: usize) -> String {
    format!("a jq expression has at most 100 levels, and goes deeper at column {column}")
}

const EVENT: &str = r#"{"event_id":"evt_1","event_type":"invoice.paid","timestamp":"2026-11-26T08:00:00.000Z",
    "user":{"name":"Ada"},"entity":{"type":"invoice","id":"42","name":"A & B"},
    "data":{"amount":12.50,"big":12345678901234567890.10,"items":[{"n":2,"s":"b","tags":["x"]},{"n":1,"s":"a"}],"note":null,"s":"a-b"}}"#;

const WORKING: &[(&str, &str)] = &[
    (".data.amount", "12.50"),
    (".data.big", "12345678901234567890.10"),
    (".data.amount > 10", "true"),
    (".event_type == \"invoice.paid\" and .data.amount >= 12.5", "true"),
    (".data.note // \"none\"", "\"none\""),
    (".user.name | ascii_upcase", "\"ADA\""),
    ("{z: .event_id, a: .entity.id}", "{\"z\":\"evt_1\",\"a\":\"42\"}"),
    ("{event_id, type: .event_type}", "{\"event_id\":\"evt_1\",\"type\":\"invoice.paid\"}"),
    ("{text: \"\\(.user.name) paid \\(.data.amount)\"}", "{\"text\":\"Ada paid 12.50\"}"),
    ("[.data.items[].n]", "[2,1]"),
    (".data.items | map(.n) | add", "3"),
    ("[.data.items[] | select(.n > 1) | .s]", "[\"b\"]"),
    (".data.items | sort_by(.n) | map(.s) | join(\",\")", "\"a,b\""),
    (".data.items | length", "2"),
    (".data | del(.items) | keys", "[\"amount\",\"big\",\"note\",\"s\"]"),
    (".data | keys_unsorted | first", "\"amount\""),
    (".data | has(\"amount\")", "true"),
    (".data | to_entries | map(.key) | length", "5"),
    (".entity | with_entries(.value |= ascii_downcase)", "{\"type\":\"invoice\",\"id\":\"42\",\"name\":\"a & b\"}"),
    ("[{key: \"a\", value: 1}] | from_entries", "{\"a\":1}"),
    (".data.amount = 3 | .data.amount", "3"),
    (".data.amount += 1 | .data.amount", "13.5"),
    (".data.items[0].n |= . * 10 | .data.items[0].n", "20"),
    ("[..] | length", "24"),
    ("[.. | strings] | length", "11"),
    ("[paths] | length", "23"),
    ("getpath([\"data\", \"s\"])", "\"a-b\""),
    (".data | pick(.s)", "{\"s\":\"a-b\"}"),
    ("reduce .data.items[] as $item (0; . + $item.n)", "3"),
    ("[foreach .data.items[] as $item (0; . + $item.n)]", "[2,3]"),
    ("[limit(1; .data.items[])] | length", "1"),
    ("first(.data.items[] | .s)", "\"b\""),
    ("[.data.items[] | .tags[]?]", "[\"x\"]"),
    ("try error(\"no\") catch .", "\"no\""),
    (".data.s | split(\"-\")", "[\"a\",\"b\"]"),
    (".event_type | test(\"^invoice[.]\")", "true"),
    (".event_type | capture(\"(?<noun>[a-z]+)[.]\").noun", "\"invoice\""),
    (".event_type | sub(\"[.]\"; \" \")", "\"invoice paid\""),
    (".data.s | gsub(\"[ab]\"; \"x\")", "\"x-x\""),
    ("[.data.s | scan(\"[a-z]\")]", "[\"a\",\"b\"]"),
    (".event_type | startswith(\"invoice\")", "true"),
    (".event_type | ltrimstr(\"invoice.\")", "\"paid\""),
    ("if .data.amount > 100 then \"high\" elif .data.amount > 10 then \"middle\" else \"low\" end", "\"middle\""),
    (".data.items as [$first, $second] | $second.s", "\"a\""),
    (".data as {amount: $a, $s} | [$a, $s]", "[12.50,\"a-b\"]"),
    (". as $event | $event.data.items | map({s, id: $event.event_id}) | first", "{\"s\":\"b\",\"id\":\"evt_1\"}"),
    ("any(.data.items[]; .n == 1)", "true"),
    ("all(.data.items[]; .n > 0)", "true"),
    (".data.items | group_by(.n) | length", "2"),
    (".data.items | max_by(.n) | .s", "\"b\""),
    ("[.data.items[].s] | unique", "[\"a\",\"b\"]"),
    ("[[1, [2]], 3] | flatten", "[1,2,3]"),
    (".data.items[-1:] | length", "1"),
    ("@base64 \"\\(.user.name)\"", "\"QWRh\""),
    (".entity.name | @html", "\"A &amp; B\""),
    (".entity.name | @uri", "\"A%20%26%20B\""),
    (".entity | tojson", "\"{\\\"type\\\":\\\"invoice\\\",\\\"id\\\":\\\"42\\\",\\\"name\\\":\\\"A & B\\\"}\""),
    ("\"{\\\"a\\\":1.50}\" | fromjson", "{\"a\":1.50}"),
    ("\"1.5\" | tonumber", "1.5"),
    (".data.amount | floor", "12"),
    (".data.amount | tostring", "\"12.50\""),
    (".data | map_values(type) | .note", "\"null\""),
    (".data | walk(if type == \"number\" then 0 else . end) | .items[0].n", "0"),
    ("1700000000 | todate", "\"2023-11-14T22:13:20Z\""),
    (
        "label $out | .data.items[] | if .n == 2 then ., break $out else empty end",
        "{\"n\":2,\"s\":\"b\",\"tags\":[\"x\"]}",
    ),
    ("\"ab\" * 3", "\"ababab\""),
    (".data * {amount: 1} | .amount", "1"),
    ("[.data.items[] | .s] | inside([\"a\", \"b\", \"c\"])", "true"),
    ("# what it costs\n.data.amount", "12.50"),
];

#[test]
fn what_works_on_an_event_is_taken_and_keeps_numbers_and_order() {
    assert!(WORKING.len() >= 60);
    let mut wrong = Vec::new();
    for (expression, result) in WORKING {
        let stored = check(expression).map(|()| Stored::compile(expression).unwrap());
        let given = stored.map(|stored| stored.transform(EVENT.as_bytes()).map_err(|error| error.to_string()));
        if given != Ok(Ok((*result).to_owned())) {
            wrong.push(format!("{expression}: {given:?}, expected {result}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_filter_is_yes_where_any_value_is_neither_false_nor_null() {
    for (expression, answer) in [
        (".data.amount > 10", Ok(true)),
        (".data.amount > 100", Ok(false)),
        (".data.note", Ok(false)),
        ("0", Ok(true)),
        ("empty", Ok(false)),
        ("false, .data.amount", Ok(true)),
        ("true, error(\"late\")", Ok(true)),
        ("false, error(\"no\")", Err("no")),
        (".event_id | .a", Err("cannot index \"evt_1\" with \"a\"")),
    ] {
        let given = Stored::compile(expression).unwrap().decide(EVENT.as_bytes());
        assert_eq!(given.map_err(|error| error.to_string()), answer.map_err(str::to_owned), "{expression}");
    }
    assert!(Stored::compile("true").unwrap().decide(b"no JSON").is_err());
    assert_eq!(
        Stored::compile("empty").unwrap().transform(b"1").unwrap_err().to_string(),
        "it gives nothing for this event"
    );
    assert!(Stored::compile("1, 2").unwrap().transform(b"1").is_err());
}

#[test]
fn each_function_that_is_allowed_is_in_the_library() {
    for function in allowed::functions() {
        let (name, arguments) = function.split_once('/').unwrap();
        let call = match arguments.parse::<usize>().unwrap() {
            0 => name.to_owned(),
            count => format!("{name}({})", vec!["."; count].join(";")),
        };
        assert_eq!(check(&call), Ok(()), "{function}");
    }
}
