//! Statements on PostgreSQL: as few round trips as the answers allow.

use std::ops::ControlFlow;
use std::pin::pin;

use futures_util::{FutureExt as _, StreamExt as _};

use super::cells::Parameter;
use super::engine::{Postgres, Transaction};
use super::link::{Request, at_once};
use super::queue::Queued;
use super::settings;
use crate::store::row::{Row, one};
use crate::store::value::Value;
use crate::store::{Result, StoreError};

impl Postgres {
    pub(in crate::store) fn ask(
        &self,
        sql: &str,
        values: &[Value<'_>],
        see: &mut dyn FnMut(&mut Row<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        // A question alone can go with the greeting: what it reads of another schema is thrown away.
        if !sql.trim_start().starts_with("SELECT") {
            self.greet()?;
        }
        self.alone(|| self.stream(&request(sql, values), see))
    }

    fn stream(&self, request: &Request, see: &mut dyn FnMut(&mut Row<'_>) -> Result<ControlFlow<()>>) -> Result<()> {
        let mut rows = pin!(self.round_trip(async |link| link.start(request).await)?);
        let link = self.link.borrow();
        let Some(link) = link.as_ref() else { return Ok(()) };
        loop {
            let next = match rows.next().now_or_never() {
                Some(next) => next,
                None => self.go_on_waiting(link, rows.next())?,
            };
            match next.transpose().map_err(|error| self.failed(link, &error))? {
                Some(row) if see(&mut Row::new(&row))?.is_continue() => {}
                _ => return Ok(()),
            }
        }
    }

    pub(in crate::store) fn ask_all(
        &self,
        questions: &[(&str, &[Value<'_>])],
        see: &mut dyn FnMut(usize, &mut Row<'_>) -> Result<()>,
    ) -> Result<()> {
        let requests: Vec<Request> = questions.iter().map(|(sql, values)| request(sql, values)).collect();
        let answers = self.alone(|| {
            let sent = self.round_trip(async |link| Ok(at_once(requests.iter().map(|one| link.rows(one))).await))?;
            self.all(sent)
        })?;
        let rows = answers.iter().enumerate().flat_map(|(number, rows)| rows.iter().map(move |row| (number, row)));
        rows.into_iter().try_for_each(|(number, row)| see(number, &mut Row::new(row)))
    }

    pub(in crate::store) fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<usize> {
        self.greet()?;
        let request = request(sql, values);
        self.alone(|| self.round_trip(async |link| link.run(&request).await)).map(|changed| changed as usize)
    }

    pub(in crate::store) fn insert(&self, sql: &str, values: &[Value<'_>]) -> Result<Option<i64>> {
        self.greet()?;
        let request = request(&returning_id(sql), values);
        let row = self.alone(|| self.round_trip(async |link| link.first(&request).await))?;
        row.map(|row| Row::new(&row).next()).transpose()
    }

    pub(in crate::store) fn execute_each<'v, const N: usize>(
        &self,
        sql: &str,
        sets: impl IntoIterator<Item = [Value<'v>; N]>,
    ) -> Result<()> {
        let requests = requests(sql, sets);
        match self.transaction.get() {
            _ if requests.is_empty() => Ok(()),
            Transaction::Failed | Transaction::Committed => Err(aborted()),
            Transaction::None => {
                self.greet()?;
                self.alone(|| {
                    let sent =
                        self.round_trip(async |link| Ok(at_once(requests.iter().map(|one| link.run(one))).await))?;
                    self.all(sent).map(drop)
                })
            }
            Transaction::Queued | Transaction::Begun => {
                self.queue.borrow_mut().extend(requests.into_iter().map(Queued::Run));
                Ok(())
            }
        }
    }

    pub(in crate::store) fn first_each<'v, T, const N: usize>(
        &self,
        sql: &str,
        sets: impl IntoIterator<Item = [Value<'v>; N]>,
        mut read: impl FnMut(&mut Row<'_>) -> Result<T>,
    ) -> Result<Vec<Option<T>>> {
        let requests = requests(sql, sets);
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        self.greet()?;
        let rows = self.alone(|| {
            let sent = self.round_trip(async |link| Ok(at_once(requests.iter().map(|one| link.first(one))).await))?;
            self.all(sent)
        })?;
        rows.into_iter().map(|row| row.map(|row| read(&mut Row::new(&row))).transpose()).collect()
    }

    pub(in crate::store) fn insert_each<'v, const N: usize>(
        &self,
        sql: &str,
        sets: impl IntoIterator<Item = [Value<'v>; N]>,
    ) -> Result<Vec<Option<i64>>> {
        self.first_each(&returning_id(sql), sets, one)
    }

    pub(in crate::store) fn is_in_transaction(&self) -> bool {
        self.transaction.get() != Transaction::None
    }

    pub(in crate::store) fn begin(&self, statements: &[&str]) {
        let mut queue = self.queue.borrow_mut();
        queue.extend(statements.iter().map(|sql| Queued::Begin(Request::new(*sql, Vec::new()))));
        if self.server.is_pooled {
            queue.push(Queued::Begin(Request::new(
                settings::transaction_settings(&self.server, self.access),
                Vec::new(),
            )));
        }
        self.transaction.set(Transaction::Queued);
    }

    pub(in crate::store) fn commit(&self) -> Result<()> {
        match self.transaction.get() {
            Transaction::Committed => {
                self.transaction.set(Transaction::None);
                return Ok(());
            }
            Transaction::Failed => return self.rollback().and(Err(aborted())),
            Transaction::Queued if !self.queue.borrow().iter().any(|queued| matches!(queued, Queued::Run(_))) => {
                self.forget();
                return Ok(());
            }
            _ => {}
        }
        let commit = Request::new("COMMIT", Vec::new());
        let done = self.round_trip(async |link| link.run(&commit).await);
        // Whatever became of it, it is over.
        self.transaction.set(Transaction::None);
        done.map(drop)
    }

    pub(in crate::store) fn rollback(&self) -> Result<()> {
        let was_begun = matches!(self.transaction.get(), Transaction::Begun | Transaction::Failed);
        self.forget();
        if !was_begun {
            return Ok(());
        }
        let rollback = Request::new("ROLLBACK", Vec::new());
        self.round_trip(async |link| link.run(&rollback).await).map(drop)
    }

    /// Forgets what the transaction had in the queue.
    fn forget(&self) {
        self.queue.borrow_mut().retain(|queued| matches!(queued, Queued::Prepare(_)));
        self.transaction.set(Transaction::None);
    }

    /// Through a pooler, what is asked outside of a transaction gets one of its own, in which the settings hold.
    pub(super) fn alone<T>(&self, ask: impl FnOnce() -> Result<T>) -> Result<T> {
        if !self.server.is_pooled || self.is_in_transaction() {
            return ask();
        }
        self.begin(&["BEGIN"]);
        let done = ask().and_then(|answer| self.commit().map(|()| answer));
        if done.is_err() && self.is_in_transaction() {
            let _ = self.rollback();
        }
        done
    }

    /// All answers, or the first error.
    pub(super) fn all<T>(&self, answers: Vec<super::link::Answered<T>>) -> Result<Vec<T>> {
        let link = self.link.borrow();
        let failed = |error| match link.as_ref() {
            Some(link) => self.failed(link, &error),
            None => super::error::store_error(&error, &self.server),
        };
        answers.into_iter().collect::<std::result::Result<_, _>>().map_err(failed)
    }
}

fn request(sql: &str, values: &[Value<'_>]) -> Request {
    Request::new(sql, values.iter().map(Parameter::from).collect())
}

fn requests<'v, const N: usize>(sql: &str, sets: impl IntoIterator<Item = [Value<'v>; N]>) -> Vec<Request> {
    sets.into_iter().map(|values| request(sql, &values)).collect()
}

fn returning_id(sql: &str) -> String {
    format!("{sql} RETURNING id")
}

fn aborted() -> StoreError {
    StoreError::Other("a statement of the transaction failed before".to_owned())
}
