//! What is measured: five shapes of workflow, by dotflow and by hand, while somebody listens to
//! their spans or nobody does.

#![allow(
    clippy::many_single_char_names,
    clippy::missing_panics_doc,
    clippy::unused_async,
    reason = "these are the smallest tasks there are: what is around them is measured"
)]

// In reading order: a module imports only from those that are declared below it.
pub mod ways;
pub mod by_hand;
pub mod cases;
pub mod listener;
