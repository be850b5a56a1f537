//! Where OTLP goes and how: what the code says, what the environment says, and what comes of both.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use http::{HeaderName, HeaderValue, Uri};
use opentelemetry_sdk::metrics::Temporality;

use crate::{delivery::Signal, error::Error};

/// How long one request may take by default.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

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

impl Protocol {
    /// The feature that this needs and that is not enabled.
    pub(crate) fn missing_feature(self) -> Option<&'static str> {
        match self {
            Self::HttpProtobuf if !cfg!(feature = "http") => Some("http"),
            _ => None,
        }
    }
}

impl Compression {
    /// The feature that this needs and that is not enabled.
    pub(crate) fn missing_feature(self) -> Option<&'static str> {
        match self {
            Self::Gzip if !cfg!(feature = "gzip") => Some("gzip"),
            Self::Zstd if !cfg!(feature = "zstd") => Some("zstd"),
            _ => None,
        }
    }
}

/// Where OTLP goes and how.
///
/// The `OTEL_EXPORTER_OTLP_*` variables win over what is set here; what neither sets has the
/// default: gRPC to `http://localhost:4317`.
///
/// ```
/// # fn main() -> Result<(), dotflow_otel::Error> {
/// # #[cfg(feature = "otlp")]
/// # {
/// use dotflow_otel::{OpenTelemetry, Otlp};
///
/// let otlp = Otlp::new().endpoint("http://collector:4317").header("x-team", "flows");
/// let telemetry = OpenTelemetry::new("my-pipeline").with_otlp_to(otlp).install()?;
/// # telemetry.shutdown()?;
/// # }
/// # Ok(())
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
    ///
    /// ```
    /// # #[cfg(feature = "otlp")]
    /// # {
    /// let otlp = dotflow_otel::Otlp::new();
    /// assert!(format!("{otlp:?}").contains("endpoint: None"));
    /// # }
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the URL of the collector (default `http://localhost:4317`, or port 4318 over HTTP).
    ///
    /// It begins with `http://` or `https://`; the latter needs the feature `tls`. Over HTTP the path
    /// of each signal is added (`/v1/traces`, …).
    ///
    /// ```
    /// # #[cfg(feature = "otlp")]
    /// # {
    /// let otlp = dotflow_otel::Otlp::new().endpoint("http://collector:4317");
    /// assert!(format!("{otlp:?}").contains("http://collector:4317"));
    /// # }
    /// ```
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// Adds a header to every request, such as the key of a hosted backend.
    ///
    /// A second header of the same name replaces the first one. Values are never shown.
    ///
    /// ```
    /// # #[cfg(feature = "otlp")]
    /// # {
    /// let otlp = dotflow_otel::Otlp::new().header("api-key", "secret");
    /// assert!(!format!("{otlp:?}").contains("secret"));
    /// # }
    /// ```
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets how requests travel (default gRPC).
    ///
    /// ```
    /// # #[cfg(feature = "otlp")]
    /// # {
    /// use dotflow_otel::{Otlp, Protocol};
    ///
    /// let otlp = Otlp::new().protocol(Protocol::HttpProtobuf);
    /// assert!(format!("{otlp:?}").contains("HttpProtobuf"));
    /// # }
    /// ```
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// Sets how long one request may take (default 10 seconds; zero means without a bound). A
    /// request that takes longer is sent again.
    ///
    /// ```
    /// # #[cfg(feature = "otlp")]
    /// # {
    /// use std::time::Duration;
    ///
    /// let otlp = dotflow_otel::Otlp::new().timeout(Duration::from_secs(3));
    /// assert!(format!("{otlp:?}").contains("3s"));
    /// # }
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets how requests are compressed (default not at all).
    ///
    /// ```
    /// # #[cfg(feature = "otlp")]
    /// # {
    /// use dotflow_otel::{Compression, Otlp};
    ///
    /// let otlp = Otlp::new().compression(Compression::Gzip);
    /// assert!(format!("{otlp:?}").contains("Gzip"));
    /// # }
    /// ```
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }
}

impl fmt::Debug for Otlp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the headers: their values may be secrets.
        formatter
            .debug_struct("Otlp")
            .field("endpoint", &self.endpoint)
            .field("protocol", &self.protocol)
            .field("timeout", &self.timeout)
            .field("compression", &self.compression)
            .finish_non_exhaustive()
    }
}

/// What the environment says about OTLP for one signal, checked; it wins over the code.
///
/// Without `Debug`: headers and keys are secrets.
#[derive(Default)]
pub(crate) struct Overrides {
    pub(crate) endpoint: Option<String>,
    /// Whether the endpoint was given for this very signal: over HTTP it is then the whole URL.
    pub(crate) endpoint_is_whole: bool,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) compression: Option<Compression>,
    /// Whether an endpoint without a scheme is one without TLS.
    pub(crate) insecure: bool,
    pub(crate) certificates: Certificates,
    pub(crate) temporality: Temporality,
    pub(crate) proxies: Proxies,
}

/// Which proxies lead out of here.
///
/// Without `Debug`: they may contain passwords.
#[derive(Default)]
#[cfg_attr(
    not(feature = "otlp"),
    allow(dead_code, reason = "only OTLP needs them")
)]
pub(crate) struct Proxies {
    pub(crate) http: Option<Variable>,
    pub(crate) https: Option<Variable>,
    pub(crate) all: Option<Variable>,
    /// The hosts that are reached without one, as a list with commas.
    pub(crate) without: Option<String>,
}

/// An environment variable that is set.
#[cfg_attr(
    not(feature = "otlp"),
    allow(dead_code, reason = "only OTLP needs them")
)]
pub(crate) struct Variable {
    pub(crate) name: &'static str,
    pub(crate) value: String,
}

