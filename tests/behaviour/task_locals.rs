//! Task-locals of tokio around a run: which tasks see them is not promised, and what to use instead
//! is said where one is missing.

use std::future::Future;

use dotflow::{DotFlow, PreviousContext, Run, Task, TaskErrorKind, action, task};
use dotflow_tests::paused;
use tokio::task_local;

task_local! {
    static ORDER: u32;
}

fn seen() -> Option<u32> {
    ORDER.try_with(|order| *order).ok()
}

#[action]
async fn first() -> Option<u32> {
    seen()
}

#[action]
async fn second(previous: PreviousContext<Option<u32>>) -> [Option<u32>; 2] {
    [*previous, seen()]
}

#[action]
fn plain() -> Option<u32> {
    seen()
}

#[action]
async fn strict() -> u32 {
    ORDER.with(|order| *order)
}

#[action]
fn strict_and_plain() -> u32 {
    ORDER.with(|order| *order)
}

/// Waits for a run within the scope of order 7.
fn within<T>(run: impl Future<Output = Result<Run<T>, dotflow::Error>>) -> Run<T> {
    paused(ORDER.scope(7, run)).unwrap()
}

#[test]
fn a_chain_sees_them_as_long_as_it_runs_in_place() {
    let chain = DotFlow::new("chain", task(first()).then(second()));
    assert_eq!(*within(chain.start()).output().unwrap(), [Some(7), Some(7)]);
    let run = within(async { chain.spawn().await });
    assert_eq!(*run.output().unwrap(), [None, None]);
}

#[test]
fn tasks_beside_each_other_and_blocking_code_do_not() {
    let beside = DotFlow::new("beside", (task(first()), task(first())));
    let run = within(beside.start());
    let (left, right) = &*run.output().unwrap();
    assert_eq!((**left, **right), (None, None));
    let blocking = DotFlow::new("blocking", task(plain()));
    assert_eq!(*within(blocking.start()).output().unwrap(), None);
}

#[test]
fn a_missing_one_is_named_with_what_to_use_instead() {
    let chain = DotFlow::new("chain", task(strict()));
    assert_eq!(*within(chain.start()).output().unwrap(), 7);
    let beside = DotFlow::new("beside", (task(strict()), task(strict_and_plain())));
    let run = within(beside.keep_going(true).start());
    for report in run.tasks() {
        let error = &report.errors()[0];
        assert_eq!(error.kind(), TaskErrorKind::Panicked);
        let message = error.to_string();
        assert!(message.contains("task-local"), "{message}");
        assert!(message.contains("DotFlow::with_input"), "{message}");
    }
}

#[action]
async fn taken(order: PreviousContext<u32>) -> u32 {
    *order
}

#[action]
fn taken_by_blocking(order: PreviousContext<u32>, factor: u32) -> u32 {
    *order * factor
}

#[test]
fn the_input_of_a_run_reaches_every_task() {
    let workflow = DotFlow::with_input("orders", |order: &Task<u32>| {
        (order.then(taken()), order.then(taken_by_blocking(10)))
    });
    let run = paused(workflow.with(7).start()).unwrap();
    let (one, other) = &*run.output().unwrap();
    assert_eq!((**one, **other), (7, 70));
}
