//! The `OTEL_EXPORTER_OTLP_*` variables: one for all signals, and one for each signal that wins over
//! it.

use std::fs;

use opentelemetry_sdk::metrics::Temporality;

use super::environment::Environment;
use crate::{
    delivery::Signal,
    otlp::{self, Certificates, Compression, Overrides, Protocol, Proxies, Variable},
};

/// The variables of one signal.
struct Variables<'env> {
    env: &'env Environment<'env>,
    signal: Signal,
}

/// Reads what the environment says about OTLP for one signal.
pub(super) fn read(env: &Environment<'_>, signal: Signal) -> Overrides {
    let variables = Variables { env, signal };
    let insecure = variables.find("INSECURE", |name| env.flag(name));
    let insecure = insecure.unwrap_or(false);
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
    let temporality = match signal {
        Signal::Metrics => env.choice(temporality, &temporalities),
        Signal::Traces | Signal::Logs => None,
    };
    let whole = endpoint(env, &variables.own("ENDPOINT"), insecure);
    let headers = variables.find("HEADERS", |name| headers(env, name));
    Overrides {
        endpoint_is_whole: whole.is_some(),
        endpoint: whole.or_else(|| endpoint(env, &general("ENDPOINT"), insecure)),
        headers: headers.unwrap_or_default(),
        protocol: variables.find("PROTOCOL", |name| {
            enabled(env, name, &protocols, Protocol::missing_feature)
        }),
        timeout: variables.find("TIMEOUT", |name| env.milliseconds(name)),
        compression: variables.find("COMPRESSION", |name| {
            enabled(env, name, &compressions, Compression::missing_feature)
        }),
        insecure,
        certificates: variables.certificates(),
        temporality: temporality.unwrap_or_default(),
        proxies: proxies(env),
    }
}

/// The proxies that programs of all kinds are told to use, by names that are not ours.
fn proxies(env: &Environment<'_>) -> Proxies {
    let first = |names: [&'static str; 2]| {
        let mut set = names
            .into_iter()
            .filter_map(|name| Some((name, env.text(name)?)));
        set.next().map(|(name, value)| Variable { name, value })
    };
    // Where a request's headers are variables, this one is a header that anybody may send.
    let is_cgi = env.text("REQUEST_METHOD").is_some();
    Proxies {
        http: first(["HTTP_PROXY", "http_proxy"]).filter(|_| !is_cgi),
        https: first(["HTTPS_PROXY", "https_proxy"]),
        all: first(["ALL_PROXY", "all_proxy"]),
        without: first(["NO_PROXY", "no_proxy"]).map(|variable| variable.value),
    }
}

/// The name of a variable that holds for all signals.
fn general(suffix: &str) -> String {
    format!("OTEL_EXPORTER_OTLP_{suffix}")
}

impl Variables<'_> {
    /// The name of a variable that holds for this signal only.
    fn own(&self, suffix: &str) -> String {
        format!("OTEL_EXPORTER_OTLP_{}_{suffix}", self.signal.variable())
    }

    /// What the signal's own variable says, or else the one for all signals.
    fn find<Value>(&self, suffix: &str, read: impl Fn(&str) -> Option<Value>) -> Option<Value> {
        read(&self.own(suffix)).or_else(|| read(&general(suffix)))
    }

    fn certificates(&self) -> Certificates {
        let file = |suffix, kind| self.find(suffix, |name| file(self.env, name, kind));
        // The name of the variable that decides, and its value.
        let set = |suffix| {
            self.find(suffix, |name| {
                let path = self.env.text(name)?;
                Some((name.to_owned(), path))
            })
        };
        let halves = [
            ("CLIENT_CERTIFICATE", "CLIENT_KEY"),
            ("CLIENT_KEY", "CLIENT_CERTIFICATE"),
        ];
        for (half, other) in halves {
            if let (Some((name, path)), None) = (set(half), set(other)) {
                let other = general(other);
                let problem = format!("is of no use without {other}: set both, or none");
                self.env.reject(&name, path, &problem);
            }
        }
        let certificate = file("CLIENT_CERTIFICATE", "CERTIFICATE");
        Certificates {
            authority: file("CERTIFICATE", "CERTIFICATE"),
            client: certificate.zip(file("CLIENT_KEY", "PRIVATE KEY")),
        }
    }
}

