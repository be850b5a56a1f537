//! The input of a run beside its checkpoints: what a resumed run is given again.

use dotflow::{
    AnyWorkflow, DotFlow, OnInputChange, PreviousContext, RunOptions, action,
    storage::{FileStorage, MemoryStorage, Storage},
    task,
};
use dotflow_tests::paused;
use serde::{Deserialize, Serialize};

use crate::calls::Calls;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u32,
    #[serde(skip)]
    comment: String,
}

fn order(id: u32) -> Order {
    let comment = "by hand".to_owned();
    Order { id, comment }
}

#[action]
fn describe(calls: Calls, order: PreviousContext<Order>) -> (u32, String) {
    calls.count("describe");
    (order.id, order.comment.clone())
}

fn checkout(calls: &Calls, storage: impl Storage) -> DotFlow<(u32, String), (Order,)> {
    let describe = describe(calls.clone());
    DotFlow::with_input("checkout", |order| order.then(describe)).storage(storage)
}

#[test]
fn a_run_is_resumed_with_its_input_or_with_none() {
    let (calls, folder) = (Calls::default(), tempfile::tempdir().unwrap());
    let storage = FileStorage::open(folder.path()).unwrap();
    let checkout = checkout(&calls, storage);
    let first = paused(checkout.with(order(42)).resume("1")).unwrap();
    // A resumed run could not know what is not stored, and a first one hands on the same.
    assert_eq!(*first.output().unwrap(), (42, String::new()));
    for run in [
        paused(checkout.with(order(42)).resume("1")).unwrap(),
        paused(checkout.resume("1")).unwrap(),
        checkout.resume_blocking("1").unwrap(),
    ] {
        assert!(run.tasks()[0].restored());
        assert_eq!(run.output().unwrap(), first.output().unwrap());
    }
    assert_eq!(calls.all(), [("describe", 1)]);

    // The tasks that are left get the stored input as well.
    std::fs::remove_file(folder.path().join("1").join("describe.json")).unwrap();
    let run = paused(checkout.resume("1")).unwrap();
    assert_eq!(*run.output().unwrap(), (42, String::new()));
    assert_eq!(calls.all(), [("describe", 2)]);
}

#[test]
fn a_run_by_start_can_be_resumed_without_its_input() {
    let (calls, storage) = (Calls::default(), MemoryStorage::new());
    let checkout = checkout(&calls, storage);
    let run = paused(checkout.with(order(7)).start()).unwrap();
    let again = paused(checkout.resume(run.workflow_id())).unwrap();
    assert_eq!(again.output().unwrap().0, 7);
    assert!(again.tasks()[0].restored());
}

#[test]
fn another_input_is_refused_as_the_workflow_says() {
    let (calls, storage) = (Calls::default(), MemoryStorage::new());
    let checkout = checkout(&calls, storage);
    paused(checkout.with(order(1)).resume("1"))
        .unwrap()
        .ok()
        .unwrap();
    let error = paused(checkout.with(order(2)).resume("1")).unwrap_err();
    assert!(error.is_input_changed());

    let reuse = checkout.clone().on_input_change(OnInputChange::Reuse);
    let run = paused(reuse.with(order(2)).resume("1")).unwrap();
    assert_eq!(run.output().unwrap().0, 1);

    let reset = checkout.on_input_change(OnInputChange::Reset);
    let run = paused(reset.with(order(2)).resume("1")).unwrap();
    assert_eq!(run.output().unwrap().0, 2);
    assert_eq!(paused(reset.resume("1")).unwrap().output().unwrap().0, 2);
}

#[test]
fn what_else_the_workflow_depends_on_counts_too() {
    let (calls, storage) = (Calls::default(), MemoryStorage::new());
    let checkout = checkout(&calls, storage);
    let tariff = |tariff: u32| checkout.clone().input(&tariff);
    paused(tariff(1).with(order(1)).resume("1"))
        .unwrap()
        .ok()
        .unwrap();
    assert!(paused(tariff(1).resume("1")).unwrap().succeeded());
    for error in [
        paused(tariff(2).with(order(1)).resume("1")).unwrap_err(),
        paused(tariff(1).with(order(2)).resume("1")).unwrap_err(),
        paused(tariff(2).resume("1")).unwrap_err(),
    ] {
        assert!(error.is_input_changed(), "{error}");
    }
}

