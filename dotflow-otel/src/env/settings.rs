//! The variables that hold for every kind of exporter, read all at once.

use std::{collections::HashMap, time::Duration};

use opentelemetry::{Context, propagation::TextMapPropagator, trace::TraceContextExt};
use opentelemetry_sdk::{propagation::TraceContextPropagator, trace::Sampler};

use super::{Environment, malformed};
use crate::{Error, propagation::Propagators};

/// What the environment says; `None` and empty lists where it says nothing.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) disabled: bool,
    pub(crate) service_name: Option<String>,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) traces: Option<Destinations>,
    pub(crate) metrics: Option<Destinations>,
    pub(crate) logs: Option<Destinations>,
    pub(crate) sampler: Option<Sampler>,
    pub(crate) spans: Batching,
    pub(crate) log_records: Batching,
    pub(crate) metric_interval: Option<Duration>,
    pub(crate) propagators: Propagators,
    /// The span that started this process, from `TRACEPARENT`.
    pub(crate) parent: Option<Context>,
}

/// Where a signal goes, of the destinations that a variable can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Destinations {
    pub(crate) otlp: bool,
    pub(crate) console: bool,
}

/// How a signal is queued and sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Batching {
    /// How many may wait for delivery.
    pub(crate) queue: usize,
    /// How many go into one request.
    pub(crate) batch: usize,
    /// How long one waits at most before it is sent.
    pub(crate) delay: Duration,
}

impl Settings {
    pub(crate) fn read(env: &Environment<'_>) -> Result<Self, Error> {
        // The SDK reads these by itself and ignores what it can't understand.
        for limit in ["ATTRIBUTE", "EVENT", "LINK"] {
            let name = format!("OTEL_SPAN_{limit}_COUNT_LIMIT");
            env.parse::<u32>(&name, "must be a whole number")?;
        }
        Ok(Self {
            disabled: env.flag("OTEL_SDK_DISABLED")?.unwrap_or(false),
            service_name: env.text("OTEL_SERVICE_NAME")?,
            attributes: env.pairs("OTEL_RESOURCE_ATTRIBUTES")?,
            traces: destinations(env, "OTEL_TRACES_EXPORTER")?,
            metrics: destinations(env, "OTEL_METRICS_EXPORTER")?,
            logs: destinations(env, "OTEL_LOGS_EXPORTER")?,
            sampler: sampler(env)?,
            spans: batching(env, "OTEL_BSP")?,
            log_records: batching(env, "OTEL_BLRP")?,
            metric_interval: env.milliseconds("OTEL_METRIC_EXPORT_INTERVAL")?,
            propagators: Propagators::read(env)?,
            parent: parent(env)?,
        })
    }
}

fn destinations(env: &Environment<'_>, name: &str) -> Result<Option<Destinations>, Error> {
    let known = [("otlp", 'o'), ("console", 'c'), ("none", 'n')];
    let Some(chosen) = env.choices(name, &known)? else {
        return Ok(None);
    };
    if chosen.contains(&'n') && chosen.len() > 1 {
        let value = env.text(name)?.unwrap_or_default();
        return Err(malformed(
            name,
            value,
            "must be `none` alone, or without it",
        ));
    }
    Ok(Some(Destinations {
        otlp: chosen.contains(&'o'),
        console: chosen.contains(&'c'),
    }))
}

fn sampler(env: &Environment<'_>) -> Result<Option<Sampler>, Error> {
    const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
    let problem = "must be a number from 0 to 1";
    let ratio: Option<f64> = env.parse(ARGUMENT, problem)?;
    let ratio = ratio.unwrap_or(1.0);
    if !(0.0..=1.0).contains(&ratio) {
        return Err(malformed(ARGUMENT, ratio, problem));
    }
    let ratio = Sampler::TraceIdRatioBased(ratio);
    let parent_based = |root: &Sampler| Sampler::ParentBased(Box::new(root.clone()));
    let known = [
        ("always_on", Sampler::AlwaysOn),
        ("always_off", Sampler::AlwaysOff),
        ("parentbased_always_on", parent_based(&Sampler::AlwaysOn)),
        ("parentbased_always_off", parent_based(&Sampler::AlwaysOff)),
        ("parentbased_traceidratio", parent_based(&ratio)),
        ("traceidratio", ratio),
    ];
    env.choice("OTEL_TRACES_SAMPLER", &known)
}

