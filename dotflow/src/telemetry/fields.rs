//! What is written on the spans of runs and tasks: how they ended, and the errors on the way.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tracing::{Level, Span, event, record_all};

use crate::{
    error::{TaskError, TaskErrorKind},
    escape::Escaped,
    graph::plan::PlannedTask,
    report::{
        id::TaskId,
        recorded::{Progress, Recorded},
        status::Status,
    },
    spans::{self, MAX_ERROR_TEXT, MAX_STATUS_TEXT, cut},
};

/// How many tasks of a run came to what.
#[derive(Default)]
pub(super) struct Totals {
    pub(super) failed: AtomicU32,
    pub(super) skipped: AtomicU32,
    pub(super) restored: AtomicU32,
}

/// One more.
pub(super) fn count(total: &AtomicU32) {
    total.fetch_add(1, Ordering::Relaxed);
}

/// Why a run is not a success.
pub(crate) struct Blame<'cause> {
    pub(crate) class: &'cause str,
    pub(crate) text: String,
}

/// Says how a run ended, in one record.
pub(super) fn end_workflow(
    span: &Span,
    status: Status,
    duration: Duration,
    totals: &Totals,
    blame: Option<&Blame<'_>>,
) {
    let text = blame.map(|blame| cut(&blame.text, MAX_STATUS_TEXT));
    let (code, description) = match status {
        Status::Completed => (Some("OK"), None),
        Status::Cancelled => (None, Some("workflow cancelled")),
        _ => (None, Some(text.unwrap_or("workflow failed"))),
    };
    let total = |total: &AtomicU32| i64::from(total.load(Ordering::Relaxed));
    record_all!(
        span,
        { spans::WORKFLOW_STATUS } = status.as_str(),
        { spans::WORKFLOW_DURATION } = duration.as_secs_f64(),
        { spans::TASKS_FAILED } = total(&totals.failed),
        { spans::TASKS_SKIPPED } = total(&totals.skipped),
        { spans::TASKS_RESTORED } = total(&totals.restored),
        { spans::ERROR_TYPE } = blame.map(|blame| blame.class),
        { spans::OTEL_STATUS_CODE } = code,
        { spans::OTEL_STATUS_DESCRIPTION } = description,
    );
}

/// Says how a task ended, in one record: several would cost more, and could be half done.
pub(super) fn end_task(
    span: &Span,
    status: Status,
    duration: Duration,
    wait: Duration,
    retry_count: u32,
    error: Option<&TaskError>,
) {
    if span.is_disabled() {
        return;
    }
    // The description alone makes a span an error; the code beside it would wipe the text.
    let description = error.map(TaskError::message);
    let description = description.as_deref();
    record_all!(
        span,
        { spans::TASK_STATUS } = status.as_str(),
        { spans::TASK_DURATION } = duration.as_secs_f64(),
        { spans::TASK_WAIT } = wait.as_secs_f64(),
        { spans::TASK_RETRY_COUNT } = i64::from(retry_count),
        { spans::ERROR_TYPE } = error.map(TaskError::class),
        { spans::OTEL_STATUS_CODE } = error.is_none().then_some("OK"),
        { spans::OTEL_STATUS_DESCRIPTION } = description.map(|text| cut(text, MAX_STATUS_TEXT)),
    );
}

/// Says that an attempt failed and another one follows. A warning: an error would turn the span
/// into a failed one.
pub(super) fn retried(span: &Span, task: &PlannedTask, error: &TaskError, delay: Duration) {
    let (message, attempt) = (error.message(), error.attempt());
    let message = cut(&message, MAX_STATUS_TEXT);
    let attempts = task.retry_policy().max_attempts();
    event!(
        name: "retry",
        target: spans::TARGET,
        parent: span,
        Level::WARN,
        {
            message = %format_args!(
                "attempt {attempt} of {attempts} failed: {}, next in {delay:?}",
                Escaped(message)
            ),
            { spans::ATTEMPT } = i64::from(attempt),
            { spans::DELAY } = delay.as_secs_f64(),
            { spans::EXCEPTION_TYPE } = error.type_name(),
            { spans::EXCEPTION_MESSAGE } = message,
        }
    );
}

/// Says why a task failed for good.
pub(super) fn failed(span: &Span, id: TaskId, task: &PlannedTask, error: &TaskError) {
    let message = error.message();
    event!(
        name: "exception",
        target: spans::TARGET,
        parent: span,
        Level::ERROR,
        {
            message = %format_args!(
                "task:{} `{}` failed: {}",
                id.number,
                Escaped(task.name()),
                Escaped(cut(&message, MAX_STATUS_TEXT))
            ),
            { spans::EXCEPTION_TYPE } = error.type_name(),
            { spans::EXCEPTION_MESSAGE } = cut(&message, MAX_ERROR_TEXT),
            { spans::EXCEPTION_STACKTRACE } = stacktrace(error).as_deref(),
        }
    );
}

/// What is behind an error, a line each: its sources, the place of a panic.
fn stacktrace(error: &TaskError) -> Option<String> {
    let mut text = String::new();
    for cause in error.causes() {
        let (end, why) = match (text.is_empty(), error.kind()) {
            (true, TaskErrorKind::Panicked) => ("", ""),
            (true, _) => ("", "caused by: "),
            (false, _) => ("\n", "caused by: "),
        };
        text.push_str(end);
        text.push_str(why);
        text.push_str(&cause);
    }
    let end = cut(&text, MAX_ERROR_TEXT).len();
    text.truncate(end);
    (!text.is_empty()).then_some(text)
}

/// Says what a task has recorded of itself.
pub(super) fn recorded(key: &str, value: &Recorded) {
    macro_rules! record {
        ($value:expr) => {
            event!(
                name: "record",
                target: spans::TARGET,
                Level::INFO,
                { { spans::RECORD_KEY } = key, { spans::RECORD_VALUE } = $value, }
            )
        };
    }
    match value {
        Recorded::Bool(value) => record!(*value),
        Recorded::Int(value) => record!(*value),
        Recorded::Float(value) => record!(*value),
        Recorded::Text(value) => record!(cut(value, MAX_ERROR_TEXT)),
    }
}

/// Says how far a task has come.
pub(super) fn progressed(progress: Progress) {
    let whole = |number| i64::try_from(number).unwrap_or(i64::MAX);
    event!(
        name: "progress",
        target: spans::TARGET,
        Level::INFO,
        {
            { spans::PROGRESS_DONE } = whole(progress.done),
            { spans::PROGRESS_OF } = whole(progress.of),
        }
    );
}

/// Says that something that was to be done at the end of a run was not.
pub(super) fn not_concluded(span: &Span, problem: &str) {
    event!(
        name: "not concluded",
        target: spans::TARGET,
        parent: span,
        Level::WARN,
        "what was to be done at the end of the run {problem}",
        problem = cut(problem, MAX_STATUS_TEXT),
    );
}
