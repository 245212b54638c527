//! `hookctl emit --batch`: events one a line, stored in durable groups, delivered while reading.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::EmitView;
use super::held_back::HeldBack;
use super::lines::{Lines, Next};
use super::options::Emit;
use super::receivers::{check_named, receivers};
use crate::commands::sending::{self, Sending, Tally};
use crate::commands::wording::counted;
use crate::context::{Context, Exit};
use crate::delivery::{AcceptOptions, Schemas, Summary, Turn, accept_durably};
use crate::domain::custom_headers;
use crate::domain::envelope::{Content, Entity};
use crate::domain::event::{NewEvent, PAYLOAD_LIMIT};
use crate::domain::event_draft::Draft;
use crate::domain::owner::Owner;
use crate::domain::time::Timestamp;
use crate::error::Failure;
use crate::output::{Page, Text};
use crate::random::Random;
use crate::store::{Accepted, Intake, Store, Subscriber};

/// How many lines are stored in one transaction while deliveries are sent.
const GROUP: usize = 500;
/// The same with `--enqueue`: more, because each transaction writes every page that it touches.
const LARGE_GROUP: usize = 2_000;
/// A group ends when its payloads reach this size, so that memory stays bounded.
const GROUP_BYTES: usize = 4 * 1024 * 1024;
/// Reading pauses while more deliveries than this wait to be sent, so that memory stays bounded.
const MOST_WAITING: usize = 4_096;
/// How long to wait for another line before storing what was read.
const PATIENCE: Duration = Duration::from_millis(20);
/// The longest line, in bytes: a payload of the largest size and all escapes still fits.
const LONGEST_LINE: usize = 4 * PAYLOAD_LIMIT;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with type, and data or payload")]
struct Line<'a> {
    #[serde(rename = "type", alias = "event_type")]
    event_type: String,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
    event_id: Option<String>,
    key: Option<String>,
    #[serde(borrow)]
    user: Option<&'a RawValue>,
    entity: Option<LineEntity>,
    action: Option<String>,
    description: Option<String>,
    owner: Option<String>,
    #[serde(borrow)]
    headers: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "entity: expected an object with type, id and name, or the text TYPE:ID[:NAME]")]
