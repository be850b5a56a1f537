//! Log records on the wire, and what they belong to.

use std::collections::BTreeSet;

use dotflow_otel::{OpenTelemetry, Otlp};
use dotflow_tests::{
    collector::{Collector, attribute},
    shop,
};
use opentelemetry_proto::tonic::{common::v1::any_value::Value, logs::v1::LogRecord};
use opentelemetry_sdk::trace::Sampler;

use crate::under;

fn telemetry(collector: &Collector) -> OpenTelemetry {
    OpenTelemetry::new("shop")
        .with_otlp_to(Otlp::new().endpoint(collector.endpoint()))
        .with_logs()
}

#[test]
fn a_log_line_inside_a_task_carries_the_tasks_trace_and_span() {
    let collector = Collector::start();
    let (run, guard) = under(telemetry(&collector), || shop::sales().start_blocking());
    drop(run.unwrap());
    guard.shutdown().unwrap();

    let spans = collector.spans();
    let task = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let records = collector.log_records();
    let record = |event: &str| {
        let found = records.iter().find(|record| {
            let body = record.body.as_ref().and_then(|body| body.value.clone());
            body == Some(Value::StringValue(event.into())) || record.event_name == event
        });
        found.unwrap_or_else(|| panic!("no {event} in {records:?}"))
    };

    // From the blocking pool, from the async worker, and from dotflow itself.
    let adding = record("adding");
    assert_eq!(adding.trace_id, task("task:1").trace_id);
    assert_eq!(adding.span_id, task("task:1").span_id);
    assert_eq!(adding.severity_text, "INFO");
    let numbers = attribute(&adding.attributes, "numbers");
    assert_eq!(numbers, Some(&Value::IntValue(3)));
    assert_eq!(record("retry").span_id, task("task:2").span_id);
    assert_eq!(record("exception").severity_text, "ERROR");
    assert_eq!(records.len(), 3);
    // Each has what a list of records shows.
    let bodies: Vec<String> = records.iter().map(body).collect();
    assert_eq!(
        bodies,
        [
            "adding",
            "attempt 1 of 2 failed: connection refused, next in 20ms",
            "task:2 `load` failed: connection refused",
        ]
    );
    for record in &records {
        assert!(record.time_unix_nano > 0, "{record:?}");
        assert!(!record.event_name.starts_with("event "), "{record:?}");
    }

    // A scope for each target, in no particular order.
    let received = collector.received();
    let scopes: BTreeSet<String> = received.logs[0].resource_logs[0]
        .scope_logs
        .iter()
        .filter_map(|logs| Some(logs.scope.as_ref()?.name.clone()))
        .collect();
    let expected = ["dotflow".to_owned(), "dotflow_tests::shop".to_owned()];
    assert_eq!(scopes, BTreeSet::from(expected));
}

fn body(record: &LogRecord) -> String {
    match record.body.clone().and_then(|body| body.value) {
        Some(Value::StringValue(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_sent_as_a_log_record_is_not_sent_on_the_span_again() {
    for (on_spans, expected) in [(false, vec![]), (true, vec!["adding"])] {
        let collector = Collector::start();
        let telemetry = telemetry(&collector).events_on_spans(on_spans);
        let (run, guard) = under(telemetry, || shop::sales().start_blocking());
        drop(run.unwrap());
        guard.shutdown().unwrap();
        assert_eq!(collector.log_records().len(), 3);
        let spans = collector.spans();
        let events = |name: &str| {
            let span = spans.iter().find(|span| span.name == name).unwrap();
            let names = span.events.iter().map(|event| event.name.clone());
            names.collect::<Vec<_>>()
        };
        assert_eq!(events("task:1"), expected);
        // What dotflow says of a task belongs to its trace in any case.
        assert_eq!(events("task:2"), ["retry", "exception"]);
    }
}

#[test]
fn log_records_have_their_trace_where_it_is_not_sampled() {
    let collector = Collector::start();
    let telemetry = telemetry(&collector).sampler(Sampler::AlwaysOff);
    let (run, guard) = under(telemetry, || shop::sales().start_blocking());
    drop(run.unwrap());
    guard.shutdown().unwrap();
    assert_eq!(collector.spans().len(), 0);
    let records = collector.log_records();
    assert_eq!(records.len(), 3);
    assert!(records.iter().all(|record| record.trace_id.len() == 16));
}
