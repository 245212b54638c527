//! Sends the requests of checks and judges the answers.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::checks::{Check, Expect};
use super::command;
use super::sample::{Made, Maker, Sample};
use super::view::{CheckResult, CheckView};
use crate::domain::attempt::{ErrorType, Outcome};
use crate::domain::duration;
use crate::error::{Failure, Kind};
use crate::http::{Client, OutgoingRequest, Target};
use crate::random::Random;

/// After this many consecutive time-outs no more requests are sent.
const MOST_TIMEOUTS: usize = 2;
/// The least deadline of a request, so that slow answers are still seen.
const SHORTEST_DEADLINE: Duration = Duration::from_secs(5);

pub struct Run<'a> {
    pub maker: &'a Maker,
    pub client: &'a Client,
    pub target: &'a Target,
    /// How long a response may take.
    pub within: Duration,
    pub duplicate_check: Option<&'a str>,
    pub random: Random,
    history: Vec<Seen>,
}

#[derive(Clone, Debug)]
struct Seen {
    sample: Sample,
    answer: Answer,
    took: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    /// A complete one, with this status.
    Status(u16),
    /// No answer in time.
    Late(String),
    /// No answer, or an incomplete one.
    Broken(String),
}

impl<'a> Run<'a> {
    pub fn new(maker: &'a Maker, client: &'a Client, target: &'a Target, within: Duration, random: Random) -> Run<'a> {
        Run { maker, client, target, within, duplicate_check: None, random, history: Vec::new() }
    }

    /// Whether the receiver accepts a right request.
    pub fn is_taken(&mut self) -> Result<bool> {
        Ok(self.send(Sample::Right, None)?.1.is_taken())
    }

    pub fn check(&mut self, check: &Check) -> Result<CheckView> {
        let started = Instant::now();
        let (outcome, seen) = self.judge(check)?;
        let expected = match check.expects {
            Expect::InTime => format!("{} {}", check.expected, duration::format(self.within)),
            _ => check.expected.to_owned(),
        };
        Ok(CheckView { name: check.name, result: outcome, expected, seen, took: started.elapsed() })
    }

    fn judge(&mut self, check: &Check) -> Result<(CheckResult, String)> {
        if let Some(reason) = check.needs.lacking(&self.maker.scheme, self.duplicate_check.is_some()) {
            return Ok((CheckResult::NotJudged, reason));
        }
        // The slowest answer so far is known.
        let is_known = check.expects == Expect::InTime && !self.history.is_empty();
        let samples = if is_known { &[] } else { check.samples };
        let before = self.history.len();
        let mut event: Option<Made> = None;
        for sample in samples {
            if self.gave_up() {
                let reason = format!("not sent: {MOST_TIMEOUTS} requests in a row brought no answer");
                return Ok((CheckResult::NotJudged, reason));
            }
            let of = event.take().filter(|_| *sample == Sample::Again);
            event = Some(self.send(*sample, of.as_ref())?.0);
        }
        let seen = &self.history[before..];
        Ok(match check.expects {
            Expect::Taken => (CheckResult::of(seen.iter().all(Seen::is_taken)), told(seen)),
            Expect::Refused => (CheckResult::of(seen.iter().all(Seen::is_refused)), told(seen)),
            Expect::RefusedBy4xx => refused_by_4xx(&self.history),
            Expect::Survived => (CheckResult::of(seen.iter().all(|seen| seen.status_in(200..500))), told(seen)),
            Expect::TakenUnlessTypeUnknown => {
                (CheckResult::of(seen.iter().all(|seen| seen.is_taken() || seen.status_in(415..416))), told(seen))
            }
            Expect::InTime => in_time(&self.history, self.within),
            Expect::Once if !seen.iter().all(Seen::is_taken) => (CheckResult::Fail, told(seen)),
            Expect::Once => {
                let (Some(command), Some(event)) = (self.duplicate_check, event) else {
                    return Ok((CheckResult::NotJudged, told(seen)));
                };
                let (is_once, said) = command::run(command, &event.event_id)?;
                (CheckResult::of(is_once), format!("{}; {said}", told(seen)))
            }
        })
    }

    /// Sends one request. An error if nothing can be sent, or the first one does not reach the receiver.
    fn send(&mut self, sample: Sample, of: Option<&Made>) -> Result<(Made, &Seen)> {
        let made = self.maker.make(sample, &mut self.random, of)?;
        let headers: Vec<(&str, &str)> =
            made.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let request =
            OutgoingRequest { method: &self.maker.method, target: self.target, headers: &headers, body: &made.body };
        let started = Instant::now();
        let outcome = self.client.send(&request, (self.within * 2).max(SHORTEST_DEADLINE))?;
        let took = started.elapsed();
        if self.history.is_empty() {
            check_reached(&outcome)?;
        }
        self.history.push(Seen { sample, answer: Answer::of(outcome), took });
        Ok((made, &self.history[self.history.len() - 1]))
    }

    fn gave_up(&self) -> bool {
        let last = self.history.iter().rev().take(MOST_TIMEOUTS);
        last.filter(|seen| matches!(seen.answer, Answer::Late(_))).count() == MOST_TIMEOUTS
    }
}

/// An error if the first request did not reach the receiver.
fn check_reached(outcome: &Outcome) -> Result<(), Failure> {
    let (None, Some(error)) = (&outcome.answer, &outcome.error) else { return Ok(()) };
    match error.error_type {
        ErrorType::BlockedAddress => Err(Failure::option("URL", &error.message)),
        ErrorType::ProxyError => Err(Failure::new(Kind::Failed, &error.message)),
        ErrorType::ConnectionError | ErrorType::DnsError | ErrorType::TlsError | ErrorType::UnknownError => {
            Err(Failure::new(Kind::Failed, format!("cannot reach the receiver: {}", error.message))
                .hint("start it, or check the URL; nothing was judged"))
        }
        ErrorType::HttpError
        | ErrorType::Timeout
        | ErrorType::ProtocolError
        | ErrorType::FilterError
        | ErrorType::TransformError => Ok(()),
    }
}

/// Every refusal must be a 4xx; wrongly accepted requests fail other checks.
fn refused_by_4xx(history: &[Seen]) -> (CheckResult, String) {
    let wrong: Vec<Seen> = history.iter().filter(|seen| seen.sample.must_be_refused()).cloned().collect();
    let (taken, refused): (Vec<Seen>, Vec<Seen>) = wrong.into_iter().partition(Seen::is_taken);
    if refused.is_empty() {
        return (CheckResult::Fail, format!("nothing wrong was refused: {}", told(&taken)));
    }
    let other: Vec<Seen> = refused.iter().filter(|seen| !seen.status_in(400..500)).cloned().collect();
    (CheckResult::of(other.is_empty()), told(if other.is_empty() { &refused } else { &other }))
}

fn in_time(history: &[Seen], within: Duration) -> (CheckResult, String) {
    let Some(slowest) = history.iter().max_by_key(|seen| seen.took) else {
        return (CheckResult::NotJudged, "nothing was sent".to_owned());
    };
    let took = duration::measured(u64::try_from(slowest.took.as_millis()).unwrap_or(u64::MAX));
    let seen = match &slowest.answer {
        Answer::Late(reason) => reason.clone(),
        _ => format!("the slowest of {} took {took} ({})", history.len(), slowest.sample.name()),
    };
    (CheckResult::of(slowest.took <= within), seen)
}

/// `401`, or `200 (right one first), 401 (right one last)`; equal answers are named once.
fn told(seen: &[Seen]) -> String {
    match seen {
        [one] => one.answer.text(),
        [first, rest @ ..] if rest.iter().all(|other| other.answer == first.answer) => {
            format!("{} to each of {}", first.answer.text(), seen.len())
        }
        _ => {
            let each = seen.iter().map(|seen| format!("{} ({})", seen.answer.text(), seen.sample.name()));
            each.collect::<Vec<_>>().join(", ")
        }
    }
}

impl Seen {
    fn is_taken(&self) -> bool {
        self.status_in(200..300)
    }

