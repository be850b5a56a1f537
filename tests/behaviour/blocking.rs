//! Plain functions: they run on threads of their own, and can be told to stop, but not stopped.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use dotflow::{DotFlow, PreviousContext, Status, TaskContext, TaskErrorKind, action, task};
use dotflow_tests::{paused, recorded, recorded_threaded};
use insta::assert_snapshot;
use tokio::sync::Notify;

/// Where blocking code waits until the test lets it go on.
#[derive(Clone)]
struct Gate {
    reached: Arc<Notify>,
    open: mpsc::Sender<()>,
    opened: Arc<Mutex<mpsc::Receiver<()>>>,
}

impl Gate {
    fn new() -> Self {
        let (open, opened) = mpsc::channel();
        Self {
            reached: Arc::new(Notify::new()),
            open,
            opened: Arc::new(Mutex::new(opened)),
        }
    }

    fn pass(&self) {
        self.reached.notify_one();
        self.opened.lock().unwrap().recv().unwrap();
    }

    fn open(&self) {
        self.open.send(()).unwrap();
    }
}

/// Tells when it is dropped.
struct Tell(Arc<Notify>);

impl Drop for Tell {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[action]
fn pass(gate: Gate) -> thread::ThreadId {
    gate.pass();
    thread::current().id()
}

#[action]
async fn open(gate: Gate) {
    gate.open();
}

#[test]
fn a_plain_function_does_not_hold_up_the_worker() {
    // There is one worker. Were the function to run on it, the other task could never let it go.
    let gate = Gate::new();
    let both = (task(pass(gate.clone())), task(open(gate)));
    let run = paused(DotFlow::new("both", both).start()).unwrap();
    let (ran_on, _) = &*run.output().unwrap();
    assert_ne!(**ran_on, thread::current().id());
}

#[test]
fn an_inline_function_runs_on_the_worker() {
    #[action(inline)]
    fn here() -> thread::ThreadId {
        thread::current().id()
    }
    let run = paused(DotFlow::new("inline", task(here())).start()).unwrap();
    assert_eq!(*run.output().unwrap(), thread::current().id());
}

#[test]
fn a_timed_out_function_holds_up_nothing_and_its_late_result_is_discarded() {
    #[action(timeout = 10)]
    fn stuck(gate: Gate, told: Arc<AtomicBool>, dropped: Arc<Notify>, task: TaskContext) -> Tell {
        gate.pass();
        told.store(task.cancellation().is_cancelled(), Ordering::Relaxed);
        Tell(dropped)
    }
    #[action(inline)]
    fn after(previous: Option<PreviousContext<Tell>>) -> bool {
        previous.is_some()
    }
    let (gate, told, dropped) = (
        Gate::new(),
        Arc::new(AtomicBool::new(false)),
        Arc::new(Notify::new()),
    );
    let stuck = task(stuck(gate.clone(), Arc::clone(&told), Arc::clone(&dropped)));
    let workflow = DotFlow::new("stuck", stuck.then(after()));
    let (run, recording) = recorded(async {
        let background = workflow.spawn();
        gate.reached.notified().await;
        // The clock does not move by itself while blocking code runs.
        tokio::time::advance(Duration::from_secs(10)).await;
        let run = background.await.unwrap();
        // The run is over, and the function still there.
        gate.open();
        dropped.notified().await;
        run
    });
    assert_eq!(run.status(), Status::Failed);
    assert!(!*run.output().unwrap());
    assert_eq!(run.tasks()[0].errors()[0].kind(), TaskErrorKind::TimedOut);
    assert!(told.load(Ordering::Relaxed), "its token told it to stop");
    assert_snapshot!(
        recording.tree(),
        @r#"workflow:stuck status="Failed" error="task:0 `stuck`: timed out after 10s"
  task:0 name="stuck" status="Failed" retries=0 error="timed out after 10s"
    ! still running
    ! exception
  task:1 name="after" status="Completed" retries=0 code="OK"
"#
    );
}

#[test]
fn a_timed_out_function_is_attempted_again() {
    #[action(timeout = 10, retry = 2, retry_delay = 0, may_overlap)]
    fn stuck_at_first(gate: Gate, task: TaskContext) -> u32 {
        if task.attempt() == 1 {
            gate.pass();
        }
        task.attempt()
    }
    let gate = Gate::new();
    let workflow = DotFlow::new("again", task(stuck_at_first(gate.clone())));
    let run = paused(async {
        let background = workflow.spawn();
        gate.reached.notified().await;
        tokio::time::advance(Duration::from_secs(10)).await;
        let run = background.await.unwrap();
        gate.open();
        run
    });
    assert_eq!(*run.output().unwrap(), 2);
}

/// Two attempts of one task at once would do its work twice.
#[test]
fn an_attempt_waits_for_the_late_one_before_it() {
    #[action(timeout = 10, retry = 2, retry_delay = 0)]
    fn store(gate: Gate, running: Arc<AtomicUsize>, task: TaskContext) -> usize {
        let others = running.fetch_add(1, Ordering::SeqCst);
        if task.attempt() == 1 {
            gate.pass();
        }
        running.fetch_sub(1, Ordering::SeqCst);
        others
    }
    let gate = Gate::new();
    let workflow = DotFlow::new("once", task(store(gate.clone(), Arc::default())));
    let (run, recording) = recorded(async {
        let background = workflow.spawn();
        gate.reached.notified().await;
        tokio::time::advance(Duration::from_secs(10)).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(!background.is_finished(), "the second attempt waits");
        gate.open();
        background.await.unwrap()
    });
    assert_eq!(*run.output().unwrap(), 0, "the first attempt had ended");
    assert_eq!(run.tasks()[0].retry_count(), 1);
    let events = &recording.otel("task:0").events;
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["still running", "retry"]);
}

