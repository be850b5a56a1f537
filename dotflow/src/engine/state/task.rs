//! What the state of a run knows of one task.

use crate::{error::TaskError, report::status::Status};

/// Where one task of a run stands.
pub(super) struct TaskState<V> {
    pub(super) status: Status,
    /// How many inputs have not been settled yet.
    pub(super) waiting: u32,
    /// How many readers the output still has; the run itself counts as one where it is kept.
    pub(super) readers: u32,
    pub(super) output: Option<V>,
    /// Why there is no output, once the task has failed, or has ended the run.
    pub(super) error: Option<TaskError>,
    /// For a skipped task, the one whose failure is to blame.
    pub(super) cause: Option<u32>,
    /// Whether somebody took the failure as a `Result`.
    pub(super) handled: bool,
    /// Whether the input, or the output, follows from a failure.
    pub(super) follows_failure: bool,
}

impl<V> TaskState<V> {
    /// A task before anything has happened.
    #[inline]
    pub(super) fn new(waiting: u32, readers: u32) -> Self {
        Self {
            status: Status::NotStarted,
            waiting,
            readers,
            output: None,
            error: None,
            cause: None,
            handled: false,
            follows_failure: false,
        }
    }

    /// Whether it is settled, and there never was an output.
    pub(super) fn has_nothing(&self) -> bool {
        self.error.is_some() || self.status == Status::Skipped
    }

    /// Why it has failed, if it has.
    pub(super) fn failure(&self) -> Option<&TaskError> {
        self.error
            .as_ref()
            .filter(|_| self.status == Status::Failed)
    }

    /// Whether it has ended the run, without an output.
    pub(super) fn has_ended_early(&self) -> bool {
        self.error.is_some() && self.status == Status::Completed
    }

    /// Gives the output to one reader. It leaves the run with the last one.
    #[inline]
    pub(super) fn read(&mut self) -> Option<V>
    where
        V: Clone,
    {
        self.readers -= 1;
        match self.readers {
            0 => self.output.take(),
            _ => self.output.clone(),
        }
    }

    /// Takes in that a reader does without the output.
    pub(super) fn release(&mut self) {
        self.readers -= 1;
        if self.readers == 0 {
            self.output = None;
        }
    }
}
