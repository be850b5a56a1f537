//! Spans on their way out: the layer that turns `tracing` spans into OpenTelemetry spans, and the
//! processor that queues, delivers and counts them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use opentelemetry::{
    Context, InstrumentationScope,
    trace::{SpanBuilder, TraceContextExt, Tracer, TracerProvider},
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider, Span, SpanData,
        SpanExporter, SpanProcessor,
    },
};
use tracing::Subscriber;
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

use crate::{
    delivery::{Counted, Delivery, Item},
    diagnostics::Listener,
    env::settings::Batching,
    guard::Pipeline,
};

/// One destination of spans: a queue, a thread that empties it, and the counts.
#[derive(Debug, Clone)]
pub(crate) struct SpanPipeline(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    processor: BatchSpanProcessor,
    delivery: Arc<Delivery>,
}

impl SpanPipeline {
    pub(crate) fn new(
        exporter: impl SpanExporter + 'static,
        destination: String,
        batching: Batching,
        resource: &Resource,
        listener: &Listener,
    ) -> Self {
        let delivery = Delivery::new(Item::Span, destination, batching.queue, listener);
        let (exporter, delivery) = delivery.count(exporter);
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(batching.queue)
            .with_max_export_batch_size(batching.batch)
            .with_scheduled_delay(batching.delay)
            .build();
        let mut processor = BatchSpanProcessor::builder(exporter)
            .with_batch_config(config)
            .build();
        // Here, because the provider can't reach into the `Arc` to do it.
        processor.set_resource(resource);
        Self(Arc::new(Inner {
            processor,
            delivery,
        }))
    }
}

impl Pipeline for SpanPipeline {
    fn delivery(&self) -> &Delivery {
        &self.0.delivery
    }

    fn flush(&self) -> OTelSdkResult {
        self.0.processor.force_flush()
    }

    fn stop(&self, deadline: Instant) -> OTelSdkResult {
        let Inner {
            processor,
            delivery,
        } = &*self.0;
        delivery.stop(deadline, |timeout| processor.shutdown_with_timeout(timeout))
    }
}

impl SpanProcessor for SpanPipeline {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.0.delivery.enqueue() {
            self.0.processor.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.stop(Instant::now() + timeout)
    }
}

impl<Exporter: SpanExporter> SpanExporter for Counted<Exporter> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let export = self.exporter.export(batch);
        self.delivery.export(count, export).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
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

/// The name and version under which spans, metrics and logs are sent.
pub(crate) fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("dotflow")
        .with_version(env!("CARGO_PKG_VERSION"))
        .build()
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
