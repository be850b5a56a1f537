//! What a task says of itself: values by key and how far it has come, which become attributes of its
//! span.

use std::fmt;

use dotflow::spans;
use opentelemetry::{Key, KeyValue, Value};
use tracing::{
    Event,
    field::{Field, Visit},
};

/// What one task has said of itself, the last value of each key.
#[derive(Debug, Default)]
pub(super) struct Said(Vec<KeyValue>);

impl Said {
    /// Whether an event says something of a task.
    pub(super) fn is_one(event: &Event<'_>) -> bool {
        event.metadata().target() == spans::TARGET && is_said(event.metadata().name())
    }

    /// Takes in what an event says.
    pub(super) fn add(&mut self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        if let (Some(key), Some(value)) = (fields.key, fields.value) {
            self.set(key.into(), value);
        }
        for (key, value) in fields.progress {
            self.set(key.into(), value);
        }
    }

    fn set(&mut self, key: Key, value: Value) {
        match self.0.iter_mut().find(|known| known.key == key) {
            Some(known) => known.value = value,
            None => self.0.push(KeyValue::new(key, value)),
        }
    }

    /// Makes attributes of it. What dotflow says of a task itself stays as it is.
    pub(super) fn apply(&self, attributes: &mut Vec<KeyValue>) {
        for said in &self.0 {
            if attributes.iter().all(|known| known.key != said.key) {
                attributes.push(said.clone());
            }
        }
    }
}

/// Whether the event of this name becomes an attribute, and no event of the span.
pub(super) fn is_said(name: &str) -> bool {
    matches!(name, spans::RECORD | spans::PROGRESS)
}

#[derive(Default)]
struct Fields {
    key: Option<String>,
    value: Option<Value>,
    progress: Vec<(&'static str, Value)>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match field.name() {
            spans::RECORD_VALUE => self.value = Some(value),
            spans::PROGRESS_DONE | spans::PROGRESS_OF => {
                self.progress.push((field.name(), value));
            }
            _ => {}
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == spans::RECORD_KEY {
            self.key = Some(value.to_owned());
        } else {
            self.put(field, value.to_owned().into());
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn fmt::Debug) {}
}
