//! Telemetry as a backend, a terminal and an operator see it.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps fails with a location"
)]

mod console;
mod delivery;
mod endings;
mod endurance;
mod faults;
mod logs;
mod metrics;
mod programs;
mod propagation;
mod runtimes;
mod variables;
mod wire;

use dotflow_otel::{Guard, OpenTelemetry};
use tracing_subscriber::{Registry, layer::SubscriberExt};

/// Builds telemetry and runs `work` under it, on this thread and whatever dotflow spawns from it.
fn under<Output>(telemetry: OpenTelemetry, work: impl FnOnce() -> Output) -> (Output, Guard) {
    dotflow_tests::keep_callsites_awake();
    let (layer, guard) = telemetry.build().unwrap();
    let subscriber = Registry::default().with(layer);
    let output = tracing::subscriber::with_default(subscriber, work);
    (output, guard)
}
