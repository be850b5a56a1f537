//! TLS: which certificates are trusted, and which one the client shows.
//!
//! By default the roots of the operating system are trusted (`SSL_CERT_FILE` names others).
//! `OTEL_EXPORTER_OTLP_CERTIFICATE` replaces them.

use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use super::options::Certificates;

/// TLS for gRPC.
pub(super) fn for_grpc(certificates: &Certificates) -> ClientTlsConfig {
    let config = match &certificates.authority {
        Some(authority) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority)),
        None => ClientTlsConfig::new().with_enabled_roots(),
    };
    match &certificates.client {
        Some((certificate, key)) => config.identity(Identity::from_pem(certificate, key)),
        None => config,
    }
}

/// TLS for HTTP.
#[cfg(feature = "http")]
pub(super) fn for_http(
    certificates: &Certificates,
) -> Result<rustls::ClientConfig, Box<dyn std::error::Error>> {
    use std::{io, sync::Arc};

    use rustls::{
        ClientConfig, RootCertStore,
        crypto::ring::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    };

    let mut roots = RootCertStore::empty();
    if let Some(authority) = &certificates.authority {
        for certificate in CertificateDer::pem_slice_iter(authority) {
            roots.add(certificate?)?;
        }
    } else {
        let loaded = rustls_native_certs::load_native_certs();
        let (_, unusable) = roots.add_parsable_certificates(loaded.certs);
        if roots.is_empty() {
            let causes: Vec<String> = loaded.errors.iter().map(ToString::to_string).collect();
            let causes = causes.join(", ");
            let message = format!("no root certificate found ({unusable} unusable) {causes}");
            return Err(io::Error::other(message).into());
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    Ok(match &certificates.client {
        Some((certificate, key)) => {
            let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
            builder.with_client_auth_cert(chain?, PrivateKeyDer::from_pem_slice(key)?)?
        }
        None => builder.with_no_client_auth(),
    })
}
