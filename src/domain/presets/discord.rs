//! Discord's webhooks. Documents: "Webhook Resource: Execute Webhook", "Message Resource: Embed Limits, Allowed Mentions Object".

use serde_json::{Value, json};
use url::Url;

use super::message::Message;
use super::text::{markdown, plain, within};

/// The most that there may be: 256 for a title, 4,096 for a description, 256 and 1,024 for a field, 2,048 for a footer, and 6,000
/// for all of them together.
const TITLE: usize = 256;
const TEXT: usize = 3_500;
const NAME: usize = 60;
const FACT: usize = 120;
const FOOTER: usize = 400;
const LINK: usize = 300;

pub fn body(message: &Message<'_>) -> Value {
    let fact = |(name, value): &(String, String)| json!({ "name": within(name, NAME, markdown), "value": within(value, FACT, markdown), "inline": true });
    let (address, unlinked) = match &message.link {
        Some(link) if is_address(link) => (Some(link), None),
        link => (None, link.as_ref().filter(|link| link.len() <= LINK)),
    };
    let unlinked = unlinked.map(|link| json!({ "name": "Link", "value": link, "inline": false }));
    let mut embed = json!({
        "title": within(&message.title, TITLE, markdown),
        "color": message.tone.rgb(),
        "fields": message.facts.iter().map(fact).chain(unlinked).collect::<Vec<_>>(),
        "footer": { "text": within(&format!("{} · {}", message.event_type, message.event_id), FOOTER, plain) },
    });
    if let Some(text) = &message.text {
        embed["description"] = within(text, TEXT, markdown).into();
    }
    if let Some(time) = &message.time {
        embed["timestamp"] = time.as_str().into();
    }
    if let Some(link) = address {
        embed["url"] = link.as_str().into();
    }
    // Whatever the texts say, nobody is pinged.
    json!({ "embeds": [embed], "allowed_mentions": { "parse": [] } })
}

/// Discord refuses a whole message (400, `{"embeds": ["0"]}`) where the host of its link has no dot, such as `intranet`.
fn is_address(link: &str) -> bool {
    Url::parse(link).is_ok_and(|url| url.host_str().is_some_and(|host| host.contains('.')))
}
