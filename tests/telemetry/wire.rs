//! What arrives at a real collector, over a real connection.

use dotflow_otel::{OpenTelemetry, Otlp};
use dotflow_tests::{
    collector::{Collector, attribute, attribute_names},
    emit,
};
use opentelemetry_proto::tonic::{
    common::v1::any_value::Value,
    trace::v1::{Span, status::StatusCode},
};
use tracing_subscriber::{Registry, layer::SubscriberExt};

/// Runs `emit` under telemetry that goes to `collector`, and stops it.
fn deliver(collector: &Collector, emit: impl FnOnce()) {
    let otlp = Otlp::new()
        .endpoint(collector.endpoint())
        .header("x-team", "flows");
    let (layer, telemetry) = OpenTelemetry::new("shop")
        .with_attribute("deployment.environment.name", "test")
        .with_otlp_to(otlp)
        .build()
        .unwrap();
    tracing::subscriber::with_default(Registry::default().with(layer), emit);
    telemetry.shutdown().unwrap();
    assert_eq!(telemetry.dropped(), 0);
    assert_eq!(telemetry.exported(), collector.spans().len() as u64);
}

fn span<'list>(spans: &'list [Span], name: &str) -> &'list Span {
    let found: Vec<&Span> = spans.iter().filter(|span| span.name == name).collect();
    assert_eq!(found.len(), 1, "spans named {name}");
    found[0]
}

fn text(text: &str) -> Option<Value> {
    Some(Value::StringValue(text.into()))
}

#[test]
fn spans_arrive_with_types_statuses_and_parents() {
    let collector = Collector::start();
    deliver(&collector, emit::sales);

    let spans = collector.spans();
    assert_eq!(spans.len(), 4);
    let workflow = span(&spans, "workflow:sales");
    let id = "550e8400-e29b-41d4-a716-446655440000";
    assert_eq!(workflow.parent_span_id, Vec::<u8>::new());
    assert_eq!(
        attribute_names(&workflow.attributes),
        [
            "dotflow.duration",
            "dotflow.tasks_count",
            "dotflow.workflow.name",
            "dotflow.workflow.status",
            "dotflow.workflow_id",
            "error.type",
        ]
    );
    let get = |key: &str| attribute(&workflow.attributes, key).cloned();
    assert_eq!(get("dotflow.workflow_id"), text(id));
    assert_eq!(get("dotflow.tasks_count"), Some(Value::IntValue(3)));
    assert_eq!(get("dotflow.duration"), Some(Value::DoubleValue(2.0)));
    let status = workflow.status.as_ref().unwrap();
    assert_eq!(status.code(), StatusCode::Error);
    assert_eq!(status.message, "workflow failed");

    for task in [0, 1, 2] {
        let task_span = span(&spans, &format!("task:{task}"));
        assert_eq!(task_span.trace_id, workflow.trace_id);
        assert_eq!(task_span.parent_span_id, workflow.span_id);
        let get = |key: &str| attribute(&task_span.attributes, key).cloned();
        assert_eq!(get("dotflow.workflow_id"), text(id));
        assert_eq!(get("dotflow.task_id"), Some(Value::IntValue(task)));
        assert!(matches!(
            get("dotflow.task.duration"),
            Some(Value::DoubleValue(_))
        ));
        let retries = i64::from(task == 2);
        assert_eq!(
            get("dotflow.task.retry_count"),
            Some(Value::IntValue(retries))
        );
    }
    // Nothing but what the contract names: no source location, thread, busy time or target.
    let extract = span(&spans, "task:0");
    assert_eq!(
        attribute_names(&extract.attributes),
        [
            "dotflow.task.duration",
            "dotflow.task.name",
            "dotflow.task.retry_count",
            "dotflow.task.status",
            "dotflow.task_id",
            "dotflow.workflow_id",
        ]
    );
    assert_eq!(extract.status.as_ref().unwrap().code(), StatusCode::Ok);

    let load = span(&spans, "task:2");
    let status = load.status.as_ref().unwrap();
    assert_eq!(status.code(), StatusCode::Error);
    assert_eq!(status.message, "connection refused");
    let names: Vec<&str> = load
        .events
        .iter()
        .map(|event| event.name.as_str())
        .collect();
    assert_eq!(names, ["retry", "exception"]);
    let retry = &load.events[0].attributes;
    assert_eq!(attribute(retry, "attempt"), Some(&Value::IntValue(1)));
    assert_eq!(attribute(retry, "delay"), Some(&Value::DoubleValue(1.0)));
    let exception = &load.events[1].attributes;
    assert_eq!(
        attribute(exception, "exception.type").cloned(),
        text("shop::errors::LoadError")
    );
}

#[test]
fn resource_scope_and_headers_arrive() {
    let collector = Collector::start();
    deliver(&collector, emit::sales);

    let request = &collector.trace_requests()[0];
    assert_eq!(request.headers["x-team"], "flows");
    let resource_spans = &request.message.resource_spans[0];
    let resource = &resource_spans.resource.as_ref().unwrap().attributes;
    let get = |key: &str| attribute(resource, key).cloned();
    assert_eq!(get("service.name"), text("shop"));
    assert_eq!(get("deployment.environment.name"), text("test"));
    assert_eq!(get("telemetry.sdk.language"), text("rust"));
    let scope = resource_spans.scope_spans[0].scope.as_ref().unwrap();
    assert_eq!(scope.name, "dotflow");
    assert_eq!(scope.version, env!("CARGO_PKG_VERSION"));
}

#[test]
fn spans_of_the_users_code_nest_below_the_task() {
    let collector = Collector::start();
    deliver(&collector, || {
        let workflow = emit::workflow("sales", "1", 1);
        let task = emit::task(&workflow, "1", 0, "extract");
        task.in_scope(|| {
            tracing::info_span!("query", rows = 3_i64).in_scope(|| {
                tracing::info!("sent");
                tracing::debug_span!("too fine").in_scope(|| ());
            });
        });
        emit::complete(&task, 0.1, 0);
    });
    let spans = collector.spans();
    let query = span(&spans, "query");
    assert_eq!(query.parent_span_id, span(&spans, "task:0").span_id);
    assert_eq!(query.events[0].name, "sent");
    assert_eq!(spans.len(), 3);
}
