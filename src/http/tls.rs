//! TLS connections: certificates are always verified, against the public roots and those that a webhook adds.

use std::fmt;
use std::io::{Read, Write};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use ureq::Error;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, LazyBuffers, NextTimeout, Transport, TransportAdapter};

use super::egress::Egress;
use super::errors::{HandshakeError, tls_reason};
use super::target::ClientError;
use super::{identity, local};
use crate::trust::Trust;

/// The trusted roots and the client certificate; the TLS configuration is made at the first use.
pub struct Tls {
    added: Vec<CertificateDer<'static>>,
    system_roots: bool,
    identity: Option<Arc<CertifiedKey>>,
    config: OnceLock<Arc<ClientConfig>>,
}

impl Tls {
    pub fn new(egress: &Egress) -> Result<Tls, ClientError> {
        let added = egress.ca_cert.as_deref().map_or_else(|| Ok(Vec::new()), roots)?;
        let identity = identity::shared(egress.identity.as_ref())?;
        Ok(Tls { added, system_roots: egress.system_roots, identity, config: OnceLock::new() })
    }

    /// The same roots for a proxy, without a client certificate.
    pub fn for_proxy(&self) -> Tls {
        Tls { added: self.added.clone(), system_roots: self.system_roots, identity: None, config: OnceLock::new() }
    }

    pub fn open(
        &self,
        wire: Box<dyn Transport>,
        host: &str,
        details: &ConnectionDetails,
        timeout: NextTimeout,
        buffers: LazyBuffers,
    ) -> Result<TlsWire, Error> {
        let name = ServerName::try_from(host.trim_start_matches('[').trim_end_matches(']').to_owned())
            .map_err(|error| handshake(&error))?;
        let mut connection = ClientConnection::new(self.config()?, name).map_err(|error| handshake(&error))?;
        let mut socket = TransportAdapter::new(wire, Arc::clone(&details.current_time));
        socket.set_timeout(timeout);
        while connection.is_handshaking() {
            // ureq wraps its time-outs in io errors.
            connection.complete_io(&mut socket).map_err(|error| match Error::from(error) {
                timeout @ Error::Timeout(_) => timeout,
                Error::Io(error) if local::trouble(&error).is_some() => Error::Io(error),
                Error::Io(error) => handshake(&tls_reason(&error)),
                other => other,
            })?;
        }
        Ok(TlsWire { stream: StreamOwned::new(connection, socket), buffers })
    }

    pub fn config(&self) -> Result<Arc<ClientConfig>, Error> {
        if let Some(config) = self.config.get() {
            return Ok(Arc::clone(config));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut added = self.added.clone();
        if self.system_roots {
            added.extend(system_roots().iter().cloned());
        }
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        roots.add_parsable_certificates(added.iter().cloned());
        let trust = Trust::new(roots, added, Arc::clone(&provider)).map_err(|error| handshake(&error))?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| handshake(&error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(trust));
        let config = match &self.identity {
            Some(key) => config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(key)))),
            None => config.with_no_client_auth(),
        };
        Ok(Arc::clone(self.config.get_or_init(|| Arc::new(config))))
    }
}

/// Parses certificates that are to be trusted.
pub fn roots(pem: &str) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let refused = |reason: String| ClientError::CaCertificate(reason);
    let added = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| refused(format!("it is not PEM: {error:?}")))?;
    if added.is_empty() {
        return Err(refused("it holds no PEM certificate (-----BEGIN CERTIFICATE-----)".to_owned()));
    }
    let mut store = RootCertStore::empty();
    for certificate in &added {
        store.add(certificate.clone()).map_err(|error| refused(error.to_string()))?;
    }
    Ok(added)
}

/// The root certificates of the system, read once; unreadable ones are skipped.
fn system_roots() -> &'static [CertificateDer<'static>] {
    static ROOTS: OnceLock<Vec<CertificateDer<'static>>> = OnceLock::new();
    ROOTS.get_or_init(|| rustls_native_certs::load_native_certs().certs)
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("added", &self.added.len()).finish_non_exhaustive()
    }
}

pub struct TlsWire {
    stream: StreamOwned<ClientConnection, TransportAdapter>,
    buffers: LazyBuffers,
}

impl Transport for TlsWire {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.get_mut().set_timeout(timeout);
        self.stream.write_all(&self.buffers.output()[..amount])?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.get_mut().set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for TlsWire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsWire").finish_non_exhaustive()
    }
}

fn handshake(error: &dyn fmt::Display) -> Error {
    Error::Other(Box::new(HandshakeError(error.to_string())))
}
