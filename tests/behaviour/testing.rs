//! What dotflow gives to tests of workflows: traces as text, actions exchanged, failures injected.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use dotflow::{
    DotFlow, PreviousContext, Status, TaskContext, TaskError, TaskErrorKind, action, join_all,
    storage::MemoryStorage,
    task,
    testing::{capture, captured, statuses},
};
use dotflow_tests::paused;
use tracing::{Instrument, debug, info, info_span, warn};

#[action]
fn extract() -> Result<Vec<u32>, String> {
    Err("no database where tests run".into())
}

#[action(retry = 3, retry_delay = "10s", timeout = "1m")]
async fn load(rows: PreviousContext<Vec<u32>>) -> usize {
    rows.len()
}

fn rows() -> impl dotflow::Action<Inputs = (), Output = Vec<u32>> {
    action::from_fn("rows", || async { Ok::<_, TaskError>(vec![3, 5, 8]) })
}

fn sales() -> DotFlow<usize> {
    DotFlow::new("sales", task(extract()).then(load()))
}

fn busy() -> TaskError {
    TaskError::failed(std::io::Error::other("busy"))
}

/// The message of a panic.
fn panics<T>(code: impl FnOnce() -> T) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(code)) else {
        panic!("it did not panic");
    };
    *panic.downcast::<String>().unwrap()
}

#[action]
fn think(what: String) {
    let _ = info_span!("thinking", what, about = 2).entered();
    let span = info_span!("deep", found = tracing::field::Empty);
    let _entered = span.enter();
    span.record("found", 42_u64);
    info!(answer = 42, ratio = 0.5, "found it");
    debug!("not for everybody");
}

#[action]
async fn wait(_before: PreviousContext<()>) {
    async {
        warn!("waiting");
        tokio::task::yield_now().await;
        warn!(still = true);
    }
    .instrument(info_span!("nap"))
    .await;
}

const THOUGHTS: &str = "\
[Trace: workflow_id=…] mind OK — Completed
├── [Span: task:0] think OK — Completed
│   ├── [Span: thinking] what=\"tea\" about=2
│   └── [Span: deep] found=42
│       └── [Event: info — found it answer=42 ratio=0.5]
└── [Span: task:1] wait OK — Completed
    └── [Span: nap]
        ├── [Event: warn — waiting]
        └── [Event: warn — still=true]
";

fn mind() -> DotFlow<()> {
    DotFlow::new("mind", task(think("tea".into())).then(wait()))
}

#[test]
fn a_capture_has_what_the_code_says_where_it_says_it() {
    let trace = capture();
    mind().start_blocking().unwrap().ok().unwrap();
    assert_eq!(trace.text(), THOUGHTS);
}

