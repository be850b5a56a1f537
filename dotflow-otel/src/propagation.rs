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
/// ```
/// use std::collections::HashMap;
///
/// use dotflow::{DotFlow, action, task};
/// use dotflow_otel::{OpenTelemetry, opentelemetry::trace::FutureExt};
///
/// #[action]
/// async fn call() -> String {
///     let mut headers = HashMap::new();
///     dotflow_otel::inject(&mut headers);
///     headers["traceparent"].clone()
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let telemetry = OpenTelemetry::new("my-pipeline").install()?;
/// let workflow = DotFlow::new("answer", task(call()));
/// // What a caller sent.
/// let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let headers = HashMap::from([("traceparent".to_owned(), parent.to_owned())]);
///
/// let context = dotflow_otel::extract(&headers);
/// let run = async { workflow.start().await }.with_context(context).await?;
/// let sent = run.output().expect("the run succeeded");
/// assert!(sent.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
/// # telemetry.shutdown()?;
/// # Ok(())
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
