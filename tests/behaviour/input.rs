//! Workflows that take an input: one workflow, built once, and each run about something else.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use dotflow::{
    AnyWorkflow, DotFlow, PreviousContext, RunOptions, Status, Task, TaskError, action, join_all,
    task,
};
use dotflow_tests::{paused, recorded};
use tokio::task::JoinSet;

/// Neither `Clone` nor serde: an input travels as it is.
#[derive(Debug, PartialEq)]
struct Order {
    id: u32,
    items: Vec<&'static str>,
}

#[action]
fn count(order: PreviousContext<Order>) -> usize {
    order.items.len()
}

#[action]
async fn price(order: PreviousContext<Order>) -> u32 {
    tokio::task::yield_now().await;
    order.id * 10
}

#[action]
async fn receipt(
    order: PreviousContext<Order>,
    count: PreviousContext<usize>,
    price: PreviousContext<u32>,
) -> String {
    format!("{}: {} for {}", order.id, *count, *price)
}

fn checkout() -> DotFlow<String, (Order,)> {
    DotFlow::with_input("checkout", |order: &Task<Order>| {
        let (count, price) = (order.then(count()), order.then(price()));
        order.and(&count).and(&price).then(receipt())
    })
}

fn order(id: u32) -> Order {
    let items = vec!["a", "b"];
    Order { id, items }
}

#[tokio::test]
async fn each_of_many_runs_at_once_sees_its_own_input() {
    let checkout = checkout();
    let mut runs = JoinSet::new();
    for id in 0..1_000 {
        let run = checkout.with(order(id)).start();
        runs.spawn(async move { (id, run.await.unwrap()) });
    }
    while let Some(ended) = runs.join_next().await {
        let (id, run) = ended.unwrap();
        assert_eq!(*run.output().unwrap(), format!("{id}: 2 for {}", id * 10));
    }
}

#[test]
fn the_input_is_no_task() {
    let workflow = checkout();
    assert!(workflow.plan().takes_input());
    let names: Vec<&str> = workflow
        .plan()
        .tasks()
        .iter()
        .map(dotflow::wiring::PlannedTask::name)
        .collect();
    assert_eq!(names, ["count", "price", "receipt"]);
    assert_eq!(
        workflow.plan().edges().collect::<Vec<_>>(),
        [(0, 2), (1, 2)]
    );
    let (run, recording) = recorded(async { workflow.with(order(4)).start().await.unwrap() });
    assert_eq!(run.tasks().len(), 3);
    assert_eq!(
        recording
            .otel("workflow:checkout")
            .int("dotflow.tasks_count"),
        Some(3)
    );
}

#[test]
fn a_bound_workflow_starts_in_every_way_and_any_number_of_times() {
    let bound = checkout().with(order(1));
    let expected = "1: 2 for 10";
    assert_eq!(*bound.start_blocking().unwrap().output().unwrap(), expected);
    paused(async {
        assert_eq!(*bound.start().await.unwrap().output().unwrap(), expected);
        assert_eq!(*bound.spawn().await.unwrap().output().unwrap(), expected);
        let options = RunOptions::new().id("1");
        let run = bound.clone().run_with(options).await.unwrap();
        assert_eq!(*run.output().unwrap(), expected);
    });
}

#[test]
fn a_workflow_follows_a_task_and_takes_each_item() {
    #[action]
    fn next_order() -> Order {
        order(3)
    }

    #[action]
    fn ids() -> Vec<u32> {
        vec![7, 8, 9]
    }

    #[action]
    fn double(number: PreviousContext<u32>) -> u32 {
        *number * 2
    }

    let one = DotFlow::new("one", task(next_order()).then(checkout()));
    assert_eq!(
        *paused(one.start()).unwrap().output().unwrap(),
        "3: 2 for 30"
    );

    let double = DotFlow::with_input("double", |number| number.then(double()).then(double()));
    let all = DotFlow::new("all", task(ids()).each(double));
    assert_eq!(
        *paused(all.start()).unwrap().output().unwrap(),
        [28, 32, 36]
    );

    // Given where it is placed, it follows anything, and ignores what that returns.
    let given = DotFlow::new("given", task(ids()).then(checkout().with(order(5))));
    assert_eq!(
        *paused(given.start()).unwrap().output().unwrap(),
        "5: 2 for 50"
    );
}

#[test]
fn a_failed_task_skips_the_workflow_that_takes_its_output() {
    #[action]
    fn refuse() -> Result<Order, String> {
        Err("sold out".into())
    }

    let run = DotFlow::new("none", task(refuse()).then(checkout())).start();
    let run = paused(run).unwrap();
    assert_eq!(run.tasks()[1].status(), Status::Skipped);
}

