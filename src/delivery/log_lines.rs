//! What the engine logs: each attempt once it is recorded, and each claim.

use super::job::{EndedJob, Job};
use crate::domain::attempt::{Attempt, ErrorType};
use crate::log::{self, Field, Level};

pub(super) fn log_attempts(group: &[EndedJob]) {
    if !log::is_on(Level::Info) {
        return;
    }
    for ended in group {
        if let Some(attempt) = ended.attempt() {
            log_attempt(&ended.job, attempt);
        }
    }
}

fn log_attempt(job: &Job, attempt: &Attempt) {
    let (answer, error) = (attempt.outcome.answer.as_ref(), attempt.outcome.error.as_ref());
    let mut fields = vec![
        ("delivery", Field::Number(job.claimed.id)),
        ("webhook", Field::Text(&job.webhook.settings.name)),
        ("event_type", Field::Text(&job.payload.event_type)),
        ("event_id", Field::Text(&job.payload.event_id)),
        ("attempt", Field::Number(i64::from(attempt.number))),
        ("result", Field::Text(error.map_or("success", |error| error.error_type.as_str()))),
    ];
    fields.extend(answer.map(|answer| ("status_code", Field::Number(i64::from(answer.status)))));
    // That of an answer only repeats its status.
    let error = error.filter(|error| error.error_type != ErrorType::HttpError);
    fields.extend(error.map(|error| ("error", Field::Text(&error.message))));
    fields.push(("duration_ms", Field::Number(attempt.duration_ms)));
    log::write(Level::Info, "attempt", &fields);
}

pub(super) fn log_claims(jobs: &[Job]) {
    if !log::is_on(Level::Debug) {
        return;
    }
    for job in jobs {
        let webhook = &job.webhook.settings.name;
        let fields = [("delivery", Field::Number(job.claimed.id)), ("webhook", Field::Text(webhook))];
        log::write(Level::Debug, "claim", &fields);
    }
}
