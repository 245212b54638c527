//! Masks the credentials among the settings, so that they may be shown.

use url::Url;

use crate::domain::recording;
use crate::domain::secret::MASKED;

/// Parts of the names of headers whose values are credentials.
const CREDENTIALS: [&str; 7] = ["authorization", "cookie", "token", "secret", "password", "api-key", "apikey"];

/// Masks a URL whose path is a credential too.
pub fn secret_url(url: &Url) -> String {
    format!("{}/{MASKED}", url.origin().ascii_serialization())
}

/// Whether a URL has query values, which often are tokens.
pub fn has_query_values(url: &Url) -> bool {
    url.query().is_some_and(|query| !query.is_empty())
}

/// Whether a credential is in the query of a URL, by the name of a value or for want of one.
pub fn has_credential(url: &Url) -> bool {
    const NAMES: [&str; 5] = ["key", "sig", "signature", "code", "auth"];
    let is_one = |name: &str, value: &str| match value {
        "" => !name.is_empty(),
        _ => is_credential(name) || NAMES.iter().any(|known| name.eq_ignore_ascii_case(known)),
    };
    url.query_pairs().any(|(name, value)| is_one(&name, &value))
}

/// Whether a header of this name usually carries a credential: all that recordings mask, and more.
pub fn is_credential(name: &str) -> bool {
    recording::is_credential(name) || CREDENTIALS.iter().any(|part| name.to_ascii_lowercase().contains(part))
}

/// The headers, with the values of those that usually carry a credential masked.
pub fn headers(headers: &[(String, String)]) -> Vec<(String, String)> {
    let shown = |name: &str, value: &String| if is_credential(name) { MASKED.to_owned() } else { value.clone() };
    headers.iter().map(|(name, value)| (name.clone(), shown(name, value))).collect()
}
