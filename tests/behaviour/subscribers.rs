//! Subscribers that panic, in each of their callbacks, around each kind of run: the panic reaches
//! whoever runs the workflow, or ends in its report. It never aborts the process, and nothing hangs.
//!
//! Each combination is a process of its own: this test binary once more, told which one it is.

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    process::{self, Command, Stdio},
    sync::atomic::{AtomicU32, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use dotflow::{
    DotFlow, PreviousContext, TaskError, action, join_all, storage::MemoryStorage, task,
};
use dotflow_tests::paused;
use tracing::{
    Event, Subscriber,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
    registry::LookupSpan,
};

/// What is out of our hands: when the run is torn down by a panic, the inner one is the last to hold
/// the spans around it, and tracing-subscriber closes a span's parent while the panic of that span
/// unwinds.
const LEFT_OUT: &str = "all/nested";

/// Names a combination in the environment of the process that tries it.
const COMBINATION: &str = "DOTFLOW_PANICKING_SUBSCRIBER";
/// The exit code of a process that has come to the end of its combination.
const ENDED: i32 = 42;
/// More than a kind of run has.
const MOST_CALLS: u32 = 1_000;
/// Much longer than any of them takes.
const PATIENCE: Duration = Duration::from_secs(60);

const CALLBACKS: [&str; 8] = [
    "enabled", "new_span", "record", "event", "enter", "exit", "close", "all",
];
const SHAPES: [(&str, fn()); 15] = [
    ("plain", plain),
    ("failed", failed),
    ("retried", retried),
    ("panicking", panicking),
    ("timed out", timed_out),
    ("run timed out", run_timed_out),
    ("blocking", blocking),
    ("blocking timed out", blocking_timed_out),
    ("cancelled", cancelled),
    ("dropped", dropped),
    ("side by side", side_by_side),
    ("dropped side by side", dropped_side_by_side),
    ("items", items),
    ("nested", nested),
    ("resumed", resumed),
];

/// Panics in one of its callbacks, or in all, from some call on.
struct Panicking(&'static str);

/// How many calls pass before the first panic.
static SPARED: AtomicU32 = AtomicU32::new(0);
static CALLS: AtomicU32 = AtomicU32::new(0);

impl Panicking {
    fn at(&self, callback: &str) {
        if self.0 == callback || self.0 == "all" {
            let calls = CALLS.fetch_add(1, Ordering::Relaxed);
            assert!(
                calls < SPARED.load(Ordering::Relaxed),
                "the subscriber panics at {callback}"
            );
        }
    }
}

impl<S: Subscriber + for<'span> LookupSpan<'span>> Layer<S> for Panicking {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        // It would never come to the others.
        if self.0 == "enabled" && metadata.target() == dotflow::spans::TARGET {
            self.at("enabled");
        }
        true
    }

    fn register_callsite(
        &self,
        _: &'static tracing::Metadata<'static>,
    ) -> tracing::subscriber::Interest {
        tracing::subscriber::Interest::sometimes()
    }

    fn on_new_span(&self, _: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        // As above.
        if self.0 == "new_span" {
            self.at("new_span");
        }
    }

    fn on_record(&self, _: &Id, _: &Record<'_>, _: Context<'_, S>) {
        self.at("record");
    }

    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
        self.at("event");
    }

    fn on_enter(&self, _: &Id, _: Context<'_, S>) {
        self.at("enter");
    }

    fn on_exit(&self, _: &Id, _: Context<'_, S>) {
        self.at("exit");
    }

    fn on_close(&self, _: Id, _: Context<'_, S>) {
        self.at("close");
    }
}

#[action]
async fn one() -> u32 {
    tokio::task::yield_now().await;
    1
}

#[action]
async fn next(previous: PreviousContext<u32>) -> u32 {
    *previous + 1
}

#[action(retry = 3, retry_delay = "1ms")]
async fn fail() -> Result<u32, String> {
    Err("down".into())
}

#[action]
async fn handle(previous: Result<PreviousContext<u32>, TaskError>) -> u32 {
    previous.map_or(0, |value| *value)
}

