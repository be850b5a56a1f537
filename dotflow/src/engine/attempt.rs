//! One task: its attempts, their timeout, panics, the waits in between, and its span.
//!
//! This is the only caller of user code in a run, so whatever that code does ends here, in an
//! [`Outcome`]. Should nobody wait for the outcome any more (the run was cancelled, or dropped),
//! the task is recorded as interrupted instead; the span tells the same in both cases.

mod caught;

use std::{
    future::Future,
    mem,
    ops::Deref,
    sync::{Arc, PoisonError},
    time::Duration,
};

use futures_util::future::Either;
use tokio::time::Instant;
use tracing::{Instrument, Span};

use self::caught::Caught;
use super::{
    Shared, Unit,
    restore::{self, Saving},
};
use crate::{
    context::TaskContext,
    error::{TaskError, TaskErrorKind},
    inputs::Slots,
    observer::{Happening, Place},
    plan::Planned,
    spans,
    status::Status,
    value::Value,
};

/// What came of a task that was begun.
pub(crate) struct Outcome {
    pub(crate) unit: Unit,
    pub(crate) result: Result<Value, TaskError>,
    pub(crate) record: Record,
}

/// What is told of a task besides its result.
pub(crate) struct Record {
    pub(crate) started: Instant,
    pub(crate) duration: Duration,
    pub(crate) attempts: u32,
    /// One per failed attempt.
    pub(crate) errors: Vec<TaskError>,
    /// Whether its output came from a checkpoint.
    pub(crate) restored: bool,
}

/// Runs a task to its end.
pub(crate) fn execute<S>(shared: S, unit: Unit, slots: Slots) -> impl Future<Output = Outcome>
where
    S: Deref<Target = Shared>,
{
    if shared.scope.checkpoints.is_some() {
        // In a box, so that a run without a storage does not pay for its size.
        Either::Left(Box::pin(restore::execute(shared, unit, slots)))
    } else {
        Either::Right(perform(shared, unit, slots, None))
    }
}

/// Runs a task to its end, and saves its output.
///
/// The future is moved several times when it is spawned, so it is kept small: what is captured is
/// used where it stands, and what is rarely needed, timers above all, stands in boxes.
pub(super) fn perform<'run, S>(
    shared: S,
    unit: Unit,
    mut slots: Slots,
    saving: Option<&'run Saving<'run>>,
) -> impl Future<Output = Outcome>
where
    S: Deref<Target = Shared>,
{
    let mut watch = Watch::new(shared, unit);
    async move {
        watch.begin(false);
        watch.notify(Happening::TaskStarted);
        loop {
            let is_last = watch.attempts >= watch.task().settings.retry.max_attempts();
            // The last attempt gets the inputs themselves, so that it can take them without a copy.
            let inputs = if is_last {
                mem::take(&mut slots)
            } else {
                slots.clone()
            };
            let result = match watch.task().settings.timeout {
                None => watch.call(inputs, watch.context()).await,
                Some(timeout) => Box::pin(watch.call_within(timeout, inputs)).await,
            };
            let error = match (result, saving) {
                (Ok(value), None) => return watch.completed(value),
                (Ok(value), Some(saving)) => {
                    return match Box::pin(watch.save(saving, value)).await {
                        Ok(value) => watch.completed(value),
                        Err(error) => watch.failed(error.at_attempt(watch.attempts)),
                    };
                }
                (Err(error), _) => error.at_attempt(watch.attempts),
            };
            if is_last || !error.is_retryable() {
                return watch.failed(error);
            }
            let delay = watch.task().settings.retry.delay_after(watch.attempts);
            watch.retried(error, delay);
            if delay.is_zero() {
                // A timer would wait for its next tick.
                tokio::task::yield_now().await;
            } else {
                Box::pin(tokio::time::sleep(delay)).await;
            }
            watch.attempts += 1;
        }
    }
}

/// Ends a task at once whose output was stored.
pub(super) fn restored(shared: &Shared, unit: Unit, output: Value) -> Outcome {
    let mut watch = Watch::new(shared, unit);
    watch.begin(true);
    watch.completed(output)
}

/// Ends a task at once whose input can't be had.
pub(crate) fn fail(shared: &Shared, unit: Unit, error: TaskError) -> Outcome {
    let mut watch = Watch::new(shared, unit);
    watch.begin(false);
    watch.notify(Happening::TaskStarted);
    watch.failed(error)
}

