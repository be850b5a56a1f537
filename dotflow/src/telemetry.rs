//! What is told of a run: the one place that opens spans, and through which each transition of a
//! run or a task reaches its span, the observers and the report.
//!
//! Values of a run (inputs, outputs) never get here.

mod task;
mod run;
mod fields;

pub(crate) use self::{
    fields::Blame,
    run::{Observers, RunSpan, Subject},
    task::TaskSpan,
};
