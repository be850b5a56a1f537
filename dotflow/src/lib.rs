//! Workflows written as annotated functions, whose traces can be trusted.
#![warn(clippy::print_stdout, clippy::print_stderr)]

// In reading order; a module imports only from those below it.
mod workflow;
mod engine;
mod plan;
mod run;
mod sinks;
mod join;
mod task;
pub mod action;
mod inputs;
mod context;
mod retry;
mod checkpoint;
pub mod storage;
#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod codec;
mod value;
mod observer;
mod shield;
pub mod spans;
mod status;
pub mod tree;
mod error;

pub use crate::{
    action::{Action, ActionSpec},
    context::{PreviousContext, TaskContext},
    error::{Error, TaskError, TaskErrorKind},
    inputs::{All, FedBy, First, Input, Inputs, Takes},
    join::{Append, Joined, Upstream, join_all},
    observer::{Event, Happening, Place},
    retry::RetryPolicy,
    run::{Run, TaskReport},
    sinks::Sinks,
    status::Status,
    task::{List, Step, Task, task},
    workflow::{Background, DotFlow, OnInputChange},
};
pub use dotflow_macros::action;