#[action(retry = 2, retry_delay = "1ms")]
async fn explode() -> u32 {
    panic!("the action panics")
}

#[action(timeout = "5ms")]
async fn late() -> u32 {
    std::future::pending().await
}

#[action]
async fn forever() -> u32 {
    std::future::pending().await
}

#[action]
fn block() -> u32 {
    tracing::warn!("an event of the user");
    3
}

#[action(timeout = "5ms", retry = 2, retry_delay = "1ms")]
fn block_long() -> u32 {
    thread::sleep(Duration::from_millis(20));
    3
}

#[action]
fn list() -> Vec<u32> {
    vec![1, 2, 3, 4]
}

#[action]
async fn total(parts: Vec<PreviousContext<u32>>) -> u32 {
    parts.iter().map(|part| **part).sum()
}

#[action]
async fn total_of_list(parts: PreviousContext<Vec<u32>>) -> u32 {
    parts.iter().sum()
}

fn on_workers(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(future);
}

fn plain() {
    let workflow = DotFlow::new("plain", task(one()).then(next()));
    on_workers(async move { drop(workflow.start().await) });
}

fn failed() {
    let workflow = DotFlow::new("failed", task(fail()).then(next()));
    on_workers(async move { drop(workflow.start().await) });
}

fn retried() {
    let workflow = DotFlow::new("retried", task(fail()).then(handle()));
    let workflow = workflow.observe(|_| panic!("the observer panics"));
    on_workers(async move { drop(workflow.start().await) });
}

fn panicking() {
    let workflow = DotFlow::new("panicking", task(explode()).then(handle()));
    on_workers(async move { drop(workflow.start().await) });
}

fn timed_out() {
    let workflow = DotFlow::new("timed out", task(late()).then(handle()));
    on_workers(async move { drop(workflow.start().await) });
}

fn run_timed_out() {
    let workflow = DotFlow::new("w", join_all([task(forever()), task(one())]).then(total()));
    let workflow = workflow.timeout(Duration::from_millis(5));
    on_workers(async move { drop(workflow.start().await) });
}

fn blocking() {
    let workflow = DotFlow::new("blocking", task(block()).then(next()));
    on_workers(async move { drop(workflow.start().await) });
}

fn blocking_timed_out() {
    let workflow = DotFlow::new("blocking timed out", task(block_long()).then(handle()));
    on_workers(async move { drop(workflow.start().await) });
}

fn cancelled() {
    let workflow = DotFlow::new("cancelled", (task(one()).then(next()), task(forever())));
    on_workers(async move {
        let run = workflow.spawn();
        tokio::time::sleep(Duration::from_millis(5)).await;
        run.cancel();
        drop(run.await);
    });
}

fn dropped() {
    let workflow = DotFlow::new("dropped", task(forever()).then(next()));
    on_workers(async move {
        let run = workflow.start();
        drop(tokio::time::timeout(Duration::from_millis(5), run).await);
    });
}

fn side_by_side() {
    let parts = join_all([task(one()), task(one()), task(block()), task(explode())]);
    let workflow = DotFlow::new("side by side", parts.then(total()));
    on_workers(async move { drop(workflow.start().await) });
}

fn dropped_side_by_side() {
    let parts = join_all([task(one()), task(forever()), task(forever())]);
    let workflow = DotFlow::new("dropped", parts.then(total()));
    on_workers(async move {
        let run = workflow.start();
        drop(tokio::time::timeout(Duration::from_millis(5), run).await);
    });
}

fn items() {
    let each = task(list()).each(next()).then(total_of_list());
    let workflow = DotFlow::new("items", each);
    on_workers(async move { drop(workflow.start().await) });
}

fn nested() {
    let inner = DotFlow::new("inner", task(one()).and(&task(block())).then(sum()));
    #[action]
    async fn sum(left: PreviousContext<u32>, right: PreviousContext<u32>) -> u32 {
        *left + *right
    }
    let workflow = DotFlow::new("outer", task(inner).then(next()));
    on_workers(async move { drop(workflow.start().await) });
}