/// The way to a collector that leads through a proxy.
#[derive(Clone)]
#[cfg_attr(
    not(feature = "otlp"),
    allow(dead_code, reason = "only OTLP needs this")
)]
pub(crate) struct Route {
    pub(crate) proxy: Uri,
    /// A secret.
    pub(crate) auth: Option<HeaderValue>,
    /// Whether the proxy only opens a way to the collector, instead of taking requests for it.
    pub(crate) is_tunnel: bool,
}

/// Contents of PEM files for TLS.
#[derive(Default)]
#[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "only TLS needs them"))]
pub(crate) struct Certificates {
    /// What is trusted, instead of the roots of the system.
    pub(crate) authority: Option<Vec<u8>>,
    /// Who the client is: its certificate and its key.
    pub(crate) client: Option<(Vec<u8>, Vec<u8>)>,
}

/// Everything that is known about how one signal reaches its collector.
pub(crate) struct Connection {
    pub(crate) url: String,
    pub(crate) protocol: Protocol,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// Zero means without a bound.
    pub(crate) timeout: Duration,
    pub(crate) compression: Compression,
    #[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "only TLS needs them"))]
    pub(crate) certificates: Certificates,
    pub(crate) temporality: Temporality,
    pub(crate) proxies: Proxies,
    /// The way through one of them.
    pub(crate) route: Option<Route>,
}

impl Connection {
    /// Combines what the code says with what the environment says about a signal.
    ///
    /// # Errors
    ///
    /// The code says something that can't be done.
    pub(crate) fn resolve(
        code: &Otlp,
        environment: Overrides,
        signal: Signal,
    ) -> Result<Self, Error> {
        let protocol = environment.protocol.or(code.protocol).unwrap_or_default();
        let endpoint = match (environment.endpoint, &code.endpoint, protocol) {
            (Some(endpoint), _, _) => endpoint,
            (None, Some(endpoint), _) => {
                let endpoint = with_scheme(endpoint, environment.insecure);
                check_endpoint(&endpoint).map_err(|reason| Error::exporter(&endpoint, reason))?;
                endpoint
            }
            (None, None, Protocol::Grpc) => "http://localhost:4317".to_owned(),
            (None, None, Protocol::HttpProtobuf) => "http://localhost:4318".to_owned(),
        };
        let url = match protocol {
            Protocol::HttpProtobuf if !environment.endpoint_is_whole => {
                format!("{}/{}", endpoint.trim_end_matches('/'), path(signal))
            }
            _ => endpoint,
        };
        let compression = environment.compression.or(code.compression);
        let compression = compression.unwrap_or_default();
        let missing = protocol.missing_feature().or(compression.missing_feature());
        if let Some(feature) = missing {
            let reason = format!("this needs the feature `{feature}` of dotflow-otel");
            return Err(Error::exporter(&url, reason));
        }
        let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::new();
        for (name, value) in code.headers.iter().chain(&environment.headers) {
            let (name, value) = header(name, value).map_err(|what| Error::exporter(&url, what))?;
            headers.retain(|(known, _)| *known != name);
            headers.push((name, value));
        }
        let timeout = environment.timeout.or(code.timeout);
        Ok(Self {
            url,
            protocol,
            headers,
            timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
            compression,
            certificates: environment.certificates,
            temporality: environment.temporality,
            proxies: environment.proxies,
            route: None,
        })
    }

    /// Where it leads, in words.
    pub(crate) fn destination(&self) -> String {
        match &self.route {
            Some(route) => format!("{} through the proxy {}", self.url, route.proxy),
            None => self.url.clone(),
        }
    }
}

/// The path under which an HTTP collector takes a signal.
fn path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "v1/traces",
        Signal::Metrics => "v1/metrics",
        Signal::Logs => "v1/logs",
    }
}

/// An endpoint with a scheme. As the specification says, `insecure` decides where there is none.
pub(crate) fn with_scheme(endpoint: &str, insecure: bool) -> String {
    match endpoint.contains("://") {
        true => endpoint.to_owned(),
        false if insecure => format!("http://{endpoint}"),
        false => format!("https://{endpoint}"),
    }
}

/// Says what is wrong with the URL of a collector.
pub(crate) fn check_endpoint(url: &str) -> Result<(), &'static str> {
    let Ok(uri) = url.parse::<Uri>() else {
        return Err("must be a URL, such as `http://collector:4317`");
    };
    if uri.host().is_none_or(str::is_empty) {
        return Err("must name a host, such as `http://collector:4317`");
    }
    if !uri.host().is_some_and(is_host) {
        return Err("must name a host that there can be, or an address");
    }
    match uri.scheme_str() {
        Some("http") => Ok(()),
        Some("https") if cfg!(feature = "tls") => Ok(()),
        Some("https") => Err("needs the feature `tls` of dotflow-otel"),
        _ => Err("must begin with `http://` or `https://`, also for gRPC"),
    }
}

/// Whether a host is an address or a name that a certificate can have: a URL may have other
/// characters there, and the encryption finds fault with them.
fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']');
        return address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    let is_label = |label: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len())
            && label.bytes().all(is_plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let name = host.strip_suffix('.').unwrap_or(host);
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit());
    host.parse::<Ipv4Addr>().is_ok()
        || host.len() <= 253 && !is_number && name.split('.').all(is_label)
}

/// A header, or what is wrong with it. The value may be a secret, so it is not in the text.
pub(crate) fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let key = HeaderName::try_from(name)
        .map_err(|_| format!("the header name {name:?} has characters that no header may have"))?;
    let value = HeaderValue::try_from(value)
        .map_err(|_| format!("the value of the header {name:?} has control characters"))?;
    Ok((key, value))
}
