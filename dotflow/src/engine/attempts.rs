//! The attempts of a task: what an action is called with, how long that may take, and what comes of it
//! when it has failed.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use super::{
    call::Call,
    context::RunContext,
    guard::{Outcome, SharedRun, TaskGuard},
    persist::Persist,
};
use crate::{
    action::{
        context::{Past, TaskContext},
        inputs::Slots,
        value::Value,
    },
    error::{Again, TaskError, TaskErrorKind},
    graph::plan::{NestedWorkflow, Plan, StepFuture, Within},
    offload::Attempt,
};

impl<S: SharedRun> TaskGuard<S> {
    /// Calls the action, within the span of the task.
    pub(super) fn call(&self, inputs: Slots, task: TaskContext) -> Call<'_> {
        let step = &self.task().step;
        let future = match step.nested() {
            None => step.call(inputs, task),
            Some(nested) => self.run_nested(nested, inputs),
        };
        Call::new(self.span().span(), future)
    }

    fn run_nested<'task>(
        &'task self,
        nested: &'task dyn NestedWorkflow,
        inputs: Slots,
    ) -> StepFuture<'task> {
        let context = self.context();
        let id = self.id;
        let own = self.attempt.as_ref();
        let own = own.and_then(|attempt| attempt.cancellation.as_ref());
        let (follows_failure, handled_failure) = (self.follows_failure, &self.handled_failure);
        Box::pin(async move {
            let outer = own.unwrap_or(&context.identity.cancellation);
            let mut after = context.plan.successors(id.number).iter();
            let within = Within {
                outer: &context.identity,
                task: id,
                cancellation: outer.child_token(),
                admission: context
                    .admission
                    .as_deref()
                    .expect("a run with workflows within shares its slots with them"),
                checkpoints: context.checkpoints.as_deref(),
                must_repeat: after.any(|after| {
                    let after = &context.plan.tasks[*after as usize];
                    after.each.is_some() || after.is_workflow()
                }),
                follows_failure,
                output_follows_failure: handled_failure,
                observer: context.telemetry.observer_within(id),
                tasks: Arc::<Plan>::clone(&context.plan),
                ended: &|run| context.note_nested(id, run),
            };
            nested.run(inputs, within).await
        })
    }

    /// Calls an action that may block, or has a timeout.
    pub(super) async fn call_shared(&mut self, inputs: Slots) -> Result<Value, TaskError> {
        let timeout = self.task().settings.timeout;
        let cancellation = &self.context().identity.cancellation;
        let run = self.context().telemetry.span().clone();
        let attempt = Arc::new(Attempt::new(timeout, cancellation, run));
        let task = self.task_context().sharing(Arc::clone(&attempt));
        // Here, so that it is taken in as well when this future is dropped.
        self.attempt = Some(Arc::clone(&attempt));
        let call = self.call(inputs, task);
        let result = match timeout {
            None => call.await,
            Some(timeout) => {
                let result = call
                    .within(timeout, &attempt, self.task().is_workflow())
                    .await;
                if attempt.is_running() {
                    self.span().still_running(self.task().name());
                }
                result
            }
        };
        self.called();
        result
    }

    /// Whether the error only says that the run ends before its time, and the workflow that this task
    /// is has ended with it.
    fn is_cut_short(&self, error: &TaskError) -> bool {
        error.kind() == TaskErrorKind::Cancelled
            && self.task().is_workflow()
            && (self.context().is_halted() || self.context().is_draining())
    }

    /// Takes the limits for a further attempt: all at once where they are free, else without the slot.
    pub(super) async fn wait_for_limits(&mut self) {
        let permits = self.rare.as_mut().and_then(|rare| rare.permits.as_mut());
        let Some(permits) = permits.filter(|permits| permits.is_limited()) else {
            return;
        };
        if let Err(reason) = permits.try_resume() {
            let since = Instant::now();
            self.context.shared().waits(self.id, reason);
            permits.resume().await;
            if let Some(failures) = &mut self.failures {
                failures.waited += since.elapsed();
            }
        }
    }

    /// Waits for blocking code of the last attempt that has outlived its timeout: two attempts of
    /// one task at once would do its work twice.
    pub(super) async fn wait_for_late_attempt(&mut self) {
        self.is_late = false;
        if let Some(late) = self.attempt.take()
            && !self.task().settings.may_overlap
        {
            late.ended().await;
        }
    }

    #[inline]
    pub(super) fn task_context(&self) -> TaskContext {
        let run: Arc<RunContext> = Arc::clone(self.context.shared());
        let context = TaskContext::new(run, self.id, self.attempts);
        if self.failures.is_none() && self.rare.is_none() {
            return context;
        }
        self.with_past(context)
    }

    /// Gives an attempt what has failed before it.
    #[cold]
    fn with_past(&self, context: TaskContext) -> TaskContext {
        let last_error = self.failures.as_ref().map(|failures| failures.last());
        let missing = self.rare.as_ref().and_then(|rare| rare.missing.as_ref());
        if last_error.is_none() && missing.is_none() {
            return context;
        }
        context.after(Past {
            failure: missing.cloned(),
            last_error: last_error.map(|failure| failure.error.clone()),
        })
    }

    /// Stores an output, within the span of the task.
    pub(super) async fn save(
        &self,
        persist: &Persist<'_>,
        value: Value,
    ) -> Result<Value, TaskError> {
        let span = self.span();
        let started_at = self.context().telemetry.time_of(span.started());
        let duration = span.duration(self.failures.as_deref());
        let saving = persist.save(value, self.attempts, started_at, duration, span);
        let mut saving = pin!(saving);
        poll_fn(|context| {
            let _entered = span.span().enter();
            saving.as_mut().poll(context)
        })
        .await
    }

    /// Takes in that an attempt has failed: how long the next one has to wait, or what comes of the task
    /// where none follows.
    #[cold]
    pub(super) fn attempt_failed(
        &mut self,
        error: TaskError,
        is_last: bool,
    ) -> Result<Duration, Box<Outcome>> {
        if self.is_cut_short(&error) {
            return Err(Box::new(self.cancelled(error)));
        }
        let (stop, again) = error.says();
        if let Some(stop) = stop {
            return Err(Box::new(self.stopped(stop)));
        }
        if is_last || again == Again::Never {
            return Err(Box::new(self.failed(error)));
        }
        let delay = self.delay(again);
        self.retried(error, delay);
        Ok(delay)
    }

    /// How long the next attempt has to wait: as long as the error says, or the policy.
    fn delay(&self, again: Again) -> Duration {
        let policy = &self.task().settings.retry;
        match again {
            Again::After(delay) => delay.min(policy.longest_delay()),
            _ => policy.delay_after(self.attempts),
        }
    }
}
