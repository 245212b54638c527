//! The outgoing guard: resolves a host name and refuses addresses that may not be called.
//!
//! ureq calls it before every request, also for a reused connection, and connects only to the addresses that it returns.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::egress::Egress;
use super::errors::LookUpError;
use super::look_up::{LookUpFailure, LookUps};
use super::target::Target;
use crate::domain::network::{AddressPolicy, BlockedAddress};

/// The most addresses that ureq tries.
const MAX_ADDRESSES: usize = 16;

/// Resolves with the shared look-ups and checks every address against the policy.
#[derive(Debug)]
pub struct GuardedResolver {
    policy: AddressPolicy,
    /// Whether the proxy resolves names; an address in a URL is checked all the same.
    leaves_names: bool,
    look_ups: Arc<LookUps>,
}

/// Whether the guard refuses the target's present addresses. A look-up that fails or takes longer than `patience` refuses
/// nothing: the addresses are checked again when a request is sent.
pub fn refusal(
    look_ups: &Arc<LookUps>,
    egress: &Egress,
    target: &Target,
    patience: Duration,
) -> Option<BlockedAddress> {
    let resolver = GuardedResolver::new(egress, Arc::clone(look_ups));
    match resolver.addresses(&target.uri, patience, ureq::Timeout::Resolve) {
        Err(Error::Other(error)) => error.downcast::<BlockedAddress>().ok().map(|blocked| *blocked),
        _ => None,
    }
}

impl GuardedResolver {
    pub fn new(egress: &Egress, look_ups: Arc<LookUps>) -> Self {
        Self { policy: egress.policy.clone(), leaves_names: egress.leaves_names(), look_ups }
    }

    /// The addresses of the URI's host, all of them allowed; none if the proxy resolves the name.
    fn addresses(&self, uri: &Uri, patience: Duration, reason: ureq::Timeout) -> Result<Arc<[IpAddr]>, Error> {
        let blocked = |blocked: BlockedAddress| Error::Other(Box::new(blocked));
        let host = uri.host().ok_or(Error::HostNotFound)?;
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        if address.is_err() {
            self.policy.check_name(host).map_err(blocked)?;
            if self.leaves_names {
                return Ok(Arc::from([]));
            }
        }
        let found = match address {
            Ok(address) => Ok(Arc::from([address])),
            Err(_) => self.look_ups.find(host, patience),
        };
        let found = found.map_err(|failure| match failure {
            LookUpFailure::Local(trouble) => Error::Other(Box::new(trouble)),
            LookUpFailure::Name(reason) => not_found(host, reason),
            LookUpFailure::TimedOut => Error::Timeout(reason),
        })?;
        // One refused address refuses all: a name that points to inside and outside cannot be trusted.
        found.iter().try_for_each(|address| self.policy.check(*address)).map_err(blocked)?;
        if found.is_empty() { Err(not_found(host, "the name has no address".to_owned())) } else { Ok(found) }
    }
}

impl Resolver for GuardedResolver {
    fn resolve(&self, uri: &Uri, _: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let port = port_of(uri).ok_or(Error::HostNotFound)?;
        let mut result = self.empty();
        for address in self.addresses(uri, *timeout.after, timeout.reason)?.iter().take(MAX_ADDRESSES) {
            result.push(SocketAddr::new(*address, port));
        }
        Ok(result)
    }
}

fn not_found(host: &str, reason: String) -> Error {
    Error::Other(Box::new(LookUpError { host: host.to_owned(), reason }))
}

fn port_of(uri: &Uri) -> Option<u16> {
    match (uri.port_u16(), uri.scheme_str()) {
        (Some(port), _) => Some(port),
        (None, Some("https")) => Some(443),
        (None, Some("http")) => Some(80),
        (None, _) => None,
    }
}
