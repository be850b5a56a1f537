//! From where a collector is to exporters that reach it.

use std::time::Duration;

use http::HeaderMap;
use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, MetricExporter, SpanExporter, WithExportConfig,
    WithTonicConfig, tonic_types::metadata::MetadataMap,
};
use opentelemetry_sdk::metrics::Temporality;

use super::{Compression, Protocol};
use crate::{
    Error,
    env::otlp::Certificates,
    runtime::{ExportRuntime, OnRuntime},
};

/// Everything that is known about how one signal reaches its collector.
pub(crate) struct Connection {
    pub(crate) url: String,
    pub(super) protocol: Protocol,
    pub(super) headers: HeaderMap,
    pub(super) timeout: Duration,
    pub(super) compression: Compression,
    pub(super) temporality: Temporality,
    #[cfg_attr(
        not(feature = "tls"),
        expect(dead_code, reason = "only TLS needs them")
    )]
    pub(super) certificates: Certificates,
}

/// Builds an exporter for the protocol of a connection. The builders of the three signals share no
/// trait, so no function could.
macro_rules! build {
    ($connection:expr, $builder:expr) => {
        match $connection.protocol {
            Protocol::Grpc => $connection.grpc($builder.with_tonic())?.build(),
            #[cfg(feature = "http")]
            Protocol::HttpProtobuf => $connection.http($builder.with_http())?.build(),
            #[cfg(not(feature = "http"))]
            Protocol::HttpProtobuf => return Err($connection.missing("http")),
        }
    };
}

impl Connection {
    pub(crate) fn span_exporter(
        &self,
        runtime: &ExportRuntime,
    ) -> Result<OnRuntime<SpanExporter>, Error> {
        let _entered = runtime.handle().enter();
        self.on(runtime, build!(self, SpanExporter::builder()))
    }

    pub(crate) fn metric_exporter(
        &self,
        runtime: &ExportRuntime,
    ) -> Result<OnRuntime<MetricExporter>, Error> {
        let _entered = runtime.handle().enter();
        self.on(
            runtime,
            build!(
                self,
                MetricExporter::builder().with_temporality(self.temporality)
            ),
        )
    }

    pub(crate) fn log_exporter(
        &self,
        runtime: &ExportRuntime,
    ) -> Result<OnRuntime<LogExporter>, Error> {
        let _entered = runtime.handle().enter();
        self.on(runtime, build!(self, LogExporter::builder()))
    }

    fn on<Exporter>(
        &self,
        runtime: &ExportRuntime,
        exporter: Result<Exporter, ExporterBuildError>,
    ) -> Result<OnRuntime<Exporter>, Error> {
        let exporter = exporter.map_err(|error| self.error(error.to_string()))?;
        Ok(OnRuntime::new(exporter, runtime))
    }

    fn grpc<Builder>(&self, builder: Builder) -> Result<Builder, Error>
    where
        Builder: WithExportConfig + WithTonicConfig,
    {
        let mut builder = builder
            .with_endpoint(&self.url)
            .with_timeout(self.timeout)
            .with_metadata(MetadataMap::from_headers(self.headers.clone()));
        if let Some(compression) = self.compression()? {
            builder = builder.with_compression(compression);
        }
        if self.url.starts_with("https:") {
            #[cfg(feature = "tls")]
            return Ok(builder.with_tls_config(super::tls::for_grpc(&self.certificates)));
            #[cfg(not(feature = "tls"))]
            return Err(self.missing("tls"));
        }
        Ok(builder)
    }

    #[cfg(feature = "http")]
    fn http<Builder>(&self, builder: Builder) -> Result<Builder, Error>
    where
        Builder: WithExportConfig + opentelemetry_otlp::WithHttpConfig,
    {
        #[cfg(not(feature = "tls"))]
        if self.url.starts_with("https:") {
            return Err(self.missing("tls"));
        }
        #[cfg(not(feature = "tls"))]
        let client = super::http_client::plain(self.timeout);
        #[cfg(feature = "tls")]
        let client = super::http_client::secure(self.timeout, &self.certificates)
            .map_err(|error| self.error(error.to_string()))?;
        let headers = self.headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.to_string(), value.into_owned())
        });
        let mut builder = builder
            .with_endpoint(&self.url)
            .with_timeout(self.timeout)
            .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
            .with_headers(headers.collect())
            .with_http_client(client);
        if let Some(compression) = self.compression()? {
            builder = builder.with_compression(compression);
        }
        Ok(builder)
    }

    fn compression(&self) -> Result<Option<opentelemetry_otlp::Compression>, Error> {
        use opentelemetry_otlp::Compression::{Gzip, Zstd};
        match self.compression {
            Compression::None => Ok(None),
            Compression::Gzip if cfg!(feature = "gzip") => Ok(Some(Gzip)),
            Compression::Gzip => Err(self.missing("gzip")),
            Compression::Zstd if cfg!(feature = "zstd") => Ok(Some(Zstd)),
            Compression::Zstd => Err(self.missing("zstd")),
        }
    }

    fn missing(&self, feature: &str) -> Error {
        self.error(format!(
            "this needs the feature `{feature}` of dotflow-otel"
        ))
    }

    pub(super) fn error(&self, reason: impl Into<String>) -> Error {
        Error::Otlp {
            endpoint: self.url.clone(),
            reason: reason.into(),
        }
    }
}
