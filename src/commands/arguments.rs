//! Parsers of option values that several commands share.

use std::time::Duration;

use crate::domain::duration;
use crate::domain::owner::Owner;
use crate::domain::text::whole_number;
use crate::domain::time::Timestamp;
use crate::error::Failure;

/// The longest body that is signed or verified, in bytes: more than any sender sends.
pub const LONGEST_BODY: usize = 64 * 1024 * 1024;

/// A duration such as `30s`, for clap.
pub fn duration(text: &str) -> Result<Duration, String> {
    duration::parse(text).map_err(|error| error.to_string())
}

/// An owner, or `none`, for clap.
pub fn owner(text: &str) -> Result<Owner, String> {
    text.parse::<Owner>().map_err(|error| error.to_string())
}

/// A whole number of at least 1, for clap.
pub fn at_least_one(text: &str) -> Result<u64, String> {
    let fits = |number: &u64| *number >= 1 && i64::try_from(*number).is_ok();
    whole_number(text).filter(fits).ok_or_else(|| "not a whole number of at least 1".to_owned())
}

/// An id as lists show it: a whole number, for clap.
pub fn id(text: &str) -> Result<i64, String> {
    whole_number(text).ok_or_else(|| "not an id; ids are whole numbers, as lists show them".to_owned())
}

/// An entity's type, and its id where one is given: `invoice`, `invoice:42`, for clap.
pub fn entity(text: &str) -> Result<(String, Option<String>), String> {
    let (kind, id) = text.split_once(':').map_or((text, None), |(kind, id)| (kind, Some(id)));
    match kind.is_empty() || id.is_some_and(str::is_empty) {
        true => Err("not an entity; write TYPE or TYPE:ID, such as invoice:42".to_owned()),
        false => Ok((kind.to_owned(), id.map(str::to_owned))),
    }
}

/// A number of worker threads, 1 to 512, for clap.
pub fn concurrency(text: &str) -> Result<usize, String> {
    let fits = |number: &usize| (1..=512).contains(number);
    whole_number(text).filter(fits).ok_or_else(|| "not a whole number from 1 to 512".to_owned())
}

/// A point in time: RFC 3339, or a duration that means "ago".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    At(Timestamp),
    /// This long before now.
    Ago(Duration),
}

impl Moment {
    /// The point in time, if it is now `now`.
    pub fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Moment::At(point) => point,
            Moment::Ago(length) => now.minus(length),
        }
    }
}

/// A point in time, for clap.
pub fn moment(text: &str) -> Result<Moment, String> {
    if let Some(point) = Timestamp::parse_rfc3339(text).or_else(|| midnight(text)) {
        return Ok(Moment::At(point));
    }
    duration::parse(text).map(Moment::Ago).map_err(|_| {
        "not a time; write 2026-01-31, 2026-01-31T12:00:00Z, or a duration such as 2h for two hours ago".to_owned()
    })
}

/// The start of a day in UTC: `2026-01-31`.
fn midnight(text: &str) -> Option<Timestamp> {
    let is_date = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    is_date.then(|| Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z"))).flatten()
}

/// Reads a file, or stdin for `-`, up to `limit` bytes; more is an error that names `option`.
pub fn read_input(option: &str, name: &str, limit: usize) -> Result<Vec<u8>, Failure> {
    read_file(name, limit).map_err(|reason| Failure::option(option, reason))
}

/// The same; the error is the reason without the option.
pub fn read_file(name: &str, limit: usize) -> Result<Vec<u8>, String> {
    use std::io::Read;
    let fail = |error: &std::io::Error| {
        let reason = match error.kind() {
            std::io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
            _ => error.to_string(),
        };
        format!("cannot read {}: {reason}", shown(name))
    };
    let mut bytes = Vec::new();
    let most = limit as u64 + 1;
    match name {
        "-" => std::io::stdin().lock().take(most).read_to_end(&mut bytes),
        path => std::fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes)),
    }
    .map_err(|error| fail(&error))?;
    if bytes.len() > limit {
        return Err(format!("{} holds more than {limit} bytes, the limit", shown(name)));
    }
    Ok(bytes)
}

fn shown(name: &str) -> String {
    if name == "-" { "stdin".to_owned() } else { format!("'{name}'") }
}
