//! Workflows written as annotated functions, whose traces can be trusted.

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
pub mod action;
mod codec;
mod context;
mod error;
mod inputs;
mod retry;
pub mod spans;
pub mod tree;

pub use crate::{
    action::{Action, ActionSpec},
    context::{PreviousContext, TaskContext},
    error::{Error, TaskError, TaskErrorKind},
    inputs::{All, FedBy, First, Input, Inputs, Takes},
    retry::RetryPolicy,
};
pub use dotflow_macros::action;
