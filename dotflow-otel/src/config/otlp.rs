//! The `OTEL_EXPORTER_OTLP_*` variables: one for all signals, and one for each signal that wins over
//! it.

use std::fs;

use opentelemetry_sdk::metrics::Temporality;

use super::environment::{Environment, place};
use crate::{
    delivery::Signal,
    otlp::{self, Certificates, Compression, Overrides, Protocol},
};

/// The variables of one signal.
struct Variables<'env> {
    env: &'env Environment<'env>,
    signal: Signal,
}

/// Reads what the environment says about OTLP for one signal.
pub(super) fn read(env: &Environment<'_>, signal: Signal) -> Overrides {
    let variables = Variables { env, signal };
    let insecure = env.flag(&variables.name("INSECURE")).unwrap_or(false);
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
    Overrides {
        endpoint: variables.endpoint(insecure),
        endpoint_is_whole: env.text(&variables.own("ENDPOINT")).is_some(),
        headers: variables.headers(),
        protocol: variables.enabled("PROTOCOL", &protocols, Protocol::missing_feature),
        timeout: env.milliseconds(&variables.name("TIMEOUT")),
        compression: variables.enabled("COMPRESSION", &compressions, Compression::missing_feature),
        insecure,
        certificates: variables.certificates(),
        temporality: temporality.unwrap_or_default(),
    }
}

impl Variables<'_> {
    /// The name of a variable that holds for this signal only.
    fn own(&self, suffix: &str) -> String {
        format!("OTEL_EXPORTER_OTLP_{}_{suffix}", self.signal.variable())
    }

    /// The name of the variable that decides: the signal's own where it is set.
    fn name(&self, suffix: &str) -> String {
        let own = self.own(suffix);
        if self.env.text(&own).is_some() {
            own
        } else {
            format!("OTEL_EXPORTER_OTLP_{suffix}")
        }
    }

    fn endpoint(&self, insecure: bool) -> Option<String> {
        let name = self.name("ENDPOINT");
        let text = self.env.text(&name)?;
        let endpoint = otlp::with_scheme(&text, insecure);
        if let Err(problem) = otlp::check_endpoint(&endpoint) {
            self.env.reject(&name, text, problem);
            return None;
        }
        Some(endpoint)
    }

    /// A known word, if the features that it needs are enabled.
    fn enabled<Value: Copy>(
        &self,
        suffix: &str,
        known: &[(&str, Value)],
        missing_feature: impl Fn(Value) -> Option<&'static str>,
    ) -> Option<Value> {
        let name = self.name(suffix);
        let value = self.env.choice(&name, known)?;
        if let Some(feature) = missing_feature(value) {
            let problem = format!("needs the feature `{feature}` of dotflow-otel");
            let text = self.env.text(&name).unwrap_or_default();
            self.env.reject(&name, text, &problem);
            return None;
        }
        Some(value)
    }

    fn headers(&self) -> Vec<(String, String)> {
        let name = self.name("HEADERS");
        let mut pairs = self.env.pairs(&name);
        let mut index = 0;
        pairs.retain(|(key, value)| {
            let problem = otlp::header(key, value).err();
            if problem.is_some() {
                let problem = "must be a header's name and a value without control characters";
                self.env.reject(&name, place(index), problem);
            }
            index += 1;
            problem.is_none()
        });
        pairs
    }

    fn certificates(&self) -> Certificates {
        let authority = self.file("CERTIFICATE", "CERTIFICATE");
        let certificate = self.file("CLIENT_CERTIFICATE", "CERTIFICATE");
        let key = self.file("CLIENT_KEY", "PRIVATE KEY");
        let is_set = |suffix| self.env.text(&self.name(suffix)).is_some();
        let halves = [
            ("CLIENT_CERTIFICATE", "CLIENT_KEY"),
            ("CLIENT_KEY", "CLIENT_CERTIFICATE"),
        ];
        for (set, missing) in halves {
            if is_set(set) && !is_set(missing) {
                let (set, missing) = (self.name(set), self.name(missing));
                let path = self.env.text(&set).unwrap_or_default();
                let problem = format!("is of no use without {missing}: set both, or none");
                self.env.reject(&set, path, &problem);
            }
        }
        Certificates {
            authority,
            client: certificate.zip(key),
        }
    }

    /// The content of a PEM file that holds at least one entry of a kind.
    fn file(&self, suffix: &str, kind: &str) -> Option<Vec<u8>> {
        let name = self.name(suffix);
        let path = self.env.text(&name)?;
        let content = match fs::read(&path) {
            Ok(content) => content,
            Err(error) => {
                let problem = format!("can't be read: {error}");
                self.env.reject(&name, path, &problem);
                return None;
            }
        };
        let end = format!("{kind}-----");
        let holds = String::from_utf8_lossy(&content)
            .lines()
            .any(|line| line.starts_with("-----BEGIN ") && line.trim_end().ends_with(&end));
        if !holds {
            let problem = format!("is a file that holds no {}", kind.to_lowercase());
            self.env.reject(&name, path, &problem);
            return None;
        }
        Some(content)
    }
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
