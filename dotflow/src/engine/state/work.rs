//! What the state of a run gives out: work for the executor, and what is to be told.

use crate::{action::inputs::Slots, error::TaskError, report::id::TaskId};

/// What is to be done next.
pub(crate) enum Work<V> {
    /// Run a task with these inputs.
    Run {
        id: TaskId,
        slots: Slots<V>,
        /// Whether the inputs follow from a failure.
        follows_failure: bool,
    },
    /// Take a list apart, and tell its length by [`State::split`](super::State::split).
    Split { task: u32, list: V },
    /// Run the next item of such a list.
    Item { id: TaskId, follows_failure: bool },
}

/// Put what came of all items together, and settle the task with the list.
#[must_use]
pub(crate) struct Collect<V> {
    pub(crate) task: u32,
    /// Errors are among them only where the task hands them on.
    pub(crate) results: Vec<Result<V, TaskError>>,
}

/// What happened to a task without its doing anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It will not be run, since a task before it has no output.
    Skipped(u32),
    /// The list of a task made by `each` is needed no more: all its items have begun, or no further
    /// one will.
    ItemsOver(u32),
}
