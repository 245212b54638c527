//! Taking events in: which webhooks get a delivery of them.

use std::time::{Duration, Instant};

use super::announcement::{Announcement, FailedDelivery};
use super::room::most_at_once;
use super::schemas::Schemas;
use super::shaping::{Lack, Shaped, Shapings, shape_hastily, shape_until};
use crate::domain::attempt::AttemptError;
use crate::domain::event::NewEvent;
use crate::domain::event_type;
use crate::domain::owner;
use crate::domain::time::Timestamp;
use crate::random::Random;
use crate::store::{Accepted, Intake, NewClaim, NewDelivery, Offer, Sends, Store, StoreError, Subscriber};

/// Whether a webhook gets an event, or why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matching {
    Wanted,
    Disabled,
    /// None of its patterns matches, or one takes the type out.
    Pattern,
    /// It belongs to somebody else.
    Owner,
    /// Others were named.
    NotNamed,
}

impl Matching {
    /// Decides for one webhook. `named` is empty when no webhook was named.
    pub fn of(webhook: &Subscriber, event_type: &str, owner: Option<&str>, named: &[i64]) -> Matching {
        if !named.is_empty() && !named.contains(&webhook.id) {
            return Matching::NotNamed;
        }
        if !owner::may_reach(event_type, owner, webhook.owner.as_deref()) {
            return Matching::Owner;
        }
        if !event_type::wants(&webhook.events, event_type) {
            return Matching::Pattern;
        }
        if webhook.is_active { Matching::Wanted } else { Matching::Disabled }
    }
}

/// How the first deliveries of an event that is sent at once are claimed.
#[derive(Clone, Copy, Debug)]
pub struct SentAtOnce {
    pub claim: NewClaim,
    /// How many workers will send them.
    pub workers: usize,
}

/// Who gets events, and how they are taken in.
#[derive(Clone, Copy, Debug, Default)]
pub struct AcceptOptions<'a> {
    pub subscribers: &'a [Subscriber],
    /// No others than these, unless it is empty.
    pub named: &'a [i64],
    /// An event that was accepted before within this time is a duplicate.
    pub dedupe: Option<Duration>,
    pub at_once: Option<SentAtOnce>,
    /// Schemas that were read before.
    pub schemas: Option<&'a Schemas>,
    /// Whether nothing follows in the transaction.
    pub is_last: bool,
}

/// How often a transaction is begun that others were in the way of.
const TRIES: u32 = 3;

/// A transaction that stores events, begun anew where others were in its way.
pub fn stored<T>(store: &Store, mut store_events: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let was_in_the_way = |error: &anyhow::Error| matches!(error.downcast_ref(), Some(StoreError::Again));
    let mut tries = 1;
    loop {
        match store.shared_transaction(&mut store_events) {
            Err(error) if tries < TRIES && was_in_the_way(&error) => tries += 1,
            done => return done,
        }
    }
}

/// How long expressions run before the events that are done with are stored: what goes on beside waits for no more than that.
const LONGEST_EVALUATION: Duration = Duration::from_secs(1);

/// [`accept`] in a transaction of its own: expressions run between its tries, while nothing is locked. The transaction reads the
/// webhooks, and `check` may refuse to go on for them. Where expressions take long only the first events are stored, at least one.
/// The webhooks, and an answer for each event that was stored.
pub fn accept_durably(
    store: &Store,
    mut events: &[&NewEvent],
    options: AcceptOptions<'_>,
    check: impl Fn(&[Subscriber]) -> Result<(), StoreError>,
) -> anyhow::Result<(Vec<Subscriber>, Vec<Intake>)> {
    let (mut shapings, began) = (Shapings::default(), Instant::now());
    loop {
        let (subscribers, acceptance) = stored(store, || {
            let subscribers = store.subscribers()?;
            check(&subscribers)?;
            let options = AcceptOptions { subscribers: &subscribers, ..options };
            let acceptance = accept_shaped(store, events, &shapings, options)?;
            Ok((subscribers, acceptance))
        })?;
        let lacking = match acceptance {
            Acceptance::Stored(intakes) => return Ok((subscribers, intakes)),
            Acceptance::Lacking(lacking) => lacking,
        };
        let done = lacking.first().map_or(0, |lack| lack.event);
        if done > 0 && began.elapsed() >= LONGEST_EVALUATION {
            events = &events[..done];
            continue;
        }
        let deadline = Instant::now().checked_add(LONGEST_EVALUATION);
        shapings.evaluate(events, lacking, |cases| shape_until(cases, deadline))?;
    }
}

