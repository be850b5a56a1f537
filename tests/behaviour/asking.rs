//! What a task can ask and say of itself, what its errors say, and the way back to them.

use std::{
    error::Error as _,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use dotflow::{
    DotFlow, PreviousContext, Report, RunOptions, Status, Task, TaskContext, TaskError,
    TaskErrorKind, action,
    action::CancellationToken,
    report::{EventKind, Recorded},
    storage::{MemoryStorage, Storage},
    task,
};
use dotflow_tests::{paused, recorded};

#[derive(Debug, PartialEq)]
struct RateError(u32);

impl fmt::Display for RateError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the rate of {} is not known", self.0)
    }
}

impl std::error::Error for RateError {}

#[action]
async fn typed() -> Result<u32, RateError> {
    Err(RateError(7))
}

#[action]
async fn under_anyhow() -> anyhow::Result<u32> {
    Err(RateError(7).into())
}

#[action]
async fn with_context() -> anyhow::Result<u32> {
    Err(anyhow::Error::from(RateError(7)).context("looking it up"))
}

#[action]
async fn boxed() -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
    Err(RateError(7).into())
}

#[action]
async fn next(number: PreviousContext<u32>) -> u32 {
    *number
}

#[test]
fn the_typed_error_comes_back_from_wherever_it_is() {
    let alone = |first: Task<u32>| DotFlow::new("inner", first.then(next()));
    for first in [
        task(typed()),
        task(under_anyhow()),
        task(with_context()),
        task(boxed()),
    ] {
        let nested = DotFlow::new("middle", task(alone(first.clone())));
        for workflow in [
            alone(first),
            nested.clone(),
            DotFlow::new("outer", task(nested)),
        ] {
            let run = paused(workflow.start()).unwrap();
            let output = run.output().unwrap_err();
            assert_eq!(output.downcast_ref(), Some(&RateError(7)), "{output:?}");
            let (report, failure) = run.failure().unwrap();
            assert_eq!(report.status(), Status::Failed);
            assert_eq!(failure.downcast_ref(), Some(&RateError(7)));
            let error = run.ok().unwrap_err();
            assert_eq!(error.failure().unwrap().downcast_ref(), Some(&RateError(7)));
            let source: &TaskError = error.source().unwrap().downcast_ref().unwrap();
            assert_eq!(source.root().downcast_ref(), Some(&RateError(7)));
            // And by way of `?` in a function that returns anyhow's.
            let error = anyhow::Error::from(error).context("the whole run");
            let error: &dotflow::Error = error.downcast_ref().unwrap();
            assert_eq!(error.failure().unwrap().downcast_ref(), Some(&RateError(7)));
        }
    }
}

#[test]
fn no_text_is_said_twice_in_a_chain() {
    for (first, reason) in [
        (task(typed()), "the rate of 7 is not known"),
        (
            task(with_context()),
            "looking it up: the rate of 7 is not known",
        ),
    ] {
        let inner = DotFlow::new("inner", first.then(next()));
        let error = paused(inner.start()).unwrap().ok().unwrap_err();
        let name = error.failure().unwrap().type_name().to_owned();
        assert!(
            name.ends_with("RateError") || name == "anyhow::Error",
            "{name}"
        );
        let chain = format!("{:#}", anyhow::Error::from(error));
        assert!(chain.ends_with(reason), "{chain}");
        assert_eq!(chain.matches("the rate of 7").count(), 1, "{chain}");

        let outer = DotFlow::new("outer", task(inner));
        let error = paused(outer.start()).unwrap().ok().unwrap_err();
        let whole = format!("{error:#}");
        assert!(
            whole.starts_with("workflow `outer`: Failed: task:0 `inner`: "),
            "{whole}"
        );
        let chain = format!("{:#}", anyhow::Error::from(error));
        assert_eq!(chain.matches("the rate of 7").count(), 1, "{chain}");
    }
}

