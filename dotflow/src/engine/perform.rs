//! One task from its begin to its end: restored, or attempted until it succeeds or may not be
//! attempted again, and stored.

use std::{future::Future, mem, sync::Arc};

use futures_util::future::Either;

use super::{
    context::RunContext,
    guard::{Outcome, Rare, SharedRun, TaskGuard},
    persist::Persist,
};
use crate::{
    action::{inputs::Slots, value::Value},
    checkpoint::Checkpoints,
    error::TaskError,
    report::{id::TaskId, record::Ready},
};

/// What a task begins with.
pub(super) struct Begin {
    pub(super) id: TaskId,
    pub(super) slots: Slots,
    pub(super) follows_failure: bool,
    /// Since when it could have begun, where somebody may be told.
    pub(super) ready: Ready,
    /// What most tasks don't have.
    pub(super) rare: Option<Box<Rare>>,
}

impl Begin {
    fn is_unstored(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.is_unstored)
    }
}

/// Runs a task to its end.
#[inline]
pub(super) fn perform<S>(context: S, begin: Begin) -> impl Future<Output = Outcome>
where
    S: SharedRun,
{
    if context.shared().checkpoints.is_some() {
        // In a box, so that a run without a storage does not pay for its size.
        Either::Left(Box::pin(perform_stored(context, begin)))
    } else {
        Either::Right(attempt(context, begin, None))
    }
}

async fn perform_stored<S>(context: S, begin: Begin) -> Outcome
where
    S: SharedRun,
{
    let context = context.shared();
    let Some(persist) = Persist::of(context, begin.id, begin.follows_failure) else {
        return attempt(context, begin, None).await;
    };
    let stored = if begin.is_unstored() {
        Ok(None)
    } else {
        persist.restore().await
    };
    match stored {
        Ok(Some(output)) => restored(context, &begin, output),
        Ok(None) => attempt(context, begin, Some(&persist)).await,
        Err(error) => fail(context, begin.id, begin.ready, TaskError::storage(error)),
    }
}

/// Whether an output of the task may be stored.
pub(super) fn may_restore(context: &RunContext, begin: &Begin) -> bool {
    let checkpoints = context.checkpoints.as_deref();
    !begin.is_unstored()
        && checkpoints.is_some_and(Checkpoints::may_have_some)
        && Persist::of(context, begin.id, begin.follows_failure).is_some()
}

/// Ends a task whose output was stored, before it takes what it needs for an attempt. Gives back one
/// that is to be attempted, without its slot.
pub(super) async fn restore(context: Arc<RunContext>, begin: Begin) -> Result<Outcome, Begin> {
    let persist = Persist::of(&context, begin.id, begin.follows_failure);
    let stored = match persist {
        Some(persist) => persist.restore().await,
        None => Ok(None),
    };
    match stored {
        Ok(Some(output)) => Ok(restored(&context, &begin, output)),
        Ok(None) => Err(Begin {
            rare: Some(Box::new(Rare {
                is_unstored: true,
                ..Rare::default()
            })),
            ..begin
        }),
        Err(error) => {
            let error = TaskError::storage(error);
            Ok(fail(&context, begin.id, begin.ready, error))
        }
    }
}

/// Ends a task at once whose output was stored.
fn restored(context: &Arc<RunContext>, begin: &Begin, output: Value) -> Outcome {
    let mut guard = TaskGuard::new(context, begin.id, false, None);
    guard.begin(begin.ready, true);
    guard.completed(output)
}

/// Ends a task at once whose input can't be had.
pub(super) fn fail(
    context: &Arc<RunContext>,
    id: TaskId,
    ready: Ready,
    error: TaskError,
) -> Outcome {
    let mut guard = TaskGuard::new(context, id, false, None);
    guard.begin(ready, false);
    guard.failed(error)
}

/// Attempts a task until it has an output, or may not be attempted again; and stores the output.
///
/// The future is moved several times when it is spawned, so it is kept small: what is captured is
/// used where it stands, and what is rarely needed, timers above all, stands in boxes.
#[inline]
fn attempt<'run, S>(
    context: S,
    begin: Begin,
    persist: Option<&'run Persist<'run>>,
) -> impl Future<Output = Outcome>
where
    S: SharedRun,
{
    let Begin {
        id,
        mut slots,
        follows_failure,
        ready,
        rare,
    } = begin;
    let mut guard = TaskGuard::new(context, id, follows_failure, rare);
    async move {
        if follows_failure {
            guard.note_missing(&slots);
        }
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
            let delay = match (result, persist) {
                (Ok(value), None) => return guard.completed(value),
                (Ok(value), Some(persist)) => {
                    return match Box::pin(guard.save(persist, value)).await {
                        Ok(value) => guard.completed(value),
                        Err(error) => guard.failed(error),
                    };
                }
                (Err(error), _) => match guard.attempt_failed(error, is_last) {
                    Ok(delay) => delay,
                    Err(outcome) => return *outcome,
                },
            };
            if delay.is_zero() {
                // A timer would wait for its next tick.
                tokio::task::yield_now().await;
            } else {
                Box::pin(tokio::time::sleep(delay)).await;
            }
            if guard.is_late {
                Box::pin(guard.wait_for_late_attempt()).await;
            }
            if guard.rare.is_some() {
                Box::pin(guard.wait_for_limits()).await;
            }
            guard.next_attempt();
        }
    }
}
