//! What dotflow does, topic by topic, through its public API.

mod blocking;
mod cancellation;
mod failures;
mod poison;
mod resources;
mod retries;
mod shapes;
mod traces;
