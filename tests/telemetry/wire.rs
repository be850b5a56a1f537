//! What arrives at a real collector, over a real connection.

use dotflow::{DotFlow, PreviousContext, TaskContext, action, task};
use dotflow_otel::{Compression, OpenTelemetry, Otlp, Protocol, SpanNames, opentelemetry};
use dotflow_tests::{
    collector::{Behaviour, Collector, Transport, attribute, attribute_names},
    shop,
};
use opentelemetry_proto::tonic::{
    common::v1::any_value::Value,
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};

use crate::under;

/// Runs `workflow` under telemetry that goes to `collector`, and stops it.
fn deliver<T>(collector: &Collector, otlp: Otlp, workflow: &DotFlow<T>) -> Vec<Span>
where
    T: Send + Sync + 'static,
{
    let otlp = otlp
        .endpoint(collector.endpoint())
        .header("x-team", "flows");
    let telemetry = OpenTelemetry::new("shop")
        .version("1.2.3")
        .with_attribute("deployment.environment.name", "test")
        .with_otlp_to(otlp);
    let (run, guard) = under(telemetry, || workflow.start_blocking());
    drop(run.unwrap());
    guard.shutdown().unwrap();
    assert_eq!(guard.dropped(), 0);
    let spans = collector.spans();
    assert_eq!(guard.exported(), spans.len() as u64);
    spans
}

fn span<'list>(spans: &'list [Span], name: &str) -> &'list Span {
    let found: Vec<&Span> = spans.iter().filter(|span| span.name == name).collect();
    assert_eq!(found.len(), 1, "spans named {name}");
    found[0]
}

fn text(text: &str) -> Value {
    Value::StringValue(text.into())
}

#[test]
fn spans_arrive_with_types_statuses_and_parents() {
    let collector = Collector::start();
    let spans = deliver(&collector, Otlp::new(), &shop::sales());

    assert_eq!(spans.len(), 4);
    let workflow = span(&spans, "workflow:sales");
    assert_eq!(workflow.parent_span_id, Vec::<u8>::new());
    assert_eq!(
        attribute_names(&workflow.attributes),
        [
            "dotflow.duration",
            "dotflow.tasks_count",
            "dotflow.tasks_failed",
            "dotflow.tasks_restored",
            "dotflow.tasks_skipped",
            "dotflow.workflow.name",
            "dotflow.workflow.status",
            "dotflow.workflow_id",
            "error.type",
        ]
    );
    let of_workflow = |key: &str| attribute(&workflow.attributes, key).cloned();
    assert_eq!(of_workflow("dotflow.tasks_count"), Some(Value::IntValue(3)));
    assert_eq!(of_workflow("dotflow.workflow.status"), Some(text("Failed")));
    let Some(Value::DoubleValue(seconds)) = of_workflow("dotflow.duration") else {
        panic!("the duration is a float");
    };
    assert!(seconds > 0.02, "{seconds}");
    let status = workflow.status.as_ref().unwrap();
    assert_eq!(status.code(), StatusCode::Error);
    assert_eq!(status.message, "task:2 `load`: connection refused");

    for task in [0, 1, 2] {
        let task_span = span(&spans, &format!("task:{task}"));
        assert_eq!(task_span.trace_id, workflow.trace_id);
        assert_eq!(task_span.parent_span_id, workflow.span_id);
        assert!(task_span.end_time_unix_nano <= workflow.end_time_unix_nano);
        let get = |key: &str| attribute(&task_span.attributes, key).cloned();
        assert_eq!(
            get("dotflow.workflow_id"),
            of_workflow("dotflow.workflow_id")
        );
        assert_eq!(get("dotflow.task_id"), Some(Value::IntValue(task)));
        assert!(matches!(
            get("dotflow.task.duration"),
            Some(Value::DoubleValue(_))
        ));
        let retries = Value::IntValue(i64::from(task == 2));
        assert_eq!(get("dotflow.task.retry_count"), Some(retries));
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
            "dotflow.task.wait",
            "dotflow.task_id",
            "dotflow.workflow_id",
        ]
    );
    assert_eq!(extract.status.as_ref().unwrap().code(), StatusCode::Ok);
}

