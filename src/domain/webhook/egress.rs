//! How a webhook's requests leave the network: through which proxy, and with which client certificate.

use serde::{Deserialize, Serialize};

use super::field::{Field, Invalid};
use crate::domain::credential::Credential;
use crate::domain::proxy::{Proxy, ProxyChoice, ProxyError, ProxyLogin, check_password};

/// The size limit of a client certificate and of its key, in bytes of PEM.
pub const LONGEST_CLIENT_PEM: usize = 64 * 1024;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EgressSettings {
    /// `None`: the proxy of the environment or the profile, if any.
    pub proxy: Option<ProxyChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_password: Option<Credential>,
    /// The proxy resolves the receiver's name. The address guard then has no address to check.
    pub proxy_resolves: bool,
    /// PEM: the client's own certificate, then its chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_cert: Option<String>,
    /// PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_key: Option<Credential>,
    /// Trusts the system's root certificates besides the built-in ones.
    pub system_roots: bool,
}

impl EgressSettings {
    /// Takes the URL of a proxy, `none`, or `default` for the environment's. Another proxy drops the password.
    pub fn set_proxy(&mut self, text: &str) -> Result<(), Invalid> {
        let proxy = match text {
            "default" => None,
            text => Some(ProxyChoice::parse(text).map_err(|error| {
                let invalid = Field::PROXY.invalid(&error);
                match error {
                    ProxyError::Password => invalid.hint(
                        "write http://USER@HOST:PORT, and --proxy-password-env VAR or --proxy-password-file FILE",
                    ),
                    _ => invalid,
                }
            })?),
        };
        if proxy != self.proxy {
            self.proxy_password = None;
        }
        self.proxy = proxy;
        Ok(())
    }

    pub fn set_proxy_password(&mut self, credential: Credential) -> Result<(), Invalid> {
        let field = Field::PROXY_PASSWORD.given_by(credential.source.as_ref());
        let text = credential.value.as_ref().map(|value| value.expose());
        text.map_or(Ok(()), |text| check_password(&text)).map_err(|error| field.invalid(error))?;
        self.proxy_password = Some(credential);
        Ok(())
    }

    /// Sets a certificate in PEM. An empty text removes it and its key.
    pub fn set_client_cert(&mut self, pem: &str) -> Result<(), Invalid> {
        if pem.len() > LONGEST_CLIENT_PEM {
            return Err(Field::CLIENT_CERT.invalid(format!("longer than {LONGEST_CLIENT_PEM} bytes")));
        }
        if pem.to_ascii_uppercase().contains("PRIVATE KEY") {
            return Err(Field::CLIENT_CERT
                .invalid("it holds a private key, which would be shown with the certificate; nothing was stored")
                .hint(
                    "give the key alone with --client-key, the certificates with --client-cert: openssl x509 -in FILE",
                ));
        }
        self.client_cert = (!pem.is_empty()).then(|| pem.to_owned());
        if pem.is_empty() {
            self.client_key = None;
        }
        Ok(())
    }

    /// Checks that a certificate has its key, and a proxy password its user.
    pub fn check(&self) -> Result<(), Invalid> {
        match (&self.client_cert, &self.client_key) {
            (Some(_), None) => {
                return Err(Field::CLIENT_KEY.invalid("it is missing: a client certificate needs its key"));
            }
            (None, Some(_)) => {
                return Err(Field::CLIENT_CERT.invalid("it is missing: a client key needs its certificate"));
            }
            _ => {}
        }
        let has_user = matches!(&self.proxy, Some(ProxyChoice::Through(Proxy { user: Some(_), .. })));
        match &self.proxy_password {
            Some(password) if !has_user => Err(Field::PROXY_PASSWORD
                .given_by(password.source.as_ref())
                .invalid("there is no user for it")
                .hint("write --proxy http://USER@HOST:PORT")),
            _ => Ok(()),
        }
    }

    /// The proxy for this webhook's requests: its own, else the environment's or the profile's (`of_all`).
    pub fn through(&self, of_all: Option<&ProxyLogin>) -> Option<ProxyLogin> {
        match &self.proxy {
            Some(ProxyChoice::None) => None,
            Some(ProxyChoice::Through(proxy)) => {
                let password = self.proxy_password.as_ref().and_then(|password| password.value.clone());
                Some(ProxyLogin { proxy: proxy.clone(), password })
            }
            None => of_all.cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::secret::Secret;

    fn password() -> Credential {
        Credential::new(Secret::of_text("hunter2"), None)
    }

    #[test]
    fn a_password_stays_with_its_proxy() {
        let mut egress = EgressSettings::default();
        egress.set_proxy("http://user@one:1").unwrap();
        egress.set_proxy_password(password()).unwrap();
        egress.set_proxy("http://user@one:1").unwrap();
        assert!(egress.proxy_password.is_some());
        egress.set_proxy("http://user@two:1").unwrap();
        assert!(egress.proxy_password.is_none());
    }

    #[test]
    fn a_key_without_its_certificate_and_a_password_without_a_user_are_refused() {
        let key = EgressSettings { client_key: Some(password()), ..EgressSettings::default() };
        assert_eq!(key.check().unwrap_err().field, Field::CLIENT_CERT);
        let cert = EgressSettings { client_cert: Some("PEM".to_owned()), ..EgressSettings::default() };
        assert_eq!(cert.check().unwrap_err().field, Field::CLIENT_KEY);
        let mut login = EgressSettings { proxy_password: Some(password()), ..EgressSettings::default() };
        login.set_proxy("default").unwrap();
        assert_eq!(login.check().unwrap_err().field, Field::PROXY_PASSWORD);
    }

    #[test]
    fn a_webhooks_own_proxy_comes_before_the_one_for_all_and_none_excepts_it() {
        let of_all = ProxyLogin::parse("http://all:1").unwrap();
        let mut egress = EgressSettings::default();
        assert_eq!(egress.through(Some(&of_all)), Some(of_all.clone()));
        egress.set_proxy("socks5://own:1").unwrap();
        assert_eq!(egress.through(Some(&of_all)).unwrap().proxy.host, "own");
        egress.set_proxy("none").unwrap();
        assert_eq!(egress.through(Some(&of_all)), None);
    }
}
