//! What the spans of tasks are called.

use dotflow::spans;
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;

/// What the spans of tasks are called at backends. The console shows both in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SpanNames {
    /// By their number in the workflow: `task:0`, `task:1`, ….
    #[default]
    Number,
    /// By their name: `fetch`, or `fetch[3]` for an item of `each`.
    Task,
}

impl SpanNames {
    /// Gives the span of a task its name; others keep theirs.
    pub(super) fn apply(self, span: &mut SpanData) {
        if self == Self::Number {
            return;
        }
        let Some(name) = value(&span.attributes, spans::TASK_NAME) else {
            return;
        };
        let label = value(&span.attributes, spans::TASK_ITEM_LABEL);
        let item = label.or_else(|| value(&span.attributes, spans::TASK_ITEM));
        let name = match item {
            Some(item) => format!("{}[{}]", name.as_str(), item.as_str()),
            None => name.as_str().into_owned(),
        };
        span.name = name.into();
    }
}

fn value<'span>(attributes: &'span [KeyValue], key: &str) -> Option<&'span Value> {
    let found = attributes
        .iter()
        .find(|attribute| attribute.key.as_str() == key)?;
    Some(&found.value)
}
