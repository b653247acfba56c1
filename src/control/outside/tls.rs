//! How a server outside is told from who pretends to be it.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// What an operator said of TLS. Each PEM is a text, the same in Base64, or a path to it; empty is
/// none.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct TlsOptions {
    /// Certificates that the server's leads to. Empty: those of the operating system.
    pub server_ca_pem: String,
    /// The client's own certificate, with those that lead to it.
    pub cert_pem: String,
    /// Its key.
    pub key_pem: String,
    /// The name the server's certificate must have. Empty: the host of the URL.
    pub server_name: String,
    /// Takes every certificate.
    pub insecure_skip_verify: bool,
}

/// A key is a secret.
impl std::fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsOptions").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

/// Why TLS cannot be set up. Tells nothing of a key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM is neither text, nor Base64, nor a file.
    #[error(
        "tls.{option} is neither PEM, nor PEM in Base64, nor the path of a file that can be read"
    )]
    Unreadable {
        /// Which one.
        option: &'static str,
    },
    /// There is nothing in a PEM that belongs there.
    #[error("tls.{option} holds no {expected}")]
    Empty {
        /// Which one.
        option: &'static str,
        /// What belongs there.
        expected: &'static str,
    },
    /// A certificate without a key, or a key without a certificate.
    #[error("tls.cert_pem and tls.key_pem belong together: one of them is not set")]
    Half,
    /// The name is none.
    #[error("tls.server_name is neither a host name nor an IP address")]
    ServerName,
    /// The operating system has no certificates.
    #[error(
        "no certificates of the operating system can be read: name some in tls.server_ca_pem, or in \
         the variable SSL_CERT_FILE"
    )]
    NoRoots,
    /// They do not fit together.
    #[error("TLS cannot be set up: {0}")]
    Unusable(#[from] rustls::Error),
}

impl TlsOptions {
    /// What a connection to a server is made with.
    ///
    /// # Errors
    /// What cannot be used.
    pub(super) fn client_config(&self) -> Result<ClientConfig, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = if self.insecure_skip_verify {
            let anybody = Arc::new(Anybody(provider));
            builder.dangerous().with_custom_certificate_verifier(anybody)
        } else {
            builder.with_root_certificates(self.roots()?)
        };
        match (self.cert_pem.is_empty(), self.key_pem.is_empty()) {
            (true, true) => Ok(builder.with_no_client_auth()),
            (false, false) => {
                let chain = certificates("cert_pem", &self.cert_pem)?;
                let key = PrivateKeyDer::from_pem_slice(&pem("key_pem", &self.key_pem)?);
                let key = key.map_err(|_why| TlsError::Empty {
                    option: "key_pem",
                    expected: "private key (PKCS #8, PKCS #1 or SEC 1)",
                })?;
                Ok(builder.with_client_auth_cert(chain, key)?)
            }
            (true, false) | (false, true) => Err(TlsError::Half),
        }
    }

    /// What a connection is made with that is never a secure one.
    ///
    /// # Errors
    /// The library does not know its own versions.
    pub(super) fn without_roots() -> Result<ClientConfig, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions()?;
        Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
    }

    /// The name the server's certificate must have, when it is not the host's.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn server_name(&self) -> Result<Option<ServerName<'static>>, TlsError> {
        if self.server_name.is_empty() {
            return Ok(None);
        }
        let name = ServerName::try_from(self.server_name.clone());
        name.map(Some).map_err(|_why| TlsError::ServerName)
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        if self.server_ca_pem.is_empty() {
            let found = rustls_native_certs::load_native_certs();
            let (added, _unusable) = roots.add_parsable_certificates(found.certs);
            return if added == 0 { Err(TlsError::NoRoots) } else { Ok(roots) };
        }
        for certificate in certificates("server_ca_pem", &self.server_ca_pem)? {
            roots.add(certificate)?;
        }
        Ok(roots)
    }
}

fn certificates(
    option: &'static str,
    text: &str,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem(option, text)?).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) | Err(_) => Err(TlsError::Empty { option, expected: "certificate" }),
    }
}

/// The PEM itself, however it is given.
fn pem(option: &'static str, text: &str) -> Result<Vec<u8>, TlsError> {
    const BEGINS: &str = "-----BEGIN ";
    if text.contains(BEGINS) {
        return Ok(text.as_bytes().to_vec());
    }
    let decoded = STANDARD.decode(text.trim()).unwrap_or_default();
    if decoded.starts_with(BEGINS.as_bytes()) {
        return Ok(decoded);
    }
    std::fs::read(text).map_err(|_why| TlsError::Unreadable { option })
}

/// Takes every certificate; that the other end has its key is still asked for.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
