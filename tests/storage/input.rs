//! What a workflow depends on: a change of it is noticed, and met as the workflow says.

use std::collections::{BTreeMap, HashMap};

use dotflow::{
    DotFlow, OnInputChange, PreviousContext, action,
    storage::{MemoryStorage, Storage},
    task,
};
use dotflow_tests::{paused, recorded};
use serde::Serialize;

#[action]
fn read(input: String) -> String {
    input
}

#[action]
fn shout(text: PreviousContext<String>) -> String {
    text.to_uppercase()
}

fn workflow(storage: &MemoryStorage, input: &str) -> DotFlow<String> {
    DotFlow::new("w", task(read(input.into())).then(shout()))
        .storage(storage.clone())
        .input(input)
}

fn output(workflow: &DotFlow<String>) -> String {
    paused(workflow.resume("1"))
        .unwrap()
        .output()
        .unwrap()
        .to_string()
}

fn keys(storage: &MemoryStorage) -> Vec<String> {
    paused(async { storage.list("1").await.unwrap() })
}

#[test]
fn a_change_is_an_error_unless_said_otherwise() {
    let storage = MemoryStorage::new();
    assert_eq!(output(&workflow(&storage, "old")), "OLD");
    assert_eq!(output(&workflow(&storage, "old")), "OLD");
    let changed = workflow(&storage, "new");
    let (result, recording) = recorded(changed.resume("1"));
    let error = result.unwrap_err();
    assert!(error.is_input_changed());
    assert!(error.to_string().contains("workflow \"1\""), "{error}");
    // The span was open by then, and says how it ended.
    assert_eq!(
        recording.tree(),
        format!(
            "workflow:w status=\"Failed\" error={:?}\n",
            error.to_string()
        )
    );
    assert_eq!(output(&workflow(&storage, "old")), "OLD");
    assert!(!paused(changed.resume("2")).unwrap().tasks()[0].restored());
}

#[test]
fn reuse_goes_on_with_what_is_stored() {
    let storage = MemoryStorage::new();
    assert_eq!(output(&workflow(&storage, "old")), "OLD");
    let changed = workflow(&storage, "new").on_input_change(OnInputChange::Reuse);
    assert_eq!(output(&changed), "OLD");
    // The input that counts is still the first one.
    assert_eq!(output(&workflow(&storage, "old")), "OLD");
}

#[test]
fn reset_begins_anew() {
    let storage = MemoryStorage::new();
    assert_eq!(output(&workflow(&storage, "old")), "OLD");
    let changed = workflow(&storage, "new").on_input_change(OnInputChange::Reset);
    assert_eq!(output(&changed), "NEW");
    assert_eq!(output(&workflow(&storage, "new")), "NEW");
    assert!(
        paused(workflow(&storage, "old").resume("1"))
            .unwrap_err()
            .is_input_changed()
    );
}

#[test]
fn checkpoints_of_an_unknown_input_count_as_changed() {
    let storage = MemoryStorage::new();
    let silent = DotFlow::new("w", task(read("old".into())).then(shout())).storage(storage.clone());
    assert_eq!(output(&silent), "OLD");
    assert!(
        paused(workflow(&storage, "new").resume("1"))
            .unwrap_err()
            .is_input_changed()
    );
    let reset = workflow(&storage, "new").on_input_change(OnInputChange::Reset);
    assert_eq!(output(&reset), "NEW");
    assert_eq!(keys(&storage), ["#run", "read", "shout"]);
    // A workflow that says nothing of its input asks for no comparison.
    assert_eq!(output(&silent), "NEW");
}

#[test]
fn a_started_run_remembers_its_input_too() {
    let storage = MemoryStorage::new();
    let run = paused(workflow(&storage, "old").start()).unwrap();
    let resumed = paused(workflow(&storage, "new").resume(run.workflow_id()));
    assert!(resumed.unwrap_err().is_input_changed());
}

#[test]
fn the_order_of_a_map_does_not_matter() {
    #[derive(Serialize)]
    struct Settings<'a> {
        tables: &'a HashMap<String, u32>,
    }
    let storage = MemoryStorage::new();
    let sized = |names: &mut dyn Iterator<Item = u32>| {
        let tables: HashMap<String, u32> = names.map(|n| (format!("t{n}"), n)).collect();
        DotFlow::new("w", task(read("x".into())))
            .storage(storage.clone())
            .input(&Settings { tables: &tables })
    };
    // Each map has its own random order.
    for _ in 0..10 {
        assert_eq!(output(&sized(&mut (0..50))), "x");
        assert_eq!(output(&sized(&mut (0..50).rev())), "x");
    }
    assert!(
        paused(sized(&mut (0..51)).resume("1"))
            .unwrap_err()
            .is_input_changed()
    );
}

#[test]
fn an_input_that_is_no_json_is_an_error_before_the_run() {
    let storage = MemoryStorage::new();
    let map = BTreeMap::from([((1, 2), 3)]);
    let workflow = DotFlow::new("w", task(read("x".into())))
        .storage(storage.clone())
        .input(&map);
    let error = paused(workflow.resume("1")).unwrap_err();
    assert!(error.to_string().contains(".input()"), "{error}");
    assert!(keys(&storage).is_empty());
}
