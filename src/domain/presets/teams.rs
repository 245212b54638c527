//! Microsoft Teams, by a workflow ("Post to a channel when a webhook request is received") or an incoming webhook. Documents:
//! "Create Incoming Webhooks" (28 KB a message), "Adaptive Cards schema 1.4" (TextBlock, FactSet, Action.OpenUrl), "Format cards in
//! Microsoft Teams".

use serde_json::{Value, json};

use super::message::{Message, Tone};
use super::text::{markdown, plain, within};

/// Three bytes each at most, below 28 KB in all.
const TITLE: usize = 300;
const TEXT: usize = 4_000;
const NAME: usize = 60;
const FACT: usize = 200;

pub fn body(message: &Message<'_>) -> Value {
    let title = within(&message.title, TITLE, markdown);
    let mut blocks = vec![json!({
        "type": "TextBlock", "text": title, "size": "Medium", "weight": "Bolder", "wrap": true, "color": color(message.tone)
    })];
    if let Some(text) = &message.text {
        blocks.push(json!({ "type": "TextBlock", "text": within(text, TEXT, markdown), "wrap": true }));
    }
    let fact = |(name, value): &(String, String)| json!({ "title": within(name, NAME, markdown), "value": within(value, FACT, markdown) });
    if !message.facts.is_empty() {
        blocks.push(json!({ "type": "FactSet", "facts": message.facts.iter().map(fact).collect::<Vec<_>>() }));
    }
    let origin = within(&message.origin(), FACT, markdown);
    blocks.push(json!({ "type": "TextBlock", "text": origin, "size": "Small", "isSubtle": true, "wrap": true }));
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": within(&message.title, TITLE, plain),
        "body": blocks,
    });
    if let Some(link) = &message.link {
        card["actions"] = json!([{ "type": "Action.OpenUrl", "title": "Open", "url": link.as_str() }]);
    }
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card
        }],
    })
}

fn color(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "Good",
        Tone::Warning => "Warning",
        Tone::Bad => "Attention",
        Tone::Neutral => "Default",
    }
}
