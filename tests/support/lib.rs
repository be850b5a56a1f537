//! Helpers shared by the test binaries.

pub mod collector;
pub mod emit;