#[test]
fn an_error_says_when_to_try_again_wherever_it_is_in_the_chain() {
    #[action(retry = 3, retry_delay = "1h", max_delay = "1h")]
    async fn busy() -> Result<(), TaskError> {
        Err(TaskError::retry_after(
            Duration::from_secs(5),
            "too many requests",
        ))
    }

    #[action(retry = 3, retry_delay = "1h", max_delay = "1h")]
    async fn busy_below() -> anyhow::Result<()> {
        let error = TaskError::retry_after(Duration::from_secs(5), RateError(1));
        Err(anyhow::Error::from(error)
            .context("asking")
            .context("asking again"))
    }

    #[action(retry = 3, retry_delay = "1s", max_delay = "2s")]
    async fn too_busy() -> Result<(), TaskError> {
        Err(TaskError::retry_after(Duration::MAX, "come back next year"))
    }

    #[action(retry = 3, retry_delay = "1h")]
    async fn hopeless() -> anyhow::Result<()> {
        Err(anyhow::Error::from(TaskError::permanent(RateError(1))).context("asking"))
    }

    let took = |first: Task<()>| {
        let run = paused(DotFlow::new("asked", first).start()).unwrap();
        assert_eq!(run.status(), Status::Failed);
        (run.duration().as_secs(), run.tasks()[0].retry_count())
    };
    assert_eq!(took(task(busy())), (10, 2));
    assert_eq!(took(task(busy_below())), (10, 2));
    assert_eq!(took(task(too_busy())), (4, 2));
    assert_eq!(took(task(hopeless())), (0, 0));
}

#[action]
async fn nothing_new() -> Result<u32, TaskError> {
    Err(TaskError::stop("nothing new"))
}

#[test]
fn an_action_may_end_its_run_early_and_green() {
    #[action]
    async fn stop_below() -> anyhow::Result<u32> {
        Err(anyhow::Error::from(TaskError::stop("nothing new")).context("looking"))
    }

    #[action]
    async fn slow() -> u32 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        1
    }

    #[action]
    async fn clean_up(number: Option<PreviousContext<u32>>) -> bool {
        number.is_none()
    }

    for stop in [task(nothing_new()), task(stop_below())] {
        let slow = task(slow());
        let (after, cleaned) = (stop.then(next()), stop.then(clean_up()));
        let never = slow.then(next());
        let workflow = DotFlow::new("news", (after, cleaned, never.clone())).keep_going(true);
        let storage = MemoryStorage::new();
        let (run, recording) =
            recorded(async { workflow.storage(storage.clone()).resume("1").await.unwrap() });
        assert!(run.succeeded());
        run.ok().unwrap();
        let statuses: Vec<_> = run
            .tasks()
            .iter()
            .map(|task| (task.name(), task.status()))
            .collect();
        assert_eq!(statuses[0].1, Status::Completed);
        assert_eq!(statuses[1], ("next", Status::Skipped));
        assert_eq!(statuses[2], ("clean_up", Status::Completed));
        assert_eq!(statuses[3], ("slow", Status::Completed));
        assert_eq!(statuses[4], ("next", Status::NotStarted));
        let why = run.output().unwrap_err();
        // For what was skipped and for what was never begun it is the same reason.
        for why in [why, run.get(&never).unwrap().unwrap_err()] {
            assert_eq!(why.root().kind(), TaskErrorKind::Stopped);
            assert!(
                why.to_string().ends_with("has ended the run: nothing new"),
                "{why}"
            );
        }
        let workflow = recording.otel("workflow:news");
        assert_eq!(workflow.text("otel.status_code"), Some("OK"));
        // Neither the end nor what did without its output is stored.
        assert_eq!(paused(storage.list("1")).unwrap(), ["#run", "slow"]);
    }
}

#[test]
fn a_nested_workflow_that_is_ended_early_ends_nothing_else() {
    #[action]
    async fn one() -> u32 {
        1
    }

    let inner = DotFlow::new("inner", task(nothing_new()).then(next()));
    let after = task(inner).then(next());
    let beside = task(one()).then(next()).then(next());
    let run = paused(
        DotFlow::new("outer", (after, beside))
            .concurrency(1)
            .start(),
    )
    .unwrap();
    assert!(run.succeeded(), "{run}");
    let statuses = run
        .tasks()
        .iter()
        .map(|task| format!("{} {}", task.name(), task.status()));
    assert_eq!(
        statuses.collect::<Vec<_>>(),
        [
            "inner Completed",
            "next Skipped",
            "one Completed",
            "next Completed",
            "next Completed",
            "nothing_new Completed",
            "next Skipped",
        ]
    );
}

