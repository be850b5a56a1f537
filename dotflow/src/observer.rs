//! What a program can watch of a run while it goes on, without any telemetry.

use std::{fmt, sync::Arc, time::Duration};

use crate::{error::TaskError, shield::shielded, status::Status};

/// Something that happened in a run, as [`observe`](crate::DotFlow::observe) tells it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Event<'run> {
    /// The id of the run.
    pub workflow_id: &'run str,
    /// The name of the workflow.
    pub workflow: &'run str,
    /// What happened.
    pub what: Happening<'run>,
}

/// What happened to the run or to one of its tasks.
#[derive(Debug)]
#[non_exhaustive]
pub enum Happening<'run> {
    /// The run has begun.
    WorkflowStarted,
    /// A task has begun.
    TaskStarted(Place<'run>),
    /// An attempt has failed; another one comes after the delay.
    TaskRetried(Place<'run>, &'run TaskError, Duration),
    /// A task was restored from a checkpoint, and is not run.
    TaskRestored(Place<'run>),
    /// A task has ended, or will never be begun (`Skipped`, `NotStarted`). The error is there
    /// where an attempt failed for good.
    TaskEnded(Place<'run>, Status, Option<&'run TaskError>),
    /// The run has ended.
    WorkflowEnded(Status),
}

/// Which task it is about.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Place<'run> {
    /// The number of the task in its workflow.
    pub id: usize,
    /// The name of the task.
    pub name: &'run str,
    /// The index of the item, for a sub-task of [`each`](crate::Task::each).
    pub item: Option<usize>,
}

type Observer = dyn Fn(&Event<'_>) + Send + Sync;

/// The observers of a workflow. A panic in one is caught and reported, and hurts nobody else.
#[derive(Clone, Default)]
pub(crate) struct Observers {
    observers: Vec<Arc<Observer>>,
}

impl Observers {
    pub(crate) fn add(&mut self, observer: impl Fn(&Event<'_>) + Send + Sync + 'static) {
        self.observers.push(Arc::new(observer));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.observers.is_empty()
    }

    pub(crate) fn notify(&self, event: &Event<'_>) {
        for observer in &self.observers {
            shielded("an observer", || observer(event));
        }
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Observers({})", self.observers.len())
    }
}
