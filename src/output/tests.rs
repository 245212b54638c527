//! The rules of output, shown through writers that keep what they get.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use serde::Serialize;
use serde_json::{Value, json};

use super::*;
use crate::domain::time::Timestamp;
use crate::error::{Closed, Failure, Kind};

/// Every unsafe character there is, between two words.
fn hostile() -> String {
    let all: String = ('\u{0}'..=char::MAX).filter(|c| is_unsafe(*c)).collect();
    format!("begin{all}end")
}

#[derive(Serialize)]
struct Webhook {
    id: u64,
    name: String,
    url: String,
    last_failure_at: Option<Timestamp>,
}

fn webhook(id: u64, name: &str) -> Webhook {
    Webhook { id, name: name.to_owned(), url: format!("https://{name}.example/hook"), last_failure_at: None }
}

impl Row for Webhook {
    const COLUMNS: &'static [&'static str] = &["id", "name", "url", "last failure"];

    fn cells(&self, look: &Look) -> Vec<Cell> {
        vec![Cell::id(self.id), Cell::good(&self.name), Cell::plain(&self.url), look.ago(self.last_failure_at)]
    }
}

impl Page for Webhook {
    fn describe(&self, text: &mut Text) {
        text.heading(&self.name);
        text.field("URL", &self.url);
        text.time("Last failure", self.last_failure_at);
        text.blank();
        text.table(&["n", "name"], vec![vec![Cell::number(self.id), Cell::bad(&self.name)]]);
        text.block(&self.name);
        text.line(Cell::warn(&self.name));
    }
}

#[derive(Clone, Default)]
struct Kept(Rc<RefCell<Vec<u8>>>);

