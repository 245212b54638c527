//! What requests to webhooks are made with: settings with the values of credentials, and secrets.

use super::secrets::StoredSecret;
use super::{Engine, Result, Store, StoreError};
use crate::domain::time::Timestamp;
use crate::domain::webhook::Webhook;

/// A webhook with the values of its credentials, and its secrets that count, those that sign first.
#[derive(Debug)]
pub struct Outgoing {
    pub webhook: Webhook,
    pub secrets: Vec<StoredSecret>,
    /// Why these cannot be read: the database's key for them is not there.
    pub locked_out: Option<StoreError>,
}

impl Outgoing {
    pub(super) fn of(webhook: Webhook) -> Outgoing {
        Outgoing { webhook, secrets: Vec::new(), locked_out: None }
    }

    /// Takes in what was read of its credentials and secrets, or that the key for them is not there.
    pub(super) fn note<T>(&mut self, read: Result<T>, take_in: impl FnOnce(&mut Outgoing, T)) -> Result<()> {
        match read {
            Err(error) if error.is_of_key() => drop(self.locked_out.get_or_insert(error)),
            read => take_in(self, read?),
        }
        Ok(())
    }
}

impl Store {
    /// What requests to these webhooks are made with at `now`. Those that were deleted are left out.
    pub fn outgoing(&self, ids: &[i64], now: Timestamp) -> Result<Vec<Outgoing>> {
        match &self.engine {
            Engine::Sqlite(_) => ids.iter().filter_map(|id| self.outgoing_of(*id, now).transpose()).collect(),
            Engine::Postgres(server) => server.outgoing(ids, now),
        }
    }

    fn outgoing_of(&self, id: i64, now: Timestamp) -> Result<Option<Outgoing>> {
        let Some(webhook) = self.webhook(id)? else { return Ok(None) };
        let mut outgoing = Outgoing::of(webhook);
        let loaded = self.load_credentials(id, &mut outgoing.webhook.settings);
        outgoing.note(loaded, |_, ()| ())?;
        if !outgoing.webhook.settings.signature_schemes.is_empty() {
            outgoing.note(self.secrets(id, now), |outgoing, secrets| outgoing.secrets = secrets)?;
        }
        Ok(Some(outgoing))
    }
}