#[test]
fn a_failed_task_has_its_events_and_its_error() {
    let collector = Collector::start();
    let spans = deliver(&collector, Otlp::new(), &shop::sales());

    let load = span(&spans, "task:2");
    let status = load.status.as_ref().unwrap();
    assert_eq!(status.code(), StatusCode::Error);
    assert_eq!(status.message, "connection refused");
    let kind = Some(text("dotflow_tests::shop::LoadError"));
    assert_eq!(attribute(&load.attributes, "error.type").cloned(), kind);
    let names: Vec<&str> = load.events.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["retry", "exception"]);
    let retry = &load.events[0].attributes;
    assert_eq!(
        attribute(retry, "dotflow.task.attempt"),
        Some(&Value::IntValue(1))
    );
    assert_eq!(
        attribute(retry, "dotflow.retry.delay"),
        Some(&Value::DoubleValue(0.02))
    );
    let exception = &load.events[1].attributes;
    assert_eq!(attribute(exception, "exception.type").cloned(), kind);
    // Nothing but what the contract names.
    let names = attribute_names(exception);
    assert!(
        names.iter().all(|name| name.starts_with("exception.")),
        "{names:?}"
    );
}

#[action]
fn numbers() -> Vec<u32> {
    vec![3, 5]
}

#[action]
fn fetch(_number: PreviousContext<u32>) {}

#[test]
fn spans_may_be_called_like_their_tasks() {
    let collector = Collector::start();
    let telemetry = OpenTelemetry::new("shop")
        .with_otlp_to(Otlp::new().endpoint(collector.endpoint()))
        .span_names(SpanNames::Task);
    let workflow = DotFlow::new("pages", task(numbers()).each(fetch()));
    let (run, guard) = under(telemetry, || workflow.start_blocking());
    run.unwrap().ok().unwrap();
    guard.shutdown().unwrap();
    let mut names: Vec<String> = collector.spans().into_iter().map(|one| one.name).collect();
    names.sort();
    assert_eq!(names, ["fetch[0]", "fetch[1]", "numbers", "workflow:pages"]);
}

#[test]
fn a_root_may_have_a_kind() {
    let collector = Collector::start();
    let telemetry = OpenTelemetry::new("shop")
        .with_otlp_to(Otlp::new().endpoint(collector.endpoint()))
        .root_kind(opentelemetry::trace::SpanKind::Server);
    let (run, guard) = under(telemetry, || shop::sales().start_blocking());
    drop(run.unwrap());
    guard.shutdown().unwrap();
    let spans = collector.spans();
    assert_eq!(span(&spans, "workflow:sales").kind(), SpanKind::Server);
    assert_eq!(span(&spans, "task:0").kind(), SpanKind::Internal);
}

/// What the user's code says at ERROR does not decide how its task is told to have ended.
#[action]
fn chatty() -> Result<(), String> {
    tracing::error!(error = "zzz: sorts after everything", "going wrong");
    Err("the reason".into())
}

#[action]
fn recovers() {
    tracing::error!("this was bad, but it went on");
}

#[test]
fn the_status_is_what_dotflow_says_not_what_the_code_logs() {
    let collector = Collector::start();
    let both = DotFlow::new("both", (task(chatty()), task(recovers()))).keep_going(true);
    let telemetry =
        OpenTelemetry::new("shop").with_otlp_to(Otlp::new().endpoint(collector.endpoint()));
    let (run, guard) = under(telemetry, || both.start_blocking());
    drop(run.unwrap());
    guard.shutdown().unwrap();
    let spans = collector.spans();
    let status = |name| span(&spans, name).status.clone().unwrap();
    assert_eq!(status("task:0").message, "the reason");
    assert_eq!(status("task:1").code(), StatusCode::Ok);
}

