//! Metrics of workflows and tasks, made from their spans by a layer: also of those that are not
//! sampled.

use std::{sync::Arc, time::Duration};

use dotflow::spans;
use opentelemetry::{
    KeyValue, StringValue,
    metrics::{Counter, Histogram, Meter, MeterProvider, UpDownCounter},
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
        self.pipeline.push(MetricReport::from(metrics));
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

/// What is measured.
struct Instruments {
    workflow: Measures,
    task: Measures,
    task_wait: Histogram<f64>,
    task_retries: Counter<u64>,
}

/// What is measured of workflows and of tasks alike.
struct Measures {
    completed: Counter<u64>,
    duration: Histogram<f64>,
    active: UpDownCounter<i64>,
    /// The attribute that says how one ended: the same as on spans.
    status: &'static str,
}

impl Measures {
    fn new(
        meter: &Meter,
        [completed, duration, active]: [&'static str; 3],
        unit: &'static str,
        what: &str,
        status: &'static str,
    ) -> Self {
        let seconds = meter.f64_histogram(duration).with_unit("s");
        let count = meter.u64_counter(completed).with_unit(unit);
        let running = meter.i64_up_down_counter(active).with_unit(unit);
        Self {
            completed: count
                .with_description(format!("{what} that ended."))
                .build(),
            duration: seconds
                .with_description(format!("How long {what} took."))
                .with_boundaries(BOUNDS.to_vec())
                .build(),
            active: running
                .with_description(format!("{what} under way."))
                .build(),
            status,
        }
    }

    /// One more ended, with a status; without a duration where it was not run.
    fn ended(&self, names: &[KeyValue], ended: &Ended, status: &str, is_timed: bool) {
        self.active.add(-1, names);
        let mut attributes = names.to_vec();
        attributes.push(KeyValue::new(self.status, status.to_owned()));
        if let Some(error) = &ended.error {
            attributes.push(KeyValue::new(spans::ERROR_TYPE, error.clone()));
        }
        self.completed.add(1, &attributes);
        if is_timed {
            self.duration.record(ended.seconds, &attributes);
        }
    }
}

impl Instruments {
    fn new(meter: &Meter) -> Self {
        let workflow = [
            "dotflow.workflow.completed",
            "dotflow.workflow.duration",
            "dotflow.workflow.active",
        ];
        let task = [
            "dotflow.task.completed",
            "dotflow.task.duration",
            "dotflow.task.active",
        ];
        Self {
            workflow: Measures::new(meter, workflow, "{run}", "Runs", spans::WORKFLOW_STATUS),
            task: Measures::new(meter, task, "{task}", "Tasks", spans::TASK_STATUS),
            task_wait: meter
                .f64_histogram(spans::TASK_WAIT)
                .with_description("How long tasks waited for slots, limits and threads.")
                .with_unit("s")
                .with_boundaries(BOUNDS.to_vec())
                .build(),
            task_retries: meter
                .u64_counter("dotflow.task.retries")
                .with_description("Attempts after the first one.")
                .with_unit("{attempt}")
                .build(),
        }
    }

    fn began(&self, names: &Names) {
        self.of(names).active.add(1, &names.attributes());
    }

    fn ended(&self, names: &Names, ended: &Ended, status: &str) {
        let attributes = names.attributes();
        // A restored task completed in an earlier run, and was counted and timed there.
        let status = if names.restored { RESTORED } else { status };
        self.of(names)
            .ended(&attributes, ended, status, !names.restored);
        if ended.retries > 0 {
            self.task_retries.add(ended.retries, &attributes);
        }
        if let Some(wait) = ended.wait {
            self.task_wait.record(wait, &attributes);
        }
    }

    fn of(&self, names: &Names) -> &Measures {
        if names.task.is_some() {
            &self.task
        } else {
            &self.workflow
        }
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
        self.began(&names);
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
            self.ended(names, &ended, &status);
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

impl Names {
    fn attributes(&self) -> Vec<KeyValue> {
        // With room for the status and the error.
        let mut attributes = Vec::with_capacity(4);
        let names = [
            (spans::WORKFLOW_NAME, &self.workflow),
            (spans::TASK_NAME, &self.task),
        ];
        for (key, name) in names {
            if let Some(name) = name {
                attributes.push(KeyValue::new(key, name.clone()));
            }
        }
        attributes
    }
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
    error: Option<String>,
    seconds: f64,
    wait: Option<f64>,
    retries: u64,
}

impl Visit for Ended {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            spans::WORKFLOW_STATUS | spans::TASK_STATUS => self.status = Some(value.to_owned()),
            spans::ERROR_TYPE => self.error = Some(value.to_owned()),
            _ => {}
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        match field.name() {
            spans::WORKFLOW_DURATION | spans::TASK_DURATION => self.seconds = value,
            spans::TASK_WAIT => self.wait = Some(value),
            _ => {}
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if field.name() == spans::TASK_RETRY_COUNT {
            self.retries = value.try_into().unwrap_or(0);
        }
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn std::fmt::Debug) {}
}
