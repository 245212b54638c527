//! What becomes of an event before it is sent.

use serde::{Deserialize, Serialize};

/// Which of the events that a webhook subscribes to it wants, and what it gets of them. The expressions were checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shape {
    /// jq: an event is wanted where it gives a value other than false and null.
    pub filter: Option<String>,
    /// jq: what it gives is the body.
    pub transform: Option<String>,
}

impl Shape {
    /// Whether every event is wanted and sent as it is.
    pub fn is_plain(&self) -> bool {
        self.filter.is_none() && self.transform.is_none()
    }
}
