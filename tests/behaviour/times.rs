//! What a task takes and what it waits for are told apart, and the report tells of both what the span
//! tells.

use std::{
    future::Future,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use dotflow::{
    DotFlow, PreviousContext, Run, Status, TaskContext, action, join_all, report::EventKind, task,
};
use dotflow_tests::{Recorder, Recording, Value, keep_callsites_awake, recorded};
use tokio::sync::Notify;
use tracing::instrument::WithSubscriber;
use tracing_subscriber::{Registry, layer::SubscriberExt};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[action]
async fn nap(duration: Duration) {
    tokio::time::sleep(duration).await;
}

#[action]
async fn nap_after(_previous: PreviousContext<()>) {
    tokio::time::sleep(seconds(2)).await;
}

/// Waits and durations of all tasks, in seconds, which their spans tell as well.
fn times<T>(run: &Run<T>, recording: &Recording) -> Vec<(f64, f64)> {
    let spans = recording.named("task");
    let spans = spans.filter(|span| span.text("dotflow.workflow_id") == Some(run.workflow_id()));
    let float = |value: Option<&Value>| match value {
        Some(Value::Float(seconds)) => *seconds,
        other => panic!("{other:?}"),
    };
    let mut told: Vec<_> = spans
        .map(|span| {
            let place = (span.int("dotflow.task_id"), span.int("dotflow.task.item"));
            let (wait, duration) = ("dotflow.task.wait", "dotflow.task.duration");
            (
                place,
                (float(span.field(wait)), float(span.field(duration))),
            )
        })
        .collect();
    told.sort_by_key(|(place, _)| *place);
    let told: Vec<_> = told.into_iter().map(|(_, times)| times).collect();
    let tasks = run
        .tasks()
        .iter()
        .filter(|task| task.started_at().is_some());
    let times = tasks.map(|task| (task.wait().as_secs_f64(), task.duration().as_secs_f64()));
    assert_eq!(told, times.collect::<Vec<_>>(), "{run}");
    told.into_iter()
        .map(|(wait, duration)| (wait.round(), duration.round()))
        .collect()
}

#[test]
fn a_task_that_is_ready_waits_for_a_slot() {
    let all: Vec<_> = (0..3).map(|_| task(nap(seconds(5)))).collect();
    let three = DotFlow::new("three", all).concurrency(1);
    let (run, recording) = recorded(async { three.start().await.unwrap() });
    assert_eq!(
        times(&run, &recording),
        [(0.0, 5.0), (5.0, 5.0), (10.0, 5.0)]
    );
    // What is told adds up to when it began.
    for task in run.tasks() {
        let began = task.started_at().unwrap().duration_since(run.started_at());
        assert_eq!(began.unwrap(), task.wait());
    }
}

#[test]
fn a_task_is_ready_when_the_last_one_before_it_has_ended() {
    #[action]
    async fn joined(_all: Vec<PreviousContext<()>>) {
        tokio::time::sleep(seconds(1)).await;
    }
    let all = join_all([3, 7].map(|time| task(nap(seconds(time)))));
    let workflow = DotFlow::new("joined", all.then(joined()).then(nap_after()));
    let (run, recording) = recorded(async { workflow.start().await.unwrap() });
    let expected = [(0.0, 3.0), (0.0, 7.0), (0.0, 1.0), (0.0, 2.0)];
    assert_eq!(times(&run, &recording), expected);
}

#[test]
fn items_are_ready_when_their_list_is_there() {
    #[action]
    async fn list() -> Vec<u32> {
        tokio::time::sleep(seconds(3)).await;
        vec![1, 2, 3]
    }
    #[action]
    async fn item(_item: PreviousContext<u32>) {
        tokio::time::sleep(seconds(2)).await;
    }
    #[action]
    async fn after(_items: PreviousContext<Vec<()>>) {}
    let items = task(list()).each(item()).then(after());
    let workflow = DotFlow::new("items", items).concurrency(1);
    let (run, recording) = recorded(async { workflow.start().await.unwrap() });
    let expected = [(0.0, 3.0), (0.0, 2.0), (2.0, 2.0), (4.0, 2.0), (0.0, 0.0)];
    assert_eq!(times(&run, &recording), expected);
}

#[test]
fn what_comes_after_a_skipped_task_is_ready_when_that_was_skipped() {
    #[action]
    async fn refuse() -> Result<(), String> {
        tokio::time::sleep(seconds(4)).await;
        Err("no".into())
    }
    #[action]
    async fn clean_up(_previous: Option<PreviousContext<()>>) {}
    let refused = task(refuse())
        .then(nap_after())
        .then(nap_after())
        .then(clean_up());
    let beside = task(nap(seconds(9)));
    let workflow = DotFlow::new("skipped", (refused, beside)).keep_going(true);
    let (run, recording) = recorded(async { workflow.start().await.unwrap() });
    assert_eq!(run.tasks()[2].status(), Status::Skipped);
    assert_eq!(run.tasks()[2].wait(), Duration::ZERO);
    assert_eq!(
        times(&run, &recording),
        [(0.0, 4.0), (0.0, 0.0), (0.0, 9.0)]
    );
}

/// Holds the only thread of a blocking pool until the test lets it go.
#[derive(Clone)]
struct Hold {
    taken: Arc<Notify>,
    release: mpsc::Sender<()>,
    released: Arc<Mutex<mpsc::Receiver<()>>>,
}

impl Hold {
    fn new() -> Self {
        let (release, released) = mpsc::channel();
        Self {
            taken: Arc::new(Notify::new()),
            release,
            released: Arc::new(Mutex::new(released)),
        }
    }
}

#[action]
fn hold(hold: Hold) {
    hold.taken.notify_one();
    hold.released.lock().unwrap().recv().unwrap();
}

/// Runs a future on a runtime with one thread for blocking code and a clock that stands still.
fn with_one_thread<F: Future>(future: F) -> (F::Output, Recording) {
    keep_callsites_awake();
    let recorder = Recorder::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let subscriber = Registry::default().with(recorder.clone());
    let output = runtime.block_on(future.with_subscriber(subscriber));
    drop(runtime);
    (output, recorder.recording())
}

#[test]
fn waiting_for_a_thread_is_no_part_of_what_a_function_takes() {
    #[action]
    fn quick() -> u32 {
        1
    }
    let held = Hold::new();
    let (run, recording) = with_one_thread(async {
        let holding = DotFlow::new("holding", task(hold(held.clone()))).spawn();
        held.taken.notified().await;
        let waiting = DotFlow::new("waiting", task(quick())).spawn();
        tokio::task::yield_now().await;
        tokio::time::advance(seconds(60)).await;
        held.release.send(()).unwrap();
        let run = waiting.await.unwrap();
        assert!(holding.await.unwrap().succeeded());
        run
    });
    assert_eq!(times(&run, &recording), [(60.0, 0.0)]);
    let task = &run.tasks()[0];
    let began = run.started_at() + seconds(60);
    assert_eq!(task.started_at(), Some(began));
    assert_eq!(task.attempts()[0].started_at(), began);
    assert_eq!(task.attempts()[0].duration(), Duration::ZERO);
    let json = serde_json::to_value(task).unwrap();
    assert_eq!(json["wait"], 60.0);
}

#[test]
fn further_attempts_wait_for_a_thread_too() {
    #[action(retry = 2, retry_delay = 5)]
    fn second_time(task: TaskContext) -> Result<(), String> {
        if task.attempt() == 1 {
            return Err("not yet".into());
        }
        Ok(())
    }
    let (held, failed) = (Hold::new(), Arc::new(Notify::new()));
    let (run, recording) = with_one_thread(async {
        let waiting = task(second_time()).then(nap_after());
        let retried = Arc::clone(&failed);
        let waiting = DotFlow::new("waiting", waiting).observe(move |event| {
            // By the time that anybody is woken by this, the task waits for its delay.
            if let EventKind::TaskRetried { .. } = event.kind {
                retried.notify_one();
            }
        });
        let waiting = waiting.spawn();
        failed.notified().await;
        let holding = DotFlow::new("holding", task(hold(held.clone()))).spawn();
        held.taken.notified().await;
        tokio::time::advance(seconds(5)).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        tokio::time::advance(seconds(60)).await;
        held.release.send(()).unwrap();
        let run = waiting.await.unwrap();
        assert!(holding.await.unwrap().succeeded());
        run
    });
    assert_eq!(times(&run, &recording), [(60.0, 5.0), (0.0, 2.0)]);
    let attempts = run.tasks()[0].attempts();
    assert_eq!(attempts[1].started_at(), run.started_at() + seconds(65));
    assert_eq!(attempts[1].duration(), Duration::ZERO);
}

#[test]
fn what_is_cancelled_before_it_has_a_thread_has_taken_nothing() {
    let held = Hold::new();
    let (run, recording) = with_one_thread(async {
        let holding = DotFlow::new("holding", task(hold(held.clone()))).spawn();
        held.taken.notified().await;
        let waiting = DotFlow::new("waiting", task(hold(held.clone()))).spawn();
        tokio::task::yield_now().await;
        tokio::time::advance(seconds(60)).await;
        waiting.cancel();
        let run = waiting.await.unwrap();
        held.release.send(()).unwrap();
        assert!(holding.await.unwrap().succeeded());
        run
    });
    assert_eq!(run.tasks()[0].status(), Status::Cancelled);
    assert_eq!(times(&run, &recording), [(60.0, 0.0)]);
}

#[test]
fn spans_tell_the_edges_of_the_graph() {
    #[action]
    async fn joined(_a: PreviousContext<()>, _b: PreviousContext<()>) {}
    let (a, b) = (task(nap(seconds(1))), task(nap(seconds(1))));
    let workflow = DotFlow::new("edges", a.and(&b).then(joined()).then(nap_after()));
    let (run, recording) = recorded(async { workflow.start().await.unwrap() });
    assert!(run.succeeded());
    let after = |task: &str| recording.otel(task).field("dotflow.task.after").cloned();
    let text = |text: &str| Some(Value::Text(text.into()));
    assert_eq!(after("task:0"), None);
    assert_eq!(after("task:2"), text("0,1"));
    assert_eq!(after("task:3"), text("2"));
}
