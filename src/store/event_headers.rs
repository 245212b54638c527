//! The headers of an event, stored in its row as JSON: `[["name", "value"], …]`. Values of headers that usually carry
//! credentials are encrypted like those of webhooks.

use std::borrow::Cow;

use super::cipher::{self, DataKey, PREFIX};
use super::encryption::Rekeying;
use super::row::{Cell, FromCell, one};
use super::value::{in_json, params, to_json};
use super::{Result, Store, StoreError};
use crate::domain::event::NewEvent;
use crate::domain::secret::MASKED;
use crate::domain::webhook::masked;

/// Headers as stored. Invalid JSON is an error only when they are sent, so that claiming never fails because of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventHeaders(Option<Vec<(String, String)>>);

impl Default for EventHeaders {
    fn default() -> EventHeaders {
        EventHeaders(Some(Vec::new()))
    }
}

impl FromCell<'_> for EventHeaders {
    fn from_cell(cell: Cell<'_>) -> Option<EventHeaders> {
        match cell {
            Cell::Null => Some(EventHeaders::default()),
            Cell::Text(text) => Some(EventHeaders(serde_json::from_str(text).ok())),
            _ => Some(EventHeaders(None)),
        }
    }
}

impl EventHeaders {
    pub fn of(event: &NewEvent) -> EventHeaders {
        EventHeaders(Some(event.headers.clone()))
    }

    /// Names and values for the request.
    pub fn opened(&self, event_id: &str) -> Result<Vec<(&str, Cow<'_, str>)>> {
        let unreadable = || StoreError::Value { column: "events.headers".to_owned(), value: "not JSON".to_owned() };
        let headers = self.0.as_ref().ok_or_else(unreadable)?.iter();
        headers
            .map(|(name, value)| {
                let value = match cipher::is_sealed(value) {
                    true => Cow::Owned(cipher::opened(&place(event_id, name), value.clone())?),
                    false => Cow::Borrowed(value.as_str()),
                };
                Ok((name.as_str(), value))
            })
            .collect()
    }

    /// Names and values with credentials masked.
    pub fn masked(&self) -> Vec<(&str, Cow<'_, str>)> {
        let headers = self.0.iter().flatten();
        let shown = headers.map(|(name, value)| (name, if masked::is_credential(name) { MASKED } else { value }));
        shown.map(|(name, value)| (name.as_str(), Cow::Borrowed(value))).collect()
    }
}

impl Store {
    /// Refuses credentials in headers of events if the database is encrypted with another key, or there is none.
    pub(super) fn check_key_for<'e>(&self, mut events: impl Iterator<Item = &'e NewEvent>) -> Result<()> {
        let has_credential = |event: &NewEvent| event.headers.iter().any(|(name, _)| masked::is_credential(name));
        if events.any(has_credential) { self.check_key() } else { Ok(()) }
    }

    /// An error if headers of events are encrypted with another key. The newest encrypted ones tell: all have the same key.
    pub(super) fn check_key_of_headers(&self, key: &DataKey) -> Result<()> {
        let sql = "SELECT headers FROM events WHERE headers IS NOT NULL AND replace(headers, $1, '') <> headers
             ORDER BY id DESC LIMIT 1";
        let newest: Option<String> = self.first(sql, params![&in_json(PREFIX)], one)?;
        match newest {
            Some(headers) if !headers.contains(&in_json(&key.prefix())) => Err(StoreError::WrongKey),
            _ => Ok(()),
        }
    }

    /// Re-encrypts the credentials in the headers of all events, and returns how many events were changed.
    pub(super) fn rekey_event_headers(&self, keys: Rekeying<'_>) -> Result<usize> {
        let mut changed = Vec::new();
        let sql = "SELECT id, event_id, headers FROM events WHERE headers IS NOT NULL";
        self.each(sql, &[], |row| {
            let (id, event_id, EventHeaders(headers)) = (row.next::<i64>()?, row.next::<String>()?, row.next()?);
            let (mut headers, mut is_changed) = (headers.unwrap_or_default(), false);
            for (name, value) in headers.iter_mut().filter(|(name, _)| masked::is_credential(name)) {
                if let Some(restored) = keys.restored(&place(&event_id, name), value.clone())? {
                    (*value, is_changed) = (restored, true);
                }
            }
            if is_changed {
                changed.push((id, to_json(&headers)));
            }
            Ok(())
        })?;
        for (id, headers) in &changed {
            self.execute("UPDATE events SET headers = $1 WHERE id = $2", params![headers, id])?;
        }
        Ok(changed.len())
    }
}

/// Serialises the headers of an event for its row.
pub(super) fn stored(event: &NewEvent) -> Result<Option<String>> {
    if event.headers.is_empty() {
        return Ok(None);
    }
    let seal = |key: &DataKey, (name, value): &(String, String)| match masked::is_credential(name) {
        true => Ok((name.clone(), key.seal(&place(&event.event_id, name), value)?)),
        false => Ok((name.clone(), value.clone())),
    };
    match cipher::key()? {
        None => Ok(Some(to_json(&event.headers))),
        Some(key) => {
            let sealed = event.headers.iter().map(|header| seal(key, header)).collect::<Result<Vec<_>>>()?;
            Ok(Some(to_json(&sealed)))
        }
    }
}

/// The place of a header, to which its encryption is bound.
fn place(event_id: &str, name: &str) -> String {
    format!("events.headers:{event_id}:{}", name.to_ascii_lowercase())
}
