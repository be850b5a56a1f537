//! The events that tell why a task failed, kept beside the span so that others can't crowd them out.
//!
//! A span has room for a number of events (128 by default), and the first ones stay. What matters
//! comes last: the exception after all the retries, the retries after all that the task's code says.
//! So the exception, the first retry and the last one are kept here as well, and where the span had
//! no room for one of them it gets it back when it ends.

use std::{borrow::Cow, fmt, time::SystemTime};

use dotflow::spans;
use opentelemetry::{KeyValue, Value, trace::Event};
use opentelemetry_sdk::trace::SpanData;
use tracing::field::{Field, Visit};

/// The important events of one task.
#[derive(Debug, Clone, Default)]
pub(super) struct Important {
    first_retry: Option<Event>,
    last_retry: Option<Event>,
    exception: Option<Event>,
}

impl Important {
    /// Keeps an event, if it is an important one.
    pub(super) fn keep(&mut self, event: &tracing::Event<'_>) {
        let mut attributes = Attributes(Vec::new());
        event.record(&mut attributes);
        let name = event.metadata().name();
        let event = Event::new(Cow::Borrowed(name), SystemTime::now(), attributes.0, 0);
        if name == spans::EXCEPTION {
            self.exception = Some(event);
        } else if self.first_retry.is_none() {
            self.first_retry = Some(event);
        } else {
            self.last_retry = Some(event);
        }
    }

    /// Whether this is an event that is kept.
    pub(super) fn is_one(event: &tracing::Event<'_>) -> bool {
        let metadata = event.metadata();
        metadata.target() == spans::TARGET
            && matches!(metadata.name(), spans::EXCEPTION | spans::RETRY)
    }

    /// Gives a span the important events that it had no room for.
    pub(super) fn restore(&self, span: &mut SpanData) {
        if span.events.dropped_count == 0 {
            return;
        }
        let Self {
            first_retry,
            last_retry,
            exception,
        } = self;
        for event in [first_retry, last_retry, exception].into_iter().flatten() {
            let is_there = span
                .events
                .events
                .iter()
                .any(|known| known.name == event.name && attempt(known) == attempt(event));
            if !is_there {
                span.events.events.push(event.clone());
                span.events.dropped_count = span.events.dropped_count.saturating_sub(1);
            }
        }
    }
}

/// What tells one retry from another.
fn attempt(event: &Event) -> Option<&Value> {
    let mut attributes = event.attributes.iter();
    let attempt = attributes.find(|attribute| attribute.key.as_str() == spans::ATTEMPT);
    attempt.map(|attribute| &attribute.value)
}

/// The fields of an event.
struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn push(&mut self, field: &Field, value: impl Into<Value>) {
        // The event has a name, and says in its other fields what its message says.
        if field.name() != "message" {
            self.0.push(KeyValue::new(field.name(), value));
        }
    }
}

impl Visit for Attributes {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, value.to_owned());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.push(field, value),
            Err(_) => self.push(field, value.to_string()),
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push(field, format!("{value:?}"));
    }
}
