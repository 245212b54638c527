//! Event types (`invoice.paid`) and the patterns that subscribe to them.

use super::text::{LONGEST_DESCRIPTION, TextError, check_line};

/// The most characters of an event type, of a pattern, and of an event id.
pub const LONGEST: usize = 100;

/// What `webhook test` sends.
pub const WEBHOOK_TEST: &str = "webhook.test";
/// Announces that a webhook fails: see [`super::webhook::FAILURES_TO_REPORT`].
pub const WEBHOOK_FAILING: &str = "webhook.failing";
/// Announces that a webhook that was failing delivered again.
pub const WEBHOOK_RECOVERED: &str = "webhook.recovered";
/// Announces that hookctl disabled a webhook.
pub const WEBHOOK_DISABLED: &str = "webhook.disabled";
/// Announces that a delivery ended as failed.
pub const DELIVERY_FAILED: &str = "delivery.failed";

/// The first character of a pattern that excludes types from a subscription.
pub const TAKES_OUT: char = '!';

/// The operational events: those that hookctl emits about a webhook.
const OPERATIONAL: [&str; 4] = [WEBHOOK_FAILING, WEBHOOK_RECOVERED, WEBHOOK_DISABLED, DELIVERY_FAILED];

/// Why a text is neither an event type nor a pattern.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EventTypeError {
    #[error("an event type is empty")]
    Empty,
    #[error("an event type has {0} characters; the limit is {LONGEST}")]
    TooLong(usize),
    /// A character other than letters, digits, `.`, `_`, `-`, `:` or `/`.
    #[error("'{0}' is not an event type: use letters, digits and . _ - : / only, such as invoice.paid")]
    Character(String),
}

/// Checks an event type: letters, digits and `. _ - : /`.
pub fn check(event_type: &str) -> Result<(), EventTypeError> {
    check_with(event_type, false)
}

/// Checks a description: one line, or nothing.
pub fn check_description(text: &str) -> Result<(), TextError> {
    match check_line(text, LONGEST_DESCRIPTION) {
        Err(TextError::Empty) => Ok(()),
        checked => checked,
    }
}

/// Checks a pattern: an event type in which `*` may stand anywhere.
pub fn check_pattern(pattern: &str) -> Result<(), EventTypeError> {
    check_with(pattern, true)
}

/// Checks a pattern of a subscription: one that begins with `!` excludes types.
pub fn check_subscription(pattern: &str) -> Result<(), EventTypeError> {
    check_pattern(pattern.strip_prefix(TAKES_OUT).unwrap_or(pattern))
}

fn check_with(text: &str, star: bool) -> Result<(), EventTypeError> {
    let length = text.chars().count();
    match text {
        "" => Err(EventTypeError::Empty),
        _ if length > LONGEST => Err(EventTypeError::TooLong(length)),
        _ if text.chars().all(|c| c.is_ascii_alphanumeric() || "._-:/".contains(c) || (star && c == '*')) => Ok(()),
        _ => Err(EventTypeError::Character(text.to_owned())),
    }
}

/// Whether `pattern` matches `event_type`; each `*` matches any run of characters, also an empty one.
pub fn matches(pattern: &str, event_type: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == event_type };
    let Some(mut text) = event_type.strip_prefix(head) else { return false };
    let Some((middle, tail)) = rest.rsplit_once('*') else { return text.ends_with(rest) };
    for part in middle.split('*') {
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    text.ends_with(tail)
}

/// Whether hookctl emits events of this type itself.
pub fn is_operational(event_type: &str) -> bool {
    OPERATIONAL.contains(&event_type)
}

/// Whether a subscription to these patterns includes `event_type`: one of them does, and none that begins with `!` matches.
pub fn wants(patterns: &[String], event_type: &str) -> bool {
    let mut is_included = false;
    for pattern in patterns {
        match pattern.strip_prefix(TAKES_OUT) {
            Some(out) if matches(out, event_type) => return false,
            Some(_) => {}
            None => is_included = is_included || includes(pattern, event_type),
        }
    }
    is_included
}

/// Whether a subscription to `pattern` includes `event_type`. An operational event must be named, at least by the first part
/// of its type: `*` and `*.failed` do not include it, `webhook.*` does.
fn includes(pattern: &str, event_type: &str) -> bool {
    let names_it = || {
        let noun = event_type.split('.').next().unwrap_or_default();
        pattern.starts_with(noun)
    };
    matches(pattern, event_type) && (!is_operational(event_type) || names_it())
}

/// The known type that `unknown` looks like a misspelling of: at most two letters differ and no more than one in four, at most
/// one of them before the first dot, or only the case differs.
pub fn slip_of<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let noun = |text: &str| text.split('.').next().unwrap_or_default().to_owned();
    let unknown = unknown.to_lowercase();
    let slips = known.into_iter().filter_map(|candidate| {
        let letters = strsim::damerau_levenshtein(&unknown, candidate);
        let of_noun = strsim::damerau_levenshtein(&noun(&unknown), &noun(candidate));
        let is_slip = letters <= 2 && 4 * letters <= candidate.chars().count() && of_noun <= 1;
        is_slip.then_some((letters, candidate))
    });
    slips.min_by_key(|(letters, _)| *letters).map(|(_, candidate)| candidate)
}

