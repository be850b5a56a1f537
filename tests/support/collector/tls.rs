//! Who a collector with TLS is, and who may talk to it.

use std::sync::Arc;

use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio_rustls::TlsAcceptor;

/// A certificate that was signed by nobody else, and its key, as PEM. It is for `localhost`, and for the
/// name behind a proxy.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
    /// The certificate of the only client that is served, where there is one.
    pub client: Option<String>,
}

const NAMES: [&str; 2] = ["localhost", "collector.example"];

impl Identity {
    /// Makes a new one.
    ///
    /// # Panics
    ///
    /// When that fails.
    pub fn generate() -> Self {
        let made = rcgen::generate_simple_self_signed(NAMES.map(str::to_owned));
        let made = made.expect("a certificate can be made");
        Self {
            certificate: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
            client: None,
        }
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes());
        let provider = Arc::new(default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("the provider has protocols");
        let config = match &self.client {
            None => config.with_no_client_auth(),
            Some(client) => {
                let mut roots = RootCertStore::empty();
                let client = CertificateDer::from_pem_slice(client.as_bytes());
                let added = roots.add(client.expect("a certificate"));
                added.expect("a certificate that can be trusted");
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                config.with_client_cert_verifier(verifier.build().expect("there is a root"))
            }
        };
        let config = config
            .with_single_cert(
                vec![certificate.expect("a certificate")],
                key.expect("a key"),
            )
            .expect("they belong together");
        TlsAcceptor::from(Arc::new(config))
    }
}
