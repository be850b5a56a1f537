//! Every shape of action in edition 2021, in a crate that allows no warning.
#![deny(
    warnings,
    missing_docs,
    missing_debug_implementations,
    single_use_lifetimes,
    unreachable_pub,
    unused_lifetimes,
    unused_qualifications,
    rust_2024_compatibility
)]
#![deny(clippy::all, clippy::pedantic)]
#![forbid(unsafe_code)]

#[path = "../lints/shapes.rs"]
pub mod shapes;
