//! `hookctl emit`

pub mod batch;
mod content;
mod dry_run;
mod held_back;
mod lines;
mod options;
mod receivers;
mod view;

use anyhow::Result;

pub use self::content::{failure, json_argument};
use self::held_back::HeldBack;
pub use self::options::Emit;
use self::receivers::{check_named, receivers};
pub use self::view::EmitView;
use crate::commands::catalogue::warn_of_slips_from;
use crate::commands::event_type::contract::own_example;
use crate::commands::sending::{self, Sending};
use crate::commands::wording::counted;
use crate::context::{Context, Exit};
use crate::delivery::{AcceptOptions, Acceptance, SentAtOnce, Shapings, Summary, accept_shaped, shape, stored};
use crate::domain::event::NewEvent;
use crate::domain::event_draft::Field;
use crate::domain::webhook::masked;
use crate::error::{Failure, Kind};
use crate::store::{Accepted, Intake, NewClaim, Store, StoreError, Subscriber};

impl Emit {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        if let Some(file) = &self.batch {
            return batch::run(&self, file, context);
        }
        let Some(event_type) = &self.event_type else { return Err(Failure::invalid("TYPE is missing").into()) };
        // What is refused makes no database.
        let read = (self.dry_run || self.example).then(|| context.store_to_read()).transpose()?;
        let example = match &read {
            Some(store) if self.example && self.data.is_none() => own_example(store.event_type(event_type)?)?,
            _ => None,
        };
        let draft = content::draft(&self, event_type, example.as_deref())?;
        let mut random = context.random()?;
        if !self.dry_run {
            context.refuse_if_read_only()?;
            notice_of_exposed_header(context, &self.headers);
        }
        let (token, id) = (random.next_token(), random.next_u128());
        // Its envelope says when it was; on a server that is the time there, which is known later.
        let mut envelope = draft.payload.is_none().then(|| draft.clone());
        let mut event = draft.into_event(context.now(), id).map_err(failure)?;
        if let Some(store) = read.filter(|_| self.dry_run) {
            dry_run::run(&self, &event, &store, context)?;
            return Ok(Exit::DONE);
        }
        let store = context.store_to_emit()?;
        store.leave_short_log()?;
        let mut held_back = HeldBack::default();
        let mut shapings = Shapings::default();
        let (reception, named, intakes) = loop {
            let (reception, named, acceptance) = stored(&store, || {
                let reception = store.reception(event_type, !self.enqueue)?;
                let named = context.subscriber_ids(&reception.subscribers, &self.webhooks)?;
                if context.clock.follows_server() {
                    event.created_at = context.now();
                    // Once, for filters and transforms are evaluated on it.
                    if let Some(envelope) = envelope.take() {
                        event = envelope.into_event(context.now(), id).map_err(failure)?;
                    }
                }
                check_named(&reception.subscribers, &event, &named)?;
                if !self.enqueue {
                    reception.check_key_of(&receivers(&reception.subscribers, &event, &named))?;
                }
                let claim = NewClaim { now: context.now(), token };
                let at_once = SentAtOnce { claim, workers: self.concurrency };
                let at_once = Some(at_once).filter(|_| !self.enqueue);
                let (subscribers, dedupe) = (reception.subscribers.as_slice(), self.dedupe);
                let options =
                    AcceptOptions { subscribers, named: &named, dedupe, at_once, schemas: None, is_last: true };
                let acceptance = accept_shaped(&store, &[&event], &shapings, options)?;
                Ok((reception, named, acceptance))
            })?;
            match acceptance {
                Acceptance::Stored(intakes) => break (reception, named, intakes),
                Acceptance::Lacking(lacking) => shapings.evaluate(&[&event], lacking, shape)?,
            }
        };
        held_back.note(&reception.subscribers, &event, &named);
        let intake = intakes.into_iter().next().expect("one answer to one event");
        let done = match intake.accepted {
            Accepted::New(_) => {
                held_back.tell(context);
                // Once: whoever emits it again means it.
                let known = reception.catalogue.iter().map(String::as_str);
                if !reception.catalogue.is_empty() {
                    warn_of_slips_from(context, [event_type.as_str()], known);
                }
                self.deliver(context, &store, &event, (intake, &reception.subscribers))
            }
            Accepted::Duplicate(row) => self.tell_duplicate(context, &store, row),
            Accepted::Conflict => return Err(dry_run::conflict(&event.event_id).into()),
            Accepted::Refused(reason) => return Err(Failure::option(Field::Data.option(), reason).into()),
        };
        store.leave_to_exit();
        done.map_err(|error| accepted_but(error, &event.event_id))
    }

    /// What follows once a new event is stored.
    fn deliver(
        &self,
        context: &mut Context,
        store: &Store,
        event: &NewEvent,
        (intake, subscribers): (Intake, &[Subscriber]),
    ) -> Result<Exit> {
        let (event_type, owed) = (&event.event_type, intake.deliveries.len() + intake.claimed.len());
        let count = intake.count();
        if count == 0 {
            context.out.notice(&format!(
                "no active webhook wants {event_type}; the event is stored (`hookctl emit {event_type} --dry-run` tells why)"
            ));
        }
        let Accepted::New(event_row) = intake.accepted else { return Ok(Exit::DONE) };
        let load = || EmitView::load(store, event_row, false);
        // Where a filter or transform failed, the stored deliveries say more than `intake`.
        let has_failed = !intake.failed.is_empty();
        let mut view = EmitView::accepted(event, &intake, subscribers);
        if self.enqueue || owed == 0 {
            view = if has_failed { load()? } else { view };
            context.out.outcome(&view)?;
            return Ok(self.exit(&view));
        }
        let count = counted(count as u64, "delivery", "deliveries");
        context.out.notice(&format!("event {} is accepted, with {count}", event.event_id));
        let options = sending::options(context, self.concurrency.min(owed))?;
        let mut sending = Sending::new(context, store, options)?;
        sending.engine.keep_settled();
        sending.engine.add_claimed(intake.claimed, event)?;
        sending.engine.add_deliveries(intake.deliveries);
        let sent = sending.finish(context, "Delivering", Summary::default(), owed as u64);
        let seen = match !has_failed && view.settle(&sending.engine) {
            true => Ok(()),
            // Others may have attempted what this run did not.
            false => load().map(|loaded| view = loaded),
        };
        if seen.is_ok() {
            context.out.outcome(&view)?;
        }
        sent.and(seen)?;
        Ok(sending.stop.exit().unwrap_or(self.exit(&view)))
    }

    /// The same event was accepted before: it is judged by what became of it.
    fn tell_duplicate(&self, context: &mut Context, store: &Store, event_row: i64) -> Result<Exit> {
        context.out.notice("the same event was accepted before; nothing was sent");
        let view = EmitView::load(store, event_row, true)?;
        context.out.outcome(&view)?;
        Ok(self.exit(&view))
    }

    fn exit(&self, view: &EmitView) -> Exit {
        if self.strict && !view.is_delivered() { Exit::NOT_DELIVERED } else { Exit::DONE }
    }
}

