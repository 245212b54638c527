//! Mattermost's incoming webhooks. Documents: "Incoming webhooks" (parameters), "Message attachments" (attachment options,
//! mentions); a post has 16,383 characters at most, and a footer is shown up to 300.

use serde_json::{Value, json};

use super::message::Message;
use super::text::{markdown, plain, within};

const TITLE: usize = 300;
const TEXT: usize = 4_000;
const FACT: usize = 400;
const FOOTER: usize = 300;

/// Names of fields, and a title that is a link, are shown as they are: an escape would be seen.
pub fn body(message: &Message<'_>) -> Value {
    let fact = |(name, value): &(String, String)| json!({ "short": true, "title": within(name, FACT, escape_mentions), "value": within(value, FACT, escape) });
    let mut attachment = json!({
        "fallback": within(&message.title, TITLE, escape_mentions),
        "color": message.tone.hex(),
        "title": within(&message.title, TITLE, if message.link.is_some() { escape_mentions } else { escape }),
        "fields": message.facts.iter().map(fact).collect::<Vec<_>>(),
        "footer": within(&message.origin(), FOOTER, plain),
    });
    if let Some(text) = &message.text {
        attachment["text"] = within(text, TEXT, escape).into();
    }
    if let Some(link) = &message.link {
        attachment["title_link"] = link.as_str().into();
    }
    json!({ "attachments": [attachment] })
}

fn escape(character: char, text: &mut String) {
    markdown(character, text);
    break_mention(character, text);
}

fn escape_mentions(character: char, text: &mut String) {
    text.push(character);
    break_mention(character, text);
}

/// Texts of attachments mention people: a blank of no width after the @ makes it no mention.
fn break_mention(character: char, text: &mut String) {
    if character == '@' {
        text.push('\u{200b}');
    }
}