#[test]
fn the_end_of_an_item_is_that_of_its_list() {
    #[action]
    async fn list() -> Vec<u32> {
        (0..5).collect()
    }

    #[action]
    async fn some(number: PreviousContext<u32>) -> Result<u32, TaskError> {
        match *number {
            2 => Err(TaskError::stop("enough")),
            number => Ok(number),
        }
    }

    for settled in [false, true] {
        let list = task(list());
        let workflow = if settled {
            DotFlow::new(
                "some",
                list.each_settled(some()).then(action::from_fn(
                    "last",
                    |_: PreviousContext<Vec<Result<u32, TaskError>>>| async {
                        Ok::<(), TaskError>(())
                    },
                )),
            )
        } else {
            DotFlow::new(
                "some",
                list.each(some()).then(action::from_fn(
                    "last",
                    |_: PreviousContext<Vec<u32>>| async { Ok::<(), TaskError>(()) },
                )),
            )
        };
        let run = paused(workflow.concurrency(1).start()).unwrap();
        assert!(run.succeeded(), "{run}");
        let statuses: Vec<_> = run.tasks()[1..]
            .iter()
            .map(dotflow::TaskReport::status)
            .collect();
        use Status::{Completed, NotStarted, Skipped};
        assert_eq!(
            statuses,
            [
                Completed, Completed, Completed, NotStarted, NotStarted, Skipped
            ]
        );
    }
}

#[test]
fn a_last_step_tells_how_it_went_and_leaves_the_run_as_it_is() {
    #[action]
    async fn notify(
        rows: Option<PreviousContext<u32>>,
        others: Vec<Option<PreviousContext<u32>>>,
        task: TaskContext,
    ) -> String {
        let failure = task.failure().map(|error| error.root().to_string());
        format!("{:?} {} {failure:?}", rows.map(|rows| *rows), others.len())
    }

    #[action]
    async fn fine() -> u32 {
        3
    }

    let run = |first: Task<u32>, other: Task<u32>| {
        let told = first
            .then(next())
            .and(&dotflow::join_all([other]))
            .then(notify());
        let run = paused(DotFlow::new("told", told).start()).unwrap();
        (run.succeeded(), run.output().unwrap().to_string())
    };
    let failed = r#"None 1 Some("the rate of 7 is not known")"#;
    assert_eq!(run(task(typed()), task(fine())), (false, failed.to_owned()));
    let failed = r#"Some(3) 1 Some("the rate of 7 is not known")"#;
    assert_eq!(run(task(fine()), task(typed())), (false, failed.to_owned()));
    assert_eq!(
        run(task(fine()), task(fine())),
        (true, "Some(3) 1 None".to_owned())
    );
}

#[test]
fn a_task_knows_where_it_stands() {
    #[action(retry = 3, retry_delay = "1s", timeout = "20s", name = "asks")]
    async fn ask(task: TaskContext) -> Result<Vec<String>, String> {
        let left = task.deadline().unwrap() - tokio::time::Instant::now().into_std();
        let line = format!(
            "{} {} of {}, {}s left, last {:?}",
            task.task_name(),
            task.attempt(),
            task.attempts(),
            left.as_secs(),
            task.last_error().map(ToString::to_string),
        );
        if task.attempt() < 3 {
            return Err(line);
        }
        Ok(vec![line])
    }

    let run = DotFlow::new("known", task(ask())).timeout(Duration::from_secs(15));
    let run = paused(run.start()).unwrap();
    let lines = run.tasks()[0].errors().iter().map(ToString::to_string);
    let lines: Vec<String> = lines.chain(run.output().unwrap().to_vec()).collect();
    assert_eq!(
        lines,
        [
            "asks 1 of 3, 15s left, last None",
            "asks 2 of 3, 14s left, last Some(\"asks 1 of 3, 15s left, last None\")",
            "asks 3 of 3, 13s left, last Some(\"asks 2 of 3, 14s left, last Some(\\\"asks 1 of 3, \
             15s left, last None\\\")\")",
        ]
    );
}

#[action]
async fn key(task: TaskContext) -> String {
    task.idempotency_key()
}

#[action]
async fn key_of(_item: PreviousContext<u32>, task: TaskContext) -> String {
    task.idempotency_key()
}

