//! The report as JUnit XML, for CI systems. The template library escapes values.

use std::time::Duration;

use maud::{Markup, PreEscaped, html};

use super::view::{CheckResult, CheckView, ProbeView};
use crate::domain::time::Timestamp;
use crate::output::escape;

pub fn render(view: &ProbeView, started: Timestamp) -> String {
    let took: Duration = view.checks.iter().map(|check| check.took).sum();
    let [failures, skipped] = [CheckResult::Fail, CheckResult::NotJudged].map(|of| view.count(of));
    // JUnit times have no time zone.
    let timestamp = started.rfc3339();
    let timestamp = timestamp.split('.').next().unwrap_or_default();
    let suite = html! {
        testsuites {
            testsuite name={ "hookctl probe " (escape(&view.url)) } tests=(view.checks.len()) failures=(failures)
                errors="0" skipped=(skipped) time=(seconds(took)) timestamp=(timestamp) {
                @for check in &view.checks { (case(check, view.scheme)) }
            }
        }
    };
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", suite.into_string())
}

fn case(check: &CheckView, scheme: &str) -> Markup {
    let (expected, seen) = (escape(&check.expected), escape(&check.seen));
    html! {
        (PreEscaped("\n"))
        testcase classname={ "hookctl.probe." (scheme) } name=(check.name) time=(seconds(check.took)) {
            @match check.result {
                CheckResult::Pass => {}
                CheckResult::Fail => failure message={ "expected " (expected) "; seen: " (seen) } {}
                CheckResult::NotJudged => skipped message=(seen) {}
            }
        }
    }
}

fn seconds(length: Duration) -> String {
    format!("{:.3}", length.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_xml_whatever_a_receiver_answered() {
        let check = |result| CheckView {
            name: "valid",
            result,
            expected: "2xx".to_owned(),
            seen: "<&\"'\u{1b}\u{0}]]>".to_owned(),
            took: Duration::from_millis(1_500),
        };
        let checks = vec![check(CheckResult::Pass), check(CheckResult::Fail), check(CheckResult::NotJudged)];
        let view = ProbeView { url: "http://a.example/?a=***&b".to_owned(), scheme: "standard", checks };
        let text = render(&view, Timestamp::from_millis(1_700_000_000_123));
        let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites><testsuite \
                    name=\"hookctl probe http://a.example/?a=***&amp;b\" tests=\"3\" failures=\"1\" errors=\"0\" \
                    skipped=\"1\" time=\"4.500\" timestamp=\"2023-11-14T22:13:20\">";
        assert!(text.starts_with(head), "{text}");
        let failure = "<failure message=\"expected 2xx; seen: &lt;&amp;&quot;'\\u{1b}\\u{0}]]&gt;\"></failure>";
        assert!(text.contains(failure), "{text}");
        assert!(text.ends_with("</skipped></testcase></testsuite></testsuites>\n"), "{text}");
    }
}
