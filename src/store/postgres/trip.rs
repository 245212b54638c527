//! Round trips: what was put off goes with the next question, all of it sent at once.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use super::engine::{Postgres, Transaction};
use super::error::store_error;
use super::link::{Answered, Link, Request, at_once};
use super::queue::Queued;
use super::settings::Access;
use super::{migrate, settings};
use crate::clock;
use crate::store::{Result, StoreError};

/// How many round trips this process has made, those of connecting not counted.
static TRIPS: AtomicU64 = AtomicU64::new(0);

pub fn round_trips() -> u64 {
    TRIPS.load(Ordering::Relaxed)
}

/// How long what the server said of its schema and its clock holds.
const GREETING_HOLDS: Duration = Duration::from_secs(60);

/// What came of something that waited.
enum Came {
    Done(Answered<u64>),
    /// The server's clock, in microseconds since 1970.
    Greeted(Answered<Option<i64>>),
}

impl Postgres {
    /// Sends what waits and, by `act`, a question, in one round trip.
    pub(super) fn round_trip<T>(&self, act: impl AsyncFn(&Link) -> Answered<T>) -> Result<T> {
        loop {
            self.connect_if_lost()?;
            let link = self.link.borrow();
            let Some(link) = link.as_ref() else { return Err(self.lost()) };
            let queued = self.with_greeting(link);
            let sent = Instant::now();
            let (came, answer) = self.wait(link, all_at_once(link, &queued, &act))?;
            if self.transaction.get() == Transaction::Queued {
                self.transaction.set(Transaction::Begun);
            }
            if !self.holds(link, &came, sent)? {
                // Nothing of this was done.
                self.bring_up_to_date(link)?;
                self.put_back(queued);
                continue;
            }
            let failed = came.into_iter().find_map(|came| match came {
                Came::Done(done) => done.err(),
                Came::Greeted(_) => None,
            });
            if !self.server.is_pooled {
                self.queue.borrow_mut().extend(link.worth_preparing().into_iter().map(Queued::Prepare));
            }
            return failed.map_or(answer, Err).map_err(|error| self.failed(link, &error));
        }
    }

    /// Makes sure of the schema before something is written outside of a transaction.
    pub(super) fn greet(&self) -> Result<()> {
        let is_due = self.transaction.get() == Transaction::None
            && self.link.borrow().as_ref().is_none_or(|link| self.is_greeting_due(link));
        if is_due { self.round_trip(async |_| Ok(())) } else { Ok(()) }
    }

    /// Waits for the answer to something that was sent; a server that gives none is given up.
    pub(super) fn wait<T>(&self, link: &Link, future: impl Future<Output = T>) -> Result<T> {
        TRIPS.fetch_add(1, Ordering::Relaxed);
        self.go_on_waiting(link, future)
    }

    pub(super) fn go_on_waiting<T>(&self, link: &Link, future: impl Future<Output = T>) -> Result<T> {
        let limit = settings::ANSWER;
        let waited = self.runtime.block_on(async { tokio::time::timeout(limit, future).await });
        waited.map_err(|_| {
            link.is_given_up.set(true);
            self.transaction.set(Transaction::None);
            StoreError::Unavailable(format!("{} has not answered for {} s", self.server, limit.as_secs()))
        })
    }

    /// What an error means for the store, and for the transaction that it happened in.
    pub(super) fn failed(&self, link: &Link, error: &tokio_postgres::Error) -> StoreError {
        let state = match self.transaction.get() {
            Transaction::None => Transaction::None,
            _ if link.is_lost() => Transaction::None,
            _ => Transaction::Failed,
        };
        self.transaction.set(state);
        store_error(error, &self.server)
    }

    /// The connection is gone, and with it the transaction.
    pub(super) fn lost(&self) -> StoreError {
        self.transaction.set(Transaction::None);
        self.queue.borrow_mut().clear();
        StoreError::Unavailable(format!("the connection to {} was lost", self.server))
    }

