//! Events of the user's code as log records, each with the trace and the span it happened in.

use std::time::Duration;

use dotflow::spans;
use opentelemetry::{InstrumentationScope, logs::LoggerProvider};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    logs::{LogProcessor, SdkLogRecord, SdkLogger, SdkLoggerProvider},
};
use tracing::Subscriber;
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

use crate::pipeline::Pipeline;

/// Puts log records into a pipeline.
#[derive(Debug)]
pub(crate) struct LogQueue(pub(crate) Pipeline<(SdkLogRecord, InstrumentationScope)>);

impl LogProcessor for LogQueue {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        self.0.push((record.clone(), scope.clone()), |_| false);
    }

    // The guard flushes and stops the pipeline itself, with a bound for all of them together.
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
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
