//! What there is to say of an event in a chat.

use serde_json::value::RawValue;
use url::{Position, Url};

use super::object::{Object, is_time, one_line, text, who};
use crate::domain::event::EventParts;

/// The longest link that every receiver takes.
const LONGEST_LINK: usize = 2_000;
/// As many facts as every receiver shows.
const MOST_FACTS: usize = 8;
/// The most characters of a fact's name.
const LONGEST_NAME: usize = 40;

/// Members of the data that say to people what happened.
const SAID: [&str; 4] = ["message", "error_message", "reason", "description"];
/// Members of the data with a page to look at.
const LINKS: [&str; 3] = ["url", "link", "html_url"];
/// Members of the data that name what the event is about, where there is no entity.
const NAMES: [&str; 3] = ["webhook", "name", "title"];

/// How an event sounds, by its type: each has a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Good,
    Warning,
    Bad,
    Neutral,
}

/// Words to look for in the last word of a type; the first one found counts.
const TONES: [(Tone, &[&str]); 3] = [
    (Tone::Bad, &["fail", "error", "reject", "disabled", "revoked", "overdue"]),
    (Tone::Warning, &["deleted", "cancel", "requested", "expir", "archived", "stopped", "warn", "paused"]),
    (Tone::Good, &["paid", "completed", "approved", "processed", "recovered", "created", "synced", "succe", "enabled"]),
];

#[derive(Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// `Invoice paid: Number 42`.
    pub title: String,
    /// The event's description, or what its data says.
    pub text: Option<String>,
    pub link: Option<String>,
    pub tone: Tone,
    /// Who did it, and what else the data holds: name and value, one line each, none empty.
    pub facts: Vec<(String, String)>,
    pub event_type: &'a str,
    pub event_id: &'a str,
    /// In RFC 3339, if the event has one.
    pub time: Option<String>,
}

impl<'a> Message<'a> {
    /// The message about an event with this payload: an envelope, or any other JSON.
    pub fn of(event: &EventParts<'a>, payload: &RawValue) -> Message<'a> {
        let envelope = Object::of(payload);
        let is_envelope =
            envelope.get("data").is_some() || envelope.text("event_id").as_deref() == Some(event.event_id);
        let data = if is_envelope { envelope.object("data") } else { Object::of(payload) };
        let mut used = Vec::new();
        let mut first = |names: &[&'static str], read: &dyn Fn(String) -> Option<String>| {
            let (name, found) = names.iter().find_map(|name| Some((*name, read(data.text(name)?)?)))?;
            used.push(name);
            Some(found)
        };
        let about = entity(&envelope.object("entity")).or_else(|| first(&NAMES, &Some));
        let said = envelope.text("description").or_else(|| first(&SAID, &Some));
        let link = first(&LINKS, &|text| link(&text));
        let by = envelope.get("user").and_then(who).map(|by| ("By".to_owned(), by));
        let facts = data.iter().filter(|(name, _)| !used.contains(name)).filter_map(|(name, value)| {
            let name: String = words(name).chars().take(LONGEST_NAME).collect();
            let value = one_line(&text(value)?);
            (!name.is_empty() && !value.is_empty()).then_some((name, value))
        });
        // A type may have no letter at all.
        let happened = Some(words(event.event_type)).filter(|words| !words.is_empty());
        let happened = happened.unwrap_or_else(|| event.event_type.to_owned());
        Message {
            title: about.map_or(happened.clone(), |about| format!("{happened}: {}", one_line(&about))),
            text: said,
            link,
            tone: Tone::of(event.event_type),
            facts: by.into_iter().chain(facts).take(MOST_FACTS).collect(),
            event_type: event.event_type,
            event_id: event.event_id,
            time: envelope.text("timestamp").filter(|time| is_time(time)),
        }
    }

    /// `invoice.paid · evt_… · 2026-11-26T08:00:00.000Z`.
    pub fn origin(&self) -> String {
        let parts = [Some(self.event_type), Some(self.event_id), self.time.as_deref()];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
    }
}

impl Tone {
    fn of(event_type: &str) -> Tone {
        let last = event_type.rsplit('.').next().unwrap_or(event_type);
        let is = |(_, parts): &&(Tone, &[&str])| parts.iter().any(|part| last.contains(part));
        TONES.iter().find(is).map_or(Tone::Neutral, |(tone, _)| *tone)
    }

    pub fn rgb(self) -> u32 {
        match self {
            Tone::Good => 0x002E_B67D,
            Tone::Warning => 0x00EC_B22E,
            Tone::Bad => 0x00E0_1E5A,
            Tone::Neutral => 0x0060_7D8B,
        }
    }

    pub fn hex(self) -> String {
        format!("#{:06X}", self.rgb())
    }
}

/// The name of an entity, else its type and id.
fn entity(entity: &Object<'_>) -> Option<String> {
    entity.text("name").or_else(|| match (entity.text("type"), entity.text("id")) {
        (Some(kind), Some(id)) => Some(format!("{kind} {id}")),
        (kind, id) => kind.or(id),
    })
}

/// `time_entry.started` as `Time entry started`, without what does not show.
fn words(name: &str) -> String {
    let name: String = name.chars().filter(|c| !crate::domain::text::is_unsafe(*c)).collect();
    let words = one_line(&name.replace(['.', '_', '-'], " "));
    let mut characters = words.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// An address that a browser opens, with no other characters than RFC 3986 has: receivers are stricter than browsers.
fn link(text: &str) -> Option<String> {
    let url = Url::parse(text).ok().filter(|url| ["http", "https"].contains(&url.scheme()))?;
    let mut link = url[..Position::BeforePath].to_owned();
    for c in url[Position::BeforePath..].chars() {
        match c {
            '|' | '^' | '`' | '{' | '}' | '[' | ']' | '\\' | '"' | '<' | '>' => {
                link += &format!("%{:02X}", u32::from(c));
            }
            c => link.push(c),
        }
    }
    (link.len() <= LONGEST_LINK).then_some(link)
}
