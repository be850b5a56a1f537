//! Trace context in and out of the process: W3C headers, and the parent of a batch job.

use std::sync::OnceLock;

use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapCompositePropagator, TextMapPropagator},
};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::{Error, env::Environment};

/// Which headers carry context; `OTEL_PROPAGATORS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Propagators {
    trace_context: bool,
    baggage: bool,
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
    pub(crate) fn read(env: &Environment<'_>) -> Result<Self, Error> {
        let known = [("tracecontext", 't'), ("baggage", 'b'), ("none", 'n')];
        let Some(chosen) = env.choices("OTEL_PROPAGATORS", &known)? else {
            return Ok(Self::default());
        };
        Ok(Self {
            trace_context: chosen.contains(&'t'),
            baggage: chosen.contains(&'b'),
        })
    }

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
/// service on the other side goes on with this trace. Inside a task that is the task's span.
///
/// Any map of texts is a carrier; `http::HeaderMap` is one with the `opentelemetry-http` crate.
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

/// Not the global one: that is a no-op unless somebody set it, and `build()` doesn't. A malformed
/// `OTEL_PROPAGATORS` was reported when telemetry was set up.
fn propagator() -> &'static TextMapCompositePropagator {
    static PROPAGATOR: OnceLock<TextMapCompositePropagator> = OnceLock::new();
    PROPAGATOR.get_or_init(|| {
        let propagators = Propagators::read(&Environment::of_process());
        propagators.unwrap_or_default().propagator()
    })
}