#[test]
fn there_is_a_clear_error_where_no_input_can_be_had() {
    #[action]
    fn length(text: PreviousContext<String>) -> usize {
        text.len()
    }

    let (calls, storage) = (Calls::default(), MemoryStorage::new());
    let checkout = checkout(&calls, storage.clone());
    let error = paused(checkout.resume("1")).unwrap_err();
    assert!(error.is_input_missing());
    assert_eq!(
        error.to_string(),
        "workflow `checkout` takes an input, and none is stored under the id \"1\": give it by \
         .with(input).resume(id)"
    );

    let sales = DotFlow::new("sales", task(calls.giving("sales", 1u32))).storage(storage.clone());
    paused(sales.resume("2")).unwrap().ok().unwrap();
    let error = paused(checkout.resume("2")).unwrap_err();
    assert!(error.is_other_workflow(), "{error}");

    // An input of another type, as of an older program.
    let older = DotFlow::with_input("checkout", |text| text.then(length())).storage(storage);
    paused(older.with("a".into()).resume("3"))
        .unwrap()
        .ok()
        .unwrap();
    let error = paused(checkout.resume("3")).unwrap_err();
    assert!(error.is_input_invalid(), "{error}");
    assert!(
        error
            .to_string()
            .starts_with("this can't be the input of workflow `checkout`: `")
    );
    assert_eq!(calls.all(), [("sales", 1)]);
}

#[test]
fn an_input_that_does_not_survive_storing_is_an_error_before_anything_runs() {
    #[derive(Serialize, Deserialize)]
    struct Ratio(f64);

    #[action]
    fn half(calls: Calls, ratio: PreviousContext<Ratio>) -> bool {
        calls.count("half");
        ratio.0 > 2.0
    }

    let calls = Calls::default();
    let half = half(calls.clone());
    let half = DotFlow::with_input("half", |ratio| ratio.then(half)).storage(MemoryStorage::new());
    assert!(
        *paused(half.with(Ratio(4.0)).start())
            .unwrap()
            .output()
            .unwrap()
    );
    let error = paused(half.with(Ratio(f64::NAN)).start()).unwrap_err();
    assert!(error.is_input_invalid(), "{error}");
    let error = paused(half.clone().max_output(3).with(Ratio(1.25)).start()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("it takes 4 bytes as JSON, and at most 3 are stored")
    );
    assert_eq!(calls.all(), [("half", 1)]);
    let run = paused(half.max_output(4).with(Ratio(12.5)).start()).unwrap();
    assert!(run.succeeded());
    assert_eq!(calls.all(), [("half", 2)]);
}

#[test]
fn a_storage_that_comes_after_the_input_is_refused() {
    #[action]
    fn length(text: PreviousContext<String>) -> usize {
        text.len()
    }

    let length = DotFlow::with_input("length", |text| text.then(length()));
    let late = length.with("four".into()).storage(MemoryStorage::new());
    let error = paused(late.start()).unwrap_err();
    assert!(error.is_input_invalid());
    assert_eq!(
        error.to_string(),
        "the input of workflow `length` can't be stored, since its storage was set after \
         .with(input), when the type of the input was not known any more: call .storage() before \
         .with()"
    );
}

