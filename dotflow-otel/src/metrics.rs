//! Metrics of workflows and tasks, made from their spans by a layer: also of those that are not
//! sampled.

use std::{sync::Arc, time::Duration};

use dotflow::spans;
use opentelemetry::{
    KeyValue, StringValue,
    metrics::{Counter, Histogram, Meter, MeterProvider},
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    metrics::{
        Aggregation, Instrument, InstrumentKind, SdkMeterProvider, Stream, Temporality,
        data::ResourceMetrics, exporter::PushMetricExporter,
    },
};
use tracing::{
    Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, filter::Targets, layer::Context, registry::LookupSpan};

use crate::{otlp::MetricReport, pipeline::Pipeline, scope::scope};

/// Upper bounds of the buckets of durations, in seconds: from what a trivial task takes to a night.
const BOUNDS: [f64; 18] = [
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0,
    3_600.0, 14_400.0,
];

/// The status of a task that was restored from a checkpoint, instead of run. Its span says
/// `Completed`; a sum of what was done must not count it again.
const RESTORED: &str = "Restored";

/// Puts reports of all metrics into a pipeline. A thread of the SDK collects them.
#[derive(Debug)]
pub(crate) struct MetricQueue {
    pub(crate) pipeline: Pipeline<MetricReport>,
    pub(crate) temporality: Temporality,
}

impl PushMetricExporter for MetricQueue {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.pipeline.push(MetricReport::from(metrics), |_| false);
        Ok(())
    }

    // The guard flushes and stops the pipeline itself, with a bound for all of them together.
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        self.temporality
    }
}

/// A view that gives histograms buckets that grow exponentially, of the size that the specification
/// has as its default.
pub(crate) fn exponential(instrument: &Instrument) -> Option<Stream> {
    let aggregation = Aggregation::Base2ExponentialHistogram {
        max_size: 160,
        max_scale: 20,
        record_min_max: true,
    };
    let stream = Stream::builder().with_aggregation(aggregation);
    (instrument.kind() == InstrumentKind::Histogram)
        .then(|| stream.build().ok())
        .flatten()
}

/// The layer that makes metrics from dotflow's spans.
pub(crate) fn layer<S>(provider: &SdkMeterProvider) -> impl Layer<S> + Send + Sync + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    let instruments = Instruments::new(&provider.meter_with_scope(scope()));
    instruments.with_filter(Targets::new().with_target(spans::TARGET, LevelFilter::INFO))
}

struct Instruments {
    workflows: Counter<u64>,
    workflow_seconds: Histogram<f64>,
    tasks: Counter<u64>,
    task_seconds: Histogram<f64>,
    retries: Counter<u64>,
}

impl Instruments {
    fn new(meter: &Meter) -> Self {
        let seconds = |name: &'static str, what: &'static str| {
            meter
                .f64_histogram(name)
                .with_description(what)
                .with_unit("s")
                .with_boundaries(BOUNDS.to_vec())
                .build()
        };
        let count = |name: &'static str, what: &'static str| {
            meter.u64_counter(name).with_description(what).build()
        };
        Self {
            workflows: count("dotflow_workflow_total", "Runs of workflows that ended."),
            workflow_seconds: seconds("dotflow_workflow_duration_seconds", "How long runs took."),
            tasks: count("dotflow_task_total", "Tasks that ended."),
            task_seconds: seconds("dotflow_task_duration_seconds", "How long tasks took."),
            retries: count("dotflow_task_retry_total", "Attempts after the first one."),
        }
    }

    fn record(&self, names: &Names, ended: &Ended, status: String) {
        let workflow = names.workflow.clone();
        let workflow = workflow.map(|name| KeyValue::new(spans::WORKFLOW_NAME, name));
        let mut attributes: Vec<KeyValue> = workflow.into_iter().collect();
        let Some(task) = &names.task else {
            attributes.push(KeyValue::new("status", status));
            self.workflows.add(1, &attributes);
            self.workflow_seconds.record(ended.seconds, &attributes);
            return;
        };
        attributes.push(KeyValue::new(spans::TASK_NAME, task.clone()));
        if ended.retries > 0 {
            self.retries.add(ended.retries, &attributes);
        }
        if names.restored {
            // It completed in an earlier run, and was counted and timed there.
            attributes.push(KeyValue::new("status", RESTORED));
        } else {
            attributes.push(KeyValue::new("status", status));
            self.task_seconds.record(ended.seconds, &attributes);
        }
        self.tasks.add(1, &attributes);
    }
}

impl<S> Layer<S> for Instruments
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let metadata = attributes.metadata();
        let is_task = metadata.name() == spans::TASK;
        if metadata.target() != spans::TARGET || !(is_task || metadata.name() == spans::WORKFLOW) {
            return;
        }
        let Some(span) = context.span(id) else {
            return;
        };
        let mut names = Names::default();
        attributes.record(&mut names);
        if let Some(parent) = span.parent().filter(|_| is_task) {
            let extensions = parent.extensions();
            names.workflow = extensions
                .get::<Names>()
                .and_then(|parent| parent.workflow.clone());
        }
        span.extensions_mut().insert(names);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else {
            return;
        };
        let extensions = span.extensions();
        let Some(names) = extensions.get::<Names>() else {
            return;
        };
        let mut ended = Ended::default();
        values.record(&mut ended);
        // The status comes in the one record at the end, along with everything else.
        if let Some(status) = ended.status.take() {
            self.record(names, &ended, status);
        }
    }
}

/// What a span of dotflow is about. Never an id: each would make series of its own.
#[derive(Default)]
struct Names {
    workflow: Option<StringValue>,
    task: Option<StringValue>,
    restored: bool,
}

impl Visit for Names {
    fn record_str(&mut self, field: &Field, value: &str) {
        // Shared with every data point, so that a task costs no copy of it.
        let shared = || Some(StringValue::from(Arc::<str>::from(value)));
        match field.name() {
            spans::WORKFLOW_NAME => self.workflow = shared(),
            spans::TASK_NAME => self.task = shared(),
            _ => {}
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if field.name() == spans::TASK_RESTORED {
            self.restored = value;
        }
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn std::fmt::Debug) {}
}

/// How a span of dotflow ended.
#[derive(Default)]
struct Ended {
    status: Option<String>,
    seconds: f64,
    retries: u64,
}

impl Visit for Ended {
    fn record_str(&mut self, field: &Field, value: &str) {
        if matches!(field.name(), spans::WORKFLOW_STATUS | spans::TASK_STATUS) {
            self.status = Some(value.to_owned());
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if matches!(
            field.name(),
            spans::WORKFLOW_DURATION | spans::TASK_DURATION
        ) {
            self.seconds = value;
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if field.name() == spans::TASK_RETRY_COUNT {
            self.retries = value.try_into().unwrap_or(0);
        }
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn std::fmt::Debug) {}
}
