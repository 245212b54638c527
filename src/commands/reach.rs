//! Forwarded and replayed requests: which machines they may reach.

use url::Url;

use crate::context::Context;
use crate::domain::network::AddressPolicy;
use crate::domain::target_url;
use crate::error::Failure;
use crate::http::{Direct, DirectError, Reach};

/// Sends requests to this machine, and to others with `--allow-remote`.
pub fn direct(context: &Context, allow_remote: bool) -> Direct {
    if !allow_remote {
        return Direct::new(Reach::ThisMachine);
    }
    let loopback = ["127.0.0.0/8", "::1/128"].map(|network| network.parse().expect("a network"));
    let allow_networks = loopback.into_iter().chain(context.settings.networks.iter().copied()).collect();
    Direct::new(Reach::Beyond(AddressPolicy { allow_private: true, allow_networks }))
}

/// A URL that `option` names.
pub fn url(option: &str, text: &str) -> Result<Url, Failure> {
    target_url::parse(text).map_err(|error| Failure::option(option, error))
}

/// Whether the URL leads to this machine; a forbidden address is refused. A name that cannot be resolved counts as this
/// machine's: it is checked again when a request is sent.
pub fn is_this_machine(direct: &Direct, option: &str, url: &Url) -> Result<bool, Failure> {
    match direct.place(url) {
        Ok(place) => Ok(place.is_this_machine),
        Err(error @ DirectError::NotThisMachine(_)) => {
            Err(Failure::option(option, error).hint("say --allow-remote to let requests leave this machine"))
        }
        Err(error) if error.is_refusal() => Err(Failure::option(option, error)),
        Err(_) => Ok(true),
    }
}

/// Host and port for the `Host` header.
pub fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Path and query for the request line.
pub fn path(url: &Url) -> String {
    url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
}

/// The URL of a request with that target.
pub fn full_url(url: &Url, target: &str) -> String {
    match target.starts_with('/') {
        true => format!("{}://{}{target}", url.scheme(), authority(url)),
        false => url.to_string(),
    }
}
