//! Everything that the environment says about telemetry, read once and at one place.
//!
//! An operator sets these variables without seeing the code, so they win over it.

use std::{collections::HashMap, ffi::OsString, time::Duration};

use opentelemetry::{Context, propagation::TextMapPropagator, trace::TraceContextExt};
use opentelemetry_sdk::{propagation::TraceContextPropagator, trace::Sampler};

use self::environment::Environment;
pub(crate) use self::limits::Limits;
use crate::{
    delivery::Signal, error::Error, otlp::Overrides, pipeline::Batching, propagation::Propagators,
};

mod otlp;
mod limits;
mod ignored;
mod environment;

/// The longest queue: more would be an attempt to use up the memory.
const LONGEST_QUEUE: usize = 1 << 20;

/// What the environment says; `None` and empty lists where it says nothing.
pub(crate) struct Config {
    pub(crate) disabled: bool,
    pub(crate) service_name: Option<String>,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) sampler: Option<Sampler>,
    pub(crate) propagators: Propagators,
    /// The span that started this process, from `TRACEPARENT`.
    pub(crate) parent: Option<Context>,
    pub(crate) limits: Limits,
    pub(crate) metric_interval: Option<Duration>,
    /// Whether histograms have buckets that grow exponentially, instead of fixed ones.
    pub(crate) exponential_histograms: bool,
    pub(crate) traces: SignalConfig,
    pub(crate) metrics: SignalConfig,
    pub(crate) logs: SignalConfig,
    /// Every value that could not be used, and every variable that has no effect.
    pub(crate) problems: Vec<Error>,
}

/// What the environment says about one signal.
pub(crate) struct SignalConfig {
    pub(crate) destinations: Option<Destinations>,
    pub(crate) batching: Batching,
    pub(crate) otlp: Overrides,
}

/// Where a signal goes, of the destinations that a variable can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Destinations {
    pub(crate) otlp: bool,
    pub(crate) console: bool,
}

impl Config {
    /// Reads the variables of this process.
    pub(crate) fn of_process() -> Self {
        Self::read(&|name| std::env::var_os(name))
    }

    fn read(look_up: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let env = Environment::new(look_up);
        let disabled = env.flag("OTEL_SDK_DISABLED").unwrap_or(false);
        if disabled {
            // Nothing is made, so nothing else matters, whatever it says.
            let silent = |_: &str| None;
            let nothing = Environment::new(&silent);
            let mut config = Self::read_enabled(&nothing);
            config.disabled = true;
            return config;
        }
        let mut config = Self::read_enabled(&env);
        ignored::note(&env);
        config.problems = env.into_problems();
        config
    }

    fn read_enabled(env: &Environment<'_>) -> Self {
        let propagators = propagators(env);
        Self {
            disabled: false,
            service_name: env.text("OTEL_SERVICE_NAME"),
            attributes: env.pairs("OTEL_RESOURCE_ATTRIBUTES"),
            sampler: sampler(env),
            propagators,
            // A service that was started by a traced command is switched off by this.
            parent: propagators.trace_context.then(|| parent(env)).flatten(),
            limits: limits::read(env),
            metric_interval: at_least_one(env, "OTEL_METRIC_EXPORT_INTERVAL"),
            exponential_histograms: exponential_histograms(env),
            traces: SignalConfig::read(env, Signal::Traces),
            metrics: SignalConfig::read(env, Signal::Metrics),
            logs: SignalConfig::read(env, Signal::Logs),
            problems: Vec::new(),
        }
    }

    /// What holds for one signal.
    pub(crate) fn signal(&mut self, signal: Signal) -> &mut SignalConfig {
        match signal {
            Signal::Traces => &mut self.traces,
            Signal::Metrics => &mut self.metrics,
            Signal::Logs => &mut self.logs,
        }
    }
}

impl SignalConfig {
    fn read(env: &Environment<'_>, signal: Signal) -> Self {
        Self {
            destinations: destinations(env, &format!("OTEL_{}_EXPORTER", signal.variable())),
            batching: match signal {
                Signal::Traces => batching(env, "OTEL_BSP"),
                Signal::Logs => batching(env, "OTEL_BLRP"),
                // A report is a request by itself. Those of an hour are kept, one a minute.
                Signal::Metrics => Batching {
                    queue: 60,
                    batch: 1,
                    delay: Duration::ZERO,
                },
            },
            otlp: otlp::read(env, signal),
        }
    }
}

