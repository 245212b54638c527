//! Settings as they may be shown: the values that are credentials are masked.

use url::Url;

use crate::domain::target_url;

/// Parts of the names of headers whose values are credentials.
const CREDENTIALS: [&str; 7] = ["authorization", "cookie", "token", "secret", "password", "api-key", "apikey"];

/// A URL with its query values masked.
pub fn url(url: &str) -> String {
    Url::parse(url).map_or_else(|_| url.to_owned(), |url| target_url::masked(&url))
}

/// Headers with the values masked that are credentials by their name.
pub fn headers(headers: &[(String, String)]) -> Vec<(String, String)> {
    let is_credential = |name: &str| {
        let name = name.to_ascii_lowercase();
        CREDENTIALS.iter().any(|part| name.contains(part))
    };
    let shown = |name: &str, value: &String| if is_credential(name) { "***".to_owned() } else { value.clone() };
    headers.iter().map(|(name, value)| (name.clone(), shown(name, value))).collect()
}
