//! One task from its begin to its end: restored, or attempted until it succeeds or may not be
//! attempted again, and stored.

use std::{future::Future, mem, ops::Deref};

use futures_util::future::Either;

use super::{
    context::RunContext,
    guard::{Outcome, TaskGuard},
    persist::Persist,
};
use crate::{
    action::{inputs::Slots, value::Value},
    error::TaskError,
    limits::Permits,
    report::{id::TaskId, record::Ready},
};

/// What a task begins with.
pub(super) struct Begin {
    pub(super) id: TaskId,
    pub(super) slots: Slots,
    pub(super) follows_failure: bool,
    /// Since when it could have begun, where somebody may be told.
    pub(super) ready: Ready,
    /// What it holds of what the tasks of a run share.
    pub(super) permits: Option<Box<Permits>>,
}

/// Runs a task to its end.
pub(super) fn perform<S>(context: S, begin: Begin) -> impl Future<Output = Outcome>
where
    S: Deref<Target = RunContext>,
{
    if context.checkpoints.is_some() {
        // In a box, so that a run without a storage does not pay for its size.
        Either::Left(Box::pin(perform_stored(context, begin)))
    } else {
        Either::Right(attempt(context, begin, None))
    }
}

async fn perform_stored<S>(context: S, begin: Begin) -> Outcome
where
    S: Deref<Target = RunContext>,
{
    let context = &*context;
    let Some(persist) = Persist::of(context, begin.id, begin.follows_failure) else {
        return attempt(context, begin, None).await;
    };
    match persist.restore().await {
        Ok(Some(output)) => restored(context, &begin, output),
        Ok(None) => attempt(context, begin, Some(&persist)).await,
        Err(error) => fail(context, begin.id, begin.ready, TaskError::storage(error)),
    }
}

/// Ends a task at once whose output was stored.
fn restored(context: &RunContext, begin: &Begin, output: Value) -> Outcome {
    let mut guard = TaskGuard::new(context, begin.id, false);
    guard.begin(begin.ready, true);
    guard.completed(output)
}

/// Ends a task at once whose input can't be had.
pub(super) fn fail(context: &RunContext, id: TaskId, ready: Ready, error: TaskError) -> Outcome {
    let mut guard = TaskGuard::new(context, id, false);
    guard.begin(ready, false);
    guard.failed(error)
}

/// Attempts a task until it has an output, or may not be attempted again; and stores the output.
///
/// The future is moved several times when it is spawned, so it is kept small: what is captured is
/// used where it stands, and what is rarely needed, timers above all, stands in boxes.
fn attempt<'run, S>(
    context: S,
    begin: Begin,
    persist: Option<&'run Persist<'run>>,
) -> impl Future<Output = Outcome>
where
    S: Deref<Target = RunContext>,
{
    let Begin {
        id,
        mut slots,
        follows_failure,
        ready,
        permits,
    } = begin;
    let mut guard = TaskGuard::new(context, id, follows_failure);
    guard.permits = permits;
    async move {
        guard.begin(ready, false);
        loop {
            let settings = &guard.task().settings;
            let is_last = guard.attempts >= settings.retry.max_attempts();
            let is_shared = settings.blocks || settings.timeout.is_some();
            // The last attempt gets the inputs themselves, so that it can take them without a copy.
            let inputs = if is_last {
                mem::take(&mut slots)
            } else {
                slots.clone()
            };
            let result = if is_shared {
                Box::pin(guard.call_shared(inputs)).await
            } else {
                guard.call(inputs, guard.task_context()).await
            };
            let error = match (result, persist) {
                (Ok(value), None) => return guard.completed(value),
                (Ok(value), Some(persist)) => {
                    return match Box::pin(guard.save(persist, value)).await {
                        Ok(value) => guard.completed(value),
                        Err(error) => guard.failed(error),
                    };
                }
                (Err(error), _) => error,
            };
            if guard.is_cut_short(&error) {
                return guard.cancelled(error);
            }
            if is_last || !error.is_retryable() {
                return guard.failed(error);
            }
            let delay = guard.task().settings.retry.delay_after(guard.attempts);
            guard.retried(error, delay);
            if delay.is_zero() {
                // A timer would wait for its next tick.
                tokio::task::yield_now().await;
            } else {
                Box::pin(tokio::time::sleep(delay)).await;
            }
            if guard.is_late {
                Box::pin(guard.wait_for_late_attempt()).await;
            }
            if guard.permits.is_some() {
                Box::pin(guard.wait_for_limits()).await;
            }
            guard.next_attempt();
        }
    }
}
