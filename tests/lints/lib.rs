//! Every shape of action in edition 2024, in a crate that allows no warning.
#![deny(
    warnings,
    missing_docs,
    missing_debug_implementations,
    single_use_lifetimes,
    unreachable_pub,
    unused_lifetimes,
    unused_qualifications,
    rust_2018_idioms
)]
#![deny(clippy::all, clippy::pedantic)]
#![forbid(unsafe_code)]

pub mod shapes;
