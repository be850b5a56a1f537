//! Workflows within workflows: their tasks are checkpoints of the run around them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use dotflow::{
    DotFlow, OnInputChange, Task, TaskError, action,
    action::from_fn,
    storage::{MemoryStorage, Storage},
    task,
};
use dotflow_tests::{paused, recorded};

use crate::calls::Calls;

fn breaking(
    calls: &Calls,
    broken: &Arc<AtomicBool>,
) -> impl dotflow::wiring::Step<Inputs = (), Output = u32> + use<> {
    let (calls, broken) = (calls.clone(), Arc::clone(broken));
    from_fn("breaking", move || {
        calls.count("breaking");
        let broken = broken.load(Ordering::Relaxed);
        async move {
            match broken {
                true => Err(TaskError::failed("broken")),
                false => Ok(7u32),
            }
        }
    })
    .checkpointed()
}

#[test]
fn a_nested_workflow_resumes_with_the_run_around_it() {
    let (calls, broken) = (Calls::default(), Arc::new(AtomicBool::new(true)));
    let storage = MemoryStorage::new();
    let inner = DotFlow::new(
        "in/ner",
        task(calls.giving("first", 1u32)).then(breaking(&calls, &broken)),
    );
    let outer = task(calls.giving("first", 2u32))
        .then(inner)
        .then(calls.mapping("last", |n: &u32| n + 1));
    let workflow = DotFlow::new("outer", outer).storage(storage.clone());

    let (run, recording) = recorded(async { workflow.resume("1").await.unwrap() });
    assert!(!run.succeeded());
    let inner = recording.otel("workflow:in/ner");
    assert_eq!(inner.text("dotflow.workflow_id"), Some("1/in%2fner"));
    broken.store(false, Ordering::Relaxed);
    let run = paused(workflow.resume("1")).unwrap();
    assert_eq!(*run.output().unwrap(), 8);
    assert_eq!(calls.all(), [("breaking", 2), ("first", 2), ("last", 1)]);
    paused(async {
        let keys = storage.list("1").await.unwrap();
        assert_eq!(
            keys,
            [
                "#run",
                "first",
                "in%2fner/breaking",
                "in%2fner/first",
                "last"
            ]
        );
        storage.remove_all("1").await.unwrap();
    });
    assert!(paused(workflow.resume("1")).unwrap().succeeded());
    assert_eq!(calls.all(), [("breaking", 3), ("first", 4), ("last", 2)]);
}

#[action]
fn numbers() -> Vec<u32> {
    vec![1, 2, 3]
}

#[test]
fn a_nested_workflow_per_item_has_checkpoints_per_item() {
    let calls = Calls::default();
    let storage = MemoryStorage::new();
    let inner = DotFlow::with_input("inner", |_: &Task<u32>| task(calls.giving("one", 1u32)));
    let workflow = DotFlow::new("outer", task(numbers()).each(inner)).storage(storage.clone());
    for _ in 0..2 {
        assert_eq!(
            *paused(workflow.resume("1")).unwrap().output().unwrap(),
            [1, 1, 1]
        );
    }
    assert_eq!(calls.all(), [("one", 3)]);
    let keys = paused(async { storage.list("1").await.unwrap() });
    assert_eq!(
        keys,
        [
            "#run",
            "inner[0]/one",
            "inner[1]/one",
            "inner[2]/one",
            "numbers"
        ]
    );
}

#[test]
fn a_list_from_a_nested_workflow_may_have_items() {
    let calls = Calls::default();
    let inner = DotFlow::new("inner", task(numbers()));
    let outer = |inner: DotFlow<Vec<u32>>| {
        let items = task(inner).each(calls.mapping("item", |n: &u32| n * 2));
        DotFlow::new("outer", items).storage(MemoryStorage::new())
    };
    assert_eq!(
        *paused(outer(inner).resume("1")).unwrap().output().unwrap(),
        [2, 4, 6]
    );
    let changing = DotFlow::new("inner", task(numbers()).without_checkpoint());
    let error = paused(outer(changing).resume("1")).unwrap_err();
    assert!(error.is_not_storable(), "{error}");
}

#[test]
fn what_is_not_storable_is_found_within() {
    struct Opaque;
    let opaque = from_fn("opaque", || async { Ok::<_, TaskError>(Opaque) });
    let inner = DotFlow::new("inner", task(opaque));
    let workflow = DotFlow::new("outer", task(inner)).storage(MemoryStorage::new());
    let error = paused(workflow.resume("1")).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("in `inner`, task:0 `opaque` returns"),
        "{error}"
    );
}

#[test]
fn a_workflow_with_a_storage_of_its_own_uses_that_of_the_run_around_it() {
    let calls = Calls::default();
    let (own, around) = (MemoryStorage::new(), MemoryStorage::new());
    let inner = DotFlow::new("inner", task(calls.giving("one", 1u32))).storage(own.clone());
    let workflow = DotFlow::new("outer", task(inner)).storage(around.clone());
    assert!(paused(workflow.resume("1")).unwrap().succeeded());
    let keys = paused(async { around.list("1").await.unwrap() });
    assert_eq!(keys, ["#run", "inner/one"]);
}

#[test]
fn the_input_of_a_nested_workflow_is_compared_too() {
    let calls = Calls::default();
    let storage = MemoryStorage::new();
    let outer = |input: u32| {
        let inner = DotFlow::new("inner", task(calls.giving("one", input))).input(&input);
        DotFlow::new("outer", task(inner)).storage(storage.clone())
    };
    assert!(paused(outer(1).resume("1")).unwrap().succeeded());
    assert!(paused(outer(1).resume("1")).unwrap().succeeded());
    let run = paused(outer(2).resume("1")).unwrap();
    let error = run.output().unwrap_err();
    assert!(
        error.to_string().contains("workflow \"1/inner\""),
        "{error}"
    );
}

/// It can't begin anew: what it would have to remove belongs to the run around it.
#[test]
fn a_nested_workflow_whose_input_has_changed_removes_nothing() {
    let (calls, storage) = (Calls::default(), MemoryStorage::new());
    let outer = |input: u32| {
        let inner = DotFlow::new("inner", task(calls.giving("one", input)))
            .input(&input)
            .on_input_change(OnInputChange::Reset);
        let before = task(calls.giving("before", 0u32));
        DotFlow::new("outer", before.then(inner)).storage(storage.clone())
    };
    assert!(paused(outer(1).resume("1")).unwrap().succeeded());
    let stored = || paused(async { storage.list("1").await.unwrap() });
    let before = stored();
    assert_eq!(before, ["#run", "before", "inner/#run", "inner/one"]);
    let error = paused(outer(2).resume("1")).unwrap().output().unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("the nested workflow \"1/inner\" has changed"),
        "{text}"
    );
    assert!(
        text.contains("give the input to the outermost workflow"),
        "{text}"
    );
    assert_eq!(stored(), before);
    assert_eq!(calls.all(), [("before", 1), ("one", 1)]);
}
