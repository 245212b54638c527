//! Taking events in on a server: a set of them in one round trip.

use std::collections::{BTreeSet, HashMap};

use futures_util::future::join3;
use tokio_postgres::Row as ServerRow;
use tokio_postgres::types::Type;

use super::cells::Parameter;
use super::engine::{Postgres, Transaction};
use super::link::Request;
use super::outgoing::Asked;
use super::queue::Queued;
use crate::store::Result;
use crate::store::accept::{Accepted, Intake, Offer, event_values, first_claim, timeout_ms, unlimited};
use crate::store::claims::LEASE_MARGIN_MS;
use crate::store::dialect::Dialect;
use crate::store::lines::LINE;
use crate::store::row::Row;
use crate::store::value::values;

const INSERT_EVENTS: &str = "INSERT INTO events (event_id, event_type, payload, fingerprint, owner, about, entity_type,
        entity_id, key, headers, created_at)
    SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    ON CONFLICT (event_id) DO NOTHING RETURNING event_id, id";

/// Those of these events that somebody else stored.
const KNOWN: &str = "SELECT event_id, id, fingerprint FROM events
    WHERE event_id = ANY($1) AND xmin <> pg_current_xact_id()::xid";

/// An event that was offered within the time of another's `--dedupe` waits for it.
const LOCK_FINGERPRINTS: &str = "SELECT pg_advisory_xact_lock(1752133483, hashtext(f.text))
    FROM (SELECT DISTINCT encode(u.bytes, 'hex') AS text FROM unnest($1) AS u (bytes) ORDER BY 1) f";

/// The deliveries of the events that this transaction stored, counted. Each connection counts in a row of its own, so that
/// those who emit do not wait for each other.
fn insert_deliveries() -> String {
    let (timeout, unlimited) = (timeout_ms(Dialect::Postgres), unlimited(Dialect::Postgres));
    format!(
        "WITH made AS (
            INSERT INTO bodies (event_id, number, body)
            SELECT e.id, b.number, b.body FROM unnest($9, $10, $11) AS b (event_id, number, body)
            JOIN events e ON e.event_id = b.event_id AND e.xmin = pg_current_xact_id()::xid
            RETURNING id, event_id, number
        ), new AS (
            INSERT INTO deliveries (webhook_id, event_id, event_type, body_id, status, due_at, claim_token, line, is_test,
                created_at, completed_at, error_type, error_message)
            SELECT o.webhook_id, e.id, e.event_type, m.id, CASE WHEN o.error_type IS NULL THEN 'pending' ELSE 'failed' END,
                CASE WHEN o.error_type IS NULL THEN coalesce(c.until, e.created_at) END,
                CASE WHEN c.until IS NOT NULL THEN o.token END, {LINE}, o.is_test, e.created_at,
                CASE WHEN o.error_type IS NOT NULL THEN e.created_at END, o.error_type, o.error_message
            FROM unnest($1, $2, $3, $4, $5, $6, $7, $8) WITH ORDINALITY
                AS o (event_id, webhook_id, is_test, claimed_at, token, body, error_type, error_message, place)
            JOIN events e ON e.event_id = o.event_id AND e.xmin = pg_current_xact_id()::xid
            JOIN webhooks w ON w.id = o.webhook_id
            LEFT JOIN made m ON m.event_id = e.id AND m.number = o.body
            LEFT JOIN LATERAL (SELECT o.claimed_at + {timeout} + {LEASE_MARGIN_MS} AS until
                FROM webhook_state s WHERE o.claimed_at IS NOT NULL AND s.webhook_id = w.id AND {unlimited}
                  AND coalesce(s.held_until, 0) <= o.claimed_at) c ON TRUE
            ORDER BY o.place FOR KEY SHARE OF w
            ON CONFLICT (event_id, webhook_id) DO NOTHING RETURNING event_id, webhook_id, id, body_id, claim_token, is_test,
                status
        ), failed AS (
            UPDATE webhook_state s SET failed_deliveries = s.failed_deliveries + f.count
            FROM (SELECT n.webhook_id, count(*) FROM new n WHERE n.status = 'failed' AND NOT n.is_test GROUP BY n.webhook_id) f
            WHERE s.webhook_id = f.webhook_id
        ), counted AS (
            INSERT INTO delivery_counts AS c (webhook_id, slot, total_deliveries)
            SELECT n.webhook_id, pg_backend_pid() % 32, count(*) FROM new n WHERE NOT n.is_test
            GROUP BY n.webhook_id ORDER BY n.webhook_id
            ON CONFLICT (webhook_id, slot) DO UPDATE SET total_deliveries = c.total_deliveries + excluded.total_deliveries
        )
        SELECT n.event_id, n.webhook_id, n.id, n.body_id, n.claim_token FROM new n"
    )
}

