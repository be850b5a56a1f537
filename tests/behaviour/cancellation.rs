//! Runs that end before their time: cancelled, timed out, dropped, or left by their runtime.

use std::{
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use dotflow::action::CancellationToken;
use dotflow::{
    DotFlow, PreviousContext, Status, TaskContext, TaskErrorKind, action, report::EventKind, task,
};
use dotflow_tests::{Recorder, paused, recorded};
use insta::assert_snapshot;
use tokio::sync::Notify;
use tracing::instrument::WithSubscriber;
use tracing_subscriber::layer::SubscriberExt;

#[action(inline)]
fn one() -> u32 {
    1
}

#[action]
async fn wait_for_ever(started: Arc<Notify>) -> u32 {
    started.notify_one();
    pending().await
}

#[action(inline)]
fn next(previous: PreviousContext<u32>) -> u32 {
    *previous + 1
}

#[action(inline)]
fn clean_up(_previous: Option<PreviousContext<u32>>) -> u32 {
    0
}

const CANCELLED: &str = r#"workflow:long status="Cancelled" error="workflow cancelled"
  task:0 name="one" status="Completed" retries=0 code="OK"
  task:1 name="wait_for_ever" status="Cancelled" retries=0 error="the run was cancelled"
"#;

/// A task that completes, one that waits for ever, and two that would follow it.
fn long(started: &Arc<Notify>) -> DotFlow<u32> {
    let waiting = task(one()).then(wait_for_ever(Arc::clone(started)));
    DotFlow::new("long", waiting.then(clean_up()).then(next()))
}

#[test]
fn cancel_ends_what_runs_and_nothing_new_starts() {
    let started = Arc::new(Notify::new());
    let workflow = long(&started);
    let (run, recording) = recorded(async {
        let background = workflow.spawn();
        started.notified().await;
        assert!(!background.is_finished());
        background.cancel();
        background.cancel();
        background.await.unwrap()
    });
    assert_eq!(run.status(), Status::Cancelled);
    let statuses: Vec<_> = run
        .tasks()
        .iter()
        .map(dotflow::TaskReport::status)
        .collect();
    assert_eq!(
        statuses,
        [
            Status::Completed,
            Status::Cancelled,
            Status::NotStarted,
            Status::NotStarted
        ]
    );
    let error = run.output().unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::Cancelled);
    assert_eq!(
        format!("{:#}", run.ok().unwrap_err()),
        "workflow `long`: Cancelled: the run was cancelled"
    );
    assert_eq!(recording.tree(), CANCELLED);
    let span = recording.otel("task:1");
    assert_eq!(
        span.text("error.type"),
        Some("dotflow::TaskErrorKind::Cancelled")
    );
}

#[test]
fn a_run_that_is_cancelled_before_it_begins_starts_no_task() {
    let workflow = long(&Arc::default());
    let (run, recording) = recorded(async {
        let background = workflow.spawn();
        background.cancel();
        background.await.unwrap()
    });
    assert_eq!(run.status(), Status::Cancelled);
    assert!(
        run.tasks()
            .iter()
            .all(|task| task.status() == Status::NotStarted)
    );
    assert_eq!(
        recording.tree(),
        "workflow:long status=\"Cancelled\" error=\"workflow cancelled\"\n"
    );
}

#[test]
fn no_task_starts_after_a_cancel_from_within_one() {
    // Tasks that are always ready give the run no occasion to look up but the one between them.
    let cancel = Arc::new(Mutex::new(None::<dotflow::RunHandle<u32>>));
    let handle = Arc::clone(&cancel);
    let first = task(action::from_fn("cancel", move || {
        handle.lock().unwrap().as_ref().unwrap().cancel();
        async { Ok(1_u32) }
    }));
    let workflow = DotFlow::new("within", first.then(next()).then(next()));
    let run = paused(async {
        *cancel.lock().unwrap() = Some(workflow.spawn());
        // It has not begun yet: this runtime has one thread.
        tokio::task::yield_now().await;
        let background = cancel.lock().unwrap().take().unwrap();
        background.await.unwrap()
    });
    let statuses: Vec<_> = run
        .tasks()
        .iter()
        .map(dotflow::TaskReport::status)
        .collect();
    assert_eq!(
        statuses,
        [Status::Completed, Status::NotStarted, Status::NotStarted]
    );
    assert_eq!(run.status(), Status::Cancelled);
}