enum LineEntity {
    Text(String),
    Object(EntityObject),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntityObject {
    #[serde(rename = "type")]
    kind: String,
    id: serde_json::Value,
    name: Option<String>,
}

#[derive(Debug, Default, Serialize)]
struct BatchView {
    lines: u64,
    accepted: u64,
    duplicates: u64,
    rejected: u64,
    deliveries: u64,
    #[serde(flatten)]
    tally: Tally,
    rejections: Vec<Rejection>,
    /// Events that no webhook wanted, and duplicates of events that are not delivered.
    #[serde(skip)]
    undelivered: u64,
    /// Deliveries whose filter or transform failed.
    #[serde(skip)]
    failed_at_once: u64,
}

#[derive(Debug, Serialize)]
struct Rejection {
    line: u64,
    reason: String,
}

/// How many rejected lines the summary lists; all are reported on stderr as they come.
const MOST_LISTED: usize = 100;

impl Page for BatchView {
    fn describe(&self, text: &mut Text) {
        text.field("Lines", self.lines as i64);
        text.field("Accepted", self.accepted as i64);
        text.field("Duplicates", self.duplicates as i64);
        text.field("Rejected", self.rejected as i64);
        text.field("Deliveries", self.deliveries as i64);
        if self.tally.claimed > 0 {
            text.field("Attempted", format!("{}: {}", self.tally.claimed, self.tally.told()));
        }
    }
}

pub(super) fn run(emit: &Emit, file: &str, context: &mut Context) -> Result<Exit> {
    context.refuse_if_read_only()?;
    let (input, size) = open(file)?;
    let store = context.store_to_write()?;
    let lacks_key = !emit.enqueue
        && match store.check_key() {
            Err(error) if error.is_of_key() => true,
            checked => checked.map(|()| false)?,
        };
    store.expect_large_transactions()?;
    let named = context.webhook_ids(&store, &emit.webhooks)?;
    let named_webhooks = if named.is_empty() { Vec::new() } else { store.subscribers()? };
    let options = sending::options(context, emit.concurrency)?;
    let mut batch = Batch {
        emit,
        store: &store,
        named,
        named_webhooks,
        sending: Sending::new(context, &store, options)?,
        random: context.random()?,
        view: BatchView::default(),
        held_back: HeldBack::default(),
        schemas: Schemas::default(),
        bytes: 0,
        is_sending: false,
        lacks_key,
        group_bytes: 0,
        stored_lines: 0,
        known: BTreeSet::new(),
    };
    let done = batch.read(context, &input, size).and_then(|()| batch.finish(context));
    let Batch { mut view, held_back, sending, stored_lines, .. } = batch;
    held_back.tell(context);
    if view.failed_at_once > 0 {
        let failed = counted(view.failed_at_once, "delivery failed", "deliveries failed");
        context.out.notice(&format!(
            "{failed} by the filter or transform of its webhook, and nothing was sent: `hookctl delivery list --status failed`"
        ));
    }
    view.tally = sending.tally();
    if let Err(error) = done {
        if stored_lines == 0 {
            return Err(error);
        }
        view.lines = stored_lines;
        context.out.outcome(&view)?;
        return Err(broken_off(error, stored_lines));
    }
    context.out.outcome(&view)?;
    let is_delivered = view.undelivered == 0 && view.tally.succeeded == view.deliveries;
    let exit = sending.exit(!emit.strict || is_delivered);
    // A stop by a signal has its own exit code.
    Ok(if view.rejected > 0 && sending.stop.exit().is_none() { Exit::REJECTED } else { exit })
}

/// What went wrong after the first lines were stored.
fn broken_off(error: anyhow::Error, stored_lines: u64) -> anyhow::Error {
    let Some(failure) = Failure::of(&error) else { return error };
    Failure::new(failure.kind, format!("lines 1 to {stored_lines} are accepted; {}", failure.message))
        .hint(format!(
            "emit again what follows line {stored_lines}, if anything does; the next `hookctl drain` delivers the rest"
        ))
        .into()
}

struct Batch<'a> {
    emit: &'a Emit,
    store: &'a Store,
    named: Vec<i64>,
    /// The webhooks, where --webhook names some, as they were when the batch began.
    named_webhooks: Vec<Subscriber>,
    sending: Sending<'a>,
    random: Random,
    view: BatchView,
    held_back: HeldBack,
    schemas: Schemas,
    bytes: u64,
    /// Whether some webhooks cannot be sent to, as the database's key is not there.
    lacks_key: bool,
    /// Whether the engine had something to do when it last turned.
    is_sending: bool,
    /// The payloads of the group that is being read, in bytes.
    group_bytes: usize,
    /// The lines up to this one are accepted or rejected.
    stored_lines: u64,
    /// With `--strict`, the events that lines are duplicates of.
    known: BTreeSet<i64>,
}

