//! Every span, event and field name of dotflow, and the only place that opens spans.
//!
//! A layer that wants to know what a span of dotflow means compares with these constants. Values
//! of a run (inputs, outputs) never get here, and texts of errors are cut at
//! [`MAX_ERROR_TEXT`] bytes.

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
