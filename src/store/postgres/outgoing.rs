//! What requests to webhooks are made with, in one round trip or with the events that are stored.

use std::collections::HashMap;

use futures_util::future::join3;

use super::cells::Parameter;
use super::engine::Postgres;
use super::found::Found;
use super::link::{Answered, Link, Request};
use crate::domain::time::Timestamp;
use crate::store::dialect::Dialect;
use crate::store::outgoing::Outgoing;
use crate::store::row::Row;
use crate::store::{Result, credentials, secrets, webhooks};

const CREDENTIALS: &str = "SELECT webhook_id, name, value FROM credentials WHERE webhook_id = ANY($1)";

const SECRETS: &str = "SELECT webhook_id, id, secret, created_at, expires_at FROM secrets
    WHERE webhook_id = ANY($1) AND (expires_at IS NULL OR expires_at > $2)
    ORDER BY expires_at IS NOT NULL, is_ed25519, id DESC";

/// The questions about some webhooks.
pub struct Asked {
    ids: Vec<i64>,
    webhooks: Request,
    credentials: Request,
    secrets: Request,
}

impl Asked {
    pub fn about(ids: Vec<i64>, now: Timestamp) -> Asked {
        let of = |ids: &[i64]| Parameter::Integers(ids.to_vec());
        Asked {
            webhooks: Request::new(webhooks::select(Dialect::Postgres, "WHERE id = ANY($1)"), vec![of(&ids)]),
            credentials: Request::new(CREDENTIALS, vec![of(&ids)]),
            secrets: Request::new(SECRETS, vec![of(&ids), Parameter::Integer(now.millis())]),
            ids,
        }
    }

    pub async fn ask(&self, link: &Link) -> Answered<Found> {
        let answers = join3(link.rows(&self.webhooks), link.rows(&self.credentials), link.rows(&self.secrets)).await;
        Ok(Found { ids: self.ids.clone(), webhooks: answers.0?, credentials: answers.1?, secrets: answers.2? })
    }
}

impl Found {
    /// What was found of these webhooks.
    fn read(&self, ids: &[i64]) -> Result<Vec<Outgoing>> {
        let mut found = HashMap::with_capacity(self.webhooks.len());
        for row in &self.webhooks {
            let webhook = webhooks::from_row(&mut Row::new(row))?;
            found.insert(webhook.id, Outgoing::of(webhook));
        }
        found.retain(|id, _| ids.contains(id));
        for row in &self.credentials {
            let mut row = Row::new(row);
            if let Some(of) = found.get_mut(&row.next()?) {
                let (name, value) = (row.next()?, row.next()?);
                let filled_in = credentials::fill_in(of.webhook.id, &mut of.webhook.settings, name, value);
                of.note(filled_in, |_, ()| ())?;
            }
        }
        for row in &self.secrets {
            let mut row = Row::new(row);
            let signed = found.get_mut(&row.next()?);
            if let Some(of) = signed.filter(|of| !of.webhook.settings.signature_schemes.is_empty()) {
                of.note(secrets::from_row(&mut row), |of, secret| of.secrets.push(secret))?;
            }
        }
        Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
    }
}

impl Postgres {
    /// [`crate::store::Store::outgoing`]: what was read for deliveries as they were claimed, else one round trip.
    pub(in crate::store) fn outgoing(&self, ids: &[i64], now: Timestamp) -> Result<Vec<Outgoing>> {
        if let Some(found) = self.outgoing.take().filter(|found| ids.iter().all(|id| found.ids.contains(id))) {
            return found.read(ids);
        }
        let asked = Asked::about(ids.to_vec(), now);
        self.alone(|| self.round_trip(async |link| asked.ask(link).await))?.read(ids)
    }
}
