//! What takes spans that ended to a pipeline.

use std::time::Duration;

use dotflow::spans;
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanProcessor},
};

use super::important::restore;
use crate::pipeline::Pipeline;

/// Puts spans that ended into a pipeline.
#[derive(Debug)]
pub(crate) struct SpanQueue {
    pub(crate) pipeline: Pipeline<SpanData>,
    /// How many characters of a string are kept; `None` means all.
    pub(crate) value_length: Option<usize>,
}

impl SpanProcessor for SpanQueue {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, mut span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        restore(&mut span);
        if let Some(length) = self.value_length {
            cut_all(&mut span.attributes, length);
            for event in &mut span.events.events {
                cut_all(&mut event.attributes, length);
            }
        }
        self.pipeline.push(span, is_workflow);
    }

    // The guard flushes and stops the pipeline itself, with a bound for all of them together.
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
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

/// Whether this is the span of a workflow. It ends after all that is below it, so it is what a full
/// queue would lose first, and what a trace can't be read without.
fn is_workflow(span: &SpanData) -> bool {
    let mut attributes = span.attributes.iter();
    attributes.any(|attribute| attribute.key.as_str() == spans::TASKS_COUNT)
}
