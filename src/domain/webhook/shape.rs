//! A webhook's filter and transform.

use serde::{Deserialize, Serialize};

use super::field::{Field, Invalid};
use crate::domain::event_type;
use crate::domain::presets::Preset;

/// Which of the events that a webhook subscribes to it wants, and what it gets of them. The expressions were checked, and at
/// most one of transform and preset is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shape {
    /// jq: the event is delivered where the result is neither false nor null.
    pub filter: Option<String>,
    /// jq: the result is the body.
    pub transform: Option<String>,
    /// What makes the body in the place of a transform.
    pub preset: Option<Preset>,
}

impl Shape {
    /// Whether there is neither a filter nor a transform.
    pub fn is_plain(&self) -> bool {
        self.filter.is_none() && self.transform.is_none() && self.preset.is_none()
    }

    /// Sets an expression that was checked, or none with `none`.
    pub fn set_filter(&mut self, expression: &str) {
        self.filter = Some(expression.to_owned()).filter(|text| text != "none");
    }

    /// Sets an expression that was checked, or none with `none`. It takes the place of a preset.
    pub fn set_transform(&mut self, expression: &str) {
        self.transform = Some(expression.to_owned()).filter(|text| text != "none");
        self.preset = self.preset.filter(|_| self.transform.is_none());
    }

    /// Sets a preset by its name, or none with `none`. It takes the place of a transform.
    pub fn set_preset(&mut self, name: &str) -> Result<(), Invalid> {
        self.preset = match name {
            "none" => None,
            name => Some(Preset::find(name).ok_or_else(|| unknown_preset(name))?),
        };
        self.transform = self.transform.take().filter(|_| self.preset.is_none());
        Ok(())
    }

    /// Whether it is for a chat: its URL is a credential, and it checks no signature.
    pub fn is_chat(&self) -> bool {
        self.preset.is_some_and(Preset::is_chat)
    }
}

fn unknown_preset(name: &str) -> Invalid {
    let invalid = Field::PRESET.invalid(format!("no preset '{name}'"));
    invalid.hint(match event_type::nearest(name, Preset::NAMES) {
        Some(nearest) => format!("did you mean '{nearest}'?"),
        None => format!("use {}, or none", Preset::NAMES.join(", ")),
    })
}
