//! What dotflow does, topic by topic, through its public API.

mod cancellation;
mod failures;
mod poison;
mod retries;
mod shapes;
