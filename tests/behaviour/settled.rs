//! `each_settled`: every item is tried, and none makes the task fail.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use dotflow::{
    DotFlow, PreviousContext, Status, TaskError, TaskErrorKind, action, join_all,
    storage::{MemoryStorage, Storage},
    task,
};
use dotflow_tests::{paused, recorded};

#[action]
fn numbers(count: u32) -> Vec<u32> {
    (0..count).collect()
}

#[action(inline)]
fn even(number: PreviousContext<u32>) -> Result<u32, String> {
    match *number % 2 {
        0 => Ok(*number * 10),
        _ => Err(format!("{} is odd", *number)),
    }
}

type Settled = Vec<Result<u32, TaskError>>;

#[test]
fn every_item_is_tried_and_the_task_succeeds() {
    for concurrency in [1, 2, 256] {
        let settled = task(numbers(5)).each_settled(even());
        let workflow = DotFlow::new("settled", settled).concurrency(concurrency);
        let (run, recording) = recorded(async { workflow.start().await.unwrap() });
        assert!(run.succeeded());
        let output = run.output().unwrap();
        let values: Vec<_> = output.iter().map(|item| item.as_ref().ok()).collect();
        assert_eq!(values, [Some(&0), None, Some(&20), None, Some(&40)]);
        let error = output[3].as_ref().unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string()),
            (TaskErrorKind::Failed, "3 is odd".into())
        );
        let statuses: Vec<Status> = run.tasks()[1..]
            .iter()
            .map(dotflow::TaskReport::status)
            .collect();
        assert_eq!(
            statuses,
            [
                Status::Completed,
                Status::Failed,
                Status::Completed,
                Status::Failed,
                Status::Completed
            ]
        );
        let workflow = recording.otel("workflow:settled");
        assert_eq!(workflow.text("dotflow.workflow.status"), Some("Completed"));
        assert_eq!(workflow.text("otel.status_code"), Some("OK"));
    }
}

#[test]
fn a_failed_item_stops_nothing_and_is_retried_like_any_other() {
    #[action(retry = 3, retry_delay = "1s")]
    async fn flaky(calls: Arc<AtomicU32>, number: PreviousContext<u32>) -> Result<u32, String> {
        match calls.fetch_add(1, Ordering::Relaxed) {
            call if *number == 1 || call < 2 => Err("not yet".into()),
            _ => Ok(*number),
        }
    }

    #[action]
    async fn count(settled: PreviousContext<Settled>, all: Vec<PreviousContext<u32>>) -> usize {
        settled.iter().flatten().count() + all.len()
    }

    #[action]
    async fn one() -> u32 {
        1
    }

    let settled = task(numbers(3)).each_settled(flaky(Arc::default()));
    let others = join_all((0..3).map(|_| task(one())));
    let workflow = DotFlow::new("all", settled.and(&others).then(count())).concurrency(1);
    let run = paused(workflow.start()).unwrap();
    assert_eq!(*run.output().unwrap(), 5);
    let failed: Vec<_> = run
        .tasks()
        .iter()
        .filter(|task| task.status() == Status::Failed)
        .collect();
    assert_eq!(failed.len(), 1);
    assert_eq!((failed[0].item(), failed[0].retry_count()), (Some(1), 2));
}

#[test]
fn an_empty_list_gives_an_empty_one_and_a_missing_list_skips_the_task() {
    let run = paused(DotFlow::new("none", task(numbers(0)).each_settled(even())).start()).unwrap();
    assert!(run.output().unwrap().is_empty());

    #[action]
    fn refuse() -> Result<Vec<u32>, String> {
        Err("no list".into())
    }

    let run = paused(DotFlow::new("none", task(refuse()).each_settled(even())).start()).unwrap();
    assert_eq!(run.tasks()[1].status(), Status::Skipped);
    assert!(!run.succeeded());
}

#[test]
fn a_panic_in_one_item_is_an_error_among_the_others() {
    #[action]
    fn careful(number: PreviousContext<u32>) -> u32 {
        assert_ne!(*number, 1, "one is not wanted");
        *number
    }

    let run =
        paused(DotFlow::new("all", task(numbers(3)).each_settled(careful())).start()).unwrap();
    let output = run.output().unwrap();
    assert_eq!(
        output[1].as_ref().unwrap_err().kind(),
        TaskErrorKind::Panicked
    );
    assert!(output[0].is_ok() && output[2].is_ok());
}

#[test]
fn failed_items_are_tried_again_on_resume_and_only_then_is_stored_what_follows() {
    #[action]
    async fn fetch(
        (calls, broken): (Arc<AtomicU32>, Arc<AtomicU32>),
        number: PreviousContext<u32>,
    ) -> Result<u32, String> {
        calls.fetch_add(1, Ordering::Relaxed);
        match broken.load(Ordering::Relaxed) {
            broken if broken == *number => Err("down".into()),
            _ => Ok(*number),
        }
    }

    #[action]
    async fn sum(settled: PreviousContext<Settled>) -> u32 {
        settled.iter().flatten().sum()
    }

    let (calls, broken) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(2)));
    let storage = MemoryStorage::new();
    let fetch = fetch((Arc::clone(&calls), Arc::clone(&broken)));
    let sum = task(numbers(4)).each_settled(fetch).then(sum());
    let workflow = DotFlow::new("sum", sum).storage(storage.clone());
    let keys = || paused(storage.list("1")).unwrap();

    let run = paused(workflow.resume("1")).unwrap();
    assert!(run.succeeded());
    assert_eq!(*run.output().unwrap(), 4);
    assert_eq!(
        keys(),
        ["#run", "fetch[0]", "fetch[1]", "fetch[3]", "numbers"]
    );

    broken.store(u32::MAX, Ordering::Relaxed);
    let run = paused(workflow.resume("1")).unwrap();
    assert_eq!(*run.output().unwrap(), 6);
    assert_eq!(calls.load(Ordering::Relaxed), 5);
    assert!(keys().contains(&"sum".to_owned()));

    // One that is lost and fails now takes what was stored after it away as well.
    broken.store(2, Ordering::Relaxed);
    paused(async {
        let two = storage.get("1", "fetch[2]").await.unwrap();
        assert!(two.is_some());
        let copy = MemoryStorage::new();
        for key in storage.list("1").await.unwrap() {
            if key != "fetch[2]" {
                let text = storage.get("1", &key).await.unwrap().unwrap();
                assert!(copy.put_new("1", &key, text).await.unwrap());
            }
        }
        let run = workflow.clone().storage(copy).resume("1").await.unwrap();
        assert_eq!(*run.output().unwrap(), 4);
    });
}
