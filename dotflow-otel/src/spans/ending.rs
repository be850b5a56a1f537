//! The layers around the bridge, which end the spans of workflows and tasks when they end, and count
//! those that did not end yet.
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
use tracing_subscriber::{
    Layer,
    layer::Context,
    registry::{LookupSpan, SpanRef},
};

use super::{bridged::Facts, important::Important, kept::Kept, numbers::Numbers, said::Said};
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

/// The layer after the bridge, which takes the record's values to the span.
#[derive(Debug)]
pub(super) struct EndingLayer {
    pub(super) user: UserDispatch,
    pub(super) open: OpenSpans,
}

impl<S> Layer<S> for EndingLayer
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.open.begun();
        // dotflow's own have none.
        if attributes.metadata().target() != spans::TARGET {
            let mut numbers = Numbers::default();
            attributes.record(&mut numbers);
            keep_numbers(numbers, id, &context);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut recorded = Recorded::default();
        values.record(&mut recorded);
        let Recorded { closing, numbers } = recorded;
        keep_numbers(numbers, id, &context);
        if !closing || !context.metadata(id).is_some_and(ends_by_record) {
            return;
        }
        // Children that come later still find it as their parent, and the bridge, which ends it once
        // more when `tracing` closes it, changes nothing by that.
        let now = SystemTime::now();
        let dispatch = self.user.get();
        let otel_context = dispatch.and_then(|dispatch| get_otel_context(id, &dispatch));
        if let Some(otel_context) = otel_context {
            context.span(id).as_ref().map(begin_end);
            otel_context.span().end_with_timestamp(now);
            Kept::finish_end();
        }
        self.open.ended();
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        Facts::finish();
        if Said::is_one(event) {
            // The code of the task may be within spans of its own.
            let scope = context.event_scope(event);
            let task = scope.and_then(|mut scope| scope.find(|span| is_task(span.metadata())));
            if let Some(task) = task {
                keep(&task, |kept| kept.said.add(event));
            }
        }
        if !Important::is_one(event) {
            return;
        }
        if let Some(span) = context.event_span(event) {
            keep(&span, |kept| kept.important.keep(event));
        }
    }

    fn on_close(&self, _id: Id, _context: Context<'_, S>) {
        Kept::finish_end();
    }
}

/// The layer before the bridge, which hands it what is kept of spans that end and what it gets wrong
/// of events.
#[derive(Debug)]
pub(super) struct BeforeBridge {
    pub(super) user: UserDispatch,
    pub(super) open: OpenSpans,
}

impl<S> Layer<S> for BeforeBridge
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let (Some(span), Some(facts)) = (context.event_span(event), Facts::of(event)) else {
            return;
        };
        // Until the span of the bridge exists, events are put where nobody can correct them.
        let dispatch = self.user.get();
        let _exists = dispatch.map(|dispatch| get_otel_context(&span.id(), &dispatch));
        facts.begin();
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else {
            return;
        };
        if !ends_by_record(span.metadata()) {
            begin_end(&span);
            self.open.ended();
        }
    }
}

/// Keeps something of a span until it ends.
fn keep<S>(span: &SpanRef<'_, S>, keep: impl FnOnce(&mut Kept))
where
    S: for<'span> LookupSpan<'span>,
{
    let mut extensions = span.extensions_mut();
    if let Some(kept) = extensions.get_mut::<Kept>() {
        keep(kept);
    } else {
        let mut kept = Kept::default();
        keep(&mut kept);
        extensions.insert(kept);
    }
}

fn keep_numbers<S>(numbers: Numbers, id: &Id, context: &Context<'_, S>)
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    if numbers.is_empty() {
        return;
    }
    if let Some(span) = context.span(id) {
        keep(&span, |kept| kept.numbers.add(numbers));
    }
}

/// From here on this span ends on this thread.
fn begin_end<S>(span: &SpanRef<'_, S>)
where
    S: for<'span> LookupSpan<'span>,
{
    if let Some(kept) = span.extensions_mut().remove::<Kept>() {
        kept.begin_end();
    }
}

/// Whether this is a span of a workflow or a task. Those end with a record, without exception.
fn ends_by_record(metadata: &Metadata<'_>) -> bool {
    metadata.target() == spans::TARGET && matches!(metadata.name(), spans::WORKFLOW | spans::TASK)
}

fn is_task(metadata: &Metadata<'_>) -> bool {
    metadata.target() == spans::TARGET && metadata.name() == spans::TASK
}

/// What a record says that matters here.
#[derive(Default)]
struct Recorded {
    /// Whether it says how a workflow or a task ended.
    closing: bool,
    numbers: Numbers,
}

impl Visit for Recorded {
    fn record_str(&mut self, field: &Field, _value: &str) {
        if matches!(field.name(), spans::WORKFLOW_STATUS | spans::TASK_STATUS) {
            self.closing = true;
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.numbers.record_u64(field, value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.numbers.record_u128(field, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.numbers.record_i128(field, value);
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn std::fmt::Debug) {}
}