    /// Connects anew, unless a transaction was under way.
    fn connect_if_lost(&self) -> Result<()> {
        if self.link.borrow().as_ref().is_some_and(|link| !link.is_lost()) {
            return Ok(());
        }
        if !matches!(self.transaction.get(), Transaction::None | Transaction::Queued) {
            return Err(self.lost());
        }
        self.queue.borrow_mut().retain(|queued| !matches!(queued, Queued::Prepare(_)));
        self.link.replace(None);
        let link = self.runtime.block_on(Link::open(&self.server, self.access))?;
        self.link.replace(Some(link));
        Ok(())
    }

    /// What waits, and a greeting where one is due: in the transaction that it is to hold for.
    fn with_greeting(&self, link: &Link) -> Vec<Queued> {
        let mut queued = self.queue.take();
        if self.is_greeting_due(link) && matches!(self.transaction.get(), Transaction::None | Transaction::Queued) {
            let begun = queued.iter().rposition(|queued| matches!(queued, Queued::Begin(_)));
            let place = begun.map_or(0, |index| index + 1);
            queued.splice(place..place, [Queued::Greet(Request::new(migrate::GREETING, Vec::new()))]);
        }
        queued
    }

    /// Whether the server has the schema that the statements are for. Notes what time it says it is.
    fn holds(&self, link: &Link, came: &[Came], sent: Instant) -> Result<bool> {
        let greeted = came.iter().find_map(|came| match came {
            Came::Greeted(greeted) => Some(greeted),
            Came::Done(_) => None,
        });
        match greeted {
            None => Ok(true),
            Some(Ok(Some(clock_us))) => {
                let received = Instant::now();
                clock::follow(*clock_us, sent, received);
                link.greeted.set(Some(received));
                Ok(true)
            }
            Some(Ok(None)) => Ok(false),
            Some(Err(error)) if migrate::is_another_schema(error) => Ok(false),
            Some(Err(error)) => Err(self.first_failure(link, came).unwrap_or_else(|| self.failed(link, error))),
        }
    }

    /// What failed before the greeting did, which is why it did: a BEGIN, or the lock after it.
    fn first_failure(&self, link: &Link, came: &[Came]) -> Option<StoreError> {
        let first = came.iter().find_map(|came| match came {
            Came::Done(Err(error)) | Came::Greeted(Err(error)) => Some(error),
            _ => None,
        })?;
        Some(self.failed(link, first))
    }

    fn is_greeting_due(&self, link: &Link) -> bool {
        self.access != Access::Application
            && link.greeted.get().is_none_or(|greeted| greeted.elapsed() > GREETING_HOLDS)
    }

    fn put_back(&self, queued: Vec<Queued>) {
        let again = queued.into_iter().filter(|queued| !matches!(queued, Queued::Greet(_)));
        self.queue.borrow_mut().splice(0..0, again);
    }
}

async fn all_at_once<T>(
    link: &Link,
    queued: &[Queued],
    act: &impl AsyncFn(&Link) -> Answered<T>,
) -> (Vec<Came>, Answered<T>) {
    let mut before = pin!(at_once(queued.iter().map(|queued| carry_out(link, queued))));
    let mut last = pin!(futures_util::future::maybe_done(act(link)));
    let mut came = None;
    // Both are started before either is waited for.
    std::future::poll_fn(|context| {
        if let Poll::Ready(all) = before.as_mut().poll(context) {
            came = Some(all);
        }
        let _ = last.as_mut().poll(context);
        Poll::Ready(())
    })
    .await;
    let came = match came {
        Some(came) => came,
        None => before.await,
    };
    last.as_mut().await;
    (came, last.as_mut().take_output().expect("it was waited for"))
}

async fn carry_out(link: &Link, queued: &Queued) -> Came {
    match queued {
        Queued::Begin(request) | Queued::Run(request) => Came::Done(link.run(request).await),
        Queued::Greet(request) => {
            Came::Greeted(link.first(request).await.map(|row| row.and_then(|row| row.try_get(0).ok())))
        }
        Queued::Prepare(sql) => {
            link.prepare(sql).await;
            Came::Done(Ok(0))
        }
    }
}
