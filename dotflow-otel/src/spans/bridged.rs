//! The spans that the bridge makes, with events as they are meant.
//!
//! The bridge calls an event by its message, and makes strings of most integers. So what an event is
//! called and which of its fields are numbers is noted before it reaches the bridge, and put right
//! when the bridge adds the event to the span, which happens on the same thread.

use std::{borrow::Cow, cell::RefCell, time::SystemTime};

use dotflow::spans;
use opentelemetry::{
    KeyValue,
    trace::{Span, SpanContext, Status},
};
use opentelemetry_sdk::trace::Span as SdkSpan;
use tracing::Event;

use super::{numbers::Numbers, said::is_said};

/// What the bridge does not hand on of an event.
#[derive(Debug)]
pub(super) struct Facts {
    /// What it is called, where that is not its message.
    name: Option<&'static str>,
    numbers: Numbers,
}

thread_local! {
    /// Those of the event that the bridge handles on this thread.
    static OF_EVENT: RefCell<Option<Facts>> = const { RefCell::new(None) };
}

impl Facts {
    /// Those of an event; `None` where the bridge does it right.
    pub(super) fn of(event: &Event<'_>) -> Option<Self> {
        let metadata = event.metadata();
        // dotflow's own events have names, which backends and people look for.
        let name = (metadata.target() == spans::TARGET).then(|| metadata.name());
        let mut numbers = Numbers::default();
        event.record(&mut numbers);
        (name.is_some() || !numbers.is_empty()).then_some(Self { name, numbers })
    }

    /// From here on the bridge handles the event of these.
    pub(super) fn begin(self) {
        OF_EVENT.set(Some(self));
    }

    /// It has handled it.
    pub(super) fn finish() {
        OF_EVENT.set(None);
    }
}

/// A span that the bridge makes.
#[derive(Debug)]
pub(crate) struct BridgedSpan(pub(super) SdkSpan);

impl Span for BridgedSpan {
    fn add_event_with_timestamp<T>(
        &mut self,
        name: T,
        timestamp: SystemTime,
        mut attributes: Vec<KeyValue>,
    ) where
        T: Into<Cow<'static, str>>,
    {
        let mut name = name.into();
        if let Some(facts) = OF_EVENT.take() {
            facts.numbers.apply(&mut attributes);
            if let Some(real) = facts.name {
                // It is an attribute of the span of its task.
                if is_said(real) {
                    return;
                }
                // Here, so that they take no room of others where that is limited.
                let is_of_the_bridge = |key: &str| matches!(key, "level" | "target");
                attributes.retain(|one| !is_of_the_bridge(one.key.as_str()));
                let message = std::mem::replace(&mut name, Cow::Borrowed(real));
                // Those two say it in their attributes. Without a message it is the name.
                if !matches!(real, spans::RETRY | spans::EXCEPTION) && message != real {
                    attributes.push(KeyValue::new("message", message));
                }
            }
        }
        self.0.add_event_with_timestamp(name, timestamp, attributes);
    }

    fn span_context(&self) -> &SpanContext {
        self.0.span_context()
    }

    fn is_recording(&self) -> bool {
        self.0.is_recording()
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        self.0.set_attribute(attribute);
    }

    fn set_attributes(&mut self, attributes: impl IntoIterator<Item = KeyValue>) {
        self.0.set_attributes(attributes);
    }

    fn set_status(&mut self, status: Status) {
        self.0.set_status(status);
    }

    fn update_name<T>(&mut self, new_name: T)
    where
        T: Into<Cow<'static, str>>,
    {
        self.0.update_name(new_name);
    }

    fn add_link(&mut self, span_context: SpanContext, attributes: Vec<KeyValue>) {
        self.0.add_link(span_context, attributes);
    }

    fn end_with_timestamp(&mut self, timestamp: SystemTime) {
        self.0.end_with_timestamp(timestamp);
    }
}
