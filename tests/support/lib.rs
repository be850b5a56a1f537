//! Helpers shared by the test binaries.

pub mod collector;
pub mod emit;
mod recorder;

pub use recorder::{
    EventRecord, Recorder, Recording, SpanRecord, Value, paused, recorded, recorded_threaded,
    threaded,
};