#[derive(Debug, thiserror::Error)]
#[error("the reason")]
struct Reason(#[source] std::num::ParseIntError);

fn reason() -> Reason {
    Reason("no number".parse::<u32>().unwrap_err())
}

/// Says more than a span has room for, and then fails.
#[action(retry = 3, retry_delay = 0)]
fn talkative() -> Result<(), Reason> {
    for line in 0..200 {
        tracing::info!(line, "still at it");
    }
    Err(reason())
}

/// Has more retries than a span has room for.
#[action(retry = 200, retry_delay = 0, inline)]
fn stubborn() -> Result<(), Reason> {
    Err(reason())
}

#[test]
fn what_matters_is_not_crowded_out() {
    let collector = Collector::start();
    let tasks = (task(talkative()), task(stubborn()));
    let both = DotFlow::new("both", tasks).keep_going(true);
    let telemetry =
        OpenTelemetry::new("shop").with_otlp_to(Otlp::new().endpoint(collector.endpoint()));
    let (run, guard) = under(telemetry, || both.start_blocking());
    drop(run.unwrap());
    guard.shutdown().unwrap();
    let spans = collector.spans();
    for (name, last) in [("task:0", 2), ("task:1", 199)] {
        let task = span(&spans, name);
        let of_name = |name: &'static str| task.events.iter().filter(move |one| one.name == name);
        let attempts =
            of_name("retry").map(|retry| attribute(&retry.attributes, "dotflow.task.attempt"));
        let attempts: Vec<i64> = attempts
            .map(|attempt| match attempt {
                Some(Value::IntValue(number)) => *number,
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(
            attempts.contains(&1) && attempts.contains(&last),
            "{attempts:?}"
        );
        let exceptions: Vec<_> = of_name("exception").collect();
        assert_eq!(exceptions.len(), 1, "{name}");
        let kept = |key: &str| attribute(&exceptions[0].attributes, key).cloned();
        assert!(kept("exception.type").is_some());
        assert!(kept("exception.stacktrace").is_some());
        // What is not there is counted.
        let all = if name == "task:0" { 603 } else { 200 };
        let there = task.events.len() + task.dropped_events_count as usize;
        assert_eq!(there, all, "{name}");
        assert!(task.events.len() <= 131, "{name}");
    }
}

#[action]
fn query() {
    tracing::info_span!("query", rows = 3_i64).in_scope(|| {
        tracing::info!("sent");
        tracing::debug_span!("too fine").in_scope(|| ());
    });
}

#[test]
fn spans_of_the_users_code_nest_below_the_task() {
    let collector = Collector::start();
    let spans = deliver(&collector, Otlp::new(), &DotFlow::new("one", task(query())));
    let query = span(&spans, "query");
    assert_eq!(query.parent_span_id, span(&spans, "task:0").span_id);
    assert_eq!(query.events[0].name, "sent");
    assert_eq!(spans.len(), 3);
}

/// Says numbers of every kind, in a span that is open, in one that was never entered, and in events.
#[action]
fn counts() {
    let span = tracing::info_span!(
        "answer",
        bytes = 42_u64,
        rows = 3_usize,
        port = 8080_u16,
        wide = 7_u128,
        signed = -7_i128,
        huge = u64::MAX,
        text = "42",
        late = tracing::field::Empty,
    );
    tracing::info!(parent: &span, status = 503_u16, text = "503", "refused");
    span.in_scope(|| tracing::info!(status = 200_u64, huge = u128::MAX, "answered"));
    span.record("late", 5_u32);
    drop(span);
    drop(tracing::info_span!("never entered", bytes = 42_u64));
}

#[test]
fn unsigned_numbers_of_the_users_code_are_numbers() {
    let collector = Collector::start();
    let workflow = DotFlow::new("one", task(counts()));
    let spans = deliver(&collector, Otlp::new(), &workflow);
    let answer = span(&spans, "answer");
    let get = |key: &str| attribute(&answer.attributes, key).cloned();
    let int = |number| Some(Value::IntValue(number));
    assert_eq!(get("bytes"), int(42));
    assert_eq!(get("rows"), int(3));
    assert_eq!(get("port"), int(8080));
    assert_eq!(get("wide"), int(7));
    assert_eq!(get("signed"), int(-7));
    assert_eq!(get("late"), int(5));
    // The protocol has no room for it.
    assert_eq!(get("huge"), Some(text("18446744073709551615")));
    assert_eq!(get("text"), Some(text("42")));
    let names: Vec<&str> = answer.events.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["refused", "answered"]);
    let get = |event: usize, key| attribute(&answer.events[event].attributes, key).cloned();
    assert_eq!(get(0, "status"), int(503));
    assert_eq!(get(0, "text"), Some(text("503")));
    assert_eq!(get(1, "status"), int(200));
    assert_eq!(get(1, "huge"), Some(text(&u128::MAX.to_string())));
    let never_entered = &span(&spans, "never entered").attributes;
    assert_eq!(attribute(never_entered, "bytes").cloned(), int(42));
}

/// Says what dotflow says, with sentences for people.
#[action]
fn spells_it_out() {
    use tracing::{Level, event};
    event!(name: "retry", target: "dotflow", Level::WARN, exception.message = "no", "attempt 1 failed: no");
    event!(name: "exception", target: "dotflow", Level::ERROR, exception.message = "no", "no");
    event!(name: "still running", target: "dotflow", Level::WARN, "after its timeout");
    event!(Level::WARN, "mine");
}

#[test]
fn events_of_dotflow_keep_their_names_whatever_they_say() {
    let collector = Collector::start();
    let workflow = DotFlow::new("one", task(spells_it_out()));
    let spans = deliver(&collector, Otlp::new(), &workflow);
    let events = &span(&spans, "task:0").events;
    let names: Vec<&str> = events.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["retry", "exception", "still running", "mine"]);
    // The sentence says nothing that the attributes don't.
    for event in &events[..2] {
        assert_eq!(attribute_names(&event.attributes), ["exception.message"]);
    }
    let sentence = attribute(&events[2].attributes, "message").cloned();
    assert_eq!(sentence, Some(text("after its timeout")));
    assert_eq!(attribute_names(&events[2].attributes), ["message"]);
}

/// What a task says of itself is on its span, wherever in it that was said.
#[test]
fn what_a_task_records_are_attributes_of_its_span() {
    #[action]
    async fn says(task: TaskContext) {
        let own = tracing::info_span!("own");
        own.in_scope(|| task.record("rows", 3_u64));
        task.record("region", "us");
        task.record("region", "eu");
        task.record("ratio", 0.5);
        task.record("whole", true);
        task.record("dotflow.task.status", "mine");
        for done in 1..=200 {
            task.progress(done, 200);
        }
    }

    let collector = Collector::start();
    let workflow = DotFlow::new("one", task(says()));
    let spans = deliver(&collector, Otlp::new(), &workflow);
    let says = span(&spans, "task:0");
    let value = |name: &str| attribute(&says.attributes, name).cloned();
    assert_eq!(value("rows"), Some(Value::IntValue(3)));
    assert_eq!(value("region"), Some(text("eu")));
    assert_eq!(value("dotflow.task.status"), Some(text("Completed")));
    assert_eq!(value("dotflow.progress.done"), Some(Value::IntValue(200)));
    assert_eq!(value("dotflow.progress.of"), Some(Value::IntValue(200)));
    assert!(value("ratio").is_some() && value("whole").is_some());
    assert_eq!(says.events.len(), 0);
    assert_eq!(span(&spans, "own").events.len(), 0);
}

/// Everything that says who sent it, over each transport and compression.
#[test]
fn resource_scope_and_headers_arrive() {
    let cases = [
        (Transport::Grpc, Compression::None),
        (Transport::Grpc, Compression::Gzip),
        (Transport::Grpc, Compression::Zstd),
        (Transport::Http, Compression::None),
        (Transport::Http, Compression::Gzip),
    ];
    for (transport, compression) in cases {
        let collector = Collector::with(transport, Behaviour::Accept);
        let protocol = match transport {
            Transport::Grpc => Protocol::Grpc,
            Transport::Http => Protocol::HttpProtobuf,
        };
        let otlp = Otlp::new().protocol(protocol).compression(compression);
        let spans = deliver(&collector, otlp, &shop::sales());
        assert_eq!(spans.len(), 4, "{transport:?} {compression:?}");

        let received = collector.received();
        assert_eq!(received.headers[0]["x-team"], "flows");
        let encoding = match transport {
            Transport::Grpc => received.headers[0].get("grpc-encoding"),
            Transport::Http => received.headers[0].get("content-encoding"),
        };
        let expected = match compression {
            Compression::Gzip => Some("gzip"),
            Compression::Zstd => Some("zstd"),
            _ => None,
        };
        assert_eq!(encoding.map(String::as_str), expected);
        let resource_spans = &received.traces[0].resource_spans[0];
        let resource = &resource_spans.resource.as_ref().unwrap().attributes;
        let get = |key: &str| attribute(resource, key).cloned();
        assert_eq!(get("service.name"), Some(text("shop")));
        assert_eq!(get("deployment.environment.name"), Some(text("test")));
        assert_eq!(get("service.version"), Some(text("1.2.3")));
        assert_eq!(get("telemetry.sdk.language"), Some(text("rust")));
        assert_eq!(get("telemetry.distro.name"), Some(text("dotflow-otel")));
        let scope = resource_spans.scope_spans[0].scope.as_ref().unwrap();
        assert_eq!(scope.name, "dotflow");
        assert_eq!(scope.version, env!("CARGO_PKG_VERSION"));
    }
}
