//! TLS over a [`Wire`]: always verified, against the public roots and the one that a webhook adds.

use std::fmt;
use std::io::{Read, Write};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use ureq::Error;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, LazyBuffers, NextTimeout, Transport, TransportAdapter};

use super::errors::HandshakeError;
use super::local;
use super::target::ClientError;
use super::trust::Trust;
use super::wire::Wire;

/// The roots that a client trusts; made into a TLS configuration at the first use.
pub struct TlsRoots {
    added: Vec<CertificateDer<'static>>,
    config: OnceLock<Arc<ClientConfig>>,
}

impl TlsRoots {
    pub fn new(ca_cert_pem: Option<&str>) -> Result<TlsRoots, ClientError> {
        let refused = |reason: String| ClientError::CaCertificate(reason);
        let Some(pem) = ca_cert_pem else { return Ok(TlsRoots { added: Vec::new(), config: OnceLock::new() }) };
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
        Ok(TlsRoots { added, config: OnceLock::new() })
    }

    /// Opens TLS on a connection, as the host that the URL names.
    pub fn open(
        &self,
        wire: Wire,
        details: &ConnectionDetails,
        timeout: NextTimeout,
        buffers: LazyBuffers,
    ) -> Result<TlsWire, Error> {
        let host = details.uri.host().ok_or(Error::HostNotFound)?;
        let name = ServerName::try_from(host.trim_start_matches('[').trim_end_matches(']').to_owned())
            .map_err(|error| handshake(&error))?;
        let mut connection = ClientConnection::new(self.config()?, name).map_err(|error| handshake(&error))?;
        let mut socket = TransportAdapter::new(wire, Arc::clone(&details.current_time));
        socket.set_timeout(timeout);
        while connection.is_handshaking() {
            // ureq wraps its own time-outs in io errors.
            connection.complete_io(&mut socket).map_err(|error| match Error::from(error) {
                timeout @ Error::Timeout(_) => timeout,
                Error::Io(error) if local::trouble(&error).is_some() => Error::Io(error),
                Error::Io(error) => handshake(&error),
                other => other,
            })?;
        }
        Ok(TlsWire { stream: StreamOwned::new(connection, socket), buffers })
    }

    fn config(&self) -> Result<Arc<ClientConfig>, Error> {
        if let Some(config) = self.config.get() {
            return Ok(Arc::clone(config));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let trust = Trust::new(&self.added, Arc::clone(&provider)).map_err(|error| handshake(&error))?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| handshake(&error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(trust))
            .with_no_client_auth();
        Ok(Arc::clone(self.config.get_or_init(|| Arc::new(config))))
    }
}

impl fmt::Debug for TlsRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsRoots").field("added", &self.added.len()).finish_non_exhaustive()
    }
}

/// A TLS connection with its buffers.
pub struct TlsWire {
    stream: StreamOwned<ClientConnection, TransportAdapter<Wire>>,
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
