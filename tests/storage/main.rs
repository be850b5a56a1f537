//! Checkpoints and resumed runs, through the public API.

#![allow(
    clippy::cast_possible_truncation,
    clippy::match_bool,
    clippy::single_match_else,
    clippy::type_complexity,
    reason = "a test says a case in the fewest words"
)]

mod calls;
mod changes;
mod concurrent;
mod contract;
mod cost;
mod crash;
mod damage;
#[cfg(unix)]
mod disk;
mod each_call;
mod faults;
mod formats;
mod identity;
mod given;
mod input;
mod names;
mod nested;
#[cfg(feature = "object-storage")]
mod object;
#[cfg(feature = "object-storage")]
mod object_removal;
mod processes;
mod provenance;
mod resume;
mod tampering;
mod values;
mod victims;