/// Watches over a task: once it is begun its span says how it ended, however that happens.
struct Watch<S: Deref<Target = Shared>> {
    shared: S,
    unit: Unit,
    span: Span,
    /// From when it is begun until it has ended.
    started: Option<Instant>,
    attempts: u32,
    /// One per failed attempt.
    errors: Vec<TaskError>,
    restored: bool,
}

impl<S: Deref<Target = Shared>> Watch<S> {
    fn new(shared: S, unit: Unit) -> Self {
        Self {
            shared,
            unit,
            span: Span::none(),
            started: None,
            attempts: 1,
            errors: Vec::new(),
            restored: false,
        }
    }

    fn begin(&mut self, restored: bool) {
        let task = self.task();
        self.span = spans::open_task(
            &self.shared.span,
            &spans::TaskFields {
                workflow_id: &self.shared.scope.workflow_id,
                id: self.unit.task,
                name: task.name().as_str(),
                group: task.settings.group.as_deref(),
                item: self.unit.item,
                restored,
            },
        );
        self.restored = restored;
        self.started = Some(Instant::now());
    }

    fn task(&self) -> &Planned {
        &self.shared.plan.tasks[self.unit.task as usize]
    }

    fn started(&self) -> Instant {
        self.started.expect("it was begun, and has not ended")
    }

    /// Calls the action, within the span of the task.
    fn call(&self, inputs: Slots, context: TaskContext) -> Caught<'_> {
        Caught::new(&self.span, self.task().step.call(inputs, context))
    }

    async fn call_within(&self, timeout: Duration, inputs: Slots) -> Result<Value, TaskError> {
        // Blocking code can't be stopped when its time is over. It can be told.
        let token = self.shared.scope.cancellation.child_token();
        let context = self.context().with_cancellation(token.clone());
        let call = self.call(inputs, context);
        if let Ok(result) = tokio::time::timeout(timeout, call).await {
            return result;
        }
        token.cancel();
        let message = format!("timed out after {timeout:?}");
        Err(TaskError::of_kind(TaskErrorKind::TimedOut, &message))
    }

    /// Stores an output, within the span of the task.
    async fn save(&self, saving: &Saving<'_>, value: Value) -> Result<Value, TaskError> {
        let saving = saving.save(value, self.attempts, self.started(), &self.span);
        saving.instrument(self.span.clone()).await
    }

    fn context(&self) -> TaskContext {
        let scope = Arc::clone(&self.shared.scope);
        TaskContext::new(scope, self.unit.task, self.unit.item, self.attempts)
    }

    fn retried(&mut self, error: TaskError, delay: Duration) {
        let error = error.followed_after(delay);
        self.span
            .in_scope(|| spans::retry(&self.span, &error, delay));
        self.notify(|place| Happening::TaskRetried(place, &error, delay));
        self.errors.push(error);
    }

    fn completed(&mut self, value: Value) -> Outcome {
        Outcome {
            unit: self.unit,
            result: Ok(value),
            record: self.end(Status::Completed, None),
        }
    }

    fn failed(&mut self, error: TaskError) -> Outcome {
        self.span.in_scope(|| spans::exception(&self.span, &error));
        self.errors.push(error.clone());
        Outcome {
            unit: self.unit,
            record: self.end(Status::Failed, Some(&error)),
            result: Err(error),
        }
    }

    fn end(&mut self, status: Status, error: Option<&TaskError>) -> Record {
        let started = self.started();
        self.started = None;
        let duration = started.elapsed();
        spans::end_task(&self.span, status, duration, self.attempts - 1, error);
        self.notify(|place| {
            if self.restored {
                Happening::TaskRestored(place)
            } else {
                Happening::TaskEnded(place, status, error)
            }
        });
        Record {
            started,
            duration,
            attempts: self.attempts,
            errors: mem::take(&mut self.errors),
            restored: self.restored,
        }
    }

    fn notify<'this>(&'this self, what: impl FnOnce(Place<'this>) -> Happening<'this>) {
        if self.shared.is_observed() {
            let what = what(self.shared.place(self.unit));
            self.span.in_scope(|| self.shared.notify(what));
        }
    }
}

impl<S: Deref<Target = Shared>> Drop for Watch<S> {
    fn drop(&mut self) {
        if self.started.is_none() {
            return;
        }
        // A span ends when it is left for the last time, and this task ends now.
        let _entered = self.span.clone().entered();
        let error = self.shared.why_cancelled().at_attempt(self.attempts);
        let record = self.end(Status::Cancelled, Some(&error));
        self.shared
            .interrupted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((self.unit, record));
    }
}