fn destinations(env: &Environment<'_>, name: &str) -> Option<Destinations> {
    let known = [("otlp", 'o'), ("console", 'c'), ("none", 'n')];
    let chosen = env.choices(name, &known)?;
    if chosen.contains(&'n') && chosen.len() > 1 {
        let value = env.text(name).unwrap_or_default();
        env.reject(name, value, "must be `none` alone, or without it");
    }
    Some(Destinations {
        otlp: chosen.contains(&'o'),
        console: chosen.contains(&'c'),
    })
}

/// A duration that is not zero: nothing may happen without a pause.
fn at_least_one(env: &Environment<'_>, name: &str) -> Option<Duration> {
    let duration = env.milliseconds(name)?;
    if duration.is_zero() {
        env.reject(name, 0, "must be at least 1 millisecond");
    }
    Some(duration).filter(|duration| !duration.is_zero())
}

fn exponential_histograms(env: &Environment<'_>) -> bool {
    let known = [
        ("explicit_bucket_histogram", false),
        ("base2_exponential_bucket_histogram", true),
    ];
    let name = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION";
    env.choice(name, &known).unwrap_or(false)
}

fn sampler(env: &Environment<'_>) -> Option<Sampler> {
    const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
    let known = [
        ("always_on", (Some(Sampler::AlwaysOn), false)),
        ("always_off", (Some(Sampler::AlwaysOff), false)),
        ("traceidratio", (None, false)),
        ("parentbased_always_on", (Some(Sampler::AlwaysOn), true)),
        ("parentbased_always_off", (Some(Sampler::AlwaysOff), true)),
        ("parentbased_traceidratio", (None, true)),
    ];
    let chosen = env.choice("OTEL_TRACES_SAMPLER", &known);
    let is_ratio = matches!(chosen, Some((None, _)));
    if !is_ratio && env.text(ARGUMENT).is_some() {
        env.ignore(
            ARGUMENT,
            "OTEL_TRACES_SAMPLER names no sampler with a ratio",
        );
    }
    let (root, is_parent_based) = chosen?;
    let root = root.unwrap_or_else(|| Sampler::TraceIdRatioBased(ratio(env, ARGUMENT)));
    Some(if is_parent_based {
        Sampler::ParentBased(Box::new(root))
    } else {
        root
    })
}

fn ratio(env: &Environment<'_>, name: &str) -> f64 {
    let problem = "must be a number from 0 to 1";
    let Some(ratio) = env.parse::<f64>(name, problem) else {
        return 1.0;
    };
    if (0.0..=1.0).contains(&ratio) {
        return ratio;
    }
    env.reject(name, ratio, problem);
    1.0
}

fn batching(env: &Environment<'_>, prefix: &str) -> Batching {
    let problem = "must be a whole number from 1";
    let count = |name: &str| -> Option<usize> {
        let count = env.parse(name, problem)?;
        if count == 0 {
            env.reject(name, 0, problem);
        }
        Some(count).filter(|count| *count > 0)
    };
    // A burst of tasks must fit into the queue.
    let name = format!("{prefix}_MAX_QUEUE_SIZE");
    let queue = count(&name).map(|queue| {
        if queue > LONGEST_QUEUE {
            env.reject(
                &name,
                queue,
                &format!("is too much: {LONGEST_QUEUE} is used"),
            );
        }
        queue.min(LONGEST_QUEUE)
    });
    let queue = queue.unwrap_or(65_536);
    let name = format!("{prefix}_MAX_EXPORT_BATCH_SIZE");
    let batch = count(&name).map(|batch| {
        if batch > queue {
            let problem = format!("is more than the queue holds: {queue} is used");
            env.reject(&name, batch, &problem);
        }
        batch.min(queue)
    });
    let delay = at_least_one(env, &format!("{prefix}_SCHEDULE_DELAY"));
    Batching {
        queue,
        batch: batch.unwrap_or(queue.min(512)),
        delay: delay.unwrap_or(Duration::from_secs(1)),
    }
}

fn propagators(env: &Environment<'_>) -> Propagators {
    let known = [("tracecontext", 't'), ("baggage", 'b'), ("none", 'n')];
    match env.choices("OTEL_PROPAGATORS", &known) {
        None => Propagators::default(),
        Some(chosen) => Propagators {
            trace_context: chosen.contains(&'t'),
            baggage: chosen.contains(&'b'),
        },
    }
}

