//! Waking a process that waits: LISTEN and NOTIFY.

use std::sync::Arc;
use std::time::Duration;

use super::bell::Bell;
use super::engine::Postgres;
use crate::store::{Result, StoreError};

impl Postgres {
    /// Has the server notify this session. Through a pooler it cannot: a session is not kept.
    pub(in crate::store) fn listen(&self) -> Result<()> {
        self.listen_to("hookctl")
    }

    pub(super) fn listen_to(&self, channel: &str) -> Result<()> {
        if self.server.is_pooled {
            return Ok(());
        }
        let listen = format!("LISTEN {channel}");
        self.round_trip(async |link| match link.is_listening.get() {
            true => Ok(()),
            false => link.client.batch_execute(&listen).await.inspect(|()| link.is_listening.set(true)),
        })
    }

    /// What rings as a notification does, from another thread.
    pub(in crate::store) fn bell(&self) -> Option<Arc<Bell>> {
        self.link.borrow().as_ref().map(|link| Arc::clone(&link.bell))
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
