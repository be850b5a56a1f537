//! Every span, event and field name of dotflow, and the only place that opens spans.
//!
//! A layer that wants to know what a span of dotflow means compares with these constants. Values
//! of a run (inputs, outputs) never get here, and texts of errors are cut at
//! [`MAX_ERROR_TEXT`] bytes.

use std::{
    error::Error,
    fmt::Write as _,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use tracing::{Level, Span, event, field::Empty, info_span, record_all};

use crate::{error::TaskError, status::Status};

/// The target of every span and event that dotflow itself emits.
pub const TARGET: &str = "dotflow";
/// The `tracing` name of a workflow's span; its `otel.name` is `workflow:<name>`.
pub const WORKFLOW: &str = "workflow";
/// The `tracing` name of a task's span; its `otel.name` is `task:<id>`.
pub const TASK: &str = "task";
/// The event of a failed attempt that is followed by another one (level WARN).
pub const RETRY: &str = "retry";
/// The event of a task's final failure (level ERROR).
pub const EXCEPTION: &str = "exception";
/// The event of a task whose output another run of the same id had stored by then (level WARN).
pub const SUPERSEDED: &str = "superseded";

/// The id of the run, a text; on workflow and task spans.
pub const WORKFLOW_ID: &str = "dotflow.workflow_id";
/// The name of the workflow, a text.
pub const WORKFLOW_NAME: &str = "dotflow.workflow.name";
/// How many tasks the workflow has, an integer.
pub const TASKS_COUNT: &str = "dotflow.tasks_count";
/// How the workflow ended, a text (`Completed`, `Failed`, `Cancelled`).
pub const WORKFLOW_STATUS: &str = "dotflow.workflow.status";
/// How long the workflow took, in seconds, a float.
pub const WORKFLOW_DURATION: &str = "dotflow.duration";

/// The number of the task in its workflow, an integer.
pub const TASK_ID: &str = "dotflow.task_id";
/// The name of the task, a text.
pub const TASK_NAME: &str = "dotflow.task.name";
/// The group of the task, a text; only where one was given.
pub const TASK_GROUP: &str = "dotflow.task.group";
/// The index of the item that a sub-task of `each` works on, an integer.
pub const TASK_ITEM: &str = "dotflow.task.item";
/// Whether the task was restored from a checkpoint instead of run, a bool; only where true.
pub const TASK_RESTORED: &str = "dotflow.task.restored";
/// How the task ended, a text (`Completed`, `Failed`, `Cancelled`).
pub const TASK_STATUS: &str = "dotflow.task.status";
/// How long the task took with all attempts and the waits between them, in seconds, a float.
pub const TASK_DURATION: &str = "dotflow.task.duration";
/// How many attempts followed the first one, an integer.
pub const TASK_RETRY_COUNT: &str = "dotflow.task.retry_count";

/// The class of an error, a text: its Rust type; on failed spans.
pub const ERROR_TYPE: &str = "error.type";
/// The number of a failed attempt, from 1, an integer; on [`RETRY`] events.
pub const ATTEMPT: &str = "attempt";
/// The wait before the next attempt, in seconds, a float; on [`RETRY`] events.
pub const DELAY: &str = "delay";
/// The full Rust type of an error, a text; on [`RETRY`] and [`EXCEPTION`] events.
pub const EXCEPTION_TYPE: &str = "exception.type";
/// The text of an error; on [`RETRY`] and [`EXCEPTION`] events.
pub const EXCEPTION_MESSAGE: &str = "exception.message";
/// The chain of an error's sources, a line each; on [`EXCEPTION`] events.
pub const EXCEPTION_STACKTRACE: &str = "exception.stacktrace";

/// The longest text of an error that goes into telemetry, in bytes.
pub const MAX_ERROR_TEXT: usize = 4096;

/// Opens the span of a run, below whatever span the caller is in.
pub(crate) fn open_workflow(workflow_id: &str, name: &str, tasks: usize) -> Span {
    info_span!(
        target: TARGET,
        "workflow",
        otel.name = %format_args!("workflow:{name}"),
        "dotflow.workflow_id" = workflow_id,
        "dotflow.workflow.name" = name,
        "dotflow.tasks_count" = to_i64(tasks),
        "dotflow.workflow.status" = Empty,
        "dotflow.duration" = Empty,
        "error.type" = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
    )
}

/// Ends the span of a run. Its end is the end of this call, however long children live on.
pub(crate) fn end_workflow(
    span: &Span,
    status: Status,
    duration: Duration,
    error_type: Option<&str>,
) {
    let _entered = span.enter();
    let (code, description) = match status {
        Status::Completed => (Some("OK"), None),
        Status::Cancelled => (None, Some("workflow cancelled")),
        _ => (None, Some("workflow failed")),
    };
    record_all!(
        span,
        "dotflow.workflow.status" = status.as_str(),
        "dotflow.duration" = duration.as_secs_f64(),
        "error.type" = error_type,
        otel.status_code = code,
        otel.status_description = description,
    );
}

/// What a task's span says from its start.
pub(crate) struct TaskFields<'task> {
    pub(crate) workflow_id: &'task str,
    pub(crate) id: u32,
    pub(crate) name: &'task str,
    pub(crate) group: Option<&'task str>,
    pub(crate) item: Option<u32>,
    pub(crate) restored: bool,
}