fn parent(env: &Environment<'_>) -> Option<Context> {
    let traceparent = env.text("TRACEPARENT")?;
    let state = env.text("TRACESTATE").unwrap_or_default();
    let carrier = HashMap::from([
        ("traceparent".to_owned(), traceparent.clone()),
        ("tracestate".to_owned(), state),
    ]);
    let extracted = TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier);
    if extracted.span().span_context().is_valid() {
        return Some(extracted);
    }
    let problem = "must be `00-<32 hex digits>-<16 hex digits>-<2 hex digits>`";
    env.reject("TRACEPARENT", traceparent, problem);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)]) -> Config {
        Config::read(&|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn nothing_set_means_the_defaults() {
        let config = config(&[]);
        assert!(!config.disabled);
        assert_eq!(config.traces.destinations, None);
        let expected = Batching {
            queue: 65_536,
            batch: 512,
            delay: Duration::from_secs(1),
        };
        assert_eq!(config.traces.batching, expected);
        assert!(config.problems.is_empty());
    }

    #[test]
    fn exporters_are_a_list() {
        let config = config(&[
            ("OTEL_TRACES_EXPORTER", "otlp,console"),
            ("OTEL_LOGS_EXPORTER", "none"),
        ]);
        let both = Destinations {
            otlp: true,
            console: true,
        };
        assert_eq!(config.traces.destinations, Some(both));
        assert_eq!(config.logs.destinations, Some(Destinations::default()));
    }

    #[test]
    fn a_small_queue_has_a_small_batch() {
        let batching = config(&[("OTEL_BSP_MAX_QUEUE_SIZE", "10")]).traces.batching;
        assert_eq!((batching.queue, batching.batch), (10, 10));
    }

    #[test]
    fn a_parent_is_a_remote_span() {
        let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let parent = config(&[("TRACEPARENT", traceparent)]).parent.unwrap();
        assert!(parent.span().span_context().is_remote());
    }

    #[test]
    fn every_malformed_value_is_a_problem_that_names_the_variable() {
        for (name, value) in [
            ("OTEL_SDK_DISABLED", "1"),
            ("OTEL_TRACES_EXPORTER", "jaeger"),
            ("OTEL_TRACES_EXPORTER", "otlp,none"),
            ("OTEL_METRICS_EXPORTER", "prometheus"),
            ("OTEL_LOGS_EXPORTER", "stdout"),
            ("OTEL_TRACES_SAMPLER", "sometimes"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "99999999999"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "100000"),
            ("OTEL_BSP_SCHEDULE_DELAY", "1s"),
            ("OTEL_BSP_SCHEDULE_DELAY", "0"),
            ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "-1"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "1m"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
            ("OTEL_SPAN_EVENT_COUNT_LIMIT", "x"),
            ("OTEL_RESOURCE_ATTRIBUTES", "team"),
            ("OTEL_PROPAGATORS", "b3"),
            ("OTEL_CONFIG_FILE", "/etc/otel.yaml"),
            ("TRACEPARENT", "00-0-0-0"),
        ] {
            let problems = config(&[(name, value)]).problems;
            assert_eq!(problems.len(), 1, "{name}={value}: {problems:?}");
            assert_eq!(problems[0].variable(), Some(name));
        }
        for argument in ["2", "half", "NaN"] {
            let sampler = ("OTEL_TRACES_SAMPLER", "traceidratio");
            let problems = config(&[sampler, ("OTEL_TRACES_SAMPLER_ARG", argument)]).problems;
            assert_eq!(problems.len(), 1, "{argument}: {problems:?}");
        }
    }

    #[test]
    fn what_is_known_of_a_list_is_used() {
        let config = config(&[
            ("OTEL_PROPAGATORS", "tracecontext,b3"),
            ("OTEL_TRACES_EXPORTER", "console,zipkin,"),
        ]);
        assert!(config.propagators.trace_context && !config.propagators.baggage);
        let console = Destinations {
            otlp: false,
            console: true,
        };
        assert_eq!(config.traces.destinations, Some(console));
        assert_eq!(config.problems.len(), 2);
    }

    #[test]
    fn absurd_sizes_are_capped() {
        let batching = config(&[
            ("OTEL_BSP_MAX_QUEUE_SIZE", "99999999999"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "99999999999"),
        ]);
        let batching = batching.traces.batching;
        assert_eq!(
            (batching.queue, batching.batch),
            (LONGEST_QUEUE, LONGEST_QUEUE)
        );
    }

    #[test]
    fn a_disabled_sdk_reads_nothing_else() {
        let config = config(&[
            ("OTEL_SDK_DISABLED", "true"),
            ("OTEL_TRACES_EXPORTER", "jaeger"),
            ("TRACEPARENT", "garbage"),
        ]);
        assert!(config.disabled);
        assert!(config.problems.is_empty());
    }

    #[test]
    fn a_process_has_no_parent_where_its_context_does_not_travel() {
        let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let config = config(&[("TRACEPARENT", traceparent), ("OTEL_PROPAGATORS", "none")]);
        assert!(config.parent.is_none());
    }
}
