//! JSON of any shape, as far as people read it.

use serde_json::value::RawValue;

use crate::domain::members::Members;
use crate::domain::text::is_unsafe;

/// The members of an object, in its order; none of anything else.
#[derive(Debug, Default)]
pub struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Object<'a> {
    pub fn of(json: &'a RawValue) -> Object<'a> {
        let members = serde_json::from_str::<Members<&RawValue>>(json.get());
        Object(members.map(|members| members.0).unwrap_or_default())
    }

    /// If a name is there twice, the last one counts, as for most parsers.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    pub fn object(&self, name: &str) -> Object<'a> {
        self.get(name).map(Object::of).unwrap_or_default()
    }

    pub fn text(&self, name: &str) -> Option<String> {
        text(self.get(name)?)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }
}

/// A text that shows something, without characters that could hide or reorder what is beside it; a number or truth value as it
/// is written.
pub fn text(json: &RawValue) -> Option<String> {
    let text = match json.get().as_bytes().first()? {
        b'"' => serde_json::from_str(json.get()).ok()?,
        b'{' | b'[' | b'n' => return None,
        _ => json.get().to_owned(),
    };
    let shows = |c: &char| *c == '\n' || !(is_unsafe(*c) || is_noncharacter(*c));
    let text: String = text.replace('\t', " ").chars().filter(shows).collect();
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Unicode assigns no meaning to these code points, and CloudEvents has none in its attributes.
fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe
}

/// A person or program: by what a user is called, or the text itself.
pub fn who(json: &RawValue) -> Option<String> {
    let user = Object::of(json);
    let names = ["name", "full_name", "username", "email", "id"];
    names.into_iter().find_map(|name| user.text(name)).or_else(|| text(json)).map(|text| one_line(&text))
}

pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether it is a time as RFC 3339 writes it, with the capital letters that every receiver reads.
pub fn is_time(text: &str) -> bool {
    !text.contains([' ', 't', 'z', '_']) && chrono::DateTime::parse_from_rfc3339(text).is_ok()
}
