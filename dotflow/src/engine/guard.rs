//! Watches over one task: its span, its attempts and their times, and its end, however that comes.
//!
//! Should nobody wait for the outcome any more (the run was cancelled, or dropped), the task is
//! recorded as interrupted instead; its span tells the same in both cases.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{call::Call, context::RunContext, persist::Persist};
use crate::{
    action::{
        context::{Past, TaskContext},
        inputs::Slots,
        value::Value,
    },
    error::{Again, TaskError, TaskErrorKind},
    graph::plan::{NestedWorkflow, Plan, PlannedTask, StepFuture, Within},
    limits::Permits,
    offload::{Attempt, remember_late},
    report::{
        id::TaskId,
        record::{Failure, Failures, Ready, Record},
        status::Status,
    },
    telemetry::TaskSpan,
    unwind::in_drop,
};

/// What came of a task that was begun.
pub(crate) struct Outcome {
    pub(crate) id: TaskId,
    pub(crate) result: Result<Value, TaskError>,
    /// Whether the output follows from a failure that was handled within the task.
    pub(crate) follows_failure: bool,
    pub(crate) record: Record,
}

/// What a task has where its run shares what it has, or something before it has failed; in a box, as
/// most have nothing of it.
#[derive(Default)]
pub(super) struct Rare {
    /// What it holds of what the tasks of a run share.
    pub(super) permits: Option<Permits>,
    /// Why a task before it has no output, where it runs without.
    pub(super) missing: Option<TaskError>,
    /// Whether it is known that no output of it is stored.
    pub(super) is_unstored: bool,
}

/// The run of a task: shared with those that run beside it, or borrowed from its executor.
pub(super) trait SharedRun {
    fn shared(&self) -> &Arc<RunContext>;
}

impl SharedRun for Arc<RunContext> {
    #[inline]
    fn shared(&self) -> &Self {
        self
    }
}

impl SharedRun for &Arc<RunContext> {
    #[inline]
    fn shared(&self) -> &Arc<RunContext> {
        self
    }
}

/// Watches over a task: once it is begun its span says how it ended, however that happens.
pub(super) struct TaskGuard<S: SharedRun> {
    id: TaskId,
    /// From when the task is begun until it has ended.
    span: Option<TaskSpan>,
    pub(super) attempts: u32,
    /// What the present attempt shares with its function, where that may block or has a timeout.
    attempt: Option<Arc<Attempt>>,
    failures: Option<Box<Failures>>,
    /// Whether the inputs follow from a failure.
    follows_failure: bool,
    /// Whether a failure was handled within the task.
    handled_failure: AtomicBool,
    /// Whether the function of that attempt goes on, though its time is over.
    pub(super) is_late: bool,
    pub(super) rare: Option<Box<Rare>>,
    /// Dropped last, as it holds the span of the run: a span that closes closes its parent, and
    /// where a subscriber panics at both, that would end the process.
    context: S,
}

impl<S: SharedRun> TaskGuard<S> {
    pub(super) fn new(
        context: S,
        id: TaskId,
        follows_failure: bool,
        rare: Option<Box<Rare>>,
    ) -> Self {
        Self {
            context,
            id,
            span: None,
            attempts: 1,
            attempt: None,
            failures: None,
            follows_failure,
            handled_failure: AtomicBool::new(false),
            is_late: false,
            rare,
        }
    }

    /// Notes why a task before this one has no output, if one has none.
    #[cold]
    pub(super) fn note_missing(&mut self, slots: &Slots) {
        if let Some(missing) = slots.missing() {
            self.rare.get_or_insert_default().missing = Some(missing.clone());
        }
    }

    fn permits(&mut self) -> Option<&mut Permits> {
        self.rare.as_mut()?.permits.as_mut()
    }

    #[inline]
    fn context(&self) -> &RunContext {
        self.context.shared()
    }

    pub(super) fn begin(&mut self, ready: Ready, restored: bool) {
        let subject = self.context().subject(self.id);
        let run = &self.context().telemetry;
        self.span = Some(TaskSpan::open(run, subject, ready, restored));
    }

    pub(super) fn task(&self) -> &PlannedTask {
        self.context().task(self.id)
    }

    pub(super) fn span(&self) -> &TaskSpan {
        let span = self.span.as_ref();
        span.expect("the task was begun, and has not ended")
    }

    /// Takes in what only the function of an attempt knows: when it began, which may be later where it
    /// waited for a thread, and whether it goes on after its time.
    fn called(&mut self) {
        if !self.is_late
            && let Some(attempt) = self.attempt.take()
        {
            self.take_in(attempt);
        }
    }

