#![warn(clippy::unwrap_used)]
#![cfg_attr(feature = "otlp", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "otlp"),
    doc = "OpenTelemetry for dotflow, without OTLP."
)]
#![cfg_attr(
    not(feature = "otlp"),
    expect(
        dead_code,
        reason = "what OTLP alone needs is small, and simpler without conditions"
    )
)]

mod console;
mod delivery;
mod diagnostics;
mod env;
mod error;
mod guard;
mod logs;
mod metrics;
#[cfg(feature = "otlp")]
mod otlp;
mod propagation;
mod resource;
mod runtime;
mod setup;
mod traces;

pub use opentelemetry;

#[cfg(feature = "otlp")]
pub use crate::otlp::{Compression, Otlp, Protocol};
pub use crate::{
    error::Error,
    guard::Guard,
    propagation::{extract, inject},
    setup::OpenTelemetry,
};