impl Batch<'_> {
    fn read(&mut self, context: &mut Context, input: &Lines, size: Option<u64>) -> Result<()> {
        let progress = context.out.progress("Reading", size.map(|_| 0));
        let mut group = Vec::new();
        while !self.sending.stop.is_asked() {
            let patience = if self.is_sending { Duration::ZERO } else { PATIENCE };
            let next = input.next(patience);
            match next.map_err(|error| Failure::option("--batch", format!("cannot read: {error}")))? {
                Next::Lines(lines) => {
                    for line in lines {
                        self.take_line(context, &line, &mut group)?;
                    }
                }
                // While no line comes, those that came are stored, and stored ones are delivered.
                Next::Idle if group.is_empty() => self.is_sending = self.sending.engine.turn()? == Turn::Busy,
                Next::Idle => self.store_group(context, &mut group)?,
                Next::End => {
                    self.store_group(context, &mut group)?;
                    break;
                }
            }
            match size {
                // The number of lines is estimated from the length of those read so far.
                Some(size) => {
                    let share = size as f64 / self.bytes.max(1) as f64;
                    progress.set_of(self.view.lines, (self.view.lines as f64 * share).round() as u64);
                }
                None => progress.set(self.view.lines),
            }
            progress.note(self.view.rejected + self.sending.engine.summary().not_delivered());
        }
        progress.finish();
        Ok(())
    }

    /// Waits for the deliveries that are still to be attempted. On a stop the engine gives back what it has claimed.
    fn finish(&mut self, context: &mut Context) -> Result<()> {
        self.sending.finish(context, "Delivering", Summary::default(), self.view.deliveries)?;
        // The original may be a line of this batch that was still in flight when its duplicate came.
        for row in &self.known {
            self.view.undelivered += u64::from(!EmitView::load(self.store, *row, true)?.is_delivered());
        }
        Ok(())
    }

    fn take_line(&mut self, context: &mut Context, line: &[u8], group: &mut Vec<(u64, NewEvent)>) -> Result<()> {
        self.view.lines += 1;
        self.bytes += line.len() as u64;
        let number = self.view.lines;
        match event_of(line, self.emit.owner.as_ref().and_then(Owner::name), context.now(), self.random.next_u128()) {
            Ok(Some(event)) => match check_named(&self.named_webhooks, &event, &self.named) {
                Ok(()) => {
                    self.group_bytes += event.payload.len();
                    group.push((number, event));
                }
                Err(failure) => self.reject(context, number, failure.message),
            },
            Ok(None) => {}
            Err(reason) => self.reject(context, number, reason),
        }
        let most = if self.emit.enqueue { LARGE_GROUP } else { GROUP };
        if group.len() >= most || self.group_bytes >= GROUP_BYTES {
            self.store_group(context, group)?;
        }
        Ok(())
    }

    /// One durable transaction for the group, or a few where expressions take long; then its deliveries go out while reading
    /// goes on.
    fn store_group(&mut self, context: &mut Context, group: &mut Vec<(u64, NewEvent)>) -> Result<()> {
        while !group.is_empty() {
            let (subscribers, intakes) = self.accept(group)?;
            let stored = intakes.len();
            self.stored_lines = group[..stored].last().map_or(self.stored_lines, |(number, _)| *number);
            for ((number, event), intake) in group.drain(..stored).zip(intakes) {
                self.note(context, &subscribers, (number, event), intake);
            }
            if self.emit.enqueue {
                continue;
            }
            self.is_sending = self.sending.engine.turn()? == Turn::Busy;
            while self.sending.engine.backlog() > MOST_WAITING && !self.sending.stop.is_asked() {
                self.sending.engine.turn()?;
            }
        }
        self.group_bytes = 0;
        Ok(())
    }

    fn accept(&self, group: &[(u64, NewEvent)]) -> Result<(Vec<Subscriber>, Vec<Intake>)> {
        let events: Vec<&NewEvent> = group.iter().map(|(_, event)| event).collect();
        let (named, dedupe) = (self.named.as_slice(), self.emit.dedupe);
        let options =
            AcceptOptions { named, dedupe, schemas: Some(&self.schemas), is_last: true, ..AcceptOptions::default() };
        accept_durably(self.store, &events, options, |subscribers| {
            if !self.lacks_key {
                return Ok(());
            }
            let to = events.iter().flat_map(|event| receivers(subscribers, event, named));
            self.store.check_key_of(&to.collect::<BTreeSet<i64>>().into_iter().collect::<Vec<_>>())
        })
    }

    /// Counts a line by its result.
    fn note(
        &mut self,
        context: &mut Context,
        subscribers: &[Subscriber],
        (number, event): (u64, NewEvent),
        intake: Intake,
    ) {
        match intake.accepted {
            Accepted::New(_) => {
                self.view.accepted += 1;
                self.view.undelivered += u64::from(intake.count() == 0);
                self.view.failed_at_once += intake.failed.len() as u64;
                self.held_back.note(subscribers, &event, &self.named);
                self.view.deliveries += intake.count() as u64;
                if !self.emit.enqueue {
                    self.sending.engine.add_deliveries(intake.deliveries);
                }
            }
            Accepted::Duplicate(row) => {
                self.view.duplicates += 1;
                if self.emit.strict {
                    self.known.insert(row);
                }
            }
            Accepted::Refused(reason) => self.reject(context, number, format!("data: {reason}")),
            Accepted::Conflict => {
                let reason = format!("event_id: '{}' was used before with another payload or owner", event.event_id);
                self.reject(context, number, reason);
            }
        }
    }

    fn reject(&mut self, context: &mut Context, line: u64, reason: String) {
        context.out.alarm(&format!("line {line} rejected: {reason}"));
        self.view.rejected += 1;
        if self.view.rejections.len() < MOST_LISTED {
            self.view.rejections.push(Rejection { line, reason });
        }
    }
}

