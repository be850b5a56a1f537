//! Checkpoints and resumed runs, through the public API.

mod calls;
mod changes;
mod concurrent;
mod contract;
mod crash;
mod damage;
mod input;
mod nested;
mod resume;
mod victims;