#[test]
fn a_run_whose_last_task_cancels_it_has_nothing_left_to_cancel() {
    for is_shared in [false, true] {
        let token = CancellationToken::new();
        let cancels = token.clone();
        let last = task(action::from_fn("last", move || {
            cancels.cancel();
            async { Ok(1_u32) }
        }));
        let workflow = DotFlow::new("last", last.group("db")).cancel_with(token);
        let workflow = if is_shared {
            workflow.limit("db", 1)
        } else {
            workflow
        };
        let run = paused(workflow.start()).unwrap();
        assert_eq!(run.status(), Status::Completed);
        assert_eq!(*run.output().unwrap(), 1);
    }
}

#[test]
fn a_cancel_after_the_end_changes_nothing() {
    let workflow = DotFlow::new("short", task(one()));
    let run = paused(async {
        let background = workflow.spawn();
        while !background.is_finished() {
            tokio::task::yield_now().await;
        }
        background.cancel();
        background.await.unwrap()
    });
    assert!(run.succeeded());
}

#[test]
fn a_cancel_between_two_attempts_ends_the_wait() {
    #[action(inline, retry = 2, retry_delay = "1h")]
    fn fail() -> Result<u32, String> {
        Err("failed".into())
    }
    let workflow = DotFlow::new("wait", task(fail())).timeout(Duration::from_secs(60));
    let (run, recording) = recorded(async { workflow.start().await.unwrap() });
    assert_eq!(run.duration(), Duration::from_secs(60));
    let report = &run.tasks()[0];
    assert_eq!(
        (report.status(), report.retry_count()),
        (Status::Cancelled, 0)
    );
    assert_eq!(report.errors().len(), 1);
    assert_eq!(
        recording.otel("task:0").int("dotflow.task.retry_count"),
        Some(0)
    );
}

#[test]
fn a_run_that_takes_too_long_has_failed_and_its_tasks_are_cancelled() {
    let beside = task(wait_for_ever(Arc::default())).named("beside");
    let both = task(one()).then(wait_for_ever(Arc::default()));
    let workflow =
        DotFlow::new("late", (both.then(next()), beside)).timeout(Duration::from_secs(30));
    let (run, recording) = recorded(async { workflow.start().await.unwrap() });
    assert_eq!(run.status(), Status::Failed);
    assert_eq!(run.duration(), Duration::from_secs(30));
    assert_eq!(
        format!("{:#}", run.ok().unwrap_err()),
        "workflow `late`: Failed: the run was cancelled, as it took longer than 30s"
    );
    assert_snapshot!(
        recording.tree(),
        @r#"workflow:late status="Failed" error="the run was cancelled, as it took longer than 30s"
  task:0 name="one" status="Completed" retries=0 code="OK"
  task:3 name="beside" status="Cancelled" retries=0 error="the run was cancelled, as it took longer than 30s"
  task:1 name="wait_for_ever" status="Cancelled" retries=0 error="the run was cancelled, as it took longer than 30s"
"#
    );
}

#[test]
fn a_run_that_never_waits_takes_too_long_all_the_same() {
    // The tasks advance the clock themselves, and are ready at once.
    let chain = (0..20).fold(task(one()), |chain, _| {
        chain.then(action::from_fn(
            "hour",
            |previous: PreviousContext<u32>| async move {
                tokio::time::advance(Duration::from_secs(3600)).await;
                Ok(*previous)
            },
        ))
    });
    let workflow = DotFlow::new("hours", chain).timeout(Duration::from_secs(3 * 3600));
    let run = paused(workflow.start()).unwrap();
    assert_eq!(run.status(), Status::Failed);
    let completed = run
        .tasks()
        .iter()
        .filter(|task| task.status() == Status::Completed);
    assert!(completed.count() <= 4);
}

#[test]
fn a_run_that_ends_in_time_is_left_alone() {
    let workflow = DotFlow::new("in time", task(one())).timeout(Duration::MAX);
    assert!(paused(workflow.start()).unwrap().succeeded());
}

#[test]
fn dropping_the_future_of_start_cancels_and_calls_nobody_back() {
    let started = Arc::new(Notify::new());
    let ended = Arc::new(Mutex::new(Vec::new()));
    let called = Arc::new(AtomicBool::new(false));
    let (log, flag) = (Arc::clone(&ended), Arc::clone(&called));
    let workflow = long(&started)
        .on_failure(move |_| flag.store(true, Ordering::Relaxed))
        .observe(move |event| match &event.kind {
            EventKind::TaskEnded { task, status, .. } => {
                log.lock().unwrap().push((task.id.number, *status));
            }
            EventKind::WorkflowEnded { status, .. } => log.lock().unwrap().push((99, *status)),
            _ => {}
        });
    let ((), recording) = recorded(async {
        tokio::select! {
            biased;
            _ = workflow.start() => unreachable!("it waits for ever"),
            () = started.notified() => {}
        }
    });
    assert_eq!(recording.tree(), CANCELLED);
    assert!(!called.load(Ordering::Relaxed));
    assert_eq!(
        *ended.lock().unwrap(),
        [
            (0, Status::Completed),
            (1, Status::Cancelled),
            (99, Status::Cancelled)
        ]
    );
}

