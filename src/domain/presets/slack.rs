//! Slack's incoming webhooks. Documents: "Sending messages using incoming webhooks", "Reference: Secondary message attachments",
//! "Block Kit: section block, context block", "Formatting message text" (escaping).

use serde_json::{Value, json};

use super::message::Message;
use super::text::within;

/// A section's text has 3,000 characters at most, each of its 10 fields 2,000; a message is best below 4,000.
const TITLE: usize = 500;
const TEXT: usize = 3_000;
const FACT: usize = 300;
/// The longest address in a link.
const LINK: usize = 2_000;

pub fn body(message: &Message<'_>) -> Value {
    let title = within(&message.title, TITLE, escape);
    let text = message.link.as_ref().map(|link| link.replace('&', "&amp;")).filter(|address| address.len() <= LINK);
    let text = text.map_or(title.clone(), |address| format!("<{address}|{title}>"));
    let mut blocks = Vec::new();
    if let Some(text) = &message.text {
        blocks.push(json!({ "type": "section", "text": mrkdwn(within(text, TEXT, escape)) }));
    }
    let fact = |(name, value): &(String, String)| {
        let escaped = |text| within(text, FACT, escape);
        mrkdwn(format!("*{}*\n{}", escaped(name), escaped(value)))
    };
    if !message.facts.is_empty() {
        blocks.push(json!({ "type": "section", "fields": message.facts.iter().map(fact).collect::<Vec<_>>() }));
    }
    blocks.push(json!({ "type": "context", "elements": [mrkdwn(within(&message.origin(), FACT, escape))] }));
    json!({ "text": text, "attachments": [{ "color": message.tone.hex(), "fallback": title, "blocks": blocks }] })
}

/// Nothing in it is made a link or a mention that is not written as one.
fn mrkdwn(text: String) -> Value {
    json!({ "type": "mrkdwn", "text": text, "verbatim": true })
}

/// The three characters that have a meaning to Slack's parser; without them there is neither link nor mention.
fn escape(character: char, text: &mut String) {
    match character {
        '&' => text.push_str("&amp;"),
        '<' => text.push_str("&lt;"),
        '>' => text.push_str("&gt;"),
        other => text.push(other),
    }
}
