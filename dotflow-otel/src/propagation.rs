//! Trace context in and out of the process: W3C headers, and the parent of a batch job.

use std::sync::OnceLock;

use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapCompositePropagator, TextMapPropagator},
};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Which headers carry context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Propagators {
    /// `traceparent` and `tracestate`.
    pub(crate) trace_context: bool,
    /// `baggage`.
    pub(crate) baggage: bool,
}

impl Default for Propagators {
    fn default() -> Self {
        Self {
            trace_context: true,
            baggage: true,
        }
    }
}

impl Propagators {
    /// The propagator that writes and reads those headers.
    pub(crate) fn propagator(self) -> TextMapCompositePropagator {
        let mut propagators: Vec<Box<dyn TextMapPropagator + Send + Sync>> = Vec::new();
        if self.trace_context {
            propagators.push(Box::new(TraceContextPropagator::new()));
        }
        if self.baggage {
            propagators.push(Box::new(BaggagePropagator::new()));
        }
        TextMapCompositePropagator::new(propagators)
    }
}

/// Writes the current span's trace context into the headers of an outgoing request, so that the
/// service on the other side continues this trace. Inside a task that is the task's span.
///
/// Any map of strings is a carrier; `http::HeaderMap` is one with the `opentelemetry-http` crate.
/// Without telemetry, or outside of a span, nothing is written.
///
/// ```
/// use std::collections::HashMap;
///
/// # fn main() -> Result<(), dotflow_otel::Error> {
/// let telemetry = dotflow_otel::OpenTelemetry::new("my-pipeline").install()?;
/// let mut headers = HashMap::new();
/// tracing::info_span!("call").in_scope(|| dotflow_otel::inject(&mut headers));
/// assert!(headers["traceparent"].starts_with("00-"));
/// # telemetry.shutdown()
/// # }
/// ```
pub fn inject(carrier: &mut dyn Injector) {
    let context = tracing::Span::current().context();
    propagator().inject_context(&context, carrier);
}

/// Reads the trace context that came with a request.
///
/// A workflow that starts under it joins the caller's trace:
///
/// ```no_run
/// use std::collections::HashMap;
/// use dotflow_otel::opentelemetry::trace::FutureExt;
///
/// # async fn handle(headers: HashMap<String, String>, workflow: impl Future<Output = ()>) {
/// let context = dotflow_otel::extract(&headers);
/// workflow.with_context(context).await;
/// # }
/// ```
pub fn extract(carrier: &dyn Extractor) -> Context {
    propagator().extract_with_context(&Context::new(), carrier)
}

/// What `inject` and `extract` use. Not the global propagator: that is a no-op unless somebody set
/// it, and `build()` doesn't.
static CHOSEN: OnceLock<Propagators> = OnceLock::new();

/// Decides what [`inject`] and [`extract`] use; without telemetry that is the default. The first
/// decision stays, since all of them come from the environment of this process.
pub(crate) fn choose(propagators: Propagators) {
    let _ = CHOSEN.set(propagators);
}

fn propagator() -> TextMapCompositePropagator {
    CHOSEN.get().copied().unwrap_or_default().propagator()
}
