//! Waking a process that waits: LISTEN and NOTIFY.

use std::time::Duration;

use super::engine::Postgres;
use crate::store::{Result, StoreError};

impl Postgres {
    /// Has the server notify this session. Through a pooler it cannot: a session is not kept.
    pub(in crate::store) fn listen(&self) -> Result<()> {
        if self.server.is_pooled {
            return Ok(());
        }
        self.round_trip(async |link| match link.is_listening.get() {
            true => Ok(()),
            false => link.client.batch_execute("LISTEN hookctl").await.inspect(|()| link.is_listening.set(true)),
        })
    }

    /// Waits until the server notifies, at most so long. A lost connection is an error.
    pub(in crate::store) fn wait_for_bell(&self, at_most: Duration) -> Result<bool> {
        let link = self.link.borrow();
        let Some(link) = link.as_ref().filter(|link| !link.is_lost()) else {
            return Err(StoreError::Unavailable(format!("the connection to {} was lost", self.server)));
        };
        let bell = std::future::poll_fn(|context| link.bell.poll(context));
        let has_rung = self.runtime.block_on(async { tokio::time::timeout(at_most, bell).await.is_ok() });
        if link.is_lost() {
            return Err(StoreError::Unavailable(format!("the connection to {} was lost", self.server)));
        }
        Ok(has_rung)
    }
}