impl Kept {
    fn text(&self) -> String {
        String::from_utf8(self.0.borrow().clone()).unwrap()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A pipe whose reader has left, or a full disk.
struct Broken(io::ErrorKind);

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn settings(format: Format) -> Settings {
    Settings {
        format,
        color: ColorChoice::Auto,
        no_color: false,
        clicolor_force: false,
        quiet: false,
        verbose: 0,
        logs_json: false,
        clock: Clock::new(Timestamp::parse_rfc3339("2026-03-31T12:00:00Z")),
    }
}

/// What `run` writes to stdout and stderr.
fn written(settings: Settings, terminals: Terminals, run: impl FnOnce(&mut Output)) -> (String, String) {
    let (stdout, stderr) = (Kept::default(), Kept::default());
    let mut output = Output::with_writers(settings, Box::new(stdout.clone()), Box::new(stderr.clone()), terminals);
    run(&mut output);
    output.flush().unwrap();
    (stdout.text(), stderr.text())
}

fn piped(format: Format, run: impl FnOnce(&mut Output)) -> (String, String) {
    written(settings(format), Terminals::default(), run)
}

fn terminal(width: usize) -> Terminals {
    Terminals { stdout: true, stdout_width: Some(width), stderr: true }
}

fn rows(names: &[&str]) -> Vec<Result<Webhook>> {
    names.iter().zip(1..).map(|(name, id)| Ok(webhook(id, name))).collect()
}

const FORMATS: [Format; 4] = [Format::Table, Format::Json, Format::Jsonl, Format::Csv];

#[test]
fn a_payload_is_written_as_it_is_and_escaped_at_a_terminal_alone() {
    let payload = b"{\n\"a\":\"\x1b[31m\"}\n";
    let write = |terminals| written(settings(Format::Table), terminals, |output| output.payload(payload).unwrap()).0;
    assert_eq!(write(Terminals::default()).as_bytes(), payload);
    assert_eq!(write(terminal(80)), "{\n\"a\":\"\\u{1b}[31m\"}\n");
}

#[test]
fn hostile_text_leaves_no_raw_unsafe_character_in_any_format_on_any_stream() {
    for format in FORMATS {
        for terminals in [Terminals::default(), terminal(80)] {
            let hostile = hostile();
            let plain = Settings { color: ColorChoice::Never, verbose: 1, ..settings(format) };
            let (stdout, stderr) = written(plain, terminals, |output| {
                output.list([Ok(webhook(1, &hostile))], "").unwrap();
                output.page(&webhook(1, &hostile)).unwrap();
                output.line(&hostile).unwrap();
                output.list(Vec::<Result<Webhook>>::new(), &hostile).unwrap();
                output.notice(&hostile);
                output.warning(&hostile);
                output.summary(&hostile);
                output.diagnostic(1, &hostile);
                output.error(&Failure::new(Kind::Failed, &*hostile).hint(&*hostile));
            });
            for text in [stdout, stderr] {
                assert!(text.contains("begin") && text.contains("end"), "{format:?}: {text}");
                assert!(!text.replace('\n', "").contains(is_unsafe), "{format:?}: {text:?}");
            }
        }
    }
}

#[test]
fn hostile_text_adds_no_line() {
    let hostile = hostile();
    let lines = |format| piped(format, |output| output.list([Ok(webhook(1, &hostile))], "").unwrap()).0.lines().count();
    assert_eq!([lines(Format::Table), lines(Format::Jsonl), lines(Format::Csv)], [2, 1, 2]);
}

#[test]
fn json_carries_hostile_text_exactly() {
    let hostile = hostile();
    for format in [Format::Json, Format::Jsonl] {
        let (stdout, _) = piped(format, |output| output.page(&webhook(1, &hostile)).unwrap());
        let value: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!(value["name"], hostile);
    }
}

#[test]
fn a_table_has_an_upper_case_header_and_aligned_columns_without_a_frame() {
    let mut listed = rows(&["billing", "crm"]);
    let failed = Timestamp::parse_rfc3339("2026-03-31T11:57:00Z").unwrap();
    listed.push(Ok(Webhook { last_failure_at: Some(failed), ..webhook(10, "請求") }));
    let (stdout, stderr) = piped(Format::Table, |output| output.list(listed, "none").unwrap());
    assert_eq!(
        stdout,
        "ID  NAME     URL                           LAST FAILURE\n \
         1  billing  https://billing.example/hook  -\n \
         2  crm      https://crm.example/hook      -\n\
         10  請求     https://請求.example/hook     3m ago\n"
    );
    assert_eq!(stderr, "");
}

#[test]
fn a_list_in_json_is_one_array_and_in_json_lines_one_object_a_line() {
    let (array, _) = piped(Format::Json, |output| output.list(rows(&["a", "b"]), "").unwrap());
    let value: Value = serde_json::from_str(&array).unwrap();
    assert_eq!(value[1], json!({"id": 2, "name": "b", "url": "https://b.example/hook", "last_failure_at": null}));
    assert!(array.starts_with("[\n  {\n    \"id\": 1,\n") && array.ends_with("\n  }\n]\n"), "{array}");

    let (lines, _) = piped(Format::Jsonl, |output| output.list(rows(&["a"]), "").unwrap());
    assert_eq!(lines, "{\"id\":1,\"name\":\"a\",\"url\":\"https://a.example/hook\",\"last_failure_at\":null}\n");
}

#[test]
fn a_list_in_csv_has_the_json_keys_as_its_header() {
    let (stdout, _) = piped(Format::Csv, |output| output.list(rows(&["a", "=b,"]), "").unwrap());
    assert_eq!(
        stdout,
        "id,name,url,last_failure_at\n1,a,https://a.example/hook,\n2,\"'=b,\",\"https://=b,.example/hook\",\n"
    );
}

#[test]
fn an_empty_list_is_a_notice_an_empty_array_or_nothing() {
    let empty =
        |settings| written(settings, Terminals::default(), |o| o.list::<Webhook>([], "no webhooks yet").unwrap());
    assert_eq!(empty(settings(Format::Table)), (String::new(), "note: no webhooks yet\n".to_owned()));
    assert_eq!(empty(Settings { quiet: true, ..settings(Format::Table) }), (String::new(), String::new()));
    assert_eq!(empty(settings(Format::Json)), ("[]\n".to_owned(), String::new()));
    assert_eq!(empty(settings(Format::Jsonl)), (String::new(), String::new()));
    assert_eq!(empty(settings(Format::Csv)), (String::new(), String::new()));
}

#[test]
fn a_page_is_text_an_indented_object_one_line_or_one_csv_row() {
    let page = |format| piped(format, |output| output.page(&webhook(7, "crm")).unwrap()).0;
    assert_eq!(
        page(Format::Table),
        "crm\n\
         URL:           https://crm.example/hook\n\
         Last failure:  -\n\
         \n\
         N  NAME\n\
         7  crm\n  \
           crm\n\
         crm\n"
    );
    assert!(page(Format::Json).starts_with("{\n  \"id\": 7,\n"));
    assert_eq!(page(Format::Jsonl).lines().count(), 1);
    assert_eq!(page(Format::Csv), "id,name,url,last_failure_at\n7,crm,https://crm.example/hook,\n");
}

#[test]
fn a_piped_table_has_no_colour_and_is_never_shortened() {
    let long = "x".repeat(300);
    let (stdout, _) = piped(Format::Table, |output| output.list([Ok(webhook(1, &long))], "").unwrap());
    assert!(stdout.contains(&format!("https://{long}.example/hook")) && !stdout.contains('\u{1b}'));
}

#[test]
fn a_terminal_gets_colour_and_lines_that_fit_but_whole_ids() {
    let id = u64::MAX;
    let listed = [Ok(webhook(id, "crm")), Ok(webhook(1, &"long".repeat(40)))];
    let (stdout, _) = written(settings(Format::Table), terminal(80), |output| output.list(listed, "").unwrap());
    let plain = console::strip_ansi_codes(&stdout);
    assert!(stdout.contains("\u{1b}[32mcrm\u{1b}[0m"), "{stdout}");
    assert!(plain.contains(&id.to_string()) && plain.contains('…'), "{plain}");
    assert_eq!(plain.lines().map(console::measure_text_width).max(), Some(80), "{plain}");
}

#[test]
fn a_colour_choice_holds_for_data_and_messages() {
    let colourful = |settings, terminals| {
        let (stdout, stderr) = written(settings, terminals, |output| {
            output.list(rows(&["a"]), "").unwrap();
            output.warning("careful");
        });
        [stdout.contains('\u{1b}'), stderr.contains('\u{1b}')]
    };
    let auto = settings(Format::Table);
    assert_eq!(colourful(auto, Terminals::default()), [false, false]);
    assert_eq!(colourful(auto, terminal(80)), [true, true]);
    assert_eq!(colourful(auto, Terminals { stdout: false, stdout_width: None, ..terminal(80) }), [false, true]);
    assert_eq!(colourful(Settings { no_color: true, ..auto }, terminal(80)), [false, false]);
    assert_eq!(colourful(Settings { clicolor_force: true, ..auto }, Terminals::default()), [true, true]);
    let always = Settings { color: ColorChoice::Always, no_color: true, ..auto };
    assert_eq!(colourful(always, Terminals::default()), [true, true]);
    let never = Settings { color: ColorChoice::Never, clicolor_force: true, ..auto };
    assert_eq!(colourful(never, terminal(80)), [false, false]);
}

#[test]
fn machine_formats_have_no_colour_even_when_it_is_forced() {
    for format in [Format::Json, Format::Jsonl, Format::Csv] {
        let always = Settings { color: ColorChoice::Always, ..settings(format) };
        let (stdout, _) = written(always, terminal(80), |output| output.list(rows(&["a"]), "").unwrap());
        assert!(!stdout.contains('\u{1b}'));
    }
}

#[test]
fn messages_go_to_stderr_with_their_prefix_and_quiet_leaves_only_errors() {
    let say = |settings| {
        written(settings, Terminals::default(), |output| {
            output.notice("a");
            output.warning("b");
            output.summary("c");
            output.diagnostic(1, "d");
            output.diagnostic(2, "e");
            output.error(&Failure::new(Kind::Failed, "f").hint("g"));
        })
    };
    let normal = settings(Format::Table);
    let all = "note: a\nwarning: b\nc\nerror: f\nhint: g\n";
    assert_eq!(say(normal), (String::new(), all.to_owned()));
    let verbose = Settings { verbose: 1, ..normal };
    assert_eq!(say(verbose).1, all.replace("error", "debug: d\nerror"));
    assert_eq!(say(Settings { quiet: true, ..verbose }).1, "error: f\nhint: g\n");
}

#[test]
fn an_error_is_one_json_object_on_stderr_where_data_is_json() {
    let bare_failure = Failure::new(Kind::NotFound, "no webhook \"x\"");
    let tell = |format, hint: Option<&str>| {
        let failure = Failure { hint: hint.map(str::to_owned), ..bare_failure.clone() };
        piped(format, |output| output.error(&failure))
    };
    let bare = r#"{"error":{"code":"not_found","message":"no webhook \"x\"","exit_code":3}}"#;
    for format in [Format::Json, Format::Jsonl] {
        assert_eq!(tell(format, None), (String::new(), format!("{bare}\n")));
        let (_, stderr) = tell(format, Some("see the list"));
        assert_eq!(stderr, format!("{}\n", bare.replace(",\"exit", ",\"hint\":\"see the list\",\"exit")));
    }
    assert_eq!(tell(Format::Csv, None).1, "error: no webhook \"x\"\n");
}

#[test]
fn data_written_before_a_message_is_handed_on_before_it() {
    let both = Kept::default();
    let mut output = Output::with_writers(
        settings(Format::Table),
        Box::new(both.clone()),
        Box::new(both.clone()),
        Terminals::default(),
    );
    output.line("data").unwrap();
    output.notice("then this");
    assert_eq!(both.text(), "data\nnote: then this\n");
}

#[test]
fn bytes_are_written_as_they_are_and_a_line_is_escaped() {
    let (stdout, _) = piped(Format::Json, |output| {
        output.bytes(b"\x1b raw\n").unwrap();
        output.line("\u{1b} line").unwrap();
    });
    assert_eq!(stdout, "\u{1b} raw\n\\u{1b} line\n");
}

#[test]
fn a_reader_that_leaves_ends_a_stream_without_an_end() {
    let endless = || (1..).map(|id| Ok(webhook(id, "a")));
    for format in [Format::Json, Format::Jsonl, Format::Csv] {
        let mut output = broken(format, io::ErrorKind::BrokenPipe);
        assert!(output.list(endless(), "").unwrap_err().is::<Closed>(), "{format:?}");
        assert!(output.flush().unwrap_err().is::<Closed>(), "{format:?}");
    }
}

#[test]
fn a_reader_that_leaves_is_noticed_at_the_latest_by_flush_even_after_a_message() {
    let mut output = broken(Format::Table, io::ErrorKind::BrokenPipe);
    output.line("data").unwrap();
    output.notice("note");
    assert!(output.flush().unwrap_err().is::<Closed>());
}

#[test]
fn another_failure_to_write_is_an_error() {
    let mut output = broken(Format::Json, io::ErrorKind::StorageFull);
    output.page(&webhook(1, "a")).unwrap();
    let error = output.flush().unwrap_err();
    assert!(!error.is::<Closed>());
    assert_eq!(error.to_string(), "cannot write to stdout");
}

#[test]
fn an_error_among_the_rows_is_passed_on_as_it_is() {
    for format in FORMATS {
        let failing = [Ok(webhook(1, "a")), Err(io::Error::from(io::ErrorKind::BrokenPipe).into())];
        let mut output = Output::with_writers(
            settings(format),
            Box::new(Kept::default()),
            Box::new(Kept::default()),
            Terminals::default(),
        );
        assert!(output.list(failing, "").unwrap_err().is::<io::Error>(), "{format:?}");
    }
}

#[test]
fn rows_are_taken_one_at_a_time_and_written_in_blocks() {
    for format in [Format::Json, Format::Jsonl, Format::Csv] {
        let stdout = Kept::default();
        let seen = stdout.clone();
        let mut output =
            Output::with_writers(settings(format), Box::new(stdout), Box::new(Kept::default()), Terminals::default());
        let mut most_held_back = 0;
        let mut made = 0;
        let rows = (1..=20_000).map(|id| {
            made += 1;
            most_held_back = most_held_back.max(made * 30 - seen.0.borrow().len().min(made * 30));
            Ok(webhook(id, "a"))
        });
        output.list(rows, "").unwrap();
        assert!(most_held_back <= BUFFER + 4096, "{format:?} held {most_held_back} bytes back");
    }
}

#[test]
fn followed_rows_are_handed_on_at_once_under_one_header() {
    let lines = |format| {
        let stdout = Kept::default();
        let seen = stdout.clone();
        let mut output =
            Output::with_writers(settings(format), Box::new(stdout), Box::new(Kept::default()), Terminals::default());
        let mut before = Vec::new();
        let rows = (1..=3).map(|id| {
            before.push(seen.text().lines().count());
            Ok(webhook(id, "a"))
        });
        output.follow(rows).unwrap();
        before
    };
    assert_eq!(lines(Format::Table), [0, 2, 3]);
    assert_eq!(lines(Format::Csv), [0, 2, 3]);
    assert_eq!(lines(Format::Json), [0, 1, 2]);
    assert_eq!(lines(Format::Jsonl), [0, 1, 2]);
}

#[test]
fn progress_is_shown_only_on_a_terminal_and_not_when_quiet() {
    let shown = |quiet, stderr| {
        let settings = Settings { quiet, ..settings(Format::Table) };
        let terminals = Terminals { stderr, ..Terminals::default() };
        let mut shown = false;
        written(settings, terminals, |output| shown = output.progress("drain", Some(3)).bar().is_some());
        shown
    };
    assert_eq!([shown(false, true), shown(true, true), shown(false, false)], [true, false, false]);
}

fn broken(format: Format, kind: io::ErrorKind) -> Output {
    Output::with_writers(settings(format), Box::new(Broken(kind)), Box::new(Kept::default()), Terminals::default())
}
