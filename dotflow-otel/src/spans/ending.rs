//! The layer that ends the spans of workflows and tasks when they end, and counts those that did not
//! end yet.
//!
//! `tracing` closes a span when its last holder lets go: a connection that was opened in it, blocking
//! code that runs past its timeout, a child that is still open. Until then the bridge keeps it, so
//! the trace of a run that has ended would be missing, and its end would be wrong. dotflow says in one
//! record how a workflow or a task ended; with that record its span ends, whoever still holds it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use dotflow::spans;
use opentelemetry::trace::TraceContextExt;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_opentelemetry::get_otel_context;
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::important::Important;
use crate::dispatch::UserDispatch;

/// How many spans began and did not end yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct OpenSpans(Arc<AtomicU64>);

impl OpenSpans {
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    fn begun(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    fn ended(&self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The layer. It must come after the bridge, which takes the record's values to the span.
#[derive(Debug)]
pub(super) struct EndingLayer {
    pub(super) user: UserDispatch,
    pub(super) open: OpenSpans,
}

impl<S> Layer<S> for EndingLayer
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, _attributes: &Attributes<'_>, _id: &Id, _context: Context<'_, S>) {
        self.open.begun();
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut closing = Closing(false);
        values.record(&mut closing);
        if !closing.0 || !context.metadata(id).is_some_and(ends_by_record) {
            return;
        }
        // Children that come later still find it as their parent, and the bridge, which ends it once
        // more when `tracing` closes it, changes nothing by that.
        let now = SystemTime::now();
        let dispatch = self.user.get();
        let important = context.span(id).and_then(|span| {
            let mut extensions = span.extensions_mut();
            extensions.remove::<Important>()
        });
        if let Some(context) = dispatch.and_then(|dispatch| get_otel_context(id, &dispatch)) {
            Important::while_ending(important, || context.span().end_with_timestamp(now));
        }
        self.open.ended();
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if !Important::is_one(event) {
            return;
        }
        let Some(span) = context.event_span(event) else {
            return;
        };
        let mut extensions = span.extensions_mut();
        if let Some(important) = extensions.get_mut::<Important>() {
            important.keep(event);
        } else {
            let mut important = Important::default();
            important.keep(event);
            extensions.insert(important);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        if !context.metadata(&id).is_some_and(ends_by_record) {
            self.open.ended();
        }
    }
}

/// Whether this is a span of a workflow or a task. Those end with a record, without exception.
fn ends_by_record(metadata: &Metadata<'_>) -> bool {
    metadata.target() == spans::TARGET && matches!(metadata.name(), spans::WORKFLOW | spans::TASK)
}

/// Whether a record says how a workflow or a task ended.
struct Closing(bool);

impl Visit for Closing {
    fn record_str(&mut self, field: &Field, _value: &str) {
        if matches!(field.name(), spans::WORKFLOW_STATUS | spans::TASK_STATUS) {
            self.0 = true;
        }
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn std::fmt::Debug) {}
}
