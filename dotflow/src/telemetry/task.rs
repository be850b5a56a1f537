//! The span of a task.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{Level, event, field::Empty, info_span};

use super::run::{RunSpan, Subject, Transition};
use crate::{
    error::TaskError,
    graph::plan::PlannedTask,
    report::{
        record::{Failures, Ready, Record},
        status::Status,
    },
    spans,
    unwind::HeldSpan,
};

/// The span of a task that was begun, until it has ended.
pub(crate) struct TaskSpan {
    span: HeldSpan,
    /// When the function of the first attempt began.
    started: Instant,
    ready: Ready,
    restored: bool,
}

impl TaskSpan {
    /// Opens the span of a task, below the span of its run.
    pub(crate) fn open(run: &RunSpan, task: Subject<'_>, ready: Ready, restored: bool) -> Self {
        let span = info_span!(
            target: spans::TARGET,
            parent: &*run.span,
            "task",
            { spans::OTEL_NAME } = %format_args!("task:{}", task.id.number),
            { spans::WORKFLOW_ID } = &*run.workflow_id,
            { spans::TASK_ID } = i64::from(task.id.number),
            { spans::TASK_NAME } = task.task.name(),
            { spans::TASK_GROUP } = task.task.group(),
            { spans::TASK_ITEM } = task.id.item.map(i64::from),
            { spans::TASK_ITEM_LABEL } = run.label_of(task).as_deref(),
            { spans::TASK_AFTER } = after(task.task).as_deref(),
            { spans::TASK_RESTORED } = restored.then_some(true),
            { spans::TASK_STATUS } = Empty,
            { spans::TASK_DURATION } = Empty,
            { spans::TASK_WAIT } = Empty,
            { spans::TASK_RETRY_COUNT } = Empty,
            { spans::ERROR_TYPE } = Empty,
            { spans::OTEL_STATUS_CODE } = Empty,
            { spans::OTEL_STATUS_DESCRIPTION } = Empty,
        );
        let this = Self {
            span: HeldSpan::new(span),
            started: Instant::now(),
            ready,
            restored,
        };
        if !restored {
            run.emit(
                Some(task),
                &this.span,
                Duration::ZERO,
                &Transition::TaskStarted,
            );
        }
        this
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Has the clock of the task begin with the function of its first attempt, which may have waited
    /// for a thread.
    pub(crate) fn began(&mut self, begun: Instant) {
        self.started = begun;
    }

    /// How long the task has taken: its attempts and the delays between them.
    pub(crate) fn duration(&self, failures: Option<&Failures>) -> Duration {
        let elapsed = self.started.elapsed();
        // Most tasks don't fail, and pay for nothing.
        match failures {
            None => elapsed,
            Some(failures) => elapsed.saturating_sub(failures.waited),
        }
    }

    /// The span itself, for user code to run in.
    pub(crate) fn span(&self) -> &HeldSpan {
        &self.span
    }

    /// Tells that an attempt has failed, and that another one follows.
    pub(crate) fn retried(
        &self,
        run: &RunSpan,
        task: Subject<'_>,
        error: &TaskError,
        delay: Duration,
    ) {
        let retried = Transition::TaskRetried(error, delay);
        run.emit(Some(task), &self.span, Duration::ZERO, &retried);
    }

    /// Ends the span, and gives the same for the report.
    pub(crate) fn end(
        &self,
        run: &RunSpan,
        task: Subject<'_>,
        status: Status,
        error: Option<&TaskError>,
        attempts: u32,
        failures: Option<&Failures>,
    ) -> Record {
        let duration = self.duration(failures);
        let started = self.started.saturating_duration_since(run.started);
        // Most runs are followed by nobody, and pay for nothing.
        if !(run.is_silent && self.span.is_disabled()) {
            let between = failures.map_or(Duration::ZERO, |failures| failures.waited);
            let wait = self.ready.until(started) + between;
            let ended = if self.restored {
                Transition::TaskRestored(wait)
            } else {
                Transition::TaskEnded(status, error, attempts - 1, wait)
            };
            run.emit(Some(task), &self.span, duration, &ended);
        }
        Record {
            status,
            started: Some(started),
            duration,
            attempts,
            restored: self.restored,
            failures: None,
        }
    }

    /// Says that another run of the same id was faster, and that its output is used. A warning: the
    /// task was done twice.
    pub(crate) fn superseded(&self) {
        event!(
            name: "superseded",
            target: spans::TARGET,
            parent: &*self.span,
            Level::WARN,
            "another run of the same id has stored the output of this task first; its output is used"
        );
    }

    /// Says that blocking code has outlived its timeout, and holds a thread until it ends.
    pub(crate) fn still_running(&self, task: &str) {
        event!(
            name: "still running",
            target: spans::TARGET,
            parent: &*self.span,
            Level::WARN,
            "the function of `{task}` still runs after its timeout, as blocking code can't be \
             stopped; it holds a thread of the blocking pool until it ends"
        );
    }

    /// Says that an output is so large that it should not go through a checkpoint.
    pub(crate) fn large_output(&self, task: &str, bytes: usize) {
        event!(
            name: "large output",
            target: spans::TARGET,
            parent: &*self.span,
            Level::WARN,
            "the output of `{task}` takes {bytes} bytes as a checkpoint: store the data where it \
             belongs, and return a reference to it"
        );
    }
}

/// The numbers of the tasks that a task depends on, as far as there is room for them.
fn after(task: &PlannedTask) -> Option<String> {
    let mut after = task.after();
    let mut text = after.next()?.to_string();
    for before in after {
        if text.len() > spans::MAX_ERROR_TEXT {
            text.push_str(",…");
            break;
        }
        text.push(',');
        text.push_str(&before.to_string());
    }
    Some(text)
}