#[tokio::test]
async fn a_capture_reaches_over_waits() {
    let trace = capture();
    mind().start().await.unwrap().ok().unwrap();
    assert_eq!(trace.text(), THOUGHTS);
    // It goes on.
    info!("and so on");
    assert_eq!(
        trace.text(),
        format!("{THOUGHTS}[Event: info — and so on]\n")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_capture_goes_along_to_other_threads() {
    let trace = capture();
    mind().spawn().await.unwrap().ok().unwrap();
    assert_eq!(trace.text(), THOUGHTS);
    drop(trace);
    let (run, trace) = tokio::spawn(captured(mind().start())).await.unwrap();
    assert!(run.unwrap().succeeded());
    assert_eq!(trace, THOUGHTS);
}

#[test]
fn captures_side_by_side_don_t_see_each_other() {
    let threads: Vec<_> = (0..8)
        .map(|number| {
            std::thread::spawn(move || {
                for _ in 0..20 {
                    let outer = capture();
                    {
                        let inner = capture();
                        info!(number, "inner");
                        let text = format!("[Event: info — inner number={number}]\n");
                        assert_eq!(inner.text(), text);
                    }
                    mind().start_blocking().unwrap().ok().unwrap();
                    assert_eq!(outer.text(), THOUGHTS);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_span_of_one_capture_is_no_parent_in_another() {
    let first = capture();
    let span = info_span!("mine");
    let second = capture();
    let _entered = span.enter();
    info!("here");
    assert_eq!(second.text(), "[Event: info — here]\n");
    assert_eq!(first.text(), "[Span: mine]\n");
}

#[test]
fn items_stand_in_their_order_and_nested_runs_below_their_task() {
    #[action]
    async fn last_first(number: PreviousContext<u64>) -> u64 {
        tokio::time::sleep(Duration::from_secs(10 - *number)).await;
        info!("done");
        *number
    }
    #[action]
    fn numbers() -> Vec<u64> {
        vec![1, 2, 3]
    }
    let inner = DotFlow::with_input("inner", |number| number.then(last_first()));
    let workflow = DotFlow::new("outer", task(numbers()).each(inner));
    let (run, trace) = paused(captured(workflow.start()));
    assert!(run.unwrap().succeeded());
    let item = |number: u32, bar: &str, side: &str| {
        format!(
            "{bar} [Span: task:1] inner[{number}] OK — Completed\n\
             {side}   └── [Trace: workflow_id=…] inner OK — Completed\n\
             {side}       └── [Span: task:0] last_first OK — Completed\n\
             {side}           └── [Event: info — done]\n"
        )
    };
    let expected = [
        "[Trace: workflow_id=…] outer OK — Completed\n".to_owned(),
        "├── [Span: task:0] numbers OK — Completed\n".to_owned(),
        item(0, "├──", "│"),
        item(1, "├──", "│"),
        item(2, "└──", " "),
    ];
    assert_eq!(trace, expected.concat());
}

#[test]
fn a_capture_of_a_run_without_words_is_its_tree() {
    let workflow = sales().replace("extract", rows()).fail("load", .., busy());
    let (run, trace) = paused(captured(workflow.start()));
    let run = run.unwrap();
    assert_eq!(trace, format!("{run:#}"));
    assert!(
        trace.contains("retry — attempt 2, Error \"busy\", next in 10s"),
        "{trace}"
    );

    let storage = MemoryStorage::new();
    let workflow = sales().replace("extract", rows()).storage(storage);
    let (run, trace) = paused(async {
        workflow.resume("1").await.unwrap().ok().unwrap();
        captured(workflow.resume("1")).await
    });
    assert_eq!(trace, format!("{:#}", run.unwrap()));
    assert!(
        trace.contains("extract OK — Completed, restored"),
        "{trace}"
    );
}

#[test]
fn labels_and_what_a_task_records_are_seen() {
    #[action]
    async fn visit(number: PreviousContext<u32>, task: TaskContext) {
        task.record("rows", i64::from(*number));
    }
    let labelled = task(numbers()).item_labels(|number| format!("no. {number}"));
    let workflow = DotFlow::new("labels", labelled.each(visit()));
    let (run, trace) = paused(captured(workflow.start()));
    assert!(run.unwrap().succeeded());
    let expected = "\
├── [Span: task:1] visit[no. 2] OK — Completed
│   └── [Event: record — rows=2]
";
    assert!(trace.contains(expected), "{trace}");
}

#[test]
fn what_has_not_ended_is_in_progress() {
    #[action]
    async fn hang() {
        std::future::pending::<()>().await;
    }
    paused(async {
        let trace = capture();
        let run = DotFlow::new("slow", task(hang())).spawn();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let expected = "\
[Trace: workflow_id=…] slow — In progress
└── [Span: task:0] hang — In progress
";
        assert_eq!(trace.text(), expected);
        run.cancel();
        let run = run.await.unwrap();
        assert_eq!(trace.text(), format!("{run:#}"));
        assert!(
            trace.text().contains("hang ERROR — Cancelled"),
            "{}",
            trace.text()
        );
    });
}

#[test]
fn a_task_keeps_its_settings_whatever_does_its_work() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    // Takes what the task takes; fails twice.
    let load = action::from_fn("fake", move |rows: PreviousContext<Vec<u32>>| {
        let call = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            if call < 2 {
                Err(busy())
            } else {
                Ok(rows.len() * 100)
            }
        }
    });
    let workflow = sales().replace("extract", rows()).replace("load", load);
    let run = paused(workflow.start()).unwrap();
    assert_eq!(*run.output().unwrap(), 300);
    assert_eq!(run.duration(), Duration::from_secs(20));
    let names: Vec<&str> = run.tasks().iter().map(dotflow::TaskReport::name).collect();
    assert_eq!(names, ["extract", "load"]);
    let planned = &workflow.plan().tasks()[1];
    assert_eq!(planned.timeout(), Some(Duration::from_secs(60)));
    assert_eq!(planned.after().collect::<Vec<_>>(), [0]);

    // A hang is a timeout, as ever.
    let hang = action::from_fn("hang", || {
        std::future::pending::<Result<usize, TaskError>>()
    });
    let run = paused(workflow.replace("load", hang).start()).unwrap();
    assert_eq!(run.output().unwrap_err().kind(), TaskErrorKind::TimedOut);
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

#[test]
fn the_workflow_that_was_changed_is_another_one() {
    let original = sales();
    let changed = original.clone().replace("extract", rows());
    assert!(paused(changed.start()).unwrap().succeeded());
    let run = paused(original.start()).unwrap();
    assert_eq!(
        run.failure().unwrap().1.to_string(),
        "no database where tests run"
    );
}

#[test]
fn handles_outputs_and_checkpoints_are_those_of_the_task() {
    let extracted = task(extract()).keep();
    let storage = MemoryStorage::new();
    let workflow = DotFlow::new("sales", extracted.then(load())).storage(storage.clone());
    let run = paused(workflow.clone().replace("extract", rows()).resume("1")).unwrap();
    assert_eq!(*run.get(&extracted).unwrap().unwrap(), [3, 5, 8]);
    // The original finds what was stored.
    let run = paused(workflow.resume("1")).unwrap();
    assert!(run.tasks().iter().all(dotflow::TaskReport::restored));
}

#[test]
fn async_code_takes_the_place_of_a_plain_function_and_the_other_way_round() {
    let thread = std::thread::current().id();
    let here = action::from_fn("here", move || async move {
        assert_eq!(std::thread::current().id(), thread);
        Ok(vec![1_u32])
    });
    #[action]
    fn blocking() -> usize {
        assert!(tokio::runtime::Handle::try_current().is_ok());
        std::thread::sleep(Duration::from_millis(1));
        7
    }
    let workflow = sales().replace("extract", here).replace("load", blocking());
    assert_eq!(*workflow.start_blocking().unwrap().output().unwrap(), 7);
}

#[test]
fn the_mistakes_of_a_test_are_told() {
    let message = panics(|| sales().replace("laod", rows()));
    assert_eq!(
        message,
        "the workflow `sales` has no task `laod`: it has `extract`, `load`"
    );
    let message = panics(|| sales().fail("load#2", .., busy()));
    assert!(message.contains("no task `load#2`"), "{message}");
    let message = panics(|| sales().fail("load[0]", .., busy()));
    assert!(message.contains("no task `load[0]`"), "{message}");
    let message = panics(|| sales().fail("load/deep", .., busy()));
    assert!(message.contains("no task `load/deep`"), "{message}");

    let message = panics(|| sales().replace("load", rows()));
    assert_eq!(
        message,
        "the task `load` takes \
         `(dotflow::action::context::PreviousContext<alloc::vec::Vec<u32>>,)` and returns `usize`, \
         but what is to replace it takes `()` and returns `alloc::vec::Vec<u32>`"
    );
    let other = || {
        action::from_fn("other", |rows: PreviousContext<u32>| async move {
            Ok(*rows as usize)
        })
    };
    let message = panics(|| sales().replace("load", other()));
    assert!(
        message.ends_with("PreviousContext<u32>,)` and returns `usize`"),
        "{message}"
    );
    // What stands in for a task is no measure of its types.
    let stub = action::from_fn("stub", || async { Ok(1_usize) });
    let message = panics(|| sales().replace("load", stub).replace("load", other()));
    assert!(
        message.starts_with("the task `load` takes `(dotflow"),
        "{message}"
    );
    let outer = DotFlow::new("outer", task(sales()));
    let message = panics(|| outer.clone().fail("sales", .., busy()));
    assert!(
        message.starts_with("the task `sales` is a workflow"),
        "{message}"
    );
    let message = panics(|| outer.fail("extract", .., busy()));
    assert!(
        message.ends_with("it has `sales`, `sales/extract`, `sales/load`"),
        "{message}"
    );
}

#[test]
fn attempts_fail_as_told() {
    let run = |attempts: (std::ops::Bound<u32>, std::ops::Bound<u32>)| {
        let workflow = sales()
            .replace("extract", rows())
            .fail("load", attempts, busy());
        paused(workflow.start()).unwrap()
    };
    use std::ops::Bound::{Excluded, Included, Unbounded};
    for (attempts, retries, succeeds) in [
        ((Unbounded, Included(1)), 1, true),
        ((Unbounded, Included(2)), 2, true),
        ((Unbounded, Excluded(2)), 1, true),
        ((Unbounded, Unbounded), 2, false),
        ((Included(2), Unbounded), 0, true),
        ((Included(1), Included(3)), 2, false),
    ] {
        let run = run(attempts);
        assert_eq!(run.tasks()[1].retry_count(), retries, "{attempts:?}");
        assert_eq!(run.succeeded(), succeeds, "{attempts:?}");
    }
    let run = run((Unbounded, Unbounded));
    let (failed, error) = run.failure().unwrap();
    assert_eq!(failed.name(), "load");
    let error = error.get_ref().unwrap().downcast_ref::<std::io::Error>();
    assert_eq!(error.unwrap().to_string(), "busy");
    assert_eq!(run.duration(), Duration::from_secs(20));

    let workflow = sales().replace("extract", rows());
    let workflow = workflow.fail("load", .., busy().without_retry());
    assert_eq!(
        paused(workflow.start()).unwrap().tasks()[1].retry_count(),
        0
    );
}

#[test]
fn failures_stay_when_the_action_is_exchanged_and_add_up() {
    let workflow = sales()
        .fail("load", ..=1, busy())
        .fail("load", 2..=2, TaskError::failed("twice"))
        .replace("extract", rows())
        .replace("load", action::from_fn("stub", || async { Ok(7_usize) }));
    let run = paused(workflow.start()).unwrap();
    let errors = run.tasks()[1].errors().iter().map(ToString::to_string);
    assert_eq!(errors.collect::<Vec<_>>(), ["busy", "twice"]);
    assert_eq!(*run.output().unwrap(), 7);
}

#[action]
fn numbers() -> Vec<u32> {
    vec![1, 2, 3, 4]
}

#[action(retry = 2)]
async fn double(number: PreviousContext<u32>) -> u32 {
    *number * 2
}

#[test]
fn one_item_fails_where_one_is_named_and_all_where_none_is() {
    let workflow = || DotFlow::new("numbers", task(numbers()).each_settled(double()));
    let run = paused(workflow().fail("double[2]", .., busy()).start()).unwrap();
    let output = run.output().unwrap();
    let doubled: Vec<Option<u32>> = output.iter().map(|one| one.clone().ok()).collect();
    assert_eq!(doubled, [Some(2), Some(4), None, Some(8)]);
    let names = statuses(run.report());
    let failed: Vec<&String> = names
        .iter()
        .filter(|(_, status)| **status == Status::Failed)
        .map(|(name, _)| name)
        .collect();
    assert_eq!(failed, ["double[2]"]);
    assert_eq!(names.len(), 5);

    let run = paused(workflow().fail("double", ..=1, busy()).start()).unwrap();
    let retries = run.tasks()[1..]
        .iter()
        .map(dotflow::TaskReport::retry_count);
    assert_eq!(retries.collect::<Vec<_>>(), [1; 4]);

    let tripled = action::from_fn("triple", |number: PreviousContext<u32>| async move {
        Ok::<_, TaskError>(*number * 3)
    });
    let run = paused(workflow().replace("double", tripled).start()).unwrap();
    let output: Vec<u32> = run.output().unwrap().iter().flatten().copied().collect();
    assert_eq!(output, [3, 6, 9, 12]);
}

#[test]
fn namesakes_are_meant_together_or_by_their_number() {
    let parts = || (0..3).map(|_| task(numbers()).then(sum()));
    #[action]
    async fn sum(numbers: PreviousContext<Vec<u32>>) -> u32 {
        numbers.iter().sum()
    }
    #[action]
    async fn all(parts: Vec<PreviousContext<u32>>) -> u32 {
        parts.iter().map(|part| **part).sum()
    }
    let workflow = || DotFlow::new("parts", join_all(parts()).then(all()));
    let ones = || action::from_fn("ones", || async { Ok(vec![1_u32]) });
    let run = paused(workflow().replace("numbers", ones()).start()).unwrap();
    assert_eq!(*run.output().unwrap(), 3);
    let run = paused(workflow().replace("numbers#2", ones()).start()).unwrap();
    assert_eq!(*run.output().unwrap(), 21);
    let run = paused(workflow().fail("sum#3", .., busy()).start()).unwrap();
    let statuses = statuses(run.report());
    assert_eq!(statuses["sum#3"], Status::Failed);
    assert_eq!(statuses["sum#1"], Status::Completed);
    assert_eq!(statuses["all"], Status::Skipped);
    assert_eq!(statuses.len(), 7);
}

#[test]
fn names_with_slashes_and_numbers_are_names_first() {
    #[action]
    async fn one() -> u32 {
        1
    }
    let named = |name: &str| task(one()).named(name);
    let workflow = DotFlow::new("odd", (named("a/b"), named("c#2"), named("d[0]")));
    for name in ["a/b", "c#2", "d[0]"] {
        let run = paused(workflow.clone().fail(name, .., busy()).start()).unwrap();
        assert_eq!(run.failure().unwrap().0.name(), name);
    }
}

#[test]
fn tasks_of_nested_workflows_are_reached_by_their_path() {
    let outer = || {
        let middle = DotFlow::new("middle", task(sales()).named("inner"));
        DotFlow::new("outer", task(middle))
    };
    let workflow =
        outer()
            .replace("middle/inner/extract", rows())
            .fail("middle/inner/load", ..=2, busy());
    let run = paused(workflow.start()).unwrap();
    assert_eq!(*run.output().unwrap(), 3);
    let names: Vec<String> = statuses(run.report()).into_keys().collect();
    let expected = [
        "middle",
        "middle/inner",
        "middle/inner/extract",
        "middle/inner/load",
    ];
    assert_eq!(names, expected);
    let load = &run.tasks()[3];
    assert_eq!((load.name(), load.retry_count()), ("load", 2));

    // As a whole it is a step like any other.
    let stub = action::from_fn("stub", || async { Ok(7_usize) });
    let workflow = outer().replace("middle/inner", stub);
    let nested = workflow.plan().tasks()[0].nested().unwrap();
    assert!(nested.tasks()[0].nested().is_none());
    assert_eq!(*paused(workflow.start()).unwrap().output().unwrap(), 7);
    let stub = action::from_fn("stub", || async { Ok(8_usize) });
    let run = paused(outer().replace("middle", stub).start()).unwrap();
    assert_eq!((*run.output().unwrap(), run.tasks().len()), (8, 1));
}

#[test]
fn a_workflow_that_takes_an_input_is_changed_before_and_after_it_is_bound() {
    let workflow = DotFlow::with_input("double", |number| number.then(double()));
    let tripled = || {
        action::from_fn("triple", |number: PreviousContext<u32>| async move {
            Ok::<_, TaskError>(*number * 3)
        })
    };
    let run = paused(
        workflow
            .clone()
            .replace("double", tripled())
            .with(5)
            .start(),
    );
    assert_eq!(*run.unwrap().output().unwrap(), 15);
    let run = paused(workflow.with(5).replace("double", tripled()).start());
    assert_eq!(*run.unwrap().output().unwrap(), 15);
    let all = DotFlow::new("all", task(numbers()).each(workflow));
    let run = paused(all.replace("double/double", tripled()).start()).unwrap();
    assert_eq!(*run.output().unwrap(), [3, 6, 9, 12]);
}

#[action]
fn count(rows: u32) -> u32 {
    rows
}

#[action]
fn by_hand() -> Result<&'static str, String> {
    Err("nobody's hands where tests run".into())
}

#[action]
fn by_truck() -> Result<&'static str, String> {
    Err("no truck where tests run".into())
}

fn ship(rows: u32) -> DotFlow<&'static str> {
    let shipped = task(count(rows)).expand("ship", |rows: PreviousContext<u32>| match *rows {
        0..10 => DotFlow::new("small", task(by_hand())),
        _ => DotFlow::new("bulk", task(by_truck())),
    });
    DotFlow::new("shop", shipped)
}

#[test]
fn tasks_of_a_branch_are_changed_when_it_is_built() {
    let done = |how: &'static str| action::from_fn("done", move || async move { Ok(how) });
    let stubbed = |rows| {
        ship(rows)
            .replace("ship/by_hand", done("hand"))
            .replace("ship/by_truck", done("truck"))
    };
    assert_eq!(
        *paused(stubbed(3).start()).unwrap().output().unwrap(),
        "hand"
    );
    assert_eq!(
        *paused(stubbed(30).start()).unwrap().output().unwrap(),
        "truck"
    );
    // The plan is still one that grows.
    assert!(stubbed(3).plan().tasks()[1].expands());

    let workflow = stubbed(3).fail("ship/by_hand", .., busy());
    let run = paused(workflow.start()).unwrap();
    assert_eq!(statuses(run.report())["ship/by_hand"], Status::Failed);
    let error = run.ok().unwrap_err();
    assert!(
        error
            .failure()
            .unwrap()
            .downcast_ref::<std::io::Error>()
            .is_some()
    );

    // Of the wrong type: that is known when the branch is taken.
    let wrong = action::from_fn("wrong", || async { Ok(1_u32) });
    let workflow = ship(3).replace("ship/by_hand", wrong);
    let run = paused(workflow.start()).unwrap();
    let error = run.failure().unwrap().1.to_string();
    assert!(
        error.starts_with("the task `by_hand` takes `()` and returns `&str`"),
        "{error}"
    );

    // As a whole.
    let run = paused(ship(3).replace("ship", done("by magic")).start()).unwrap();
    assert_eq!(*run.output().unwrap(), "by magic");
}