/// The event of a line; `None` for a blank one. `random` makes its id; `owner` is used if it names no owner.
pub fn event_of(line: &[u8], owner: Option<&str>, now: Timestamp, random: u128) -> Result<Option<NewEvent>, String> {
    if line.len() > LONGEST_LINE {
        return Err(format!("longer than {LONGEST_LINE} bytes"));
    }
    let line = line.trim_ascii();
    if line.is_empty() {
        return Ok(None);
    }
    if !line.starts_with(b"{") {
        serde_json::from_slice::<IgnoredAny>(line).map_err(|error| format!("not valid JSON: {error}"))?;
        return Err("not a JSON object".to_owned());
    }
    let parsed: Line<'_> = serde_json::from_slice(line).map_err(|error| told(&error))?;
    let event = parsed.into_draft(owner)?.into_event(now, random);
    event.map(Some).map_err(|error| format!("{}: {}", error.field.key(), error.reason))
}

impl<'a> Line<'a> {
    fn into_draft(self, owner: Option<&'a str>) -> Result<Draft<'a>, String> {
        Ok(Draft {
            event_type: self.event_type.into(),
            event_id: self.event_id.map(Cow::Owned),
            key: self.key.map(Cow::Owned),
            owner: self.owner.map(Cow::Owned).or(owner.map(Cow::Borrowed)),
            payload: self.payload.map(payload_bytes).transpose()?,
            headers: self
                .headers
                .map(|object| custom_headers::of_json(object.get().as_bytes()))
                .transpose()?
                .unwrap_or_default(),
            content: Content {
                user: self.user.map(Cow::Borrowed),
                entity: self.entity.map(LineEntity::into_entity).transpose()?,
                action: self.action.map(Cow::Owned),
                description: self.description.map(Cow::Owned),
                data: self.data.map(Cow::Borrowed),
            },
        })
    }
}

impl LineEntity {
    fn into_entity(self) -> Result<Entity, String> {
        match self {
            LineEntity::Text(text) => Entity::parse(&text).map_err(|error| format!("entity: {error}")),
            LineEntity::Object(EntityObject { kind, id, name }) => {
                let id = match id {
                    serde_json::Value::String(id) => id,
                    serde_json::Value::Number(id) => id.to_string(),
                    _ => return Err("entity: its id is neither text nor a number".to_owned()),
                };
                Ok(Entity { kind, id, name })
            }
        }
    }
}

/// What is wrong with the JSON of a line, or with its keys.
fn told(error: &serde_json::Error) -> String {
    match error.classify() {
        serde_json::error::Category::Data => error.to_string(),
        _ => format!("not valid JSON: {error}"),
    }
}

/// A payload that is a JSON string is sent as its text; any other JSON as it is written.
fn payload_bytes(payload: &RawValue) -> Result<Vec<u8>, String> {
    if !payload.get().starts_with('"') {
        return Ok(payload.get().as_bytes().to_vec());
    }
    let text: String = serde_json::from_str(payload.get()).map_err(|error| format!("payload: {error}"))?;
    Ok(text.into_bytes())
}

/// The lines of a file or of stdin, and the size in bytes if it is known.
fn open(file: &str) -> Result<(Lines, Option<u64>), Failure> {
    let fail = |reason: &str| Failure::option("--batch", format!("cannot read '{file}': {reason}"));
    if file == "-" {
        let lines = Lines::of(std::io::stdin(), LONGEST_LINE).map_err(|error| fail(&error.to_string()))?;
        return Ok((lines, None));
    }
    let metadata = std::fs::metadata(file).ok();
    if metadata.as_ref().is_some_and(std::fs::Metadata::is_dir) {
        return Err(fail("it is a directory"));
    }
    let lines = std::fs::File::open(file).and_then(|file| Lines::of(file, LONGEST_LINE));
    let size = metadata.filter(std::fs::Metadata::is_file).map(|metadata| metadata.len());
    Ok((lines.map_err(|error| fail(&error.to_string()))?, size))
}
