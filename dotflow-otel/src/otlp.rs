//! OTLP: where the collector is, and how it is talked to.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

pub(crate) use self::connection::Connection;
use crate::{
    Error,
    env::{
        Environment,
        otlp::{OtlpSettings, Signal},
    },
};

mod connection;
#[cfg(feature = "http")]
mod http_client;
#[cfg(feature = "tls")]
mod tls;

/// How OTLP travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Protocol {
    /// gRPC, by default to port 4317.
    #[default]
    Grpc,
    /// Protobuf over HTTP, by default to port 4318; needs the feature `http`.
    HttpProtobuf,
}

/// How requests are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip; needs the feature `gzip`.
    Gzip,
    /// Zstandard; needs the feature `zstd`.
    Zstd,
}

/// Where OTLP goes and how.
///
/// The `OTEL_EXPORTER_OTLP_*` variables win over what is set here; what neither sets has the
/// default: gRPC to `http://localhost:4317`.
///
/// ```
/// use dotflow_otel::{OpenTelemetry, Otlp};
///
/// # fn main() -> Result<(), dotflow_otel::Error> {
/// let otlp = Otlp::new().endpoint("http://collector:4317").header("x-team", "flows");
/// let telemetry = OpenTelemetry::new("my-pipeline").with_otlp_to(otlp).install()?;
/// # telemetry.shutdown()
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Otlp {
    endpoint: Option<String>,
    headers: Vec<(String, String)>,
    protocol: Option<Protocol>,
    timeout: Option<Duration>,
    compression: Option<Compression>,
}

impl Otlp {
    /// OTLP with everything from the environment or by default.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the URL of the collector, such as `http://collector:4317`. Over HTTP the path of each
    /// signal is added (`/v1/traces`, …).
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// Adds a header to every request, such as the key of a hosted backend.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets how requests travel (default gRPC).
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// Sets how long one request may take, with its retries (default 10 seconds).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets how requests are compressed (default not at all).
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }

    /// Combines this with what the environment says about a signal.
    pub(crate) fn resolve(
        &self,
        env: &Environment<'_>,
        signal: Signal,
    ) -> Result<Connection, Error> {
        let settings = OtlpSettings::read(env, signal)?;
        let protocol = settings.protocol.or(self.protocol).unwrap_or_default();
        let endpoint = match (&settings.endpoint, &self.endpoint, protocol) {
            (Some(endpoint), _, _) | (None, Some(endpoint), _) => endpoint.as_str(),
            (None, None, Protocol::Grpc) => "http://localhost:4317",
            (None, None, Protocol::HttpProtobuf) => "http://localhost:4318",
        };
        let endpoint = match endpoint.contains("://") {
            true => endpoint.to_owned(),
            // As the specification says: without a scheme, INSECURE decides.
            false if settings.insecure => format!("http://{endpoint}"),
            false => format!("https://{endpoint}"),
        };
        let url = match protocol {
            Protocol::HttpProtobuf if !settings.endpoint_is_whole => {
                format!("{}/{}", endpoint.trim_end_matches('/'), signal.path())
            }
            _ => endpoint,
        };
        let mut connection = Connection {
            url,
            protocol,
            headers: HeaderMap::new(),
            timeout: settings
                .timeout
                .or(self.timeout)
                .unwrap_or(Duration::from_secs(10)),
            compression: settings
                .compression
                .or(self.compression)
                .unwrap_or_default(),
            temporality: settings.temporality,
            certificates: settings.certificates,
        };
        for (name, value) in self.headers.iter().chain(&settings.headers) {
            let key = HeaderName::try_from(name)
                .map_err(|error| connection.error(format!("the header name {name:?}: {error}")))?;
            // The value may be a secret, so it is not in the message.
            let value = HeaderValue::try_from(value)
                .map_err(|error| connection.error(format!("the value of {name:?}: {error}")))?;
            connection.headers.insert(key, value);
        }
        Ok(connection)
    }
}

impl std::fmt::Debug for Otlp {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the headers: their values may be secrets.
        formatter
            .debug_struct("Otlp")
            .field("endpoint", &self.endpoint)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}
