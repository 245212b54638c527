//! Checks the addresses of webhooks before they are stored.
//!
//! A name that cannot be resolved in time is accepted: every request is checked again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use url::Host;

use crate::context::Context;
use crate::domain::network::BlockedAddress;
use crate::domain::target_url;
use crate::domain::webhook::{Field, Invalid, Settings};
use crate::http::{Egress, LookUps, Surroundings, Target, refusal};

/// The time limit of one look-up.
const LONGEST_LOOK_UP: Duration = Duration::from_secs(2);
/// The time limit of all look-ups of one command together.
const LONGEST_LOOK_UPS: Duration = Duration::from_secs(5);
/// The most look-ups at once.
const MOST_AT_ONCE: usize = 16;

pub fn check(context: &Context, settings: &Settings) -> Result<(), Invalid> {
    check_all(context, &[settings]).pop().map_or(Ok(()), |(_, invalid)| Err(invalid))
}

/// Checks the addresses of many webhooks; each name is resolved once. Returns the refused ones by index, in reverse order.
pub fn check_all(context: &Context, all: &[&Settings]) -> Vec<(usize, Invalid)> {
    let (questions, mut refused) = questions(&context.surroundings(), all);
    let (look_ups, deadline) = (LookUps::new(), Instant::now() + LONGEST_LOOK_UPS);
    for (question, blocked) in ask(&questions, |question| question.answer(&look_ups, deadline)) {
        refused.extend(question.askers.iter().map(|index| (*index, field(all[*index]).invalid(&blocked))));
    }
    refused.sort_by_key(|(index, _)| std::cmp::Reverse(*index));
    refused
}

/// The look-ups for these webhooks, and the webhooks whose URL cannot be called at all.
fn questions(surroundings: &Surroundings, all: &[&Settings]) -> (Vec<Question>, Vec<(usize, Invalid)>) {
    let (mut questions, mut refused) = (HashMap::new(), Vec::new());
    for (index, settings) in all.iter().enumerate() {
        match Question::new(surroundings, settings) {
            Ok(question) => {
                let key = (question.egress.policy.clone(), question.egress.leaves_names(), question.host.clone());
                questions.entry(key).or_insert(question).askers.push(index);
            }
            Err(invalid) => refused.push((index, invalid)),
        }
    }
    (questions.into_values().collect(), refused)
}

/// The setting that gives the URL, as messages name it.
fn field(settings: &Settings) -> Field {
    let source = settings.secret_url.as_ref().and_then(|url| url.source.as_ref());
    source.map_or(Field::URL, |source| Field::SECRET_URL.given_by(Some(source)))
}

/// A look-up: a host, a policy, and the webhooks that have both.
struct Question {
    egress: Egress,
    host: String,
    is_name: bool,
    target: Target,
    askers: Vec<usize>,
}

impl Question {
    fn new(surroundings: &Surroundings, settings: &Settings) -> Result<Question, Invalid> {
        let url = target_url::parse(&settings.full_url().unwrap_or_else(|| settings.url.as_str().into()))
            .map_err(|error| field(settings).invalid(error))?;
        let target = Target::new(&url).map_err(|error| field(settings).invalid(error))?;
        let egress = Egress::new(settings, surroundings);
        let host = url.host_str().unwrap_or_default().to_owned();
        Ok(Question { egress, host, is_name: matches!(url.host(), Some(Host::Domain(_))), target, askers: Vec::new() })
    }

    /// The refused address; `None` if there is none, or the name was not resolved in time.
    fn answer(&self, look_ups: &Arc<LookUps>, deadline: Instant) -> Option<BlockedAddress> {
        let left = deadline.saturating_duration_since(Instant::now()).min(LONGEST_LOOK_UP);
        if self.is_name && left.is_zero() {
            return None;
        }
        refusal(look_ups, &self.egress, &self.target, left)
    }
}

fn ask<Q: Sync, A: Send>(questions: &[Q], answer: impl Fn(&Q) -> Option<A> + Sync) -> Vec<(&Q, A)> {
    let next = AtomicUsize::new(0);
    let answers = Mutex::new(Vec::new());
    let work = || {
        while let Some(question) = questions.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Some(answer) = answer(question) {
                answers.lock().unwrap_or_else(PoisonError::into_inner).push((question, answer));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..questions.len().min(MOST_AT_ONCE) {
            // If no thread can be started, this one does all of it.
            let _ = thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    answers.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str, allow_private: bool) -> Settings {
        let mut settings = Settings::default();
        settings.set_url(url).unwrap();
        settings.addresses.allow_private = allow_private;
        settings
    }

    #[test]
    fn a_thousand_webhooks_of_one_host_are_one_look_up_for_each_policy() {
        let url = |number: usize| format!("http://unknown.example:{}/{number}", 1 + number % 3);
        let all: Vec<Settings> = (0..1_000).map(|number| settings(&url(number), number % 2 == 0)).collect();
        let (questions, refused) = questions(&Surroundings::default(), &all.iter().collect::<Vec<_>>());
        assert_eq!((questions.len(), refused.len()), (2, 0));
        assert_eq!(questions.iter().map(|question| question.askers.len()).sum::<usize>(), 1_000);
    }

    #[test]
    fn look_ups_are_made_together_a_bounded_number_at_once_and_each_once() {
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let questions: Vec<usize> = (0..100).collect();
        let mut answers = ask(&questions, |question| {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(20));
            running.fetch_sub(1, Ordering::SeqCst);
            (question % 2 == 0).then_some(())
        });
        answers.sort_unstable();
        assert_eq!(answers, (0..100).step_by(2).map(|even| (&questions[even], ())).collect::<Vec<_>>());
        assert!((2..=MOST_AT_ONCE).contains(&most.load(Ordering::SeqCst)), "{most:?} at once");
    }

    #[test]
    fn after_the_deadline_addresses_are_judged_and_names_are_let_through() {
        let over = Instant::now();
        for (url, is_refused) in [("http://localhost/", false), ("http://127.0.0.1/", true), ("http://[::1]/", true)] {
            let (questions, _) = questions(&Surroundings::default(), &[&settings(url, false)]);
            assert_eq!(questions[0].answer(&LookUps::new(), over).is_some(), is_refused, "{url}");
        }
    }
}