/// Warns that a credential given as an argument can be seen, and that a header of an event goes to every receiver.
fn notice_of_exposed_header(context: &mut Context, headers: &[(String, String)]) {
    if let Some((name, _)) = headers.iter().find(|(name, _)| masked::is_credential(name)) {
        context.out.notice(&format!(
            "the value of {name} was an argument, which other users of the machine can see, and goes to every receiver; \
             better: hookctl webhook update WEBHOOK --header-env {name}=VAR"
        ));
    }
}

/// What went wrong after an event was stored. Whatever keeps a result from being recorded passes, so it is worth trying
/// again: by a drain, not by another emit.
fn accepted_but(error: anyhow::Error, event_id: &str) -> anyhow::Error {
    let Some(mut failure) = Failure::of(&error) else { return error };
    let mut store = error.chain().find_map(|cause| cause.downcast_ref::<StoreError>());
    if let Some(StoreError::NotRecorded { reason, .. }) = store {
        store = Some(reason.as_ref());
    }
    if matches!(store, Some(StoreError::Busy | StoreError::Again | StoreError::Full | StoreError::Io(_))) {
        failure.kind = Kind::Busy;
    }
    let message = format!("event {event_id} is accepted; {}", failure.message);
    Failure::new(failure.kind, message).hint("do not emit it again: the next `hookctl drain` goes on, and with a request in flight once its lease expires").into()
}
