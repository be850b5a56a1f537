//! `expand`: a task whose work is a workflow that is built from its input.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use dotflow::{
    DotFlow, PreviousContext, Status, TaskErrorKind, action, join_all,
    storage::{MemoryStorage, Storage},
    task,
};
use dotflow_tests::{paused, recorded};

#[action]
fn number(given: u32) -> u32 {
    given
}

#[action(inline)]
fn add(given: u32, number: PreviousContext<u32>) -> u32 {
    *number + given
}

fn branch(given: u32) -> DotFlow<u32> {
    let chosen = task(number(given)).expand("choose", |given: PreviousContext<u32>| {
        if given.is_multiple_of(2) {
            DotFlow::new("even", task(number(*given)).then(add(100)))
        } else {
            DotFlow::new("odd", task(number(*given)))
        }
    });
    DotFlow::new("branch", chosen.then(add(1)))
}

#[test]
fn the_value_decides_which_workflow_is_run() {
    assert_eq!(*paused(branch(4).start()).unwrap().output().unwrap(), 105);
    assert_eq!(*paused(branch(5).start()).unwrap().output().unwrap(), 6);
    let plan = branch(4);
    let expanding: Vec<bool> = plan
        .plan()
        .tasks()
        .iter()
        .map(dotflow::wiring::PlannedTask::expands)
        .collect();
    assert_eq!(expanding, [false, true, false]);
}

#[test]
fn what_was_built_stands_in_report_and_trace() {
    let (run, recording) = recorded(async { branch(4).start().await.unwrap() });
    let names: Vec<_> = run
        .tasks()
        .iter()
        .map(|task| (task.name(), task.parent()))
        .collect();
    assert_eq!(
        names,
        [
            ("number", None),
            ("choose", None),
            ("add", None),
            ("number", Some(1)),
            ("add", Some(1))
        ]
    );
    let built = recording.otel("workflow:even");
    let parent = &recording.spans[built.parent.unwrap()];
    assert_eq!(parent.text("dotflow.task.name"), Some("choose"));
}

#[test]
fn a_fan_out_has_the_size_of_its_input() {
    #[action]
    fn sum(parts: Vec<PreviousContext<u32>>) -> u32 {
        parts.iter().map(|part| **part).sum()
    }

    let sum = task(number(7)).expand("fan", |count: PreviousContext<u32>| {
        let parts = (0..*count).map(|part| task(number(part)));
        DotFlow::new("parts", join_all(parts).then(sum()))
    });
    let run = paused(DotFlow::new("sum", sum).start()).unwrap();
    assert_eq!(*run.output().unwrap(), 21);
    assert_eq!(run.tasks().len(), 2 + 8);
}

/// Counts down to zero, each round within the one before.
fn rounds(left: u32) -> DotFlow<u32> {
    let next = task(number(left)).expand("next", |left: PreviousContext<u32>| match *left {
        0 => DotFlow::new("done", task(number(42))),
        left => rounds(left - 1),
    });
    DotFlow::new("round", next)
}

#[test]
fn a_workflow_that_builds_itself_again_is_a_loop() {
    for concurrency in [1, 256] {
        let run = paused(rounds(500).concurrency(concurrency).start()).unwrap();
        assert_eq!(*run.output().unwrap(), 42);
        assert_eq!(run.tasks().len(), 2 * 501 + 1);
        assert!(run.to_string().lines().count() > 1_000);
    }
}

#[test]
fn a_loop_that_has_no_end_is_an_error_of_its_task() {
    let run = paused(rounds(100_000).start()).unwrap();
    let error = run.output().unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::Failed);
    let text = error.to_string();
    assert!(
        text.contains("at most 1000 can be"),
        "{}",
        &text[text.len() - 200..]
    );
}

#[test]
fn a_panic_while_it_is_built_fails_the_task() {
    let built = task(number(1)).expand("build", |_: PreviousContext<u32>| -> DotFlow<u32> {
        panic!("no plan today")
    });
    let run = paused(DotFlow::new("none", built).start()).unwrap();
    let error = run.output().unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::Panicked);
    assert!(error.to_string().contains("no plan today"));
}

#[test]
fn a_failed_input_skips_it() {
    #[action]
    fn refuse() -> Result<u32, String> {
        Err("no".into())
    }

    let built = task(refuse()).expand("build", |_: PreviousContext<u32>| branch(1));
    let run = paused(DotFlow::new("none", built).start()).unwrap();
    assert_eq!(run.tasks()[1].status(), Status::Skipped);
}

/// How often each of two branches, and what follows them, was done.
#[derive(Clone, Default)]
struct Counts {
    is_bulk: Arc<AtomicBool>,
    small: Arc<AtomicU32>,
    bulk: Arc<AtomicU32>,
    after: Arc<AtomicU32>,
    last: Arc<AtomicU32>,
}

