//! Evaluates the filters and transforms of webhooks for events: before the transaction that stores the deliveries, because
//! an expression may take long.

use std::time::{Duration, Instant};

use crate::domain::attempt::{AttemptError, ErrorType, LocalTrouble};
use crate::domain::event::{EventParts, NewEvent};
use crate::domain::presets::Preset;
use crate::domain::webhook::Shape;
use crate::expressions::{self, Answer, Evaluated, Question, Task};

/// How long the evaluation of expressions may hold up a transaction, in total.
const LONGEST_HASTE: Duration = Duration::from_secs(1);

/// What a webhook gets for an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shaped {
    /// Nothing: its filter refuses the event.
    Unwanted,
    /// The event's payload.
    Payload,
    Body(Vec<u8>),
    /// A delivery that failed.
    Failed(AttemptError),
}

/// An event for which expressions are evaluated.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    pub shape: &'a Shape,
    pub event: EventParts<'a>,
    /// Whether the filter is applied.
    pub is_filtered: bool,
}

/// The results known so far for a set of events.
#[derive(Debug, Default)]
pub struct Shapings {
    /// By shape, then by the position of the event.
    known: Vec<(Shape, Vec<Option<Shaped>>)>,
}

/// A shape, and the position of an event for which it was not evaluated yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    pub shape: Shape,
    pub event: usize,
}

impl Shapings {
    /// The result for the event at that position, if known.
    pub fn of(&self, shape: &Shape, event: usize) -> Option<&Shaped> {
        if shape.is_plain() {
            return Some(&Shaped::Payload);
        }
        self.known.iter().find(|(known, _)| known == shape)?.1.get(event)?.as_ref()
    }

    /// Finds out what is lacking, by [`shape`] or, while a transaction waits for it, by [`shape_hastily`]. What that leaves out is
    /// still lacking.
    pub fn evaluate(
        &mut self,
        events: &[&NewEvent],
        lacking: Vec<Lack>,
        shape: impl Fn(&[Case<'_>]) -> Result<Vec<Shaped>, LocalTrouble>,
    ) -> Result<(), LocalTrouble> {
        let cases = lacking.iter().map(|lack| Case {
            shape: &lack.shape,
            event: events[lack.event].parts(),
            is_filtered: true,
        });
        let shaped = shape(&cases.collect::<Vec<_>>())?;
        lacking.into_iter().zip(shaped).for_each(|(lack, shaped)| self.note(lack, shaped));
        Ok(())
    }

    /// Counts what is missing as failed.
    pub fn fail(&mut self, lacking: Vec<Lack>, trouble: &LocalTrouble) {
        for lack in lacking {
            let question = first_question(&lack.shape);
            self.note(lack, outcome(question, Err(trouble.to_string())));
        }
    }

    fn note(&mut self, lack: Lack, shaped: Shaped) {
        let at = self.known.iter().position(|(known, _)| *known == lack.shape).unwrap_or_else(|| {
            self.known.push((lack.shape, Vec::new()));
            self.known.len() - 1
        });
        let of_events = &mut self.known[at].1;
        if of_events.len() <= lack.event {
            of_events.resize(lack.event + 1, None);
        }
        of_events[lack.event] = Some(shaped);
    }
}

/// [`shape`] while a transaction is open: once an expression has taken too long, it counts as failed for the other events.
pub fn shape_hastily(cases: &[Case<'_>]) -> Result<Vec<Shaped>, LocalTrouble> {
    let mut spent: Vec<(&Shape, Duration)> = Vec::new();
    let mut all = Vec::with_capacity(cases.len());
    for case in cases {
        let at = spent.iter().position(|(known, _)| *known == case.shape).unwrap_or_else(|| {
            spent.push((case.shape, Duration::ZERO));
            spent.len() - 1
        });
        if spent[at].1 >= LONGEST_HASTE {
            all.push(outcome(first_question(case.shape), Err("it took too long for the events before".to_owned())));
            continue;
        }
        let begun = Instant::now();
        all.extend(shape(&[*case])?);
        spent[at].1 += begun.elapsed();
    }
    Ok(all)
}

/// Shapes events, in their order.
pub fn shape(cases: &[Case<'_>]) -> Result<Vec<Shaped>, LocalTrouble> {
    shape_until(cases, None)
}

/// [`shape`] for the first events, as many as are done by the deadline, and at least one.
pub fn shape_until(cases: &[Case<'_>], deadline: Option<Instant>) -> Result<Vec<Shaped>, LocalTrouble> {
    let mut shaped = vec![Shaped::Payload; cases.len()];
    ask(cases, Question::Filter, &mut shaped, deadline, |case| {
        case.shape.filter.as_deref().filter(|_| case.is_filtered)
    })?;
    ask(cases, Question::Transform, &mut shaped, deadline, |case| case.shape.transform.as_deref())?;
    for (case, shaped) in cases.iter().zip(&mut shaped).filter(|(_, shaped)| **shaped == Shaped::Payload) {
        if let Some(preset) = case.shape.preset {
            *shaped = made(preset, &case.event);
        }
    }
    Ok(shaped)
}

/// What a preset makes: no expression of the user's, so that it needs no process of its own.
fn made(preset: Preset, event: &EventParts<'_>) -> Shaped {
    match preset.body(event) {
        Ok(body) => Shaped::Body(body),
        Err(reason) => Shaped::Failed(AttemptError {
            error_type: ErrorType::TransformError,
            message: format!("the preset {} made no body: {reason}", preset.name()),
        }),
    }
}

/// Puts a question to the cases that are not decided yet and have an expression for it. Those that it was too late for are cut
/// off, with all behind them.
fn ask(
    cases: &[Case<'_>],
    question: Question,
    shaped: &mut Vec<Shaped>,
    deadline: Option<Instant>,
    expression: impl for<'c> Fn(&Case<'c>) -> Option<&'c str>,
) -> Result<(), LocalTrouble> {
    let open = (0..shaped.len()).filter(|at| shaped[*at] == Shaped::Payload);
    let asked: Vec<(usize, &str)> = open.filter_map(|at| Some((at, expression(&cases[at])?))).collect();
    let tasks: Vec<Task<'_>> =
        asked.iter().map(|(at, expression)| Task { question, expression, event: cases[*at].event.payload }).collect();
    if tasks.is_empty() {
        return Ok(());
    }
    let results = expressions::evaluate(&tasks, deadline)?;
    if let Some((at, _)) = asked.get(results.len()) {
        shaped.truncate(*at);
    }
    for ((at, _), evaluated) in asked.iter().zip(results) {
        shaped[*at] = outcome(question, evaluated);
    }
    Ok(())
}

/// Which expression of a shape is evaluated first.
fn first_question(shape: &Shape) -> Question {
    if shape.filter.is_some() { Question::Filter } else { Question::Transform }
}

fn outcome(question: Question, evaluated: Evaluated) -> Shaped {
    match evaluated {
        Ok(Answer::Unwanted) => Shaped::Unwanted,
        Ok(Answer::Wanted) => Shaped::Payload,
        Ok(Answer::Body(body)) => Shaped::Body(body),
        Err(reason) => Shaped::Failed(match question {
            Question::Filter => AttemptError {
                error_type: ErrorType::FilterError,
                message: format!("the filter gave no answer: {reason}"),
            },
            Question::Transform => AttemptError {
                error_type: ErrorType::TransformError,
                message: format!("the transform made no body: {reason}"),
            },
        }),
    }
}