fn resumed() {
    let workflow = DotFlow::new("resumed", task(one()).then(next()));
    let workflow = workflow.storage(MemoryStorage::new());
    for _ in 0..2 {
        let workflow = workflow.clone();
        let resume = || on_workers(async move { drop(workflow.resume("1").await) });
        let _ = catch_unwind(AssertUnwindSafe(resume));
    }
}

/// One combination, in a process of its own.
#[test]
#[ignore = "a part of the test below, in a process of its own"]
fn one_combination() {
    let Ok(combination) = env::var(COMBINATION) else {
        return;
    };
    let (callback, shape) = combination.split_once('/').unwrap();
    let callback = CALLBACKS.into_iter().find(|name| *name == callback);
    let shape = SHAPES.into_iter().find(|(name, _)| *name == shape);
    let subscriber = tracing_subscriber::registry().with(Panicking(callback.unwrap()));
    tracing::subscriber::set_global_default(subscriber).unwrap();
    // From the first call on, from the second call on, until it has no more of them.
    for spared in 0..MOST_CALLS {
        CALLS.store(0, Ordering::Relaxed);
        SPARED.store(spared, Ordering::Relaxed);
        eprintln!("{combination}: {spared} calls are spared");
        let _ = catch_unwind(shape.unwrap().1);
        if CALLS.load(Ordering::Relaxed) <= spared {
            // Some kinds of run have no event.
            let is_enough = spared > 0 || callback == Some("event");
            process::exit(if is_enough { ENDED } else { 1 });
        }
    }
    process::exit(2);
}

/// What is wrong with how a combination ended, if anything is.
fn problem(combination: &str) -> Option<String> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "subscribers::one_combination", "--ignored"])
        .args(["--nocapture", "--test-threads=1"])
        .env(COMBINATION, combination)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    loop {
        match child.try_wait().unwrap() {
            Some(status) if status.code() == Some(ENDED) => return None,
            Some(status) => return Some(format!("{combination}: {status}")),
            None if begun.elapsed() > PATIENCE => {
                child.kill().unwrap();
                child.wait().unwrap();
                return Some(format!("{combination}: it hangs"));
            }
            None => thread::sleep(Duration::from_millis(2)),
        }
    }
}

#[test]
fn a_subscriber_that_panics_never_aborts_the_process() {
    let combinations: Vec<String> = CALLBACKS
        .iter()
        .flat_map(|callback| SHAPES.map(|(shape, _)| format!("{callback}/{shape}")))
        .filter(|combination| combination != LEFT_OUT)
        .collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut problems = Vec::new();
        while let Some(combination) = combinations.get(next.fetch_add(1, Ordering::Relaxed)) {
            problems.extend(problem(combination));
        }
        problems
    };
    let problems: Vec<String> = thread::scope(|scope| {
        let workers = [(); 4].map(|()| scope.spawn(work));
        let ended = workers.into_iter().map(|worker| worker.join().unwrap());
        ended.flatten().collect()
    });
    let count = combinations.len();
    assert!(
        problems.is_empty(),
        "{} of {count}:\n{}",
        problems.len(),
        problems.join("\n")
    );
}

/// Panics when a task is entered.
struct PanickingInTasks;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for PanickingInTasks {
    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        let is_task = context.span(id).is_some_and(|span| span.name() == "task");
        assert!(!is_task, "the subscriber panics in a task");
    }
}

#[test]
fn a_subscriber_that_panics_in_a_task_is_heard_of_where_the_run_was_started() {
    let alone = DotFlow::new("alone", task(one()));
    let pair = || [task(one()).group("db"), task(one()).group("db")];
    let pair = DotFlow::new("pair", join_all(pair()).then(total()));
    let limited = pair.clone().limit("db", 2);
    for workflow in [alone, pair, limited] {
        let subscriber = tracing_subscriber::registry().with(PanickingInTasks);
        let started = tracing::subscriber::with_default(subscriber, || {
            catch_unwind(AssertUnwindSafe(|| paused(workflow.start())))
        });
        let panic = started.unwrap_err();
        let text = panic.downcast_ref::<&str>().unwrap();
        assert_eq!(*text, "the subscriber panics in a task");
    }
}