/// Opens the span of a task, below the span of its run.
pub(crate) fn open_task(workflow: &Span, task: &TaskFields<'_>) -> Span {
    info_span!(
        target: TARGET,
        parent: workflow,
        "task",
        otel.name = %format_args!("task:{}", task.id),
        "dotflow.workflow_id" = task.workflow_id,
        "dotflow.task_id" = i64::from(task.id),
        "dotflow.task.name" = task.name,
        "dotflow.task.group" = task.group,
        "dotflow.task.item" = task.item.map(i64::from),
        "dotflow.task.restored" = task.restored.then_some(true),
        "dotflow.task.status" = Empty,
        "dotflow.task.duration" = Empty,
        "dotflow.task.retry_count" = Empty,
        "error.type" = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
    )
}

/// Says how a task ended, in one record: several would cost more, and could be half done.
pub(crate) fn end_task(
    span: &Span,
    status: Status,
    duration: Duration,
    retry_count: u32,
    error: Option<&TaskError>,
) {
    if span.is_disabled() {
        return;
    }
    // The description alone makes a span an error; the code beside it would wipe the text.
    let description = error.map(ToString::to_string);
    record_all!(
        span,
        "dotflow.task.status" = status.as_str(),
        "dotflow.task.duration" = duration.as_secs_f64(),
        "dotflow.task.retry_count" = i64::from(retry_count),
        "error.type" = error.map(TaskError::type_name),
        otel.status_code = error.is_none().then_some("OK"),
        otel.status_description = description.as_deref().map(cut),
    );
}

/// Says that an attempt failed and another one follows. A warning: an error would turn the span
/// into a failed one.
pub(crate) fn retry(span: &Span, error: &TaskError, delay: Duration) {
    event!(
        name: "retry",
        target: TARGET,
        parent: span,
        Level::WARN,
        {
            attempt = i64::from(error.attempt()),
            delay = delay.as_secs_f64(),
            "exception.type" = error.type_name(),
            "exception.message" = cut(&error.to_string()),
        }
    );
}

/// Says that another run of the same id was faster, and that its output is used. A warning: the
/// task was done twice.
pub(crate) fn superseded(span: &Span) {
    event!(
        name: "superseded",
        target: TARGET,
        parent: span,
        Level::WARN,
        "another run of the same id has stored the output of this task first; its output is used"
    );
}

/// Says that an output is so large that it should not go through a checkpoint.
pub(crate) fn large_output(span: &Span, task: &str, bytes: usize) {
    event!(
        name: "large output",
        target: TARGET,
        parent: span,
        Level::WARN,
        "the output of `{task}` takes {bytes} bytes as a checkpoint: store the data where it \
         belongs, and return a reference to it"
    );
}

/// Says why a task failed for good.
pub(crate) fn exception(span: &Span, error: &TaskError) {
    event!(
        name: "exception",
        target: TARGET,
        parent: span,
        Level::ERROR,
        {
            "exception.type" = error.type_name(),
            "exception.message" = cut(&error.to_string()),
            "exception.stacktrace" = cut(&chain(error)),
        }
    );
}

/// Says that code of the user's which has no say in the run (a callback, an observer, the drop of
/// a value) panicked.
pub(crate) fn bystander_panicked(who: &str, message: &str) {
    event!(
        name: "panic",
        target: TARGET,
        Level::WARN,
        {
            "exception.message" = cut(message),
            message = %format_args!("{who} panicked; the run goes on"),
        }
    );
}

/// An error and its sources, a line each.
fn chain(error: &TaskError) -> String {
    let mut text = format!("{}: {error}", error.type_name());
    // The sources are the user's code as well.
    let read = catch_unwind(AssertUnwindSafe(|| {
        let mut source = error.source();
        while let Some(cause) = source {
            // A chain that is longer than what is kept of it need not be read to its end, if it
            // has one.
            if text.len() > MAX_ERROR_TEXT {
                break;
            }
            let _ = write!(text, "\ncaused by: {cause}");
            source = cause.source();
        }
    }));
    if let Err(panic) = read {
        text.push_str("\n(the text of a source can't be had: it panicked)");
        // Its drop might panic as well: a leak is the smaller evil.
        mem::forget(panic);
    }
    text
}

/// The text, at most [`MAX_ERROR_TEXT`] bytes of it.
fn cut(text: &str) -> &str {
    if text.len() <= MAX_ERROR_TEXT {
        return text;
    }
    let end = (0..=MAX_ERROR_TEXT)
        .rev()
        .find(|&end| text.is_char_boundary(end))
        .unwrap_or(0);
    &text[..end]
}

/// OpenTelemetry has signed integers only, and the bridge writes all others as texts.
fn to_i64(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        let text = "ä".repeat(MAX_ERROR_TEXT);
        assert_eq!(cut(&text).len(), MAX_ERROR_TEXT);
        let text = format!("a{text}");
        assert_eq!(cut(&text).len(), MAX_ERROR_TEXT - 1);
    }
}
