//! OpenTelemetry for dotflow: traces, metrics and logs of workflows, to any backend.

mod console;
mod delivery;
mod env;
mod error;
mod guard;
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