#[test]
fn dropping_the_future_of_start_ends_spawned_tasks_too() {
    let started = Arc::new(Notify::new());
    let both = [
        task(wait_for_ever(Arc::default())),
        task(wait_for_ever(Arc::clone(&started))),
    ];
    let workflow = DotFlow::new("spawned", both.to_vec());
    let ((), recording) = recorded(async {
        tokio::select! {
            biased;
            _ = workflow.start() => unreachable!("it waits for ever"),
            () = started.notified() => {}
        }
        // The runtime takes them down when it comes to them.
        tokio::task::yield_now().await;
    });
    let cancelled = recording
        .named("task")
        .filter(|span| span.text("dotflow.task.status") == Some("Cancelled") && span.closed == 1);
    assert_eq!(cancelled.count(), 2, "{}", recording.tree());
    assert_eq!(recording.otel("workflow:spawned").closed, 1);
}

#[test]
fn dropping_the_handle_detaches_the_run() {
    let gate = Arc::new(Notify::new());
    let done = Arc::new(Notify::new());
    let (opened, finished) = (Arc::clone(&gate), Arc::clone(&done));
    let gated = task(action::from_fn("gated", move || {
        let opened = Arc::clone(&opened);
        async move {
            opened.notified().await;
            Ok(())
        }
    }));
    let workflow = DotFlow::new("detached", gated).on_success(move |_| finished.notify_one());
    let ((), recording) = recorded(async {
        drop(workflow.spawn());
        gate.notify_one();
        done.notified().await;
        tokio::task::yield_now().await;
    });
    assert_eq!(
        recording.otel("workflow:detached").text("otel.status_code"),
        Some("OK")
    );
}

#[test]
#[allow(
    clippy::async_yields_async,
    reason = "the run outlives the block on purpose"
)]
fn a_runtime_that_shuts_down_ends_every_span() {
    let recorder = Recorder::default();
    let subscriber = || tracing_subscriber::Registry::default().with(recorder.clone());
    let started = Arc::new(Notify::new());
    let both = [
        task(wait_for_ever(Arc::default())),
        task(wait_for_ever(Arc::clone(&started))),
    ];
    let workflow = DotFlow::new("left", both.to_vec());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let background = runtime.block_on(
        async {
            let background = workflow.spawn();
            started.notified().await;
            background
        }
        .with_subscriber(subscriber()),
    );
    let workflow_id = background.workflow_id().to_owned();
    drop(runtime);
    let recording = recorder.recording();
    for span in &recording.spans {
        assert_eq!(span.closed, 1, "{}", recording.tree());
    }
    let run = recording.otel("workflow:left");
    assert_eq!(run.text("dotflow.workflow.status"), Some("Cancelled"));
    assert_eq!(run.text("dotflow.workflow_id"), Some(&*workflow_id));
    assert_eq!(
        recording
            .named("task")
            .filter_map(|span| span.text("dotflow.task.status"))
            .collect::<Vec<_>>(),
        ["Cancelled"; 2]
    );
    let error = paused(background).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the tokio runtime was shut down before the workflow in the background ended"
    );
}

#[test]
fn a_runtime_that_shuts_down_before_the_run_began_ends_its_span_too() {
    let recorder = Recorder::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let workflow = DotFlow::new("unborn", task(one()));
    runtime.block_on(
        async {
            // A runtime of one thread has no time for it before it ends.
            drop(workflow.spawn());
        }
        .with_subscriber(tracing_subscriber::Registry::default().with(recorder.clone())),
    );
    drop(runtime);
    assert_eq!(
        recorder.recording().tree(),
        "workflow:unborn status=\"Cancelled\" error=\"workflow cancelled\"\n"
    );
}

#[test]
fn a_nested_run_is_cancelled_with_the_outer_one() {
    let started = Arc::new(Notify::new());
    let inner = DotFlow::new("inner", task(wait_for_ever(Arc::clone(&started))));
    let outer = DotFlow::new("outer", task(inner));
    let (run, recording) = recorded(async {
        let background = outer.spawn();
        started.notified().await;
        background.cancel();
        background.await.unwrap()
    });
    assert_eq!(run.status(), Status::Cancelled);
    assert_snapshot!(
        recording.tree(),
        @r#"workflow:outer status="Cancelled" error="workflow cancelled"
  task:0 name="inner" status="Cancelled" retries=0 error="the run was cancelled"
    workflow:inner status="Cancelled" error="workflow cancelled"
      task:0 name="wait_for_ever" status="Cancelled" retries=0 error="the run was cancelled"
"#
    );
}

