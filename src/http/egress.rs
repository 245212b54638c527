//! The network settings of requests: allowed addresses, trusted certificates, client certificate, proxy.

use ipnet::IpNet;

use crate::domain::network::AddressPolicy;
use crate::domain::proxy::ProxyLogin;
use crate::domain::secret::Secret;
use crate::domain::webhook::Settings;

/// The settings of a client. Webhooks with equal settings share a client and its connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Egress {
    pub policy: AddressPolicy,
    /// Roots besides the built-in ones, PEM.
    pub ca_cert: Option<String>,
    pub system_roots: bool,
    pub identity: Option<ClientPem>,
    pub proxy: Option<ProxyLogin>,
    pub proxy_resolves: bool,
}

/// A client's certificate and its key, PEM.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientPem {
    pub certificate: String,
    pub key: Secret,
}

/// Settings of the environment or the profile that apply to every webhook.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Addresses that may be called.
    pub networks: Vec<IpNet>,
    pub proxy: Option<ProxyLogin>,
}

impl Egress {
    /// The settings of a webhook's requests. Its credentials must be loaded.
    pub fn new(settings: &Settings, surroundings: &Surroundings) -> Egress {
        let own = &settings.egress;
        let mut policy = settings.addresses.clone();
        policy.allow_networks.extend(&surroundings.networks);
        let key = own.client_key.as_ref().and_then(|key| key.value.clone());
        let identity = own.client_cert.clone().zip(key).map(|(certificate, key)| ClientPem { certificate, key });
        Egress {
            policy,
            ca_cert: settings.ca_cert.clone(),
            system_roots: own.system_roots,
            identity,
            proxy: own.through(surroundings.proxy.as_ref()),
            proxy_resolves: own.proxy_resolves,
        }
    }

    /// Whether the proxy resolves the receiver's name, so that its addresses cannot be checked here.
    pub fn leaves_names(&self) -> bool {
        self.proxy.is_some() && self.proxy_resolves
    }
}
