//! CloudEvents 1.0 in structured mode. Documents: "CloudEvents - Version 1.0.2", "JSON Event Format for CloudEvents", "HTTP
//! Protocol Binding for CloudEvents" (3.2, structured content mode).

use serde::Serialize;
use serde_json::value::RawValue;

use super::object::{Object, is_time, one_line, who};
use crate::domain::event::EventParts;
use crate::domain::json;

pub const CONTENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";

/// A URI reference: which program the event comes from.
const SOURCE: &str = "/hookctl";

#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'static str,
    #[serde(rename = "type")]
    event_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    datacontenttype: &'static str,
    /// Extension attributes: texts without control characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}

/// The data of an envelope, spelled as it is there; any other payload as a whole.
pub fn body(event: &EventParts<'_>, payload: &RawValue) -> Result<Vec<u8>, String> {
    let envelope = Object::of(payload);
    let is_envelope = envelope.text("event_id").as_deref() == Some(event.event_id);
    let mut cloud_event = CloudEvent {
        specversion: "1.0",
        id: event.event_id,
        source: SOURCE,
        event_type: event.event_type,
        subject: None,
        time: None,
        datacontenttype: "application/json",
        user: None,
        action: None,
        description: None,
        data: Some(payload),
    };
    if is_envelope {
        let entity = envelope.object("entity");
        let subject = entity.text("type").zip(entity.text("id"));
        cloud_event.subject = subject.map(|(kind, id)| one_line(&format!("{kind}/{id}")));
        cloud_event.time = envelope.text("timestamp").filter(|time| is_time(time));
        cloud_event.user = envelope.get("user").and_then(who);
        cloud_event.action = envelope.text("action").as_deref().map(one_line);
        cloud_event.description = envelope.text("description").as_deref().map(one_line);
        cloud_event.data = envelope.get("data");
    }
    let body = serde_json::to_vec(&cloud_event).map_err(|error| error.to_string())?;
    json::check(&body).map_err(|error| error.to_string())?;
    Ok(body)
}
