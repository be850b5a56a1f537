//! Events of the user's code as log records, each with the trace and the span it happened in.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dotflow::spans;
use opentelemetry::{InstrumentationScope, logs::LoggerProvider};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    logs::{
        BatchConfigBuilder, BatchLogProcessor, LogBatch, LogExporter, LogProcessor, SdkLogRecord,
        SdkLogger, SdkLoggerProvider,
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

/// The destination of log records: a queue, a thread that empties it, and the counts.
#[derive(Debug, Clone)]
pub(crate) struct LogPipeline(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    processor: BatchLogProcessor,
    delivery: Arc<Delivery>,
}

impl LogPipeline {
    pub(crate) fn new(
        exporter: impl LogExporter + 'static,
        destination: String,
        batching: Batching,
        resource: &Resource,
        listener: &Listener,
    ) -> Self {
        let delivery = Delivery::new(Item::LogRecord, destination, batching.queue, listener);
        let (exporter, delivery) = delivery.count(exporter);
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(batching.queue)
            .with_max_export_batch_size(batching.batch)
            .with_scheduled_delay(batching.delay)
            .build();
        let mut processor = BatchLogProcessor::builder(exporter)
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

impl Pipeline for LogPipeline {
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

impl LogProcessor for LogPipeline {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if self.0.delivery.enqueue() {
            self.0.processor.emit(record, scope);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.stop(Instant::now() + timeout)
    }
}

impl<Exporter: LogExporter> LogExporter for Counted<Exporter> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let count = batch.iter().count();
        let export = self.exporter.export(batch);
        self.delivery.export(count, export).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// A provider whose loggers have a name: the bridge asks for one without, which the SDK complains
/// about. On the wire the name is the target of each event, so a version of ours would be wrong.
struct Named(SdkLoggerProvider);

impl LoggerProvider for Named {
    type Logger = SdkLogger;

    fn logger_with_scope(&self, _scope: InstrumentationScope) -> SdkLogger {
        let scope = InstrumentationScope::builder(spans::TARGET).build();
        self.0.logger_with_scope(scope)
    }
}

/// The layer that turns `tracing` events into log records.
pub(crate) fn layer<S>(
    provider: &SdkLoggerProvider,
    targets: Targets,
) -> impl Layer<S> + Send + Sync + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    OpenTelemetryTracingBridge::new(&Named(provider.clone())).with_filter(targets)
}
