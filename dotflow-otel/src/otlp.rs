//! OTLP: where the collector is, how it is talked to, and the exporter that does it.
//!
//! It is our own one, over the same client libraries and messages as the SDK's, because that one
//! keeps to itself what delivery without loss needs: how large a request is, what the server says,
//! and when it wants to be asked again.

pub(crate) use self::options::{
    Certificates, Connection, Overrides, Proxies, Variable, check_endpoint, header, with_scheme,
};
pub use self::options::{Compression, Otlp, Protocol};

#[cfg(not(feature = "otlp"))]
pub(crate) use self::disabled::{Encode, MetricReport, route, start};
#[cfg(feature = "otlp")]
pub(crate) use self::{
    exporter::start,
    message::{Encode, MetricReport},
    proxy::route,
};

#[cfg(not(feature = "otlp"))]
mod disabled;
#[cfg(feature = "otlp")]
mod exporter;
#[cfg(feature = "otlp")]
mod grpc;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "otlp")]
mod proxy;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "otlp")]
mod message;
#[cfg(feature = "otlp")]
mod refusal;
mod options;