/// Stores events, each with a delivery for each webhook that wants it, but for those that the schemas of their types refuse. Runs
/// in the caller's transaction, and expressions in it too: for events that are few.
pub fn accept<'e>(
    store: &Store,
    events: impl IntoIterator<Item = &'e NewEvent>,
    options: AcceptOptions<'_>,
) -> Result<Vec<Intake>, StoreError> {
    accept_by(store, events.into_iter().collect(), options, |shapings, events, lacking| {
        shapings.evaluate(events, lacking, shape_hastily).map_err(|trouble| StoreError::Other(trouble.to_string()))
    })
}

fn accept_by(
    store: &Store,
    events: Vec<&NewEvent>,
    options: AcceptOptions<'_>,
    evaluate: impl Fn(&mut Shapings, &[&NewEvent], Vec<Lack>) -> Result<(), StoreError>,
) -> Result<Vec<Intake>, StoreError> {
    let mut shapings = Shapings::default();
    loop {
        match accept_shaped(store, &events, &shapings, options)? {
            Acceptance::Stored(intakes) => return Ok(intakes),
            Acceptance::Lacking(lacking) => evaluate(&mut shapings, &events, lacking)?,
        }
    }
}

/// What came of [`accept_shaped`].
#[derive(Debug)]
pub enum Acceptance {
    Stored(Vec<Intake>),
    /// Nothing was stored: this is to be evaluated first, after the transaction.
    Lacking(Vec<Lack>),
}

/// [`accept`] for which the expressions were run beforehand. Whether it was by the settings of now is decided here.
pub fn accept_shaped(
    store: &Store,
    events: &[&NewEvent],
    shapings: &Shapings,
    options: AcceptOptions<'_>,
) -> Result<Acceptance, StoreError> {
    let AcceptOptions { subscribers, named, dedupe, at_once, schemas, is_last } = options;
    let mut refusals = match subscribers.first().is_none_or(|webhook| webhook.are_there_schemas) {
        true => schemas.unwrap_or(&Schemas::default()).refusals(store, events)?,
        false => Vec::new(),
    };
    refusals.resize(events.len(), None);
    let is_wanted = |event: &NewEvent, webhook: &Subscriber| {
        event.about != Some(webhook.id)
            && Matching::of(webhook, &event.event_type, event.owner.as_deref(), named) == Matching::Wanted
    };
    let (mut offers, mut lacking) = (Vec::with_capacity(events.len()), Vec::new());
    for (at, event) in events.iter().enumerate().filter(|(at, _)| refusals[*at].is_none()) {
        let known_since = dedupe.map(|window| event.created_at.minus(window));
        let lacks = lacking.len();
        let mut offer = Offer { event, deliveries: Vec::new(), bodies: Vec::new(), known_since };
        for webhook in subscribers.iter().filter(|webhook| is_wanted(event, webhook)) {
            match shapings.of(&webhook.shape, at) {
                Some(Shaped::Unwanted) => {}
                Some(shaped) => {
                    let sends = sends(shaped, &mut offer.bodies);
                    offer.deliveries.push(new_delivery(webhook, sends));
                }
                None if lacking[lacks..].iter().any(|lack: &Lack| lack.shape == webhook.shape) => {}
                None => lacking.push(Lack { shape: webhook.shape.clone(), event: at }),
            }
        }
        if let Some(SentAtOnce { claim, workers }) = at_once {
            let sizes = offer.deliveries.iter().filter_map(|delivery| offer.size(delivery));
            let most = most_at_once(workers, sizes);
            let sent = offer.deliveries.iter_mut().filter(|delivery| !matches!(delivery.sends, Sends::Nothing(_)));
            sent.take(most).for_each(|delivery| delivery.claim = Some(claim));
        }
        offers.push(offer);
    }
    if !lacking.is_empty() {
        return Ok(Acceptance::Lacking(lacking));
    }
    let are_some_failed = offers.iter().any(|offer| failures(offer).next().is_some());
    let intakes = store.accept(&offers, is_last && !are_some_failed)?;
    if are_some_failed {
        announce_failures(store, subscribers, &offers, &intakes)?;
    }
    let mut intakes = intakes.into_iter();
    let intake = |refusal| match refusal {
        Some(reason) => Some(Intake::new(Accepted::Refused(reason))),
        None => intakes.next(),
    };
    Ok(Acceptance::Stored(refusals.into_iter().filter_map(intake).collect()))
}

