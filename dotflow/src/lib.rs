//! Workflows written as annotated functions, whose traces can be trusted.

pub mod spans;
pub mod tree;
