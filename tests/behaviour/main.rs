//! What dotflow does, topic by topic, through its public API.
#![allow(
    clippy::similar_names,
    reason = "what makes a value and the value made may be called alike"
)]
#![allow(clippy::unwrap_used, reason = "it is a test, its helpers included")]
#![allow(
    clippy::items_after_statements,
    reason = "an action that one test needs stands where the test needs it"
)]

mod asking;
mod blocking;
mod cancellation;
mod expanding;
mod failures;
mod input;
mod limits;
mod nesting;
mod placed;
mod poison;
mod resources;
mod reports;
mod retries;
mod settled;
mod shapes;
mod steady;
mod subscribers;
mod testing;
mod task_locals;
mod times;
mod traces;