/// A function that waits for a thread has not begun, so its time does not pass.
#[test]
fn the_time_of_a_function_begins_with_it() {
    #[action]
    fn hold(gate: Gate) {
        gate.pass();
    }
    #[action(timeout = 10)]
    fn quick() -> u32 {
        1
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let gate = Gate::new();
    let run = runtime.block_on(async {
        let holding = DotFlow::new("holding", task(hold(gate.clone()))).spawn();
        gate.reached.notified().await;
        let waiting = DotFlow::new("waiting", task(quick())).spawn();
        tokio::task::yield_now().await;
        tokio::time::advance(Duration::from_secs(60)).await;
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "it has not timed out");
        gate.open();
        assert!(holding.await.unwrap().succeeded());
        waiting.await.unwrap()
    });
    assert_eq!(*run.output().unwrap(), 1);
}

/// What hangs holds a thread. Once it has them all, later functions never begin: that is said, with the
/// names of what is known to hang.
#[test]
fn a_full_pool_is_told_with_what_fills_it() {
    #[action(timeout = 10)]
    fn hang(gate: Gate) {
        gate.pass();
    }
    #[action]
    fn quick() -> u32 {
        1
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let recorder = dotflow_tests::Recorder::default();
    dotflow_tests::keep_callsites_awake();
    let gate = Gate::new();
    let settle = async || {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    };
    let full = |recorder: &dotflow_tests::Recorder| {
        let recording = recorder.recording();
        let of_tasks = recording.named("task").flat_map(|span| span.events.clone());
        of_tasks
            .filter(|event| event.name == "blocking pool full")
            .map(|event| (event.level, event.fields["message"].to_string()))
            .collect::<Vec<_>>()
    };
    let work = async {
        let hanging = DotFlow::new("hanging", task(hang(gate.clone()))).spawn();
        gate.reached.notified().await;
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(hanging.await.unwrap().status(), Status::Failed);
        let waiting = DotFlow::new("waiting", (task(quick()), task(quick()))).spawn();
        settle().await;
        tokio::time::advance(Duration::from_secs(9)).await;
        settle().await;
        assert_eq!(full(&recorder), []);
        tokio::time::advance(Duration::from_secs(2)).await;
        settle().await;
        // One says it for all.
        let told = full(&recorder);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].0, tracing::Level::WARN);
        assert!(told[0].1.contains("task:0 `hang` of `hanging`"), "{told:?}");
        gate.open();
        waiting.await.unwrap()
    };
    let subscriber = {
        use tracing_subscriber::layer::SubscriberExt;
        tracing_subscriber::Registry::default().with(recorder.clone())
    };
    let run = runtime.block_on(tracing::instrument::WithSubscriber::with_subscriber(
        work, subscriber,
    ));
    assert!(run.succeeded());
    assert_eq!(full(&recorder).len(), 1);
}

