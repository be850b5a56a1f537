//! What a program can watch of a run while it goes on, without any telemetry.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use crate::{error::TaskError, spans, status::Status};

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

/// Calls a function of the user's that has no say in the run: a panic of its is only reported.
pub(crate) fn shielded(who: &'static str, call: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(call)) {
        spans::bystander_panicked(who, &panic_message(&*panic));
        discard(panic);
    }
}

/// Drops a value of the user's; should its `Drop` panic, that ends here.
pub(crate) fn discard<T>(value: T) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        spans::bystander_panicked("the drop of a value", &panic_message(&*panic));
        // Its drop might panic as well: a leak is the smaller evil.
        std::mem::forget(panic);
    }
}

/// The text of a panic, as far as it has one.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "panicked with a value that is no text".to_owned()
    }
}
