//! Spans on their way out: the layer that turns `tracing` spans into OpenTelemetry spans, and what
//! takes them from there to a pipeline.

use std::time::Duration;

use dotflow::spans;
use opentelemetry::{
    Array, Context, KeyValue, StringValue, Value,
    trace::{SpanBuilder, TraceContextExt, Tracer, TracerProvider},
};
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{SdkTracer, SdkTracerProvider, Span, SpanData, SpanExporter, SpanProcessor},
};
use tokio_util::sync::CancellationToken;
use tracing::Subscriber;
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

use crate::{
    delivery::{Delivery, Signal},
    dispatch::UserDispatch,
    error::Error,
    pipeline::{Batching, Exporter, Next, Pipeline, Receipt, Refusal},
    scope::scope,
};

/// Puts spans that ended into a pipeline.
#[derive(Debug)]
pub(crate) struct SpanQueue {
    pub(crate) pipeline: Pipeline<SpanData>,
    /// How many characters of a string are kept; `None` means all.
    pub(crate) value_length: Option<usize>,
}

impl SpanProcessor for SpanQueue {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, mut span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        if let Some(length) = self.value_length {
            cut_all(&mut span.attributes, length);
            for event in &mut span.events.events {
                cut_all(&mut event.attributes, length);
            }
        }
        self.pipeline.push(span, is_workflow);
    }

    // The guard flushes and stops the pipeline itself, with a bound for all of them together.
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Cuts strings to a number of characters.
fn cut_all(attributes: &mut [KeyValue], length: usize) {
    let cut = |text: &StringValue| {
        let (end, _) = text.as_str().char_indices().nth(length)?;
        Some(StringValue::from(text.as_str()[..end].to_owned()))
    };
    for attribute in attributes {
        match &mut attribute.value {
            Value::String(text) => {
                if let Some(short) = cut(text) {
                    *text = short;
                }
            }
            Value::Array(Array::String(texts)) => {
                for text in texts {
                    if let Some(short) = cut(text) {
                        *text = short;
                    }
                }
            }
            _ => {}
        }
    }
}

/// Whether this is the span of a workflow. It ends after all that is below it, so it is what a full
/// queue would lose first, and what a trace can't be read without.
fn is_workflow(span: &SpanData) -> bool {
    let mut attributes = span.attributes.iter();
    attributes.any(|attribute| attribute.key.as_str() == spans::TASKS_COUNT)
}

/// Starts a pipeline to an exporter that the user brings.
pub(crate) fn start_custom<E: SpanExporter + 'static>(
    mut exporter: E,
    resource: &Resource,
    user: &UserDispatch,
    batching: Batching,
) -> Result<Pipeline<SpanData>, Error> {
    exporter.set_resource(resource);
    let destination = std::any::type_name::<E>().to_owned();
    let delivery = Delivery::new(Signal::Traces, destination, user);
    let custom = CustomExporter {
        exporter,
        user: user.clone(),
    };
    Pipeline::start(custom, delivery, batching)
}

/// An exporter that the user brings. It says nothing of why it failed that could be understood, so
/// what it refuses is lost.
struct CustomExporter<E> {
    exporter: E,
    user: UserDispatch,
}

impl<E: SpanExporter + 'static> Exporter for CustomExporter<E> {
    type Item = SpanData;
    type Batch = Vec<SpanData>;

    fn pack(&mut self, items: Vec<SpanData>) -> Vec<Vec<SpanData>> {
        vec![items]
    }

    fn count(batch: &Vec<SpanData>) -> usize {
        batch.len()
    }

    fn send(
        &mut self,
        batch: &mut Vec<SpanData>,
        closed: &CancellationToken,
    ) -> Option<Result<Receipt, Refusal>> {
        let batch = std::mem::take(batch);
        let mut exported = None;
        self.user.with(|| {
            // What the exporter itself does is not to be exported.
            let _suppressed = Context::enter_telemetry_suppressed_scope();
            let export = closed.run_until_cancelled(self.exporter.export(batch));
            exported = futures_executor::block_on(export);
        });
        Some(match exported? {
            Ok(()) => Ok(Receipt::default()),
            Err(error) => Err(Refusal {
                cause: match error {
                    OTelSdkError::InternalFailure(reason) => reason,
                    other => other.to_string(),
                },
                next: Next::GiveUp,
            }),
        })
    }

    fn halve(_batch: &mut Vec<SpanData>) -> Option<Vec<SpanData>> {
        None
    }

    fn shut_down(&mut self) {
        // Nobody is left who could do anything about a failure.
        let _ = self.exporter.shutdown();
    }
}

/// The tracer under whose name every span is sent. A span without a parent gets the one that the
/// process was started with, if any.
#[derive(Debug, Clone)]
pub(crate) struct ProcessTracer {
    tracer: SdkTracer,
    parent: Option<Context>,
}

impl ProcessTracer {
    pub(crate) fn new(provider: &SdkTracerProvider, parent: Option<Context>) -> Self {
        let tracer = provider.tracer_with_scope(scope());
        Self { tracer, parent }
    }
}

impl Tracer for ProcessTracer {
    type Span = Span;

    fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> Span {
        match &self.parent {
            Some(process_parent) if !parent.span().span_context().is_valid() => {
                let remote = process_parent.span().span_context().clone();
                let parent = parent.with_remote_span_context(remote);
                self.tracer.build_with_context(builder, &parent)
            }
            _ => self.tracer.build_with_context(builder, parent),
        }
    }
}

/// The layer that turns `tracing` spans into OpenTelemetry spans, without the attributes that cost
/// more than they tell (source locations, threads, busy and idle times, targets).
pub(crate) fn layer<S>(tracer: ProcessTracer, targets: Targets) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        // The status of a task's span is what dotflow records at its end. An error that the user's
        // code logs on the way must not compete with it, nor put a second error's text on the span.
        .with_error_events_to_status(false)
        .with_error_records_to_exceptions(false)
        .with_filter(targets)
}
