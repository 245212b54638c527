//! What an answer repeats of the credentials that came with its request.

use url::{Position, Url};

use super::{Settings, masked};
use crate::domain::attempt::Answer;
use crate::domain::credential::HeaderValue;
use crate::domain::secret::MASKED;

/// What is shorter, in bytes, stands in answers for other reasons too.
const SHORTEST_REPEATED: usize = 8;

/// What requests show a receiver of a webhook's credentials: their values, and the parts of them that it may repeat alone.
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
    // A part is looked for behind the whole.
    sent.sort_unstable_by_key(|credential| std::cmp::Reverse(credential.len()));
    sent.dedup();
    sent
}

/// Masks what an answer repeats of them.
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