#[test]
fn the_key_of_a_task_is_of_names_and_changes_with_no_other_task() {
    #[action]
    async fn list() -> Vec<u32> {
        vec![7, 8]
    }

    let keys = |others: usize| {
        let per_item = DotFlow::with_input("per item", |n: &Task<u32>| n.then(key_of()));
        let kept = [
            task(key()).named("a").keep(),
            task(key()).named("b/c").keep(),
        ];
        let items = task(list()).each(per_item).keep();
        let twin = task(key()).named("a").keep();
        let mut all: Vec<_> = (0..others)
            .map(|n| task(key()).named(format!("other-{n}")))
            .collect();
        all.extend(kept.clone());
        all.push(twin.clone());
        let joined = dotflow::join_all(all).and(&items).then(action::from_fn(
            "last",
            |_: Vec<PreviousContext<String>>, _: PreviousContext<Vec<String>>| async {
                Ok::<(), TaskError>(())
            },
        ));
        let workflow = DotFlow::new("keys", joined);
        let run = paused(workflow.run_with(RunOptions::new().id("order-42"))).unwrap();
        let get = |task: &Task<String>| run.get(task).unwrap().unwrap().to_string();
        let mut keys = vec![get(&kept[0]), get(&kept[1]), get(&twin)];
        keys.extend(run.get(&items).unwrap().unwrap().to_vec());
        keys
    };
    let expected = ["order-42/a", "order-42/b%2fc", "order-42/a#2"];
    assert_eq!(keys(0)[..3], expected);
    assert_eq!(keys(0)[3].len(), 64, "it has a space, so it is a hash");
    assert_ne!(keys(0)[3], keys(0)[4]);
    assert_eq!(keys(0), keys(5));
}

#[test]
fn the_key_is_the_same_for_all_attempts_and_resumes() {
    #[action(retry = 2, retry_delay = 0)]
    async fn charge(keys: Arc<Mutex<Vec<String>>>, task: TaskContext) -> Result<(), String> {
        keys.lock().unwrap().push(task.idempotency_key());
        Err("no".into())
    }

    let keys = Arc::new(Mutex::new(Vec::new()));
    let inner = DotFlow::new("inner", task(charge(Arc::clone(&keys))));
    let workflow = DotFlow::new("outer", task(inner)).storage(MemoryStorage::new());
    for _ in 0..2 {
        assert!(!paused(workflow.resume("1")).unwrap().succeeded());
    }
    assert_eq!(*keys.lock().unwrap(), ["1/inner/charge"; 4]);
}

#[test]
fn what_a_task_says_of_itself_is_told() {
    #[action]
    async fn load(task: TaskContext) {
        task.record("rows", 3_u32);
        task.record("ratio", 0.5);
        task.record("region", "eu");
        task.record("whole", true);
        task.record("rows", u64::MAX);
        task.progress(1, 2);
        task.progress(2, 2);
    }

    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let workflow = DotFlow::new("told", task(load())).observe(move |event| match &event.kind {
        EventKind::TaskRecorded { task, key, .. } => {
            told.lock().unwrap().push(format!("{} {key}", task.name));
        }
        EventKind::TaskProgressed { progress, .. } => {
            told.lock()
                .unwrap()
                .push(format!("{} of {}", progress.done, progress.of));
        }
        _ => {}
    });
    let (run, recording) = recorded(async { workflow.start().await.unwrap() });
    let load = &run.tasks()[0];
    assert_eq!(load.recorded()["rows"], Recorded::Int(i64::MAX));
    assert_eq!(load.recorded()["ratio"], Recorded::Float(0.5));
    assert_eq!(load.recorded()["region"], Recorded::Text("eu".into()));
    assert_eq!(load.recorded()["whole"], Recorded::Bool(true));
    assert_eq!(load.progress().unwrap().done, 2);
    assert_eq!(
        *seen.lock().unwrap(),
        [
            "load rows",
            "load ratio",
            "load region",
            "load whole",
            "load rows",
            "1 of 2",
            "2 of 2"
        ]
    );
    let written = serde_json::to_string(run.report()).unwrap();
    let read: Report = serde_json::from_str(&written).unwrap();
    assert_eq!(read.tasks()[0].recorded(), load.recorded());
    let events = recording
        .otel("task:0")
        .events
        .iter()
        .map(|event| event.name.clone());
    assert_eq!(events.collect::<Vec<_>>().len(), 7);
}

