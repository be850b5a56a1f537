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
            { spans::TASK_AFTER } = After::of(task.task).as_str(),
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

/// The numbers of the tasks that a task depends on, as a text. Most have one, which takes no memory of
/// its own.
enum After {
    Nothing,
    One { digits: [u8; 10], first: usize },
    Several(String),
}

impl After {
    fn of(task: &PlannedTask) -> Self {
        let mut after = task.after();
        let Some(one) = after.next() else {
            return Self::Nothing;
        };
        let Some(two) = after.next() else {
            return Self::one(one);
        };
        let mut text = format!("{one},{two}");
        for before in after {
            if text.len() > spans::MAX_ERROR_TEXT {
                text.push_str(",…");
                break;
            }
            text.push(',');
            text.push_str(&before.to_string());
        }
        Self::Several(text)
    }

    fn one(number: u32) -> Self {
        let (mut digits, mut first, mut left) = ([b'0'; 10], 9, number);
        loop {
            digits[first] = b"0123456789"[(left % 10) as usize];
            left /= 10;
            if left == 0 {
                return Self::One { digits, first };
            }
            first -= 1;
        }
    }

    fn as_str(&self) -> Option<&str> {
        match self {
            Self::Nothing => None,
            Self::One { digits, first } => str::from_utf8(&digits[*first..]).ok(),
            Self::Several(text) => Some(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::After;

    #[test]
    fn a_number_is_written_as_it_is() {
        for number in [0, 7, 10, 4_294_967_295] {
            assert_eq!(After::one(number).as_str(), Some(&*number.to_string()));
        }
    }
}