fn batching(env: &Environment<'_>, prefix: &str) -> Result<Batching, Error> {
    let problem = "must be a whole number from 1";
    let count = |name: &str| -> Result<Option<usize>, Error> {
        match env.parse(name, problem)? {
            Some(0) => Err(malformed(name, 0, problem)),
            count => Ok(count),
        }
    };
    // A burst of tasks must fit into the queue. A request must fit into the 4 MiB that gRPC servers
    // take by default, also where many spans carry long error texts.
    let queue = count(&format!("{prefix}_MAX_QUEUE_SIZE"))?.unwrap_or(65_536);
    let name = format!("{prefix}_MAX_EXPORT_BATCH_SIZE");
    let batch = match count(&name)? {
        Some(batch) if batch > queue => {
            let problem = format!("must not be more than the queue size, {queue}");
            return Err(malformed(&name, batch, &problem));
        }
        Some(batch) => batch,
        None => queue.min(512),
    };
    let delay = env.milliseconds(&format!("{prefix}_SCHEDULE_DELAY"))?;
    Ok(Batching {
        queue,
        batch,
        delay: delay.unwrap_or(Duration::from_secs(1)),
    })
}

fn parent(env: &Environment<'_>) -> Result<Option<Context>, Error> {
    let Some(traceparent) = env.text("TRACEPARENT")? else {
        return Ok(None);
    };
    let state = env.text("TRACESTATE")?.unwrap_or_default();
    let carrier = HashMap::from([
        ("traceparent".to_owned(), traceparent.clone()),
        ("tracestate".to_owned(), state),
    ]);
    let extracted = TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier);
    if extracted.span().span_context().is_valid() {
        return Ok(Some(extracted));
    }
    let problem = "must be `00-<32 hex digits>-<16 hex digits>-<2 hex digits>`";
    Err(malformed("TRACEPARENT", traceparent, problem))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::tests::with;

    fn read(variables: &[(&str, &str)]) -> Settings {
        with(variables, Settings::read).unwrap()
    }

    fn error(name: &str, value: &str) -> String {
        with(&[(name, value)], Settings::read)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn nothing_set_means_the_defaults() {
        let settings = read(&[]);
        assert!(!settings.disabled);
        assert_eq!(settings.traces, None);
        let expected = Batching {
            queue: 65_536,
            batch: 512,
            delay: Duration::from_secs(1),
        };
        assert_eq!(settings.spans, expected);
    }

    #[test]
    fn exporters_are_a_list() {
        let settings = read(&[
            ("OTEL_TRACES_EXPORTER", "otlp,console"),
            ("OTEL_LOGS_EXPORTER", "none"),
        ]);
        let both = Destinations {
            otlp: true,
            console: true,
        };
        assert_eq!(settings.traces, Some(both));
        assert_eq!(settings.logs, Some(Destinations::default()));
    }

    #[test]
    fn a_small_queue_has_a_small_batch() {
        let settings = read(&[("OTEL_BSP_MAX_QUEUE_SIZE", "10")]);
        assert_eq!((settings.spans.queue, settings.spans.batch), (10, 10));
    }

    #[test]
    fn a_parent_is_a_remote_span() {
        let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let parent = read(&[("TRACEPARENT", traceparent)]).parent.unwrap();
        assert!(parent.span().span_context().is_remote());
    }

    #[test]
    fn every_malformed_value_is_an_error_that_names_the_variable() {
        for (name, value) in [
            ("OTEL_SDK_DISABLED", "1"),
            ("OTEL_TRACES_EXPORTER", "jaeger"),
            ("OTEL_TRACES_EXPORTER", "otlp,none"),
            ("OTEL_METRICS_EXPORTER", "prometheus"),
            ("OTEL_LOGS_EXPORTER", "stdout"),
            ("OTEL_TRACES_SAMPLER", "sometimes"),
            ("OTEL_TRACES_SAMPLER_ARG", "2"),
            ("OTEL_TRACES_SAMPLER_ARG", "half"),
            ("OTEL_TRACES_SAMPLER_ARG", "NaN"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "100000"),
            ("OTEL_BSP_SCHEDULE_DELAY", "1s"),
            ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "-1"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "1m"),
            ("OTEL_SPAN_EVENT_COUNT_LIMIT", "x"),
            ("OTEL_RESOURCE_ATTRIBUTES", "team"),
            ("OTEL_PROPAGATORS", "b3"),
            ("TRACEPARENT", "00-0-0-0"),
        ] {
            assert!(error(name, value).contains(name), "{name}={value}");
        }
    }
}