#[test]
fn items_are_told_by_their_labels() {
    #[action]
    async fn files() -> Vec<String> {
        ["a.csv", "b\u{1b}.csv", "panics"]
            .map(String::from)
            .to_vec()
    }

    #[action]
    async fn load(file: PreviousContext<String>) -> Result<usize, String> {
        match &**file {
            "a.csv" => Ok(3),
            file => Err(format!("{file} is empty")),
        }
    }

    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let loaded = task(files())
        .item_labels(|file| {
            assert_ne!(file, "panics");
            file.clone()
        })
        .each_settled(load());
    let workflow = DotFlow::new("load", loaded).observe(move |event| {
        if let EventKind::TaskEnded { task, .. } = &event.kind {
            told.lock()
                .unwrap()
                .push(task.label.as_deref().map(ToOwned::to_owned));
        }
    });
    let (run, recording) = recorded(async { workflow.start().await.unwrap() });
    let labels: Vec<_> = run.tasks().iter().map(|task| task.item_label()).collect();
    assert_eq!(labels, [None, Some("a.csv"), Some("b\u{1b}.csv"), None]);
    assert_eq!(seen.lock().unwrap().len(), 4);
    assert!(seen.lock().unwrap().contains(&Some("a.csv".to_owned())));
    let tree = format!("{run:#}");
    assert!(
        tree.contains("load[a.csv] OK") && !tree.contains('\u{1b}'),
        "{tree}"
    );
    assert!(tree.contains("load[2] ERROR"), "{tree}");
    let spans = recording.named("task");
    let labels: Vec<_> = spans
        .filter_map(|span| span.text("dotflow.task.item_label"))
        .collect();
    assert_eq!(labels, ["a.csv", "b\u{1b}.csv"]);
}

#[test]
fn what_is_to_be_done_at_the_end_is_waited_for_and_has_no_say() {
    #[action]
    async fn work() {}

    let sent = Arc::new(Mutex::new(Vec::new()));
    let outbox = Arc::clone(&sent);
    let workflow = DotFlow::new("told", task(work()))
        .on_end(|_| async { Err::<(), _>("the line is dead") })
        .on_end(|report: Report| async move { assert!(!report.succeeded(), "oh no") })
        .on_end(|_| -> std::future::Ready<()> { panic!("not even a future") })
        .on_end(|_| std::future::pending::<()>())
        .on_end(move |report: Report| {
            let outbox = Arc::clone(&outbox);
            async move {
                tokio::time::sleep(Duration::from_secs(9)).await;
                outbox.lock().unwrap().push(report.status());
            }
        });
    let (run, recording) = recorded(async {
        let since = tokio::time::Instant::now();
        let run = workflow.start().await.unwrap();
        assert_eq!(since.elapsed(), Duration::from_secs(19));
        run
    });
    assert!(run.succeeded());
    assert_eq!(run.duration(), Duration::ZERO);
    assert_eq!(*sent.lock().unwrap(), [Status::Completed]);
    let events = &recording.otel("workflow:told").events;
    let told = events.iter().filter(|event| event.name == "not concluded");
    assert_eq!(told.count(), 4);
}

#[test]
fn one_token_ends_all_runs_of_a_workflow() {
    #[action]
    async fn endless() {
        std::future::pending::<()>().await;
    }

    let shutdown = CancellationToken::new();
    let workflow = DotFlow::new("endless", task(endless())).cancel_with(shutdown.clone());
    paused(async {
        let runs = [workflow.spawn(), workflow.spawn()];
        runs[0].cancel();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(runs[0].is_finished() && !runs[1].is_finished());
        shutdown.cancel();
        for run in runs {
            assert_eq!(run.await.unwrap().status(), Status::Cancelled);
        }
        assert_eq!(workflow.start().await.unwrap().status(), Status::Cancelled);
    });
}

#[test]
fn a_closure_may_take_the_context_last() {
    let first = action::from_fn("first", |task: TaskContext| async move {
        Ok::<_, TaskError>(format!("{} {}", task.task_name(), task.attempt()))
    });
    let second = action::from_fn(
        "second",
        |before: PreviousContext<String>, task: TaskContext| async move {
            Ok::<_, TaskError>(format!("{} {}", *before, task.task_id()))
        },
    );
    let run = paused(DotFlow::new("two", task(first).then(second)).start()).unwrap();
    assert_eq!(*run.output().unwrap(), "first 1 1");
}
