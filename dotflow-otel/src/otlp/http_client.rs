//! The HTTP client of OTLP over HTTP: hyper, on the export runtime.

use std::time::Duration;

use async_trait::async_trait;
use http::{Request, Response};
use hyper_util::client::legacy::connect::HttpConnector;
use opentelemetry_http::{Bytes, HttpClient, HttpError, hyper::HyperClient};

use crate::diagnostics;

/// A client that keeps the cause of a failure, which the exporter only calls a network error.
#[derive(Debug)]
pub(super) struct Telling(Box<dyn HttpClient>);

#[async_trait]
impl HttpClient for Telling {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.0.send_bytes(request).await;
        if let Err(error) = &sent {
            let mut text = error.to_string();
            let mut source = error.source();
            while let Some(cause) = source {
                text = format!("{text}: {cause}");
                source = cause.source();
            }
            diagnostics::note_cause(text);
        }
        sent
    }
}

/// A client for `http://`.
#[cfg(not(feature = "tls"))]
pub(super) fn plain(timeout: Duration) -> Telling {
    Telling(Box::new(HyperClient::new(
        HttpConnector::new(),
        timeout,
        None,
    )))
}

/// A client for `http://` and `https://`.
#[cfg(feature = "tls")]
pub(super) fn secure(
    timeout: Duration,
    certificates: &crate::env::otlp::Certificates,
) -> Result<Telling, Box<dyn std::error::Error>> {
    let mut connector = HttpConnector::new();
    // The layer above it looks at the scheme.
    connector.enforce_http(false);
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(super::tls::for_http(certificates)?)
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector);
    Ok(Telling(Box::new(HyperClient::new(
        connector, timeout, None,
    ))))
}
