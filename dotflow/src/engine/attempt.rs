//! One task: its attempts, their timeout, panics, the waits in between, and its span.
//!
//! This is the only caller of user code in a run, so whatever that code does ends here, in an
//! [`Outcome`]. Should nobody wait for the outcome any more (the run was cancelled, or dropped),
//! the task is recorded as interrupted instead; the span tells the same in both cases.

use std::{
    future::Future,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Instant;
use tracing::{Instrument, Span};

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
    shield::{discard, panic_message},
    spans,
    status::Status,
    task::StepFuture,
    value::Value,
};

/// What came of a task that was begun.
pub(crate) struct Outcome {
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
pub(crate) async fn execute(shared: &Shared, unit: Unit, slots: Slots) -> Outcome {
    if let Some(checkpoints) = &shared.scope.checkpoints {
        // In a box, so that a run without a storage does not pay for its size.
        return Box::pin(restore::execute(shared, checkpoints, unit, slots)).await;
    }
    perform(shared, unit, slots, None).await
}

/// Runs a task to its end, and saves its output.
pub(super) async fn perform(
    shared: &Shared,
    unit: Unit,
    slots: Slots,
    saving: Option<&Saving<'_>>,
) -> Outcome {
    let watch = Watch::begin(shared, unit, false);
    let span = watch.span.clone();
    attempts(watch, slots, saving).instrument(span).await
}

/// Ends a task at once whose output was stored.
pub(super) fn restored(shared: &Shared, unit: Unit, output: Value) -> Outcome {
    Watch::begin(shared, unit, true).completed(output)
}

// What is rarely needed, timers above all, stands in boxes, and what is captured is used where it
// stands: this future is moved about for every task that is spawned.
#[allow(
    clippy::manual_async_fn,
    reason = "an `async fn` would hold its arguments twice"
)]
fn attempts(
    mut watch: Watch<'_>,
    mut slots: Slots,
    saving: Option<&Saving<'_>>,
) -> impl Future<Output = Outcome> {
    async move {
        let (watch, slots) = (&mut watch, &mut slots);
        watch.shared.notify(Happening::TaskStarted(watch.place()));
        let task = &watch.shared.plan.tasks[watch.unit.task as usize];
        let policy = &task.settings.retry;
        loop {
            let attempt = watch.record.attempts;
            let is_last = attempt >= policy.max_attempts();
            // The last attempt gets the inputs themselves, so that it can take them without a copy.
            let inputs = if is_last {
                mem::take(slots)
            } else {
                slots.clone()
            };
            let result = match task.settings.timeout {
                None => Caught::call(task, inputs, watch.context()).await,
                Some(timeout) => Box::pin(watch.timed(task, inputs, timeout)).await,
            };
            let error = match result {
                Ok(value) => {
                    let Some(saving) = saving else {
                        return watch.completed(value);
                    };
                    let started = watch.record.started;
                    let saved = Box::pin(saving.save(value, attempt, started, &watch.span));
                    return match saved.await {
                        Ok(value) => watch.completed(value),
                        Err(error) => watch.failed(error.at_attempt(attempt)),
                    };
                }
                Err(error) => error.at_attempt(attempt),
            };
            if is_last || !error.is_retryable() {
                return watch.failed(error);
            }
            let delay = policy.delay_after(attempt);
            watch.retried(error, delay);
            if delay.is_zero() {
                // A timer would wait for its next tick.
                tokio::task::yield_now().await;
            } else {
                Box::pin(tokio::time::sleep(delay)).await;
            }
            watch.record.attempts += 1;
        }
    }
}

/// Ends a task at once whose input can't be had.
pub(crate) fn fail(shared: &Shared, unit: Unit, error: TaskError) -> Outcome {
    let mut watch = Watch::begin(shared, unit, false);
    let _entered = watch.span.clone().entered();
    watch.shared.notify(Happening::TaskStarted(watch.place()));
    watch.failed(error)
}

/// Watches over a task that was begun: however it ends, its span says so.
struct Watch<'run> {
    shared: &'run Shared,
    unit: Unit,
    span: Span,
    record: Record,
    ended: bool,
}