impl Postgres {
    /// [`crate::store::Store::accept`] without `--dedupe`, in one round trip.
    pub(in crate::store) fn accept(&self, offers: &[Offer<'_>], is_last: bool) -> Result<Vec<Intake>> {
        let mut firsts = HashMap::new();
        for (at, offer) in offers.iter().enumerate() {
            firsts.entry(offer.event.event_id.as_str()).or_insert(at);
        }
        let is_first = |at: usize| firsts[offers[at].event.event_id.as_str()] == at;
        let first: Vec<&Offer<'_>> = (0..offers.len()).filter(|at| is_first(*at)).map(|at| &offers[at]).collect();
        let (events, known, deliveries, sent) = (events(&first)?, known(&first), deliveries(&first), sent(&first));
        let commit = is_last.then(|| Request::new("COMMIT", Vec::new()));
        let (stored, owed, known, sent) = self.round_trip(async |link| {
            let sent = async {
                match &sent {
                    Some(asked) => asked.ask(link).await.map(Some),
                    None => Ok(None),
                }
            };
            let committed = async {
                match &commit {
                    Some(commit) => link.run(commit).await,
                    None => Ok(0),
                }
            };
            let stored = join3(link.rows(&events), link.rows(&deliveries), link.rows(&known));
            let ((stored, owed, known), sent, committed) = join3(stored, sent, committed).await;
            let answer = (stored?, owed?, known?, sent?);
            committed?;
            Ok(answer)
        })?;
        self.outgoing.replace(sent);
        if is_last {
            self.transaction.set(Transaction::Committed);
        }
        let mut judged = Judged::read(&stored, &known)?;
        let mut intakes: Vec<Intake> =
            (0..).zip(offers).map(|(at, offer)| judged.intake(offer, is_first(at))).collect();
        hand_over(&mut intakes, offers, &owed)?;
        Ok(intakes)
    }

    /// Others that offer an event of the same content wait until this transaction ends.
    pub(in crate::store) fn lock_fingerprints(&self, offers: &[Offer<'_>]) {
        let rows = offers.iter().map(|offer| values![offer.event.fingerprint.as_slice()]);
        let lock = Request::new(LOCK_FINGERPRINTS, Parameter::columns([Type::BYTEA_ARRAY], rows));
        self.queue.borrow_mut().push(Queued::Run(lock));
    }
}

fn events(offers: &[&Offer<'_>]) -> Result<Request> {
    let (text, bytes, int) = (|| Type::TEXT_ARRAY, || Type::BYTEA_ARRAY, || Type::INT8_ARRAY);
    let kinds = [text(), text(), bytes(), bytes(), text(), int(), text(), text(), text(), text(), int()];
    let rows = offers.iter().map(|offer| event_values(offer.event)).collect::<Result<Vec<_>>>()?;
    Ok(Request::new(INSERT_EVENTS, Parameter::columns(kinds, rows)))
}

/// Asks for what requests are made with, of the webhooks that deliveries are to be claimed for as they are stored.
fn sent(offers: &[&Offer<'_>]) -> Option<Asked> {
    let claimed = offers.iter().flat_map(|offer| &offer.deliveries);
    let claimed: Vec<_> = claimed.filter_map(|one| Some((one.webhook_id, one.claim?.now))).collect();
    let ids: BTreeSet<i64> = claimed.iter().map(|(id, _)| *id).collect();
    Some(Asked::about(ids.into_iter().collect(), claimed.first()?.1))
}

fn known(offers: &[&Offer<'_>]) -> Request {
    let ids = offers.iter().map(|offer| offer.event.event_id.clone()).collect();
    Request::new(KNOWN, vec![Parameter::Texts(ids)])
}

fn deliveries(offers: &[&Offer<'_>]) -> Request {
    let int = || Type::INT8_ARRAY;
    let text = || Type::TEXT_ARRAY;
    let kinds = [text(), int(), Type::BOOL_ARRAY, int(), int(), int(), text(), text()];
    let rows = offers.iter().flat_map(|offer| {
        offer.deliveries.iter().map(|delivery| {
            let error = delivery.sends.error();
            let claim = delivery.claim.filter(|_| error.is_none());
            values![
                &offer.event.event_id,
                delivery.webhook_id,
                delivery.is_test,
                claim.map(|claim| claim.now),
                claim.map(|claim| claim.token),
                delivery.sends.body(),
                error.map(|error| error.error_type),
                error.map(|error| error.message.as_str())
            ]
        })
    });
    let mut columns = Parameter::columns(kinds, rows);
    let bodies = offers.iter().flat_map(|offer| {
        (0_i64..).zip(&offer.bodies).map(|(number, body)| values![&offer.event.event_id, number, *body])
    });
    columns.extend(Parameter::columns([text(), int(), Type::BYTEA_ARRAY], bodies));
    Request::new(insert_deliveries(), columns)
}

/// What became of events, by event id.
struct Judged {
    stored: HashMap<String, i64>,
    /// Of somebody else: row and fingerprint.
    known: HashMap<String, (i64, Vec<u8>)>,
}

impl Judged {
    fn read(stored: &[ServerRow], known: &[ServerRow]) -> Result<Judged> {
        let stored = stored.iter().map(|row| {
            let mut row = Row::new(row);
            Ok((row.next()?, row.next()?))
        });
        let known = known.iter().map(|row| {
            let mut row = Row::new(row);
            Ok((row.next()?, (row.next()?, row.next()?)))
        });
        Ok(Judged { stored: stored.collect::<Result<_>>()?, known: known.collect::<Result<_>>()? })
    }

    /// Of events with one id the first is stored, and the others are judged by it.
    fn intake(&mut self, offer: &Offer<'_>, is_first: bool) -> Intake {
        let event = offer.event;
        let accepted = match (self.stored.get(&event.event_id), self.known.get(&event.event_id)) {
            (Some(row), _) if is_first => {
                self.known.insert(event.event_id.clone(), (*row, event.fingerprint.to_vec()));
                Accepted::New(*row)
            }
            (_, Some((row, fingerprint))) if fingerprint == &event.fingerprint => Accepted::Duplicate(*row),
            _ => Accepted::Conflict,
        };
        Intake::new(accepted)
    }
}

/// A delivery that was made: its id, its body, and the token of its claim.
type Made = (i64, Option<i64>, Option<i64>);

/// Gives each intake its deliveries, in the order in which they were offered.
fn hand_over(intakes: &mut [Intake], offers: &[Offer<'_>], owed: &[ServerRow]) -> Result<()> {
    let mut found = HashMap::<(i64, i64), Made>::with_capacity(owed.len());
    for row in owed {
        let mut row = Row::new(row);
        found.insert((row.next()?, row.next()?), (row.next()?, row.next()?, row.next()?));
    }
    for (intake, offer) in intakes.iter_mut().zip(offers) {
        let Accepted::New(event_row) = intake.accepted else { continue };
        for delivery in &offer.deliveries {
            match found.get(&(event_row, delivery.webhook_id)) {
                Some((id, ..)) if delivery.sends.error().is_some() => intake.failed.push(*id),
                Some((id, body_id, Some(token))) => {
                    intake.claimed.push(first_claim((*id, event_row, *body_id), delivery, *token));
                }
                Some((id, _, None)) => intake.deliveries.push((delivery.webhook_id, *id)),
                None => {}
            }
        }
    }
    Ok(())
}