#[action]
async fn counted(calls: Arc<AtomicU32>, output: u32) -> u32 {
    calls.fetch_add(1, Ordering::Relaxed);
    output
}

#[action]
async fn passed(calls: Arc<AtomicU32>, number: PreviousContext<u32>) -> u32 {
    calls.fetch_add(1, Ordering::Relaxed);
    *number
}

impl Counts {
    fn workflow(&self, storage: &MemoryStorage) -> DotFlow<u32> {
        let this = self.clone();
        let shipped = task(number(1)).expand("ship", move |_: PreviousContext<u32>| {
            if this.is_bulk.load(Ordering::Relaxed) {
                DotFlow::new("bulk", task(counted(Arc::clone(&this.bulk), 20)))
            } else {
                DotFlow::new("small", task(counted(Arc::clone(&this.small), 10)))
            }
        });
        let after = shipped.then(passed(Arc::clone(&self.after)));
        let last = after.then(passed(Arc::clone(&self.last)));
        DotFlow::new("shop", last).storage(storage.clone())
    }

    fn all(&self) -> [u32; 4] {
        [&self.small, &self.bulk, &self.after, &self.last]
            .map(|count| count.load(Ordering::Relaxed))
    }
}

#[test]
fn a_resumed_run_restores_what_was_built_and_does_anew_what_follows_another_choice() {
    let (counts, storage) = (Counts::default(), MemoryStorage::new());
    let workflow = counts.workflow(&storage);
    let resume = || *paused(workflow.resume("1")).unwrap().output().unwrap();
    assert_eq!((resume(), resume()), (10, 10));
    assert_eq!(counts.all(), [1, 0, 1, 1]);

    counts.is_bulk.store(true, Ordering::Relaxed);
    assert_eq!((resume(), resume()), (20, 20));
    assert_eq!(counts.all(), [1, 1, 2, 2]);

    // What the first choice has stored is still its own.
    counts.is_bulk.store(false, Ordering::Relaxed);
    assert_eq!(resume(), 10);
    assert_eq!(counts.all(), [1, 1, 2, 2]);
    let keys = paused(storage.list("1")).unwrap();
    assert!(keys.contains(&"ship/small/counted".to_owned()), "{keys:?}");
    assert!(keys.contains(&"ship/bulk/counted".to_owned()), "{keys:?}");
}

#[test]
fn what_follows_a_choice_deep_within_is_done_anew_as_well() {
    let (counts, storage) = (Counts::default(), MemoryStorage::new());
    let inner = |counts: &Counts| {
        let this = counts.clone();
        DotFlow::with_input("inner", move |n: &dotflow::Task<u32>| {
            n.expand("ship", move |_: PreviousContext<u32>| {
                if this.is_bulk.load(Ordering::Relaxed) {
                    DotFlow::new("bulk", task(counted(Arc::clone(&this.bulk), 20)))
                } else {
                    DotFlow::new("small", task(counted(Arc::clone(&this.small), 10)))
                }
            })
        })
    };
    #[action]
    fn list() -> Vec<u32> {
        vec![1, 2]
    }
    #[action]
    fn sum(calls: Arc<AtomicU32>, numbers: PreviousContext<Vec<u32>>) -> u32 {
        calls.fetch_add(1, Ordering::Relaxed);
        numbers.iter().sum()
    }
    let sum = task(list())
        .each(inner(&counts))
        .then(sum(Arc::clone(&counts.after)));
    let workflow = DotFlow::new("all", sum).storage(storage);
    let resume = || *paused(workflow.resume("1")).unwrap().output().unwrap();
    assert_eq!((resume(), resume()), (20, 20));
    assert_eq!(counts.all(), [2, 0, 1, 0]);
    counts.is_bulk.store(true, Ordering::Relaxed);
    assert_eq!((resume(), resume()), (40, 40));
    assert_eq!(counts.all(), [2, 2, 2, 0]);
}

#[test]
fn outputs_of_what_is_built_must_be_storable_too() {
    #[derive(Debug)]
    struct Socket;

    #[action]
    fn connect() -> Socket {
        Socket
    }

    let built = task(number(1)).expand("build", |_: PreviousContext<u32>| {
        DotFlow::new(
            "inner",
            task(number(2)).then(action::from_fn(
                "connect",
                |_: PreviousContext<u32>| async { Ok::<_, dotflow::TaskError>(Socket) },
            )),
        )
    });
    let _ = connect();
    let workflow = DotFlow::new("outer", built).storage(MemoryStorage::new());
    let run = paused(workflow.start()).unwrap();
    let error = run.output().unwrap_err().to_string();
    assert!(error.contains("task:1 `connect` returns `"), "{error}");
    assert_eq!(run.tasks().len(), 2, "nothing of it was run");
}