#[test]
fn items_that_run_are_cancelled_and_the_others_never_begin() {
    #[action(inline)]
    fn list() -> Vec<u32> {
        (0..10).collect()
    }
    #[action]
    async fn first_two_wait(
        item: PreviousContext<u32>,
        begun: Arc<AtomicU32>,
        started: Arc<Notify>,
    ) {
        if begun.fetch_add(1, Ordering::Relaxed) == 2 {
            started.notify_one();
        }
        if *item > 0 {
            pending::<()>().await;
        }
    }
    let started = Arc::new(Notify::new());
    let mapped = task(list()).each(first_two_wait(Arc::default(), Arc::clone(&started)));
    let workflow = DotFlow::new("items", mapped).concurrency(2);
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&told);
    let workflow = workflow.observe(move |event| {
        if let EventKind::TaskEnded { task, status, .. } = &event.kind {
            log.lock().unwrap().push((task.id, *status));
        }
    });
    let run = paused(async {
        let background = workflow.spawn();
        started.notified().await;
        background.cancel();
        background.await.unwrap()
    });
    let statuses: Vec<_> = run.tasks()[1..]
        .iter()
        .map(dotflow::TaskReport::status)
        .collect();
    assert_eq!(
        statuses[..3],
        [Status::Completed, Status::Cancelled, Status::Cancelled]
    );
    assert_eq!(statuses[3..], [Status::NotStarted; 7]);
    let mut told = told.lock().unwrap().clone();
    told.sort_by_key(|(id, _)| *id);
    let reported: Vec<_> = run
        .tasks()
        .iter()
        .map(|task| (task.task_id(), task.status()))
        .collect();
    assert_eq!(told, reported, "observers hear the end of everything, once");
}

#[test]
fn start_is_send_and_static() {
    fn check<T: Send + 'static>(_: &T) {}
    let workflow = DotFlow::new("send", (task(one()), task(one())));
    check(&workflow);
    check(&workflow.start());
    let run = paused(async move {
        // The future borrows nothing: the workflow may go first.
        let run = workflow.start();
        drop(workflow);
        tokio::spawn(run).await.unwrap().unwrap()
    });
    check(&run);
    assert!(run.succeeded());
    paused(async {
        let background = DotFlow::new("send", task(one())).spawn();
        check(&background);
        assert!(background.await.unwrap().succeeded());
    });
}

#[test]
fn a_runtime_without_a_timer_is_an_error_where_one_is_needed() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let recorder = Recorder::default();
    let plain = DotFlow::new("plain", task(one()));
    assert!(runtime.block_on(plain.start()).unwrap().succeeded());
    let needing = [
        plain.timeout(Duration::from_secs(1)),
        DotFlow::new("retry", task(one()).retry(2)),
        DotFlow::new("timeout", task(one()).timeout(Duration::from_secs(1))),
    ];
    for workflow in needing {
        let subscriber = tracing_subscriber::Registry::default().with(recorder.clone());
        let error = runtime
            .block_on(workflow.start().with_subscriber(subscriber))
            .unwrap_err();
        assert!(error.is_no_timer());
        assert!(error.to_string().contains("enable_time()"), "{error}");
        let error = runtime
            .block_on(async { workflow.spawn().await })
            .unwrap_err();
        assert!(error.is_no_timer());
    }
    assert!(
        recorder.recording().spans.is_empty(),
        "no span is left open"
    );
}

#[test]
fn without_a_runtime_there_is_an_error_and_start_blocking() {
    use futures_util::FutureExt;
    let recorder = Recorder::default();
    let subscriber = tracing_subscriber::Registry::default().with(recorder.clone());
    let workflow = DotFlow::new("blocking", task(one()).then(next()));
    tracing::subscriber::with_default(subscriber, || {
        let error = workflow.start().now_or_never().unwrap().unwrap_err();
        assert!(error.is_no_runtime());
        let background = workflow.spawn();
        assert!(background.is_finished());
        assert!(
            background
                .now_or_never()
                .unwrap()
                .unwrap_err()
                .is_no_runtime()
        );
    });
    assert!(
        recorder.recording().spans.is_empty(),
        "no span is left open"
    );
    assert_eq!(*workflow.start_blocking().unwrap().output().unwrap(), 2);
    let error = paused(async { workflow.start_blocking() }).unwrap_err();
    assert!(error.to_string().contains("start().await"), "{error}");
}

#[test]
fn an_action_sees_that_it_is_to_stop() {
    #[action]
    async fn ask(task: TaskContext) -> bool {
        task.cancellation().is_cancelled()
    }
    let run = paused(DotFlow::new("ask", task(ask())).start()).unwrap();
    assert!(!*run.output().unwrap());
}
