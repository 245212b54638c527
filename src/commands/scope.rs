//! Selection of webhooks by name and by owner.

use anyhow::Result;

use crate::context::Context;
use crate::domain::owner::Owner;
use crate::store::Store;

/// An id that no webhook has, for an owner without webhooks.
const NOBODY: i64 = 0;

/// The ids of the webhooks that `-w` and `--owner` select; empty for all.
pub fn resolve(context: &Context, store: &Store, webhooks: &[String], owner: Option<&Owner>) -> Result<Vec<i64>> {
    let mut ids = context.webhook_ids(store, webhooks)?;
    let Some(owner) = owner else { return Ok(ids) };
    let owned = store.webhook_ids_of(owner)?;
    match webhooks.is_empty() {
        true => ids = owned,
        false => ids.retain(|id| owned.contains(id)),
    }
    if ids.is_empty() {
        ids.push(NOBODY);
    }
    Ok(ids)
}