fn endpoint(env: &Environment<'_>, name: &str, insecure: bool) -> Option<String> {
    let text = env.text(name)?;
    let endpoint = otlp::with_scheme(&text, insecure);
    if let Err(problem) = otlp::check_endpoint(&endpoint) {
        env.reject(name, text, problem);
        return None;
    }
    Some(endpoint)
}

/// A known word, if the features that it needs are enabled.
fn enabled<Value: Copy>(
    env: &Environment<'_>,
    name: &str,
    known: &[(&str, Value)],
    missing_feature: impl Fn(Value) -> Option<&'static str>,
) -> Option<Value> {
    let value = env.choice(name, known)?;
    if let Some(feature) = missing_feature(value) {
        let problem = format!("needs the feature `{feature}` of dotflow-otel");
        env.reject(name, env.text(name).unwrap_or_default(), &problem);
        return None;
    }
    Some(value)
}

fn headers(env: &Environment<'_>, name: &str) -> Option<Vec<(String, String)>> {
    env.text(name)?;
    let mut pairs = env.pairs(name);
    pairs.retain(|(key, value)| {
        let is_header = otlp::header(key, value).is_ok();
        if !is_header {
            let problem = "must be a header's name, with a value without control characters";
            env.reject(name, key, problem);
        }
        is_header
    });
    Some(pairs)
}

/// The content of a PEM file that holds at least one entry of a kind.
fn file(env: &Environment<'_>, name: &str, kind: &str) -> Option<Vec<u8>> {
    let path = env.text(name)?;
    let content = match fs::read(&path) {
        Ok(content) => content,
        Err(error) => {
            env.reject(name, path, &format!("can't be read: {error}"));
            return None;
        }
    };
    let end = format!("{kind}-----");
    let holds = String::from_utf8_lossy(&content)
        .lines()
        .any(|line| line.starts_with("-----BEGIN ") && line.trim_end().ends_with(&end));
    if !holds {
        let problem = format!("is a file that holds no {}", kind.to_lowercase());
        env.reject(name, path, &problem);
        return None;
    }
    Some(content)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::environment::tests::with, *};

    fn traces(variables: &[(&str, &str)]) -> (Overrides, Vec<String>) {
        with(variables, |env| read(env, Signal::Traces))
    }

    #[test]
    fn the_variable_of_the_signal_wins() {
        let (overrides, problems) = traces(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4317"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4317"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "5000"),
            ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "1"),
        ]);
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(overrides.endpoint.as_deref(), Some("http://traces:4317"));
        assert!(overrides.endpoint_is_whole);
        assert_eq!(overrides.timeout, Some(Duration::from_secs(5)));
    }

    #[test]
    fn an_unusable_variable_of_the_signal_counts_as_not_set() {
        let (overrides, problems) = traces(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4317"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "grpc://traces:4317"),
        ]);
        assert_eq!(overrides.endpoint.as_deref(), Some("http://all:4317"));
        assert!(!overrides.endpoint_is_whole);
        assert_eq!(problems.len(), 1);
    }

    #[test]
    fn compression_can_be_switched_off() {
        assert_eq!(traces(&[]).0.compression, None);
        let (off, _) = traces(&[("OTEL_EXPORTER_OTLP_COMPRESSION", "none")]);
        assert_eq!(off.compression, Some(Compression::None));
    }

    #[test]
    fn every_malformed_value_is_a_problem_that_names_the_variable() {
        let no_certificate = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://no host"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "grpc://collector:4317"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "udp"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "brotli"),
            ("OTEL_EXPORTER_OTLP_INSECURE", "yes"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "key"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a key=x"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "k=%0A"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/such/file.pem"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", no_certificate),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/no/such/file.pem"),
        ] {
            let (_, problems) = traces(&[(name, value)]);
            assert!(!problems.is_empty(), "{name}={value}");
            for problem in problems {
                assert!(problem.contains(name), "{name}={value}: {problem}");
            }
        }
    }

    #[test]
    fn how_metrics_are_summed_up_is_only_read_for_metrics() {
        let name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
        let read = |value| with(&[(name, value)], |env| read(env, Signal::Metrics));
        assert_eq!(read("delta").0.temporality, Temporality::Delta);
        assert!(read("x").1[0].contains(name));
    }
}