#[test]
fn a_workflow_without_its_type_resumes_with_the_stored_input() {
    let (calls, storage) = (Calls::default(), MemoryStorage::new());
    let any = AnyWorkflow::from(checkout(&calls, storage));
    let resume = || RunOptions::new().id("1").resume(true);
    assert!(
        paused(any.run_with(resume(), None))
            .unwrap_err()
            .is_input_missing()
    );
    paused(any.run_with(resume(), Some(r#"{"id": 3}"#))).unwrap();
    let report = paused(any.run_with(resume(), None)).unwrap();
    assert!(report.tasks()[0].restored());
    assert_eq!(calls.all(), [("describe", 1)]);
}

#[test]
fn sub_workflows_are_restored_item_by_item() {
    let calls = Calls::default();
    let double = calls.mapping("double", |n: &u32| n * 2);
    let double = DotFlow::with_input("double", |n| n.then(double));
    let rows = DotFlow::new(
        "rows",
        task(calls.giving("rows", vec![1u32, 2, 3])).each(double),
    )
    .storage(MemoryStorage::new());
    for _ in 0..2 {
        assert_eq!(
            *paused(rows.resume("1")).unwrap().output().unwrap(),
            [2, 4, 6]
        );
    }
    assert_eq!(calls.all(), [("double", 3), ("rows", 1)]);
}

#[test]
fn a_list_that_may_differ_is_refused_however_deep_it_is_taken_apart() {
    let calls = Calls::default();
    let double = calls.mapping("double", |n: &u32| n * 2);
    let all = DotFlow::with_input("all", |rows| task_rows(rows, double));
    let rows = task(calls.giving("rows", vec![1u32, 2, 3])).without_checkpoint();
    let rows = DotFlow::new("rows", rows.then(all)).storage(MemoryStorage::new());
    let error = paused(rows.start()).unwrap_err();
    assert!(error.is_not_storable());
    assert!(
        error.to_string().contains(
            "in `all`, task:0 `double` runs once per item of `the input`, whose list is not stored"
        ),
        "{error}"
    );
}

fn task_rows<S>(rows: &dotflow::Task<Vec<u32>>, step: S) -> dotflow::Task<Vec<u32>>
where
    S: dotflow::wiring::Step<Inputs = (PreviousContext<u32>,), Output = u32>,
{
    rows.each(step)
}

#[test]
fn the_input_that_a_nested_workflow_was_given_is_compared() {
    let storage = MemoryStorage::new();
    let calls = Calls::default();
    let outer = |id: u32| {
        let inner = checkout(&calls, MemoryStorage::new()).with(order(id));
        DotFlow::new("outer", task(inner)).storage(storage.clone())
    };
    assert_eq!(paused(outer(1).resume("1")).unwrap().output().unwrap().0, 1);
    assert_eq!(paused(outer(1).resume("1")).unwrap().output().unwrap().0, 1);
    assert_eq!(calls.all(), [("describe", 1)]);
    let changed = paused(outer(2).resume("1")).unwrap();
    let error = changed.output().unwrap_err();
    assert!(
        error.to_string().contains("the input is not the one"),
        "{error}"
    );
    assert_eq!(calls.all(), [("describe", 1)]);
}

/// What the task before it returned is stored there, and what nobody can store is an argument like
/// any other: in neither case is there an input to compare.
#[test]
fn a_nested_workflow_has_a_record_only_of_an_input_that_was_bound_and_can_be_stored() {
    let calls = Calls::default();
    let keys = |inner: dotflow::Task<(u32, String)>| {
        let storage = MemoryStorage::new();
        let outer = DotFlow::new("outer", inner).storage(storage.clone());
        paused(outer.resume("1")).unwrap().ok().unwrap();
        paused(async { storage.list("1").await.unwrap() })
    };
    let storable = || checkout(&calls, MemoryStorage::new());
    let opaque = || {
        let describe = describe(calls.clone());
        DotFlow::with_input("checkout", |order| order.then(describe))
    };
    let both = ["#run", "checkout/#run", "checkout/describe"];
    assert_eq!(keys(task(storable().with(order(1)))), both);
    assert_eq!(
        keys(task(opaque().with(order(1)))),
        ["#run", "checkout/describe"]
    );
    let passed = task(calls.giving("order", order(1))).then(storable());
    assert_eq!(keys(passed), ["#run", "checkout/describe", "order"]);
}
