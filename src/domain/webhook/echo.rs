//! Masks the credentials of a request where the receiver's answer repeats them.

use url::{Position, Url};

use super::{Settings, masked};
use crate::domain::attempt::Answer;
use crate::domain::credential::HeaderValue;
use crate::domain::secret::MASKED;

/// Shorter credentials are not masked, in bytes: an answer contains such short texts anyway.
const SHORTEST_REPEATED: usize = 8;

/// The credentials that a webhook's requests carry: whole values, and the parts that an answer may repeat on their own.
pub fn sent_credentials(settings: &Settings) -> Vec<String> {
    let mut sent = Vec::new();
    for (name, value) in &settings.headers {
        let is_credential = matches!(value, HeaderValue::Secret(_)) || masked::is_credential(name);
        if let Some(value) = value.text().filter(|_| is_credential) {
            sent.extend(value.split_whitespace().map(str::to_owned));
            sent.push(value.into_owned());
        }
    }
    if let Some(url) = settings.full_url().and_then(|url| Url::parse(&url).ok()) {
        if settings.secret_url.is_some() {
            sent.extend([url.to_string(), url[Position::BeforePath..].to_owned(), url.path().to_owned()]);
        }
        sent.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
    }
    // Longest first: a part must not break up the whole before it is found.
    sent.sort_unstable_by_key(|credential| std::cmp::Reverse(credential.len()));
    sent.dedup();
    sent
}

/// Masks them in an answer.
pub fn mask<'c>(answer: &mut Answer, credentials: impl Iterator<Item = &'c str>) {
    for credential in credentials.filter(|credential| credential.len() >= SHORTEST_REPEATED) {
        for (_, value) in &mut answer.headers {
            *value = value.replace(credential, MASKED);
        }
        let (body, wanted) = (&mut answer.body, credential.as_bytes());
        while let Some(at) = body.windows(wanted.len()).position(|part| part == wanted) {
            body.splice(at..at + wanted.len(), MASKED.bytes());
        }
    }
}
