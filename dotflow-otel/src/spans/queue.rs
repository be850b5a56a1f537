//! What takes spans that ended to a pipeline.

use std::time::Duration;

use dotflow::spans;
use opentelemetry::{Array, Context, KeyValue, StringValue, Value, trace::Event};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanProcessor},
};

use super::{kept::complete, names::SpanNames};
use crate::pipeline::{Pipeline, Queued};

/// What spans look like when they are sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// How many characters of a string are kept; `None` means all.
    pub(crate) value_length: Option<usize>,
    /// Whether the events of the user's code are sent, which log records may do instead.
    pub(crate) with_events: bool,
    pub(crate) names: SpanNames,
}

/// Puts spans that ended into a pipeline.
#[derive(Debug)]
pub(crate) struct SpanQueue {
    pub(crate) pipeline: Pipeline<SpanData>,
    pub(crate) shape: Shape,
}

impl SpanProcessor for SpanQueue {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, mut span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        complete(&mut span);
        if !self.shape.with_events {
            // Log records say the same.
            span.events.events.retain(|event| !is_of_the_user(event));
        }
        self.shape.names.apply(&mut span);
        if let Some(length) = self.shape.value_length {
            cut_all(&mut span.attributes, length);
            for event in &mut span.events.events {
                cut_all(&mut event.attributes, length);
            }
        }
        self.pipeline.push(span);
    }

    // The guard flushes and stops the pipeline itself, with a bound for all of them together.
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Whether an event is one of the user's code, which the bridge says where it comes from.
fn is_of_the_user(event: &Event) -> bool {
    let mut attributes = event.attributes.iter();
    attributes.any(|attribute| attribute.key.as_str() == "target")
}

/// Cuts strings to a number of characters.
fn cut_all(attributes: &mut [KeyValue], length: usize) {
    let cut = |text: &StringValue| {
        let (end, _) = text.as_str().char_indices().nth(length)?;
        Some(StringValue::from(text.as_str()[..end].to_owned()))
    };
    for attribute in attributes {
        match &mut attribute.value {
            Value::String(text) => {
                if let Some(short) = cut(text) {
                    *text = short;
                }
            }
            Value::Array(Array::String(texts)) => {
                for text in texts {
                    if let Some(short) = cut(text) {
                        *text = short;
                    }
                }
            }
            _ => {}
        }
    }
}

impl Queued for SpanData {
    /// The span of a workflow ends after all that is below it, so it is what a full queue would lose
    /// first, and what a trace can't be read without.
    fn is_important(&self) -> bool {
        let mut attributes = self.attributes.iter();
        attributes.any(|attribute| attribute.key.as_str() == spans::TASKS_COUNT)
    }

    fn size(&self) -> usize {
        let of = |attributes: &[KeyValue]| -> usize {
            let values = attributes.iter().map(|attribute| match &attribute.value {
                Value::String(text) => text.as_str().len(),
                Value::Array(Array::String(texts)) => {
                    texts.iter().map(|text| text.as_str().len()).sum()
                }
                _ => 0,
            });
            values.sum()
        };
        let events = self.events.events.iter();
        of(&self.attributes) + events.map(|event| of(&event.attributes)).sum::<usize>()
    }
}
