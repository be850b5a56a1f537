#![warn(clippy::unwrap_used)]
#![cfg_attr(feature = "otlp", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "otlp"),
    doc = "OpenTelemetry for dotflow, without OTLP."
)]

// In reading order: a module imports only from those that are declared below it.
mod setup;
mod guard;
mod config;
mod console;
mod spans;
mod logs;
mod metrics;
mod propagation;
#[cfg_attr(
    not(feature = "otlp"),
    allow(
        dead_code,
        unreachable_pub,
        unused_imports,
        reason = "what the environment says about OTLP is read and checked all the same"
    )
)]
mod otlp;
mod pipeline;
mod delivery;
mod dispatch;
mod scope;
mod runtime;
mod error;

pub use opentelemetry;

#[cfg(feature = "otlp")]
pub use crate::otlp::{Compression, Otlp, Protocol};
pub use crate::{
    error::Error,
    guard::Guard,
    propagation::{extract, inject},
    setup::OpenTelemetry,
    spans::SpanNames,
};