    fn is_refused(&self) -> bool {
        matches!(self.answer, Answer::Status(_)) && !self.is_taken()
    }

    fn status_in(&self, range: std::ops::Range<u16>) -> bool {
        matches!(self.answer, Answer::Status(status) if range.contains(&status))
    }
}

impl Answer {
    fn of(outcome: Outcome) -> Answer {
        match (outcome.answer, outcome.error) {
            (_, Some(error)) if error.error_type == ErrorType::Timeout => Answer::Late(error.message),
            (Some(answer), Some(error)) if error.error_type == ErrorType::HttpError => Answer::Status(answer.status),
            (_, Some(error)) => Answer::Broken(error.message),
            (Some(answer), None) => Answer::Status(answer.status),
            (None, None) => Answer::Broken("no answer".to_owned()),
        }
    }

    fn text(&self) -> String {
        match self {
            Answer::Status(status) => status.to_string(),
            Answer::Late(reason) | Answer::Broken(reason) => reason.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(sample: Sample, status: u16) -> Seen {
        Seen { sample, answer: Answer::Status(status), took: Duration::from_millis(u64::from(status)) }
    }

    #[test]
    fn what_is_refused_must_be_so_by_a_4xx_and_what_is_taken_does_not_count() {
        let judge = |statuses: [u16; 3]| {
            let samples = [Sample::NoSignature, Sample::WrongSignature, Sample::Right];
            let history: Vec<Seen> = samples.into_iter().zip(statuses).map(|(s, status)| seen(s, status)).collect();
            refused_by_4xx(&history)
        };
        assert_eq!(judge([401, 401, 200]), (CheckResult::Pass, "401 to each of 2".to_owned()));
        assert_eq!(judge([401, 403, 500]).0, CheckResult::Pass);
        assert_eq!(judge([200, 403, 200]), (CheckResult::Pass, "403".to_owned()));
        assert_eq!(judge([401, 500, 200]), (CheckResult::Fail, "500".to_owned()));
        assert_eq!(judge([302, 500, 200]).1, "302 (no signature), 500 (wrong signature)");
        assert_eq!(judge([200, 204, 200]).0, CheckResult::Fail);
    }

    #[test]
    fn the_slowest_answer_decides_whether_all_are_in_time() {
        let history = [seen(Sample::Right, 200), seen(Sample::Large, 413)];
        assert_eq!(in_time(&history, Duration::from_millis(413)).0, CheckResult::Pass);
        let (outcome, seen) = in_time(&history, Duration::from_millis(412));
        assert_eq!((outcome, seen.as_str()), (CheckResult::Fail, "the slowest of 2 took 413ms (1 MiB)"));
    }
}