#[test]
fn the_input_may_be_joined_split_and_returned() {
    #[action]
    fn add(numbers: PreviousContext<Vec<u32>>, more: Vec<PreviousContext<Vec<u32>>>) -> u32 {
        let more = more.iter().flat_map(|numbers| numbers.iter());
        numbers.iter().chain(more).sum()
    }

    #[action]
    fn square(number: PreviousContext<u32>) -> u32 {
        *number * *number
    }

    let workflow = DotFlow::with_input("all", |numbers: &Task<Vec<u32>>| {
        let twice = join_all([numbers.clone(), numbers.clone()]);
        let squares = numbers.each(square());
        (numbers.and(&twice).then(add()), squares, numbers.clone())
    });
    let sinks: Vec<u32> = workflow.plan().sinks().collect();
    assert_eq!(sinks, [0, 1]);
    let run = paused(workflow.with(vec![1, 2, 3]).start()).unwrap();
    let output = run.output().unwrap();
    assert_eq!(
        (*output.0, &**output.1, &**output.2),
        (18, &[1, 4, 9][..], &[1, 2, 3][..])
    );

    let echo = DotFlow::with_input("echo", |input: &Task<Order>| input.clone());
    let run = paused(echo.with(order(1)).start()).unwrap();
    assert!(run.succeeded() && run.tasks().is_empty());
    assert_eq!(*run.output().unwrap(), order(1));
}

#[test]
fn a_nested_workflow_hands_its_input_on_without_a_copy() {
    /// Can't be copied, and says so if it is.
    #[derive(Debug)]
    struct Unique(u32);

    impl Clone for Unique {
        fn clone(&self) -> Self {
            panic!("{} was copied", self.0)
        }
    }

    #[action]
    fn make() -> Unique {
        Unique(7)
    }

    #[action]
    fn take(unique: PreviousContext<Unique>) -> Unique {
        unique.into_inner()
    }

    let inner = DotFlow::with_input("inner", |unique| unique.then(take()).then(take()));
    let outer = DotFlow::new("outer", task(make()).then(inner).then(take()));
    let run = paused(outer.start()).unwrap();
    assert_eq!(run.output().unwrap().0, 7);
}

#[test]
fn a_retried_workflow_gets_its_input_again() {
    #[action]
    fn orders() -> Vec<u32> {
        vec![1, 2]
    }

    #[action]
    fn flaky(
        calls: Arc<std::sync::atomic::AtomicU32>,
        order: PreviousContext<Vec<u32>>,
    ) -> Result<usize, String> {
        match calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => Err("not yet".into()),
            _ => Ok(order.len()),
        }
    }

    let calls = Arc::default();
    let inner = DotFlow::with_input("inner", |orders| orders.then(flaky(calls)));
    let outer = DotFlow::new("outer", task(orders()).then(inner).retry(2));
    assert_eq!(*paused(outer.start()).unwrap().output().unwrap(), 2);
}

#[test]
fn an_input_that_has_left_its_workflow_is_refused_where_it_is_used() {
    let mut leaked = None;
    let _ = DotFlow::with_input("first", |order: &Task<Order>| {
        leaked = Some(order.clone());
        order.then(count())
    });
    let leaked = leaked.unwrap();
    let panic = catch_unwind(AssertUnwindSafe(|| {
        DotFlow::new("second", leaked.then(count()))
    }));
    let message = *panic.unwrap_err().downcast::<&str>().unwrap();
    assert!(
        message.contains("takes the input of another one"),
        "{message}"
    );
}

#[test]
fn a_workflow_without_its_type_takes_json() {
    #[action]
    fn double(number: PreviousContext<u32>) -> Result<u32, TaskError> {
        Ok(*number * 2)
    }

    let double = DotFlow::with_input("double", |number| number.then(double()));
    let any = AnyWorkflow::from(double);
    let run = |input| paused(any.run_with(RunOptions::new(), input));
    assert!(run(Some("4")).unwrap().succeeded());
    let error = run(Some("-4")).unwrap_err();
    assert!(error.is_input_invalid());
    assert_eq!(
        error.to_string(),
        "this can't be the input of workflow `double`: `u32`: invalid value: integer `-4`, \
         expected u32 at line 1 column 2"
    );
    let error = run(None).unwrap_err();
    assert!(error.is_input_missing());
    assert_eq!(
        error.to_string(),
        "workflow `double` takes an input, and was given none"
    );

    let plain = AnyWorkflow::from(checkout().with(order(1)));
    let error = paused(plain.run_with(RunOptions::new(), Some("1"))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "workflow `checkout` takes no input, and was given one"
    );
}
