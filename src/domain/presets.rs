//! Messages in the form of receivers that take no other: chats, and CloudEvents. Each module names the documents that its form
//! comes from.

mod cloudevents;
mod discord;
mod mattermost;
mod message;
mod object;
mod slack;
mod teams;
mod text;

use serde::{Deserialize, Serialize};

use self::message::Message;
use super::event::EventParts;
use super::json;

/// A transform and a content type that are built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    Slack,
    Discord,
    Teams,
    Mattermost,
    Cloudevents,
}

impl Preset {
    pub const ALL: [Preset; 5] =
        [Preset::Slack, Preset::Discord, Preset::Teams, Preset::Mattermost, Preset::Cloudevents];

    /// In the order of [`Preset::ALL`].
    pub const NAMES: [&str; 5] = ["slack", "discord", "teams", "mattermost", "cloudevents"];

    pub fn name(self) -> &'static str {
        Preset::NAMES[self as usize]
    }

    pub fn find(name: &str) -> Option<Preset> {
        Preset::ALL.into_iter().find(|preset| preset.name() == name)
    }

    /// Whether whoever knows the receiver's URL may post there, and nobody checks a signature.
    pub fn is_chat(self) -> bool {
        self != Preset::Cloudevents
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Preset::Cloudevents => cloudevents::CONTENT_TYPE,
            Preset::Slack | Preset::Discord | Preset::Teams | Preset::Mattermost => "application/json",
        }
    }

    /// What the receiver gets of an event; an error where the payload is not JSON.
    pub fn body(self, event: &EventParts<'_>) -> Result<Vec<u8>, String> {
        let payload = json::parse(event.payload).map_err(|error| format!("the event is {error}"))?;
        let message = || Message::of(event, payload);
        let body = match self {
            Preset::Slack => slack::body(&message()),
            Preset::Discord => discord::body(&message()),
            Preset::Teams => teams::body(&message()),
            Preset::Mattermost => mattermost::body(&message()),
            Preset::Cloudevents => return cloudevents::body(event, payload),
        };
        Ok(body.to_string().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preset_is_found_by_the_name_that_it_is_written_with() {
        for preset in Preset::ALL {
            assert_eq!(Preset::find(preset.name()), Some(preset));
            assert_eq!(serde_json::to_value(preset).unwrap(), preset.name());
        }
        assert_eq!(Preset::find("Slack"), None);
    }
}
