//! Spans of the shape that dotflow's core emits, without running a workflow.

use tracing::{Level, Span, event, field::Empty, info_span, record_all};

/// Opens the span of a workflow.
pub fn workflow(name: &str, id: &str, tasks: i64) -> Span {
    info_span!(target: "dotflow", "workflow",
        otel.name = %format_args!("workflow:{name}"),
        "dotflow.workflow_id" = id,
        "dotflow.workflow.name" = name,
        "dotflow.tasks_count" = tasks,
        "dotflow.workflow.status" = Empty,
        "dotflow.duration" = Empty,
        "error.type" = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty)
}

/// Ends the span of a workflow.
pub fn end_workflow(span: &Span, failed: bool, seconds: f64) {
    if failed {
        record_all!(
            span,
            "dotflow.workflow.status" = "Failed",
            "dotflow.duration" = seconds,
            "error.type" = "LoadError",
            otel.status_description = "workflow failed"
        );
    } else {
        record_all!(
            span,
            "dotflow.workflow.status" = "Completed",
            "dotflow.duration" = seconds,
            otel.status_code = "OK"
        );
    }
    span.in_scope(|| ());
}

/// Opens the span of a task.
pub fn task(workflow: &Span, workflow_id: &str, id: i64, name: &str) -> Span {
    info_span!(target: "dotflow", parent: workflow, "task",
        otel.name = %format_args!("task:{id}"),
        "dotflow.workflow_id" = workflow_id,
        "dotflow.task_id" = id,
        "dotflow.task.name" = name,
        "dotflow.task.status" = Empty,
        "dotflow.task.duration" = Empty,
        "dotflow.task.retry_count" = Empty,
        "error.type" = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty)
}

/// Tells that an attempt failed and that another one follows.
pub fn retry(task: &Span, attempt: i64, delay: f64, kind: &str, message: &str) {
    task.in_scope(|| {
        event!(name: "retry", target: "dotflow", Level::WARN, { attempt = attempt, delay = delay,
            "exception.type" = kind, "exception.message" = message });
    });
}

/// Ends the span of a task that went well.
pub fn complete(task: &Span, seconds: f64, retries: i64) {
    record_all!(
        task,
        "dotflow.task.status" = "Completed",
        "dotflow.task.duration" = seconds,
        "dotflow.task.retry_count" = retries,
        otel.status_code = "OK"
    );
}

/// Ends the span of a task that failed.
pub fn fail(task: &Span, seconds: f64, retries: i64, kind: &str, message: &str) {
    task.in_scope(|| {
        event!(name: "exception", target: "dotflow", Level::ERROR, { "exception.type" = kind,
            "exception.message" = message, "exception.stacktrace" = message });
    });
    record_all!(
        task,
        "dotflow.task.status" = "Failed",
        "dotflow.task.duration" = seconds,
        "dotflow.task.retry_count" = retries,
        "error.type" = kind,
        otel.status_description = message
    );
}

/// The run of section "console" of the documentation: two tasks go well, the third fails.
pub fn sales() {
    let id = "550e8400-e29b-41d4-a716-446655440000";
    let kind = "shop::errors::LoadError";
    let workflow = workflow("sales", id, 3);
    let extract = task(&workflow, id, 0, "extract");
    extract.in_scope(|| ());
    complete(&extract, 0.5, 0);
    drop(extract);
    let transform = task(&workflow, id, 1, "transform");
    transform.in_scope(|| ());
    complete(&transform, 1.2, 0);
    drop(transform);
    let load = task(&workflow, id, 2, "load");
    retry(&load, 1, 1.0, kind, "connection refused");
    fail(&load, 0.3, 1, kind, "connection refused");
    drop(load);
    end_workflow(&workflow, true, 2.0);
}
