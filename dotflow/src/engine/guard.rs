//! Watches over one task: its span, its attempts and their times, and its end, however that comes.
//!
//! Should nobody wait for the outcome any more (the run was cancelled, or dropped), the task is
//! recorded as interrupted instead; its span tells the same in both cases.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::context::RunContext;
use crate::{
    action::{inputs::Slots, value::Value},
    error::TaskError,
    graph::plan::PlannedTask,
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
    pub(super) id: TaskId,
    /// From when the task is begun until it has ended.
    pub(super) span: Option<TaskSpan>,
    pub(super) attempts: u32,
    /// What the present attempt shares with its function, where that may block or has a timeout.
    pub(super) attempt: Option<Arc<Attempt>>,
    pub(super) failures: Option<Box<Failures>>,
    /// Whether the inputs follow from a failure.
    pub(super) follows_failure: bool,
    /// Whether a failure was handled within the task.
    pub(super) handled_failure: AtomicBool,
    /// Whether the function of that attempt goes on, though its time is over.
    pub(super) is_late: bool,
    pub(super) rare: Option<Box<Rare>>,
    /// Dropped last, as it holds the span of the run: a span that closes closes its parent, and
    /// where a subscriber panics at both, that would end the process.
    pub(super) context: S,
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

    pub(super) fn permits(&mut self) -> Option<&mut Permits> {
        self.rare.as_mut()?.permits.as_mut()
    }

    #[inline]
    pub(super) fn context(&self) -> &RunContext {
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
    pub(super) fn called(&mut self) {
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
    pub(super) fn began(&mut self, begun: Instant) {
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

    pub(super) fn retried(&mut self, error: TaskError, delay: Duration) {
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
    pub(super) fn note(&mut self, error: TaskError) {
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
    pub(super) fn stopped(&mut self, reason: TaskError) -> Outcome {
        let record = self.end(Status::Completed, None);
        self.outcome(Err(reason.at_attempt(self.attempts)), record)
    }

    pub(super) fn failed(&mut self, error: TaskError) -> Outcome {
        let error = error.at_attempt(self.attempts);
        self.note(error.clone());
        let record = self.end(Status::Failed, Some(&error));
        self.outcome(Err(error), record)
    }

    /// Ends the task with the run around it, though it has come to an end by itself.
    pub(super) fn cancelled(&mut self, error: TaskError) -> Outcome {
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
