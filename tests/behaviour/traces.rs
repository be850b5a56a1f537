//! Where the user's own spans and events land: always under their task.

use dotflow::{DotFlow, PreviousContext, TaskContext, action, report::EventKind, task};
use dotflow_tests::{Recorder, Recording, SpanRecord, Value, paused, recorded, recorded_threaded};
use tracing::{Instrument, info, info_span, instrument::WithSubscriber};
use tracing_subscriber::layer::SubscriberExt;

/// Opens spans and says things, with waits in between.
#[action]
async fn talk(task: TaskContext) {
    let id = task.workflow_id().to_owned();
    for step in 0..3 {
        info!(id, step, "before");
        tokio::task::yield_now().await;
        async {
            info!(id, step, "inside");
            tokio::task::yield_now().await;
            info!(id, step, "inside again");
        }
        .instrument(info_span!("user", id))
        .await;
    }
    // A thread of the user's own needs what every thread needs: the span, and a subscriber that is
    // not global.
    let span = tracing::Span::current();
    let subscriber = tracing::dispatcher::get_default(Clone::clone);
    let thread = tokio::task::spawn_blocking(move || {
        tracing::dispatcher::with_default(&subscriber, move || {
            span.in_scope(|| info_span!("user", id).in_scope(|| info!(id, "on a thread")));
        });
    });
    thread.await.unwrap();
}

#[action]
async fn talk_on(_previous: PreviousContext<()>, task: TaskContext) {
    info!(id = task.workflow_id(), "and on");
    tokio::task::yield_now().await;
    info!(id = task.workflow_id(), "and on");
}

fn ancestors<'a>(recording: &'a Recording, span: &'a SpanRecord) -> Vec<&'a SpanRecord> {
    let mut line = vec![span];
    while let Some(parent) = line[line.len() - 1].parent {
        line.push(&recording.spans[parent]);
    }
    line
}

/// Whatever names a run stands below the span of that run, and nowhere else.
fn assert_kept_apart(recording: &Recording) {
    assert!(recording.events.is_empty(), "no event is outside all spans");
    for span in &recording.spans {
        let line = ancestors(recording, span);
        let task = line.iter().find(|span| span.name == "task");
        let id = task.or(line.last()).unwrap().field("dotflow.workflow_id");
        if span.name == "user" {
            assert!(task.is_some());
            assert_eq!(
                span.field("id").map(ToString::to_string),
                id.map(ToString::to_string)
            );
        }
        for event in &span.events {
            assert!(task.is_some());
            assert_eq!(event.fields.get("id"), id);
        }
    }
}

#[test]
fn two_workflows_on_one_thread_keep_their_traces_apart() {
    let flow = |name| DotFlow::new(name, task(talk()).then(talk_on()).then(talk_on()));
    let (left, right) = (flow("left"), flow("right"));
    let ((), recording) = recorded(async {
        let (left, right) = tokio::join!(left.start(), right.start());
        assert!(left.unwrap().succeeded() && right.unwrap().succeeded());
    });
    assert_kept_apart(&recording);
    let runs: Vec<_> = recording.named("workflow").collect();
    assert_eq!(runs.len(), 2);
    assert!(
        runs.iter().all(|run| run.parent.is_none()),
        "neither is inside the other"
    );
    assert_eq!(recording.named("task").count(), 6);
    assert_eq!(recording.named("user").count(), 2 * 4);
    // They did take turns: a task of the second run opened before the last one of the first.
    let order: Vec<_> = recording.named("task").map(|span| span.parent).collect();
    assert!(!order.is_sorted(), "{order:?}");
}

#[test]
fn tasks_that_run_side_by_side_keep_their_spans_apart() {
    let all: Vec<_> = (0..8).map(|_| task(talk())).collect();
    let workflow = DotFlow::new("wide", all);
    let (run, recording) = recorded_threaded(async move { workflow.start().await.unwrap() });
    assert!(run.succeeded());
    assert_kept_apart(&recording);
    // A scoped subscriber has seen what was spawned to other threads, and what blocks there.
    for task in recording.named("task") {
        assert_eq!(task.events.len(), 3);
        let position = recording
            .spans
            .iter()
            .position(|span| std::ptr::eq(span, task));
        let users = recording
            .named("user")
            .filter(|span| span.parent == position);
        assert_eq!(users.count(), 4);
    }
}

#[test]
fn spans_in_a_nested_workflow_land_under_its_tasks() {
    let inner = DotFlow::new("inner", task(talk()).then(talk_on()));
    let outer = DotFlow::new("outer", task(talk()).then(inner).then(talk_on()));
    let (run, recording) = recorded(async { outer.start().await.unwrap() });
    assert!(run.succeeded());
    assert_kept_apart(&recording);
    for span in recording.named("user") {
        assert_eq!(
            ancestors(&recording, span)
                .last()
                .unwrap()
                .text("otel.name"),
            Some("workflow:outer")
        );
    }
}