/// A plain function may block, so it may wait for a run: on the runtime that it was called from.
mod waits_for_a_run {
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        time::Duration,
    };

    use dotflow::{DotFlow, TaskContext, action, task};
    use dotflow_tests::{recorded_threaded, threaded};

    /// Needs a timer, and fails once for each.
    #[action(retry = 2, retry_delay = "5ms", timeout = "20s")]
    fn innermost(task: TaskContext) -> Result<u32, String> {
        match task.attempt() {
            1 => Err("not yet".into()),
            _ => Ok(42),
        }
    }

    #[action]
    fn inner() -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
        let run = DotFlow::new("innermost", task(innermost())).start_blocking()?;
        Ok(*run.output()?)
    }

    #[action]
    fn outer() -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
        let run = DotFlow::new("inner", task(inner())).start_blocking()?;
        Ok(*run.output()?)
    }

    fn nested() -> DotFlow<u32> {
        DotFlow::new("outer", task(outer()))
    }

    #[test]
    fn on_one_thread() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let run = runtime.block_on(nested().start()).unwrap();
        assert_eq!(*run.output().unwrap(), 42, "{run}");
    }

    #[test]
    fn on_several_threads() {
        let (run, recording) = recorded_threaded(async { nested().start().await.unwrap() });
        assert_eq!(*run.output().unwrap(), 42, "{run}");
        // The inner runs nest below the tasks that wait for them.
        let innermost = recording.otel("workflow:innermost");
        let task = &recording.spans[innermost.parent.unwrap()];
        assert_eq!(task.text("dotflow.task.name"), Some("inner"));
    }

    #[test]
    fn without_a_runtime_around() {
        let run = nested().start_blocking().unwrap();
        assert_eq!(*run.output().unwrap(), 42, "{run}");
    }

    #[test]
    fn many_at_once() {
        #[action]
        fn one(sum: std::sync::Arc<AtomicU32>) -> Result<(), dotflow::Error> {
            let run = DotFlow::new("inner", task(innermost())).start_blocking()?;
            run.ok()?;
            sum.fetch_add(*run.output().unwrap(), Ordering::Relaxed);
            Ok(())
        }
        let sum = std::sync::Arc::new(AtomicU32::new(0));
        let all: Vec<_> = (0..50).map(|_| task(one(sum.clone()))).collect();
        let run = threaded(async move { DotFlow::new("many", all).start().await.unwrap() });
        assert!(run.succeeded(), "{run}");
        assert_eq!(sum.load(Ordering::Relaxed), 50 * 42);
    }

    /// Async code must not block its thread: also not in a run that a plain function waits for.
    #[test]
    fn but_not_in_async_code() {
        #[action]
        async fn blocks() -> Result<u32, dotflow::Error> {
            tokio::time::sleep(Duration::from_millis(1)).await;
            DotFlow::new("innermost", task(innermost()))
                .start_blocking()?
                .ok()?;
            Ok(1)
        }
        #[action]
        fn outer() -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
            let run = DotFlow::new("inner", task(blocks())).start_blocking()?;
            Ok(*run.output()?)
        }
        let workflow = DotFlow::new("outer", task(outer()));
        let run = threaded(async move { workflow.start().await.unwrap() });
        let error = run.output().unwrap_err().to_string();
        assert!(error.contains("would block a thread"), "{error}");
    }
}

#[test]
fn a_cancelled_run_leaves_blocking_code_behind_that_sees_the_token() {
    #[action]
    fn patient(gate: Gate, told: mpsc::Sender<bool>, task: TaskContext) {
        gate.pass();
        told.send(task.cancellation().is_cancelled()).unwrap();
    }
    let (send, told) = mpsc::channel();
    let gate = Gate::new();
    let workflow = DotFlow::new("cancel", task(patient(gate.clone(), send)));
    let run = paused(async {
        let background = workflow.spawn();
        gate.reached.notified().await;
        background.cancel();
        let run = background.await.unwrap();
        // A runtime waits for blocking code before it goes.
        gate.open();
        run
    });
    assert_eq!(run.tasks()[0].status(), Status::Cancelled);
    assert!(told.recv().unwrap());

    // The same when nobody waits for the run any more.
    paused(async {
        tokio::select! {
            biased;
            _ = workflow.start() => unreachable!("it waits at the gate"),
            () = gate.reached.notified() => {}
        }
        gate.open();
    });
    assert!(told.recv().unwrap());
}

