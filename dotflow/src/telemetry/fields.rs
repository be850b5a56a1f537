//! What is written on the spans of runs and tasks: how they ended, and the errors on the way.

use std::time::Duration;

use tracing::{Level, Span, event, record_all};

use crate::{
    error::TaskError,
    report::status::Status,
    spans::{self, MAX_ERROR_TEXT, cut},
};

/// Says how a run ended, in one record.
pub(super) fn end_workflow(
    span: &Span,
    status: Status,
    duration: Duration,
    error_type: Option<&str>,
) {
    let (code, description) = match status {
        Status::Completed => (Some("OK"), None),
        Status::Cancelled => (None, Some("workflow cancelled")),
        _ => (None, Some("workflow failed")),
    };
    record_all!(
        span,
        { spans::WORKFLOW_STATUS } = status.as_str(),
        { spans::WORKFLOW_DURATION } = duration.as_secs_f64(),
        { spans::ERROR_TYPE } = error_type,
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
    let description = error.map(ToString::to_string);
    record_all!(
        span,
        { spans::TASK_STATUS } = status.as_str(),
        { spans::TASK_DURATION } = duration.as_secs_f64(),
        { spans::TASK_WAIT } = wait.as_secs_f64(),
        { spans::TASK_RETRY_COUNT } = i64::from(retry_count),
        { spans::ERROR_TYPE } = error.map(TaskError::type_name),
        { spans::OTEL_STATUS_CODE } = error.is_none().then_some("OK"),
        { spans::OTEL_STATUS_DESCRIPTION } =
            description.as_deref().map(|text| cut(text, MAX_ERROR_TEXT)),
    );
}

/// Says that an attempt failed and another one follows. A warning: an error would turn the span
/// into a failed one.
pub(super) fn retried(span: &Span, error: &TaskError, delay: Duration) {
    event!(
        name: "retry",
        target: spans::TARGET,
        parent: span,
        Level::WARN,
        {
            { spans::ATTEMPT } = i64::from(error.attempt()),
            { spans::DELAY } = delay.as_secs_f64(),
            { spans::EXCEPTION_TYPE } = error.type_name(),
            { spans::EXCEPTION_MESSAGE } = cut(&error.to_string(), MAX_ERROR_TEXT),
        }
    );
}

/// Says why a task failed for good.
pub(super) fn failed(span: &Span, error: &TaskError) {
    event!(
        name: "exception",
        target: spans::TARGET,
        parent: span,
        Level::ERROR,
        {
            { spans::EXCEPTION_TYPE } = error.type_name(),
            { spans::EXCEPTION_MESSAGE } = cut(&error.to_string(), MAX_ERROR_TEXT),
            { spans::EXCEPTION_STACKTRACE } = cut(&stacktrace(error), MAX_ERROR_TEXT),
        }
    );
}

/// An error and its sources, a line each.
fn stacktrace(error: &TaskError) -> String {
    let mut text = format!("{}: {error}", error.type_name());
    for cause in error.causes() {
        text.push_str("\ncaused by: ");
        text.push_str(&cause);
    }
    text
}
