//! Events of the user's code as log records, each with the trace and the span it happened in.

use std::time::{Duration, SystemTime};

use dotflow::spans;
use opentelemetry::{
    InstrumentationScope,
    logs::{AnyValue, LogRecord, LoggerProvider},
};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    logs::{LogProcessor, SdkLogRecord, SdkLogger, SdkLoggerProvider},
};
use tracing::Subscriber;
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

use crate::pipeline::{Pipeline, Queued};

/// Gives each record what backends read first: a timestamp, a body, and a name only where it is an
/// event with a name.
#[derive(Debug)]
pub(crate) struct CompleteRecords;

impl LogProcessor for CompleteRecords {
    fn emit(&self, record: &mut SdkLogRecord, _scope: &InstrumentationScope) {
        if record.timestamp().is_none() {
            record.set_timestamp(record.observed_timestamp().unwrap_or_else(SystemTime::now));
        }
        let name = record.event_name().unwrap_or_default();
        if record.body().is_none() {
            record.set_body(AnyValue::from(sentence(record, name)));
        }
        // That is what `tracing` calls an event that has no name.
        if name.starts_with("event ") {
            record.set_event_name("");
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// What an event without a message says, which those of dotflow are.
fn sentence(record: &SdkLogRecord, name: &str) -> String {
    let value = |key: &str| {
        let mut attributes = record.attributes_iter();
        let (_, value) = attributes.find(|(known, _)| known.as_str() == key)?;
        Some(value.clone())
    };
    let message = match value(spans::EXCEPTION_MESSAGE) {
        Some(AnyValue::String(message)) => message.to_string(),
        _ => return name.to_owned(),
    };
    match (value(spans::ATTEMPT), value(spans::DELAY)) {
        (Some(AnyValue::Int(attempt)), Some(AnyValue::Double(delay))) => {
            let delay = Duration::try_from_secs_f64(delay).unwrap_or_default();
            format!("attempt {attempt} failed: {message}, next in {delay:?}")
        }
        _ => message,
    }
}

/// Puts log records into a pipeline.
#[derive(Debug)]
pub(crate) struct LogQueue(pub(crate) Pipeline<(SdkLogRecord, InstrumentationScope)>);

impl LogProcessor for LogQueue {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        self.0.push((record.clone(), scope.clone()));
    }

    // The guard flushes and stops the pipeline itself, with a bound for all of them together.
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl Queued for (SdkLogRecord, InstrumentationScope) {
    fn size(&self) -> usize {
        let of = |value: &AnyValue| match value {
            AnyValue::String(text) => text.as_str().len(),
            _ => 0,
        };
        let attributes = self.0.attributes_iter().map(|(_, value)| of(value));
        self.0.body().map_or(0, of) + attributes.sum::<usize>()
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