    #[cold]
    fn take_in(&mut self, attempt: Arc<Attempt>) {
        if attempt.is_queued() {
            // It was given up before it began, or it began later than its attempt.
            let begun = attempt.begun_at().unwrap_or_else(Instant::now);
            self.began(begun);
        }
        if attempt.is_running() {
            remember_late(self.describe(), &attempt);
            if let Some(permits) = self.permits() {
                attempt.hold(permits.take_limits());
            }
            self.attempt = Some(attempt);
            self.is_late = true;
        }
    }

    /// Has the clock of the present attempt begin with its function.
    fn began(&mut self, begun: Instant) {
        let Some(span) = &mut self.span else {
            return;
        };
        let failures = self.failures.as_mut();
        let later = failures.and_then(|failures| Some((failures.present_since?, failures)));
        match later {
            None => span.began(begun),
            Some((started, failures)) => {
                failures.waited += begun.saturating_duration_since(started);
                failures.present_since = Some(begun);
            }
        }
    }

    /// The task in words, for messages of other runs.
    fn describe(&self) -> String {
        let plan = &self.context().plan;
        format!("{} of `{}`", plan.describe(self.id.number), plan.name)
    }

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

    fn retried(&mut self, error: TaskError, delay: Duration) {
        let error = error.at_attempt(self.attempts).followed_after(delay);
        let subject = self.context().subject(self.id);
        let span = self.span();
        span.retried(&self.context().telemetry, subject, &error, delay);
        self.note(error);
        if let Some(permits) = self.permits() {
            permits.pause();
        }
    }

    pub(super) fn next_attempt(&mut self) {
        self.attempts += 1;
        if let Some(failures) = &mut self.failures {
            failures.present_since = Some(Instant::now());
        }
    }

    /// When the present attempt began, from the begin of its task, and how long it has taken.
    fn times(&self) -> (Duration, Duration) {
        let begun = self.span().started();
        let failures = self.failures.as_ref();
        let later = failures.and_then(|failures| failures.present_since);
        let started = later.unwrap_or(begun);
        (started.saturating_duration_since(begun), started.elapsed())
    }

    /// Keeps the error of the present attempt for the report.
    fn note(&mut self, error: TaskError) {
        let (started, duration) = self.times();
        Failures::add(
            &mut self.failures,
            Failure {
                error,
                started,
                duration,
            },
        );
    }

    #[inline]
    pub(super) fn completed(&mut self, value: Value) -> Outcome {
        let record = self.end(Status::Completed, None);
        self.outcome(Ok(value), record)
    }

    /// Ends a task that has ended its run.
    fn stopped(&mut self, reason: TaskError) -> Outcome {
        let record = self.end(Status::Completed, None);
        self.outcome(Err(reason.at_attempt(self.attempts)), record)
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

    pub(super) fn failed(&mut self, error: TaskError) -> Outcome {
        let error = error.at_attempt(self.attempts);
        self.note(error.clone());
        let record = self.end(Status::Failed, Some(&error));
        self.outcome(Err(error), record)
    }

    /// Ends the task with the run around it, though it has come to an end by itself.
    fn cancelled(&mut self, error: TaskError) -> Outcome {
        let error = error.at_attempt(self.attempts);
        let record = self.end(Status::Cancelled, Some(&error));
        self.outcome(Err(error), record)
    }

    fn outcome(&self, result: Result<Value, TaskError>, record: Record) -> Outcome {
        Outcome {
            id: self.id,
            result,
            follows_failure: self.handled_failure.load(Ordering::Relaxed),
            record,
        }
    }

    fn end(&mut self, status: Status, error: Option<&TaskError>) -> Record {
        if self.failures.is_some() && status != Status::Failed {
            let attempt = self.times();
            if let Some(failures) = &mut self.failures {
                failures.followed_by = Some(attempt);
            }
        }
        let span = self.span.take();
        let span = span.expect("the task was begun, and has not ended");
        let subject = self.context().subject(self.id);
        let mut record = span.end(
            &self.context().telemetry,
            subject,
            status,
            error,
            self.attempts,
            self.failures.as_deref(),
        );
        record.failures = self.failures.take();
        record
    }
}

impl<S: SharedRun> Drop for TaskGuard<S> {
    fn drop(&mut self) {
        let Some(span) = &self.span else {
            return;
        };
        let span = span.span().clone();
        in_drop(|| {
            // A span ends when it is left for the last time, and this task ends now.
            let _entered = span.enter();
            self.called();
            let error = self.context().why_cancelled().at_attempt(self.attempts);
            let record = self.end(Status::Cancelled, Some(&error));
            self.context().interrupt(self.id, record);
        });
    }
}