impl<'run> Watch<'run> {
    fn begin(shared: &'run Shared, unit: Unit, restored: bool) -> Self {
        let task = &shared.plan.tasks[unit.task as usize];
        let span = spans::open_task(
            &shared.span,
            &spans::TaskFields {
                workflow_id: &shared.scope.workflow_id,
                id: unit.task,
                name: task.name().as_str(),
                group: task.settings.group.as_deref(),
                item: unit.item,
                restored,
            },
        );
        Self {
            shared,
            unit,
            span,
            record: Record {
                started: Instant::now(),
                duration: Duration::ZERO,
                attempts: 1,
                errors: Vec::new(),
                restored,
            },
            ended: false,
        }
    }

    /// Makes one attempt that may take so long.
    async fn timed(
        &self,
        task: &Planned,
        inputs: Slots,
        timeout: Duration,
    ) -> Result<Value, TaskError> {
        // Blocking code can't be stopped when its time is over. It can be told.
        let token = self.shared.scope.cancellation.child_token();
        let context = self.context().with_cancellation(token.clone());
        let attempt = Caught::call(task, inputs, context);
        if let Ok(result) = tokio::time::timeout(timeout, attempt).await {
            return result;
        }
        token.cancel();
        let message = format!("timed out after {timeout:?}");
        Err(TaskError::of_kind(TaskErrorKind::TimedOut, &message))
    }

    fn context(&self) -> TaskContext {
        let scope = Arc::clone(&self.shared.scope);
        let Unit { task, item } = self.unit;
        TaskContext::new(scope, task, item, self.record.attempts)
    }

    fn retried(&mut self, error: TaskError, delay: Duration) {
        let error = error.followed_after(delay);
        spans::retry(&self.span, &error, delay);
        let what = Happening::TaskRetried(self.place(), &error, delay);
        self.shared.notify(what);
        self.record.errors.push(error);
    }

    fn completed(&mut self, value: Value) -> Outcome {
        Outcome {
            result: Ok(value),
            record: self.end(Status::Completed, None),
        }
    }

    fn failed(&mut self, error: TaskError) -> Outcome {
        spans::exception(&self.span, &error);
        self.record.errors.push(error.clone());
        Outcome {
            record: self.end(Status::Failed, Some(&error)),
            result: Err(error),
        }
    }

    fn end(&mut self, status: Status, error: Option<&TaskError>) -> Record {
        self.ended = true;
        self.record.duration = self.record.started.elapsed();
        spans::end_task(
            &self.span,
            status,
            self.record.duration,
            self.record.attempts - 1,
            error,
        );
        let what = if self.record.restored {
            Happening::TaskRestored(self.place())
        } else {
            Happening::TaskEnded(self.place(), status, error)
        };
        self.shared.notify(what);
        Record {
            errors: mem::take(&mut self.record.errors),
            ..self.record
        }
    }

    fn place(&self) -> Place<'_> {
        self.shared.place(self.unit)
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let error = self.shared.why_cancelled().at_attempt(self.record.attempts);
        let record = self.end(Status::Cancelled, Some(&error));
        self.shared
            .interrupted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((self.unit, record));
    }
}

/// One call of an action, whose panics are errors: when it is called, polled, or dropped.
struct Caught<'task>(Option<StepFuture<'task>>);

impl<'task> Caught<'task> {
    /// Only makes the future: no user code runs before it is polled.
    fn call(task: &'task Planned, inputs: Slots, context: TaskContext) -> Self {
        Self(Some(task.step.call(inputs, context)))
    }
}

impl Future for Caught<'_> {
    type Output = Result<Value, TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let future = self.0.as_mut().expect("it is not polled after its end");
        let polled = match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(result)) => result,
            Err(panic) => {
                let error = TaskError::of_kind(TaskErrorKind::Panicked, &panic_message(&*panic));
                discard(panic);
                Err(error)
            }
        };
        discard(self.0.take());
        Poll::Ready(polled)
    }
}

impl Drop for Caught<'_> {
    fn drop(&mut self) {
        discard(self.0.take());
    }
}
