//! The `OTEL_EXPORTER_OTLP_*` variables: one for all signals, and one for each signal that wins
//! over it.

use std::{fs, time::Duration};

use http::{HeaderName, HeaderValue};
use opentelemetry_sdk::metrics::Temporality;

use super::{Environment, malformed};
use crate::{
    Error,
    otlp::{Compression, Protocol},
};

/// What is sent: each has variables, an HTTP path and an exporter of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    /// The path under which an HTTP collector takes this signal.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Traces => "v1/traces",
            Self::Metrics => "v1/metrics",
            Self::Logs => "v1/logs",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
            Self::Logs => "LOGS",
        }
    }
}

/// What the environment says about OTLP for one signal.
///
/// Without `Debug`: headers and keys are secrets.
#[derive(Default)]
pub(crate) struct OtlpSettings {
    pub(crate) endpoint: Option<String>,
    /// Whether the endpoint was given for this very signal: over HTTP it is then the whole URL.
    pub(crate) endpoint_is_whole: bool,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) compression: Option<Compression>,
    pub(crate) insecure: bool,
    pub(crate) certificates: Certificates,
    pub(crate) temporality: Temporality,
}

/// Contents of PEM files for TLS.
#[derive(Default)]
#[cfg_attr(
    not(feature = "tls"),
    expect(dead_code, reason = "only TLS needs them")
)]
pub(crate) struct Certificates {
    /// Whom to trust, instead of the roots of the system.
    pub(crate) authority: Option<Vec<u8>>,
    /// Who the client is: its certificate and its key.
    pub(crate) client: Option<(Vec<u8>, Vec<u8>)>,
}

impl OtlpSettings {
    pub(crate) fn read(env: &Environment<'_>, signal: Signal) -> Result<Self, Error> {
        let own = |suffix: &str| format!("OTEL_EXPORTER_OTLP_{}_{suffix}", signal.word());
        // The name of the variable that decides: the signal's own where it is set.
        let name = |suffix: &str| -> Result<String, Error> {
            let own = own(suffix);
            let is_set = env.text(&own)?.is_some();
            Ok(if is_set {
                own
            } else {
                format!("OTEL_EXPORTER_OTLP_{suffix}")
            })
        };
        let file = |suffix: &str| -> Result<Option<Vec<u8>>, Error> {
            let name = name(suffix)?;
            let Some(path) = env.text(&name)? else {
                return Ok(None);
            };
            let content = fs::read(&path);
            let content =
                content.map_err(|error| malformed(&name, path, &format!("can't be read: {error}")));
            content.map(Some)
        };
        let client = match (file("CLIENT_CERTIFICATE")?, file("CLIENT_KEY")?) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (certificate, _) => {
                let (set, missing) = if certificate.is_some() {
                    ("CLIENT_CERTIFICATE", "CLIENT_KEY")
                } else {
                    ("CLIENT_KEY", "CLIENT_CERTIFICATE")
                };
                let (set, missing) = (name(set)?, name(missing)?);
                let path = env.text(&set)?.unwrap_or_default();
                let problem = format!("is of no use without {missing}: set both, or none");
                return Err(malformed(&set, path, &problem));
            }
        };
        let protocols = [
            ("grpc", Protocol::Grpc),
            ("http/protobuf", Protocol::HttpProtobuf),
        ];
        let compressions = [
            ("none", Compression::None),
            ("gzip", Compression::Gzip),
            ("zstd", Compression::Zstd),
        ];
        let temporalities = [
            ("cumulative", Temporality::Cumulative),
            ("delta", Temporality::Delta),
            ("lowmemory", Temporality::LowMemory),
        ];
        let temporality = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
        Ok(Self {
            endpoint: env.text(&name("ENDPOINT")?)?,
            endpoint_is_whole: env.text(&own("ENDPOINT"))?.is_some(),
            headers: headers(env, &name("HEADERS")?)?,
            protocol: env.choice(&name("PROTOCOL")?, &protocols)?,
            timeout: env.milliseconds(&name("TIMEOUT")?)?,
            compression: env.choice(&name("COMPRESSION")?, &compressions)?,
            insecure: env.flag(&name("INSECURE")?)?.unwrap_or(false),
            certificates: Certificates {
                authority: file("CERTIFICATE")?,
                client,
            },
            temporality: env.choice(temporality, &temporalities)?.unwrap_or_default(),
        })
    }
}

fn headers(env: &Environment<'_>, name: &str) -> Result<Vec<(String, String)>, Error> {
    let pairs = env.pairs(name)?;
    for (index, (key, value)) in pairs.iter().enumerate() {
        let place = format!("entry {}", index + 1);
        if HeaderName::try_from(key).is_err() {
            return Err(malformed(name, place, "must have a header's name as key"));
        }
        if HeaderValue::try_from(value).is_err() {
            return Err(malformed(
                name,
                place,
                "must have a value without control characters",
            ));
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::tests::with;

    fn traces(variables: &[(&str, &str)]) -> Result<OtlpSettings, Error> {
        with(variables, |env| OtlpSettings::read(env, Signal::Traces))
    }

    #[test]
    fn the_variable_of_the_signal_wins() {
        let settings = traces(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4317"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4317"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "5000"),
            ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "1"),
        ])
        .unwrap();
        assert_eq!(settings.endpoint.as_deref(), Some("http://traces:4317"));
        assert!(settings.endpoint_is_whole);
        assert_eq!(settings.timeout, Some(Duration::from_secs(5)));
    }

    #[test]
    fn compression_can_be_switched_off() {
        assert_eq!(traces(&[]).unwrap().compression, None);
        let off = traces(&[("OTEL_EXPORTER_OTLP_COMPRESSION", "none")]).unwrap();
        assert_eq!(off.compression, Some(Compression::None));
    }

    #[test]
    fn every_malformed_value_is_an_error_that_names_the_variable() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "udp"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "brotli"),
            ("OTEL_EXPORTER_OTLP_INSECURE", "yes"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "key"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a key=x"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "k=%0A"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "x"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/such/file.pem"),
        ] {
            let error = traces(&[(name, value)]).err().unwrap().to_string();
            assert!(error.contains(name), "{name}={value}: {error}");
        }
    }
}