#[test]
fn values_never_reach_a_trace() {
    #[action(inline)]
    fn secret(given: String) -> String {
        given + "!"
    }
    #[action(inline)]
    fn pass_on(previous: PreviousContext<String>) -> String {
        previous.into_inner()
    }
    let workflow = DotFlow::new("quiet", task(secret("hunter2".into())).then(pass_on()));
    let (run, recording) = recorded(async { workflow.start().await.unwrap() });
    assert_eq!(*run.output().unwrap(), "hunter2!");
    assert!(!format!("{recording:?}").contains("hunter2"));
    assert!(!format!("{run:?}").contains("hunter2"));
}

#[test]
fn long_texts_of_errors_are_cut_in_the_trace_only() {
    #[action(inline, retry = 2)]
    fn verbose() -> Result<(), String> {
        Err("ä".repeat(5_000))
    }
    let workflow = DotFlow::new("verbose", task(verbose()));
    let (run, recording) = recorded(async { workflow.start().await.unwrap() });
    assert_eq!(run.tasks()[0].errors()[0].to_string().len(), 10_000);
    let span = recording.otel("task:0");
    // In full it is there once, as far as 4 KiB; elsewhere as much of it as tells what it is.
    assert_eq!(span.text("otel.status_description").unwrap().len(), 512);
    let workflow = recording.otel("workflow:verbose");
    assert!(workflow.text("otel.status_description").unwrap().len() <= 512);
    let [retry, exception] = &*span.events else {
        panic!("{:?}", span.events)
    };
    let length = |event: &dotflow_tests::EventRecord, field: &str| match &event.fields[field] {
        Value::Text(text) | Value::Other(text) => text.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(length(retry, "exception.message"), 512);
    assert!(length(retry, "message") < 600);
    assert_eq!(length(exception, "exception.message"), 4096);
    assert!(length(exception, "message") < 600);
    assert!(!exception.fields.contains_key("exception.stacktrace"));
}

#[test]
fn a_span_ends_before_the_next_task_begins() {
    // What an observer sees of the clock is what the report says.
    #[action]
    async fn sleep() {
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    }
    let chain = task(sleep()).then(sleep());
    let workflow = DotFlow::new("sleep", chain);
    let (run, recording) = recorded(async { workflow.start().await.unwrap() });
    assert_eq!(
        recording.otel("task:0").field("dotflow.task.duration"),
        Some(&Value::Float(2.0))
    );
    assert_eq!(
        recording.otel("workflow:sleep").field("dotflow.duration"),
        Some(&Value::Float(4.0))
    );
    let begun = |index: usize| run.tasks()[index].started_at().unwrap();
    assert_eq!(begun(1).duration_since(begun(0)).unwrap().as_secs(), 2);
    assert_eq!(run.started_at(), begun(0));
}

#[test]
fn a_subscriber_that_comes_with_start_is_enough() {
    let recorder = Recorder::default();
    let workflow = DotFlow::new("scoped", vec![task(talk()), task(talk())]);
    let subscriber = tracing_subscriber::Registry::default().with(recorder.clone());
    paused(async {
        // Only this future knows the subscriber; what it spawns must learn it from there.
        assert!(
            workflow
                .start()
                .with_subscriber(subscriber)
                .await
                .unwrap()
                .succeeded()
        );
    });
    let recording = recorder.recording();
    assert_kept_apart(&recording);
    assert_eq!(recording.named("user").count(), 8);
    assert!(recording.spans.iter().all(|span| span.closed == 1));
}

#[test]
fn a_subscriber_may_be_taken_away_with_a_dropped_run() {
    // The future is dropped where its subscriber is not current; all spans close all the same.
    #[action]
    async fn forever() {
        std::future::pending::<()>().await;
    }
    let recorder = Recorder::default();
    for tasks in [1, 2] {
        let all: Vec<_> = (0..tasks).map(|_| task(forever())).collect();
        let workflow = DotFlow::new("gone", all);
        let subscriber = tracing_subscriber::Registry::default().with(recorder.clone());
        paused(async {
            let run = workflow.start().with_subscriber(subscriber);
            let late = tokio::time::timeout(std::time::Duration::from_secs(1), run).await;
            assert!(late.is_err());
        });
    }
    let recording = recorder.recording();
    assert_eq!(recording.spans.len(), 2 + 3);
    assert!(
        recording.spans.iter().all(|span| span.closed == 1),
        "{}",
        recording.tree()
    );
}

#[test]
fn observers_run_within_the_span_of_the_task_they_hear_of() {
    #[action(inline)]
    fn work() {}
    let workflow = DotFlow::new("observed", task(work())).observe(|event| {
        if let EventKind::TaskStarted { .. } | EventKind::TaskEnded { .. } = &event.kind {
            info!("heard");
        }
    });
    let (_run, recording) = recorded(async { workflow.start().await.unwrap() });
    assert_eq!(recording.otel("task:0").events.len(), 2);
}