/// What a delivery sends, with its body among those of its event.
pub fn sends<'b>(shaped: &'b Shaped, bodies: &mut Vec<&'b [u8]>) -> Sends {
    match shaped {
        Shaped::Payload | Shaped::Unwanted => Sends::Payload,
        Shaped::Failed(error) => Sends::Nothing(error.clone()),
        Shaped::Body(body) => Sends::Body(bodies.iter().position(|known| known == body).unwrap_or_else(|| {
            bodies.push(body);
            bodies.len() - 1
        })),
    }
}

/// The deliveries of an offer that fail as they are stored, in their order, each with its error.
fn failures<'o>(offer: &'o Offer<'_>) -> impl Iterator<Item = (i64, &'o AttemptError)> {
    offer.deliveries.iter().filter_map(|delivery| match &delivery.sends {
        Sends::Nothing(error) => Some((delivery.webhook_id, error)),
        Sends::Payload | Sends::Body(_) => None,
    })
}

/// Announces the deliveries that failed before any attempt.
fn announce_failures(
    store: &Store,
    subscribers: &[Subscriber],
    offers: &[Offer<'_>],
    intakes: &[Intake],
) -> Result<(), StoreError> {
    let mut announcements = Vec::new();
    for (offer, intake) in offers.iter().zip(intakes) {
        for ((webhook_id, error), delivery_id) in failures(offer).zip(&intake.failed) {
            let webhook = subscribers.iter().find(|webhook| webhook.id == webhook_id);
            announcements.extend(webhook.and_then(|webhook| {
                let failed = FailedDelivery {
                    id: *delivery_id,
                    webhook_id,
                    webhook: &webhook.name,
                    owner: webhook.owner.as_deref(),
                    event_id: &offer.event.event_id,
                    event_type: &offer.event.event_type,
                    attempts: 0,
                    status_code: None,
                    error: Some(error),
                };
                failed.announcement()
            }));
        }
    }
    let now = offers.iter().map(|offer| offer.event.created_at).max();
    let Some(now) = now.filter(|_| !announcements.is_empty()) else { return Ok(()) };
    let mut random = Random::new().map_err(|error| StoreError::Other(error.to_string()))?;
    announce(store, &mut random, now, &announcements)
}

/// The delivery that a webhook gets of an event.
fn new_delivery(webhook: &Subscriber, sends: Sends) -> NewDelivery {
    NewDelivery { webhook_id: webhook.id, order: webhook.order, is_test: false, claim: None, sends }
}

/// Stores announcements, with a delivery for each webhook that subscribes to them. Runs in the caller's transaction.
pub fn announce(
    store: &Store,
    random: &mut Random,
    now: Timestamp,
    announcements: &[Announcement],
) -> Result<(), StoreError> {
    if announcements.is_empty() {
        return Ok(());
    }
    let events = announcements.iter().map(|announcement| announcement.event(random, now));
    let events = events.collect::<Result<Vec<NewEvent>, StoreError>>()?;
    let subscribers = store.subscribers()?;
    let options = AcceptOptions { subscribers: &subscribers, ..AcceptOptions::default() };
    // Results of requests are recorded in this transaction: they must not be lost for what this machine lacks.
    let evaluate = |shapings: &mut Shapings, events: &[&NewEvent], lacking: Vec<Lack>| {
        if let Err(trouble) = shapings.evaluate(events, lacking.clone(), shape_hastily) {
            shapings.fail(lacking, &trouble);
        }
        Ok(())
    };
    accept_by(store, events.iter().collect(), options, evaluate).map(drop)
}
