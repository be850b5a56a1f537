//! Checkpoints and resumed runs, through the public API.

mod calls;
mod changes;
mod concurrent;
mod contract;
mod cost;
mod crash;
mod damage;
mod faults;
mod input;
mod nested;
#[cfg(feature = "object-storage")]
mod object;
mod resume;
mod victims;
