//! The names of all spans, events and fields of dotflow.
//!
//! A layer that wants to know what a span of dotflow means compares with these constants. Values
//! of a run (inputs, outputs) are never recorded. The text of an error is there once in full, as
//! [`EXCEPTION_MESSAGE`], cut at [`MAX_ERROR_TEXT`] bytes; statuses and [`RETRY`] events carry
//! [`MAX_STATUS_TEXT`] bytes of it.
//!
//! Each event has a sentence for people as its message, which says nothing that its fields don't.

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
/// The event of blocking code that has outlived its timeout (level WARN).
pub const STILL_RUNNING: &str = "still running";
/// The event of a plain function that has waited long for a thread of the blocking pool, and of what
/// is known to fill that (level WARN).
pub const POOL_FULL: &str = "blocking pool full";
/// The event of an output that is too large to go through a checkpoint well (level WARN).
pub const LARGE_OUTPUT: &str = "large output";
/// The event of a panic in code that has no say in a run, as an observer (level WARN).
pub const PANIC: &str = "panic";

/// The `tracing` field that names a span for OpenTelemetry, a string.
pub(crate) const OTEL_NAME: &str = "otel.name";
/// The status of a span for OpenTelemetry, a string (`OK`, or absent).
pub(crate) const OTEL_STATUS_CODE: &str = "otel.status_code";
/// Why a span of OpenTelemetry has failed, a string; it makes the span a failed one.
pub(crate) const OTEL_STATUS_DESCRIPTION: &str = "otel.status_description";

/// The id of the run, a string; on workflow and task spans.
pub const WORKFLOW_ID: &str = "dotflow.workflow_id";
/// The name of the workflow, a string.
pub const WORKFLOW_NAME: &str = "dotflow.workflow.name";
/// How many tasks the workflow has, an integer.
pub const TASKS_COUNT: &str = "dotflow.tasks_count";
/// What started the run, where it was not a person's call, a string (`schedule`).
pub const RUN_TRIGGER: &str = "dotflow.run.trigger";
/// How the workflow ended, a string (`Completed`, `Failed`, `Cancelled`).
pub const WORKFLOW_STATUS: &str = "dotflow.workflow.status";
/// How long the workflow took, in seconds, a float.
pub const WORKFLOW_DURATION: &str = "dotflow.duration";
/// How many tasks of the workflow have failed, whether that was handled or not, an integer; items of
/// `each` count one by one.
pub const TASKS_FAILED: &str = "dotflow.tasks_failed";
/// How many tasks of the workflow were skipped, an integer.
pub const TASKS_SKIPPED: &str = "dotflow.tasks_skipped";
/// How many tasks of the workflow were restored from checkpoints, an integer; items of `each` count
/// one by one.
pub const TASKS_RESTORED: &str = "dotflow.tasks_restored";

/// The number of the task in its workflow, an integer.
pub const TASK_ID: &str = "dotflow.task_id";
/// The name of the task, a string.
pub const TASK_NAME: &str = "dotflow.task.name";
/// The group of the task, a string; only where one was given.
pub const TASK_GROUP: &str = "dotflow.task.group";
/// The index of the item that a sub-task of `each` works on, an integer.
pub const TASK_ITEM: &str = "dotflow.task.item";
/// The text by which a person knows the item that a sub-task of `each` works on, a string; only where
/// one was given.
pub const TASK_ITEM_LABEL: &str = "dotflow.task.item_label";
/// The numbers of the tasks that the task depends on, a string (`0,1`): the edges of the graph. Absent
/// where there are none.
pub const TASK_AFTER: &str = "dotflow.task.after";
/// Whether the task was restored from a checkpoint instead of run, a bool; only where true.
pub const TASK_RESTORED: &str = "dotflow.task.restored";
/// How the task ended, a string (`Completed`, `Failed`, `Cancelled`).
pub const TASK_STATUS: &str = "dotflow.task.status";
/// How long the task took, in seconds, a float: all attempts and the delays between them, but not what
/// it waited for ([`TASK_WAIT`]).
pub const TASK_DURATION: &str = "dotflow.task.duration";
/// How long the task waited, in seconds, a float: from when it could have begun until it did (for a
/// slot, for its checkpoint to be looked up, for a thread of the blocking pool), and for a thread
/// before each further attempt.
pub const TASK_WAIT: &str = "dotflow.task.wait";
/// How many attempts followed the first one, an integer.
pub const TASK_RETRY_COUNT: &str = "dotflow.task.retry_count";

/// The name of the event by which a task records something of itself.
pub const RECORD: &str = "record";
/// What is recorded, a string; on [`RECORD`] events.
pub const RECORD_KEY: &str = "dotflow.record.key";
/// What it is: an integer, a float, a bool or a string; on [`RECORD`] events.
pub const RECORD_VALUE: &str = "dotflow.record.value";
/// The name of the event by which a task says how far it has come.
pub const PROGRESS: &str = "progress";
/// How much is done, an integer; on [`PROGRESS`] events.
pub const PROGRESS_DONE: &str = "dotflow.progress.done";
/// How much there is to do, an integer; on [`PROGRESS`] events.
pub const PROGRESS_OF: &str = "dotflow.progress.of";

/// The class of an error, a string: its Rust type, or `timeout`; on failed spans. Where a nested
/// workflow failed, that of the failure within it.
pub const ERROR_TYPE: &str = "error.type";
/// The number of a failed attempt, from 1, an integer; on [`RETRY`] events.
pub const ATTEMPT: &str = "dotflow.task.attempt";
/// The delay before the next attempt, in seconds, a float; on [`RETRY`] events.
pub const DELAY: &str = "dotflow.retry.delay";
/// The full Rust type of an error, a string; on [`RETRY`] and [`EXCEPTION`] events.
pub const EXCEPTION_TYPE: &str = "exception.type";
/// The message of an error; on [`RETRY`] and [`EXCEPTION`] events.
pub const EXCEPTION_MESSAGE: &str = "exception.message";
/// The chain of an error's sources, a line each; for a panic its file and line. On [`EXCEPTION`]
/// events, where there is something to tell.
pub const EXCEPTION_STACKTRACE: &str = "exception.stacktrace";

/// The longest message of an error that goes into telemetry, in bytes.
pub const MAX_ERROR_TEXT: usize = 4096;
/// The longest text of an error in the status of a span and on a [`RETRY`] event, in bytes.
pub const MAX_STATUS_TEXT: usize = 512;

/// As much of a string as fits into so many bytes.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_cut_between_characters() {
        let text = "ä".repeat(MAX_ERROR_TEXT);
        assert_eq!(cut(&text, MAX_ERROR_TEXT).len(), MAX_ERROR_TEXT);
        let text = format!("a{text}");
        assert_eq!(cut(&text, MAX_ERROR_TEXT).len(), MAX_ERROR_TEXT - 1);
        assert_eq!(cut("a", MAX_ERROR_TEXT), "a");
    }
}