/// The known name closest to `unknown`, if it is close enough to be a typing error.
pub fn nearest<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let unknown = unknown.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(&unknown, &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        for (pattern, event_type, expected) in [
            ("*", "invoice.paid", true),
            ("invoice.*", "invoice.paid", true),
            ("*.created", "task.created", true),
            ("*.created", "task.created.late", false),
            ("invoice.paid", "invoice.paid", true),
            ("invoice.paid", "invoice.paid2", false),
            ("invoice.*", "invoices.paid", false),
            ("in*ce.*d", "invoice.paid", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("**", "x", true),
        ] {
            assert_eq!(matches(pattern, event_type), expected, "{pattern} {event_type}");
        }
    }

    #[test]
    fn an_operational_event_must_be_named() {
        for (pattern, event_type, expected) in [
            ("*", WEBHOOK_DISABLED, false),
            ("**", DELIVERY_FAILED, false),
            ("*.failed", DELIVERY_FAILED, false),
            ("web*", WEBHOOK_DISABLED, false),
            ("webhook.*", WEBHOOK_DISABLED, true),
            ("delivery.failed", DELIVERY_FAILED, true),
            ("*.failed", "payment.failed", true),
            ("*", WEBHOOK_TEST, true),
        ] {
            assert_eq!(wants(&[pattern.to_owned()], event_type), expected, "{pattern} {event_type}");
        }
    }

    #[test]
    fn a_pattern_with_an_exclamation_mark_takes_out_what_others_include() {
        for (patterns, event_type, expected) in [
            ("*,!invoice.draft*", "invoice.paid", true),
            ("*,!invoice.draft*", "invoice.draft_saved", false),
            ("!invoice.draft*,*", "invoice.draft_saved", false),
            ("invoice.*,!invoice.paid", "task.created", false),
            ("invoice.paid,!*.paid", "invoice.paid", false),
            ("webhook.*,!webhook.disabled", WEBHOOK_DISABLED, false),
            ("webhook.*,!webhook.disabled", WEBHOOK_FAILING, true),
            ("*,!webhook.test", WEBHOOK_FAILING, false),
            ("!invoice.paid", "task.created", false),
        ] {
            let list: Vec<String> = patterns.split(',').map(str::to_owned).collect();
            assert_eq!(wants(&list, event_type), expected, "{patterns} {event_type}");
        }
    }

    #[test]
    fn blanks_stars_and_controls_are_no_part_of_a_type() {
        for text in ["", " ", "a b", "a\n", "invoice.*", "é", &"x".repeat(101)] {
            assert!(check(text).is_err(), "{text:?}");
        }
        assert_eq!(check(&"x".repeat(100)), Ok(()));
        assert_eq!(check_pattern("project.*"), Ok(()));
        assert!(check_pattern("project .*").is_err());
        assert_eq!(check_subscription("!project.*"), Ok(()));
        for text in ["!", "!!a", "a!", "! a"] {
            assert!(check_subscription(text).is_err(), "{text:?}");
        }
        assert!(check_pattern("!a").is_err(), "a filter has one pattern, which takes nothing out");
    }

    #[test]
    fn a_type_of_ones_own_is_no_slip() {
        let known = ["user.created", "task.created", "invoice.paid", "time_entry.started"];
        for own in ["order.created", "team.created", "lead.created", "user.added", "pay.invoice", "paid", "order.paid"]
        {
            assert_eq!(slip_of(own, known), None, "{own}");
        }
        for (slip, meant) in [
            ("invoice.payed", "invoice.paid"),
            ("Invoice.Paid", "invoice.paid"),
            ("tasks.created", "task.created"),
            ("uesr.created", "user.created"),
            ("invoice.pad", "invoice.paid"),
        ] {
            assert_eq!(slip_of(slip, known), Some(meant), "{slip}");
        }
        for own in ["q.w", "a.z", "z.y", "x.y"] {
            assert_eq!(slip_of(own, ["z.z", "zz"]), None, "{own}: too little is the same");
        }
    }

    #[test]
    fn a_slip_of_the_finger_finds_its_type() {
        assert_eq!(nearest("invoice.payed", ["task.created", "invoice.paid"]), Some("invoice.paid"));
        assert_eq!(nearest("zzzzz", ["task.created", "invoice.paid"]), None);
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_plain_definition(pattern in "[ab*]{0,6}", text in "[ab]{0,8}") {
            fn plain(pattern: &[u8], text: &[u8]) -> bool {
                match (pattern.first(), text.first()) {
                    (None, None) => true,
                    (Some(b'*'), _) => plain(&pattern[1..], text) || (!text.is_empty() && plain(pattern, &text[1..])),
                    (Some(a), Some(b)) => a == b && plain(&pattern[1..], &text[1..]),
                    _ => false,
                }
            }
            prop_assert_eq!(matches(&pattern, &text), plain(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