#[test]
fn a_function_that_has_not_begun_never_does() {
    let gate = Gate::new();
    let ran = Arc::new(AtomicBool::new(false));
    #[action]
    fn note(ran: Arc<AtomicBool>) {
        ran.store(true, Ordering::Relaxed);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let first = DotFlow::new("first", task(pass(gate.clone())));
    let second = DotFlow::new("second", task(note(Arc::clone(&ran))));
    runtime.block_on(async {
        let first = first.spawn();
        gate.reached.notified().await;
        // The only thread is taken: the function of the second run waits for it.
        let second = second.spawn();
        tokio::task::yield_now().await;
        second.cancel();
        let run = second.await.unwrap();
        assert_eq!(run.status(), Status::Cancelled);
        gate.open();
        assert!(first.await.unwrap().succeeded());
    });
    // It ends what it has begun, and only that.
    drop(runtime);
    assert!(!ran.load(Ordering::Relaxed));
}

#[test]
fn spans_in_a_plain_function_nest_in_its_task() {
    #[action]
    fn work(name: &'static str) {
        let span = tracing::info_span!("user", name);
        span.in_scope(|| tracing::info!("inside"));
        tracing::info!("beside");
    }
    let all: Vec<_> = ["a", "b", "c", "d"]
        .map(|name| task(work(name)).named(name))
        .to_vec();
    let workflow = DotFlow::new("spans", all);
    let (run, recording) = recorded_threaded(async move { workflow.start().await.unwrap() });
    assert!(run.succeeded());
    assert_eq!(recording.named("user").count(), 4);
    for span in recording.named("user") {
        let parent = &recording.spans[span.parent.unwrap()];
        assert_eq!(parent.name, "task");
        assert_eq!(parent.text("dotflow.task.name"), span.text("name"));
        assert_eq!((span.events.len(), parent.events.len()), (1, 1));
    }
}

#[test]
#[allow(
    clippy::async_yields_async,
    reason = "the run outlives the block on purpose"
)]
fn a_span_closes_with_a_function_that_never_began() {
    // What waits for a thread holds the span of its task, and is dropped by the runtime.
    let gate = Gate::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let first = DotFlow::new("first", task(pass(gate.clone())));
    let second = DotFlow::new("second", task(pass(gate.clone())));
    let recorder = dotflow_tests::Recorder::default();
    dotflow_tests::keep_callsites_awake();
    let first = runtime.block_on(async {
        let first = first.spawn();
        gate.reached.notified().await;
        let second = {
            use tracing_subscriber::layer::SubscriberExt;
            let subscriber = tracing_subscriber::Registry::default().with(recorder.clone());
            tracing::subscriber::with_default(subscriber, || second.spawn())
        };
        tokio::task::yield_now().await;
        second.cancel();
        assert_eq!(second.await.unwrap().status(), Status::Cancelled);
        first
    });
    gate.open();
    assert!(runtime.block_on(first).unwrap().succeeded());
    drop(runtime);
    assert_eq!(
        recorder.recording().tree(),
        r#"workflow:second status="Cancelled" error="workflow cancelled"
  task:0 name="pass" status="Cancelled" retries=0 error="the run was cancelled"
"#
    );
}

#[test]
fn without_a_runtime_nobody_waits_for_a_function_that_has_timed_out() {
    let gate = Gate::new();
    let stuck = task(pass(gate.clone())).timeout(Duration::from_millis(10));
    let run = DotFlow::new("stuck", stuck).start_blocking().unwrap();
    assert_eq!(run.tasks()[0].errors()[0].kind(), TaskErrorKind::TimedOut);
    // The function still waits here; had the run waited for it, this line would not be reached.
    gate.open();
}
