//! Workflows within workflows: they share what their run has, and are told of with it.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};
use std::time::Duration;

use dotflow::{
    DotFlow, PreviousContext, Report, Run, Status, Task, TaskErrorKind, action, report::EventKind,
    task,
};
use dotflow_tests::{paused, recorded};

#[action]
fn numbers(count: u32) -> Vec<u32> {
    (0..count).collect()
}

#[action(inline)]
fn double(number: PreviousContext<u32>) -> u32 {
    *number * 2
}

/// How many tasks run, and how many did at most.
#[derive(Clone, Default)]
struct Gauge(Arc<(AtomicUsize, AtomicUsize)>);

impl Gauge {
    fn enter(&self) {
        let running = self.0.0.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.1.fetch_max(running, Ordering::SeqCst);
    }

    fn leave(&self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }

    async fn hold(&self, millis: u64) {
        self.enter();
        tokio::time::sleep(Duration::from_millis(millis)).await;
        self.leave();
    }

    fn most(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

#[action]
async fn work(gauge: Gauge) {
    gauge.hold(10).await;
}

#[action]
async fn work_again(gauge: Gauge, _before: PreviousContext<()>) {
    gauge.hold(10).await;
}

#[action]
async fn work_on(gauge: Gauge, number: PreviousContext<u32>) -> u32 {
    gauge.hold(10).await;
    *number
}

fn many(gauge: &Gauge, count: usize) -> Vec<Task<()>> {
    (0..count).map(|_| task(work(gauge.clone()))).collect()
}

#[test]
fn nested_workflows_share_the_concurrency_of_their_run() {
    for concurrency in [1, 2, 5] {
        let gauge = Gauge::default();
        let inner = |name: &str| DotFlow::new(name, many(&gauge, 6));
        let innermost = DotFlow::new("deep", task(inner("deeper")));
        let outer = (
            task(inner("left")),
            task(inner("right")),
            task(innermost),
            task(work(gauge.clone())),
        );
        let workflow = DotFlow::new("outer", outer).concurrency(concurrency);
        let run = paused(workflow.start()).unwrap();
        assert!(run.succeeded());
        assert_eq!(gauge.most(), concurrency);
        // 19 tasks of 10 ms, and no slot is ever free while there is work.
        let rounds = u32::try_from(19_usize.div_ceil(concurrency)).unwrap();
        assert_eq!(run.duration(), Duration::from_millis(10) * rounds);
    }
}

#[test]
fn a_nested_workflow_may_be_bounded_further() {
    let gauge = Gauge::default();
    let inner = DotFlow::new("inner", many(&gauge, 6)).concurrency(2);
    let run = paused(DotFlow::new("outer", task(inner)).start()).unwrap();
    assert!(run.succeeded());
    assert_eq!(gauge.most(), 2);
}

#[test]
fn a_workflow_per_item_shares_them_too_and_as_many_are_open() {
    let gauge = Gauge::default();
    let open = Gauge::default();
    let (first, last) = (open.clone(), open.clone());
    let inner = DotFlow::with_input("inner", |number| {
        number
            .then(work_on(gauge.clone()))
            .then(work_on(gauge.clone()))
    })
    .observe(move |event| match event.kind {
        EventKind::WorkflowStarted { .. } => first.enter(),
        EventKind::WorkflowEnded { .. } => last.leave(),
        _ => {}
    });
    let workflow = DotFlow::new("outer", task(numbers(50)).each(inner)).concurrency(4);
    let run = paused(workflow.start()).unwrap();
    assert_eq!(*run.output().unwrap(), (0..50).collect::<Vec<_>>());
    assert_eq!((gauge.most(), open.most()), (4, 4));
}

#[test]
fn as_many_workflows_are_open_as_tasks_may_run() {
    let (gauge, open) = (Gauge::default(), Gauge::default());
    let inner = |number: usize| {
        let (first, last) = (open.clone(), open.clone());
        let work = task(work(gauge.clone())).then(work_again(gauge.clone()));
        let inner = DotFlow::new(format!("inner {number}"), work);
        task(inner.observe(move |event| match event.kind {
            EventKind::WorkflowStarted { .. } => first.enter(),
            EventKind::WorkflowEnded { .. } => last.leave(),
            _ => {}
        }))
    };
    let all: Vec<Task<()>> = (0..7).map(inner).collect();
    let run = paused(DotFlow::new("outer", all).concurrency(2).start()).unwrap();
    assert!(run.succeeded());
    assert_eq!((gauge.most(), open.most()), (2, 2));
}

fn tree(report: &Report) -> Vec<String> {
    let names = report.tasks().iter().map(|task| {
        let item = task
            .item()
            .map(|item| format!("[{item}]"))
            .unwrap_or_default();
        let parent = task
            .parent()
            .map(|parent| format!(" in {parent}"))
            .unwrap_or_default();
        format!("{}{item}{parent} {}", task.name(), task.status())
    });
    names.collect()
}

#[test]
fn their_tasks_stand_in_the_report_and_in_the_tree() {
    let inner = DotFlow::with_input("inner", |n| n.then(double()).then(double()));
    let middle = DotFlow::with_input("middle", |n: &Task<u32>| n.then(inner));
    let all = task(numbers(2)).each(middle);
    let workflow = DotFlow::new("outer", all);
    let run = paused(workflow.start()).unwrap();
    assert_eq!(
        tree(run.report()),
        [
            "numbers Completed",
            "middle[0] Completed",
            "middle[1] Completed",
            "inner in 1 Completed",
            "inner in 2 Completed",
            "double in 3 Completed",
            "double in 3 Completed",
            "double in 4 Completed",
            "double in 4 Completed",
        ]
    );
    assert_eq!(
        format!("{run:#}"),
        "[Trace: workflow_id=…] outer OK — Completed\n\
         ├── [Span: task:0] numbers OK — Completed\n\
         ├── [Span: task:1] middle[0] OK — Completed\n\
         │   └── [Span: task:0] inner OK — Completed\n\
         │       ├── [Span: task:0] double OK — Completed\n\
         │       └── [Span: task:1] double OK — Completed\n\
         └── [Span: task:1] middle[1] OK — Completed\n    \
             └── [Span: task:0] inner OK — Completed\n        \
                 ├── [Span: task:0] double OK — Completed\n        \
                 └── [Span: task:1] double OK — Completed\n"
    );
    let written = serde_json::to_string(run.report()).unwrap();
    let read: Report = serde_json::from_str(&written).unwrap();
    assert_eq!(read.to_string(), run.to_string());
}

#[test]
fn observers_are_told_of_them_with_the_way_there() {
    let inner = DotFlow::with_input("inner", |n| n.then(double()));
    let middle = DotFlow::with_input("middle", |n: &Task<u32>| n.then(inner));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let workflow = DotFlow::new("outer", task(numbers(1)).each(middle)).observe(move |event| {
        let way = event.path.iter().map(|task| match task.item {
            Some(item) => format!("{}[{item}]", task.number),
            None => task.number.to_string(),
        });
        let way = way.collect::<Vec<_>>().join("/");
        if let EventKind::TaskEnded { task, .. } = &event.kind {
            told.lock().unwrap().push(format!("{way}:{}", task.name));
        }
    });
    assert!(paused(workflow.start()).unwrap().succeeded());
    assert_eq!(
        *seen.lock().unwrap(),
        [":numbers", "1[0]/0:double", "1[0]:inner", ":middle"]
    );
}

#[action]
async fn forever() {
    std::future::pending::<()>().await;
}

#[action]
async fn quick() {}

#[test]
fn what_was_done_within_is_told_of_a_run_that_is_cut_short() {
    let inner = || DotFlow::new("inner", task(quick()).then(forever()).then(quick()));
    let outer = || DotFlow::new("outer", (task(inner()), task(quick())));
    let cancelled = paused(async {
        let handle = outer().spawn();
        tokio::time::sleep(Duration::from_secs(1)).await;
        handle.cancel();
        handle.await.unwrap()
    });
    let timed_out = paused(outer().timeout(Duration::from_secs(1)).start()).unwrap();
    let dropped = |run: &Run<_>| tree(run.report());
    for (run, status) in [(cancelled, Status::Cancelled), (timed_out, Status::Failed)] {
        assert_eq!(run.status(), status);
        assert_eq!(
            dropped(&run),
            [
                "inner Cancelled",
                "quick Completed",
                "quick in 0 Completed",
                "forever in 0 Cancelled",
                "quick in 0 Not started",
            ]
        );
    }
    let inner = task(inner()).timeout(Duration::from_secs(1));
    let run = paused(DotFlow::new("outer", inner).start()).unwrap();
    assert_eq!(
        tree(run.report()),
        [
            "inner Failed",
            "quick in 0 Completed",
            "forever in 0 Cancelled",
            "quick in 0 Not started",
        ]
    );
    assert_eq!(run.output().unwrap_err().kind(), TaskErrorKind::TimedOut);
}

#[test]
fn a_drained_run_drains_what_runs_within_it() {
    #[action]
    async fn slow() {
        tokio::time::sleep(Duration::from_secs(10)).await;
    }

    let inner = DotFlow::new("inner", task(slow()).then(slow()));
    let (run, recording) = recorded(async {
        let handle = DotFlow::new("outer", task(inner).then(quick())).spawn();
        tokio::time::sleep(Duration::from_secs(1)).await;
        handle.drain();
        handle.await.unwrap()
    });
    assert_eq!(run.status(), Status::Cancelled);
    assert_eq!(run.duration(), Duration::from_secs(10));
    assert_eq!(
        tree(run.report()),
        [
            "inner Cancelled",
            "quick Not started",
            "slow in 0 Completed",
            "slow in 0 Not started",
        ]
    );
    let inner = recording.otel("workflow:inner");
    assert_eq!(inner.text("dotflow.workflow.status"), Some("Cancelled"));
}

#[test]
fn a_failure_within_stops_the_run_and_what_waits_in_it() {
    #[action]
    async fn refuse() -> Result<(), String> {
        Err("no".into())
    }

    let gauge = Gauge::default();
    let bad = DotFlow::new("bad", task(refuse()));
    let workflows: Vec<_> = (0..5)
        .map(|_| task(DotFlow::new("good", many(&gauge, 1))))
        .collect();
    let all = dotflow::join_all(workflows).then(action::from_fn(
        "all",
        |_: Vec<PreviousContext<Vec<Arc<()>>>>| async { Ok::<(), dotflow::TaskError>(()) },
    ));
    let workflow = DotFlow::new("outer", (task(bad), all)).concurrency(1);
    let run = paused(workflow.start()).unwrap();
    assert_eq!(run.status(), Status::Failed);
    let completed = run
        .tasks()
        .iter()
        .filter(|task| task.status() == Status::Completed);
    assert_eq!(completed.count(), 0);
    assert_eq!(
        run.report().cause(),
        Some("task:0 `bad`: workflow `bad`: Failed: task:0 `refuse`: no")
    );
}
