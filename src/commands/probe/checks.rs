//! The table of checks. A new check is a row here and, if it sends new kinds of requests, a [`Sample`].

use super::sample::{Age, Sample};
use crate::domain::signature::{Form, Part, Scheme};

#[derive(Debug)]
pub struct Check {
    pub name: &'static str,
    /// What the scheme must have for the check to apply.
    pub needs: Need,
    /// The requests, in order.
    pub samples: &'static [Sample],
    pub expects: Expect,
    /// The expectation, for people.
    pub expected: &'static str,
}

/// A requirement on the scheme or the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Nothing,
    /// A signed message id in a header.
    Id,
    /// A time of signing.
    Time,
    /// A header that holds a list of signatures.
    List,
    /// `--duplicate-check`.
    Command,
}

/// The expected answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// A 2xx to each.
    Taken,
    /// Any other complete answer to each.
    Refused,
    /// A 4xx to each refused request of this run that had to be refused.
    RefusedBy4xx,
    /// A complete answer to each, and no 5xx.
    Survived,
    /// A 2xx to each, or 415.
    TakenUnlessTypeUnknown,
    /// Each answer of this run within the time allowed.
    InTime,
    /// A 2xx to both, and a command that finds the event once.
    Once,
}

/// A signed request that a receiver must take.
const TAKEN: Check =
    Check { name: "", needs: Need::Nothing, samples: &[Sample::Right], expects: Expect::Taken, expected: "" };

/// A request that a receiver must refuse.
const REFUSED: Check = Check { expects: Expect::Refused, ..TAKEN };

pub const ALL: &[Check] = &[
    Check { name: "valid", expected: "2xx to a right signature", ..TAKEN },
    Check { name: "missing", samples: &[Sample::NoSignature], expected: "no 2xx without a signature", ..REFUSED },
    Check { name: "wrong", samples: &[Sample::WrongSignature], expected: "no 2xx to a wrong signature", ..REFUSED },
    Check {
        name: "other-secret",
        samples: &[Sample::OtherSecret],
        expected: "no 2xx to the signature of another secret",
        ..REFUSED
    },
    Check {
        name: "changed-body",
        samples: &[Sample::ChangedBody],
        expected: "no 2xx to a body that was changed after signing",
        ..REFUSED
    },
    Check {
        name: "changed-id",
        needs: Need::Id,
        samples: &[Sample::ChangedId],
        expected: "no 2xx to an id that was changed after signing",
        ..REFUSED
    },
    Check {
        name: "changed-timestamp",
        needs: Need::Time,
        samples: &[Sample::ChangedTimestamp],
        expected: "no 2xx to a timestamp that was changed after signing",
        ..REFUSED
    },
    Check {
        name: "too-old",
        needs: Need::Time,
        samples: &[Sample::Aged(Age::Old)],
        expected: "no 2xx to a request that was signed long ago",
        ..REFUSED
    },
    Check {
        name: "from-future",
        needs: Need::Time,
        samples: &[Sample::Aged(Age::Future)],
        expected: "no 2xx to a request that was signed in the future",
        ..REFUSED
    },
    Check {
        name: "raw-bytes",
        samples: &[Sample::UnusualJson],
        expected: "2xx to a signed body whose JSON is written unusually",
        ..TAKEN
    },
    Check {
        name: "rotation",
        needs: Need::List,
        samples: &[Sample::RightBeforeOther, Sample::OtherBeforeRight],
        expected: "2xx when one of two signatures is right",
        ..TAKEN
    },
    Check {
        name: "wrong-is-4xx",
        samples: &[Sample::NoSignature, Sample::WrongSignature, Sample::MalformedSignature],
        expects: Expect::RefusedBy4xx,
        expected: "4xx, not 5xx, to what is refused",
        ..TAKEN
    },
    Check { name: "large-body", samples: &[Sample::Large], expected: "2xx to a signed body of 1 MiB", ..TAKEN },
    Check {
        name: "empty-body",
        samples: &[Sample::Empty],
        expects: Expect::Survived,
        expected: "an answer below 500 to a signed empty body",
        ..TAKEN
    },
    Check {
        name: "content-type",
        samples: &[
            Sample::Type("application/json; charset=utf-8"),
            Sample::Type("application/cloudevents+json"),
            Sample::Type("text/plain"),
            Sample::Type("application/octet-stream"),
        ],
        expects: Expect::TakenUnlessTypeUnknown,
        expected: "2xx, or 415, to other content types",
        ..TAKEN
    },
    Check { name: "answer-time", expects: Expect::InTime, expected: "every answer within", ..TAKEN },
    Check {
        name: "duplicate",
        needs: Need::Command,
        samples: &[Sample::Right, Sample::Again],
        expects: Expect::Once,
        expected: "2xx to an event that comes twice, handled once",
    },
];

impl Need {
    /// Why a check with this requirement does not apply; `None` if it does.
    pub fn lacking(self, scheme: &Scheme, has_command: bool) -> Option<String> {
        let name = scheme.name;
        match self {
            Need::Id if !scheme.content.contains(&Part::Id) => Some(format!("{name} signs no id")),
            Need::Time if scheme.time.is_none() => Some(format!("{name} signs no time")),
            Need::List if !matches!(scheme.form, Form::List { .. }) => Some(format!("{name} carries one signature")),
            Need::Command if !has_command => Some("without --duplicate-check only the receiver knows".to_owned()),
            Need::Nothing | Need::Id | Need::Time | Need::List | Need::Command => None,
        }
    }
}

/// The names for the command line.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|check| check.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::signature::schemes;

    #[test]
    fn what_a_scheme_cannot_say_is_not_judged() {
        let judged = |name: &str| {
            let scheme = Scheme::find(name).unwrap();
            ALL.iter().filter(|check| check.needs.lacking(scheme, false).is_none()).count()
        };
        assert_eq!(ALL.len(), 17);
        assert_eq!(judged("standard"), 16);
        assert_eq!(judged("stripe"), 15);
        assert_eq!(judged("slack"), 14);
        assert_eq!(judged("timetracker"), 11);
        assert!(schemes::ALL.iter().all(|scheme| judged(scheme.name) >= 11));
    }
}
