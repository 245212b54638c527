//! A change of the network settings: options of create, update and probe, and keys of a configuration file.

use std::str::FromStr;

use clap::Args;
use serde::Deserialize;

use super::pem::Pem;
use crate::commands::given_credential::GivenCredential;
use crate::context::Context;
use crate::domain::webhook::{EgressSettings, Field, Invalid, LONGEST_CLIENT_PEM, Settings};
use crate::http::{ClientError, Egress, check_client};

/// The size limit of a file with a password, in bytes, so that an endless device is refused.
const LONGEST_PASSWORD: usize = 4_096;

/// The settings to change; the others keep their values.
#[derive(Args, Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EgressChange {
    /// Trust the certificate authorities of this machine too
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Network")]
    pub system_roots: Option<bool>,
    /// Send through this proxy: http://, https:// or socks5://HOST:PORT, with USER@ where it needs a login; none for
    /// no proxy, default for HOOKCTL_PROXY
    #[arg(long, value_name = "URL", help_heading = "Network")]
    pub proxy: Option<String>,
    /// The password of the proxy's user is in this environment variable
    #[arg(long = "proxy-password-env", value_name = "VAR", value_parser = GivenCredential::env, conflicts_with = "proxy_password_file", help_heading = "Network")]
    pub proxy_password: Option<GivenCredential>,
    /// The password of the proxy's user is in this file
    #[arg(long, value_name = "FILE", value_parser = GivenCredential::file, help_heading = "Network")]
    #[serde(skip)]
    pub proxy_password_file: Option<GivenCredential>,
    /// Let the proxy resolve the receiver's name; its addresses are not checked then
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Network")]
    pub proxy_resolves: Option<bool>,
    /// Present this certificate to the receiver (PEM file: its own, then intermediates); none for no certificate
    #[arg(long, value_name = "FILE", value_parser = Pem::from_str, help_heading = "Network")]
    pub client_cert: Option<Pem>,
    /// The key of the client certificate (PEM file, without a passphrase)
    #[arg(long, value_name = "FILE", value_parser = GivenCredential::file, help_heading = "Network")]
    pub client_key: Option<GivenCredential>,
}

impl EgressChange {
    /// Whether a key of a file is one of these settings.
    pub fn has_key(key: &str) -> bool {
        const FIELDS: [Field; 6] = [
            Field::SYSTEM_ROOTS,
            Field::PROXY,
            Field::PROXY_PASSWORD,
            Field::PROXY_RESOLVES,
            Field::CLIENT_CERT,
            Field::CLIENT_KEY,
        ];
        FIELDS.iter().any(|field| field.key == key)
    }

    pub fn apply(&self, egress: &mut EgressSettings) -> Result<(), Invalid> {
        egress.system_roots = self.system_roots.unwrap_or(egress.system_roots);
        egress.proxy_resolves = self.proxy_resolves.unwrap_or(egress.proxy_resolves);
        if let Some(proxy) = &self.proxy {
            egress.set_proxy(proxy)?;
        }
        if let Some(given) = self.proxy_password.as_ref().or(self.proxy_password_file.as_ref()) {
            egress.set_proxy_password(given.read(Field::PROXY_PASSWORD, LONGEST_PASSWORD)?)?;
        }
        match &self.client_cert {
            Some(Pem::File(name)) if name == "none" => egress.set_client_cert("")?,
            Some(pem) => egress.set_client_cert(&pem.read(Field::CLIENT_CERT, LONGEST_CLIENT_PEM)?)?,
            None => {}
        }
        if let Some(given) = &self.client_key {
            egress.client_key = Some(given.read(Field::CLIENT_KEY, LONGEST_CLIENT_PEM)?);
        }
        Ok(())
    }

    /// Whether the client certificate or its key is changed.
    pub fn presents_anew(&self) -> bool {
        self.client_cert.is_some() || self.client_key.is_some()
    }
}

/// Checks that the client certificate and its key, if any, belong together and are valid now.
pub fn check_identity(context: &Context, settings: &Settings) -> Result<(), Invalid> {
    let egress = Egress::new(settings, &context.surroundings());
    egress.identity.map_or(Ok(()), |identity| check_client(&identity, context.now())).map_err(|error| match error {
        ClientError::ClientKey(reason) => Field::CLIENT_KEY.invalid(reason),
        ClientError::ClientCertificate(reason) => Field::CLIENT_CERT.invalid(reason),
        other => Field::CLIENT_CERT.invalid(other),
    })
}
