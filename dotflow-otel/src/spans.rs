//! Spans: the layers that turn `tracing` spans into OpenTelemetry spans and end them, and what takes
//! them from there to a pipeline.

use opentelemetry::{
    Context,
    trace::{SpanBuilder, SpanKind, TraceContextExt, Tracer, TracerProvider},
};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::Subscriber;
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

pub use self::names::SpanNames;
use self::{
    bridged::BridgedSpan,
    ending::{BeforeBridge, EndingLayer},
};
pub(crate) use self::{
    custom::start_custom,
    ending::OpenSpans,
    kept::complete,
    queue::{Shape, SpanQueue},
};
use crate::{dispatch::UserDispatch, scope::scope};

mod ending;
mod custom;
mod queue;
mod bridged;
mod kept;
mod important;
mod numbers;
mod said;
mod names;

/// The tracer under whose name every span is sent. One without a parent in this process gets the kind
/// that is wanted for it. A span without a parent gets the one that the
/// process was started with, if any.
#[derive(Debug, Clone)]
pub(crate) struct ProcessTracer {
    tracer: SdkTracer,
    parent: Option<Context>,
    root_kind: Option<SpanKind>,
}

impl ProcessTracer {
    pub(crate) fn new(
        provider: &SdkTracerProvider,
        parent: Option<Context>,
        root_kind: Option<SpanKind>,
    ) -> Self {
        Self {
            tracer: provider.tracer_with_scope(scope()),
            parent,
            root_kind,
        }
    }
}

impl Tracer for ProcessTracer {
    type Span = BridgedSpan;

    fn build_with_context(&self, mut builder: SpanBuilder, parent: &Context) -> BridgedSpan {
        let of_parent = parent.span().span_context().clone();
        if let Some(kind) = &self.root_kind
            && (!of_parent.is_valid() || of_parent.is_remote())
        {
            builder.span_kind.get_or_insert_with(|| kind.clone());
        }
        BridgedSpan(match &self.parent {
            Some(process_parent) if !of_parent.is_valid() => {
                let remote = process_parent.span().span_context().clone();
                let parent = parent.with_remote_span_context(remote);
                self.tracer.build_with_context(builder, &parent)
            }
            _ => self.tracer.build_with_context(builder, parent),
        })
    }
}

/// The layers that turn `tracing` spans into OpenTelemetry spans, without the attributes that cost
/// more than they tell (source locations, threads, busy and idle times, targets), and end those of
/// workflows and tasks in time.
pub(crate) fn layer<S>(
    tracer: ProcessTracer,
    targets: Targets,
    user: UserDispatch,
    open: OpenSpans,
) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    let bridge = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        // The status of a task's span is what dotflow records at its end. An error that the user's
        // code logs on the way must not compete with it, nor put a second error's text on the span.
        .with_error_events_to_status(false)
        .with_error_records_to_exceptions(false);
    let before = BeforeBridge {
        user: user.clone(),
        open: open.clone(),
    };
    before
        .and_then(bridge)
        .and_then(EndingLayer { user, open })
        .with_filter(targets)
}
