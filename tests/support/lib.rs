//! Helpers shared by the test binaries.

pub mod collector;
mod recorder;
pub mod shop;

pub use recorder::{
    EventRecord, Recorder, Recording, SpanRecord, Value, keep_callsites_awake, paused, recorded,
    recorded_threaded, threaded,
};

/// The examples of the README, which are true as long as this compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
