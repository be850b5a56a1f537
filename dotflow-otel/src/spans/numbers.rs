//! Numbers that the bridge sends as strings.
//!
//! It knows signed integers of 64 bits and no others, so `bytes = 42_u64` would arrive as `"42"`, of
//! which no backend makes a sum. The names of such fields are noted here, and their values become
//! numbers again where they fit into 64 bits with a sign, as the protocol has no others.

use std::fmt::Debug;

use opentelemetry::{KeyValue, Value};
use tracing::field::{Field, Visit};

/// The names of the fields that have such numbers.
#[derive(Debug, Default)]
pub(super) struct Numbers(Vec<&'static str>);

impl Numbers {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    /// Makes numbers of the attributes that have these names.
    pub(super) fn apply(&self, attributes: &mut [KeyValue]) {
        if self.is_empty() {
            return;
        }
        for attribute in attributes {
            if !self.0.contains(&attribute.key.as_str()) {
                continue;
            }
            if let Value::String(text) = &attribute.value
                && let Ok(number) = text.as_str().parse()
            {
                attribute.value = Value::I64(number);
            }
        }
    }

    fn note(&mut self, field: &Field) {
        self.0.push(field.name());
    }
}

impl Visit for Numbers {
    fn record_u64(&mut self, field: &Field, _value: u64) {
        self.note(field);
    }

    fn record_u128(&mut self, field: &Field, _value: u128) {
        self.note(field);
    }

    fn record_i128(&mut self, field: &Field, _value: i128) {
        self.note(field);
    }

    fn record_str(&mut self, _field: &Field, _value: &str) {}

    fn record_debug(&mut self, _field: &Field, _value: &dyn Debug) {}
}
