//! A checkpoint is restored only for the very task that made it.

use dotflow::{
    DotFlow, OnInputChange, PreviousContext, TaskErrorKind, action,
    storage::{MemoryStorage, Storage},
    task,
};
use dotflow_tests::paused;

#[action]
async fn load(table: String) -> String {
    format!("rows of {table}")
}

#[action]
async fn both(left: PreviousContext<String>, right: PreviousContext<String>) -> String {
    format!("{} and {}", *left, *right)
}

#[action]
async fn one(rows: PreviousContext<String>) -> String {
    rows.into_inner()
}

#[test]
fn an_id_belongs_to_one_workflow() {
    let storage = MemoryStorage::new();
    let workflow = |name: &str, input: &str| {
        DotFlow::new(name, task(load(input.into())))
            .storage(storage.clone())
            .input(input)
            .on_input_change(OnInputChange::Reset)
    };
    paused(async {
        let charge = workflow("charge", "charges");
        let run = charge.resume("order-42").await.unwrap();
        assert_eq!(*run.output().unwrap(), "rows of charges");
        let before = storage.list("order-42").await.unwrap();
        // Not even what says `Reset` removes what another workflow has stored.
        let error = workflow("ship", "shipments")
            .resume("order-42")
            .await
            .unwrap_err();
        assert!(error.is_other_workflow(), "{error}");
        assert!(error.to_string().contains("workflow `charge`"), "{error}");
        assert_eq!(storage.list("order-42").await.unwrap(), before);
        let run = charge.resume("order-42").await.unwrap();
        assert!(run.tasks()[0].restored());
    });
}

#[test]
fn an_id_of_dotflows_own_is_refused() {
    let storage = MemoryStorage::new();
    let workflow = DotFlow::new("v", task(load("eu".into()))).storage(storage.clone());
    let error = paused(workflow.resume("#run")).unwrap_err();
    assert!(error.is_reserved_id(), "{error}");
    assert!(paused(async move { storage.list("#run").await.unwrap() }).is_empty());
}

#[test]
fn nested_workflows_of_one_name_are_told_apart() {
    let storage = MemoryStorage::new();
    let region = |name: &str| task(DotFlow::new("region", task(load(name.into()))));
    paused(async {
        let two = region("eu").and(&region("us")).then(both());
        let two = DotFlow::new("v", two).storage(storage.clone());
        let run = two.resume("1").await.unwrap();
        assert_eq!(*run.output().unwrap(), "rows of eu and rows of us");
        let only = DotFlow::new("v", region("us").then(one())).storage(storage.clone());
        let run = only.resume("1").await.unwrap();
        let error = run.tasks()[0].errors()[0].clone();
        assert!(
            error.to_string().contains("2 tasks of the name `region`"),
            "{error}"
        );
        assert!(!run.succeeded());
    });
}

#[test]
fn another_version_of_an_action_is_done_again_with_all_that_follows() {
    #[action]
    async fn number() -> String {
        "first".into()
    }
    #[action(name = "number", version = 2)]
    async fn number_again() -> String {
        "second".into()
    }
    #[action]
    async fn beside() -> String {
        "beside".into()
    }
    let storage = MemoryStorage::new();
    paused(async {
        let (number, beside_it) = (task(number()), task(beside()));
        let old = number.and(&beside_it).then(both()).then(one());
        let old = DotFlow::new("v", old).storage(storage.clone());
        assert!(old.resume("1").await.unwrap().succeeded());
        let (number, beside_it) = (task(number_again()), task(beside()));
        let new = number.and(&beside_it).then(both()).then(one());
        let new = DotFlow::new("v", new).storage(storage.clone());
        for (workflow, output, restored) in [
            (&new, "second and beside", [false, true, false, false]),
            (&new, "second and beside", [true; 4]),
            (&old, "first and beside", [true; 4]),
        ] {
            let run = workflow.resume("1").await.unwrap();
            assert_eq!(*run.output().unwrap(), output);
            let told: Vec<bool> = run
                .tasks()
                .iter()
                .map(dotflow::TaskReport::restored)
                .collect();
            assert_eq!(told, restored);
        }
    });
}

/// What a nested workflow returns depends on all that is in it.
#[test]
fn what_follows_a_nested_workflow_follows_its_tasks() {
    #[action(name = "first", version = 2)]
    async fn first_again() -> String {
        "second".into()
    }
    #[action]
    async fn first() -> String {
        "first".into()
    }
    #[action]
    async fn shout(text: PreviousContext<String>) -> String {
        text.to_uppercase()
    }
    let storage = MemoryStorage::new();
    let around = |inner| {
        let inner = DotFlow::new("inner", inner);
        DotFlow::new("outer", task(inner).then(one())).storage(storage.clone())
    };
    paused(async {
        let old = around(task(first()));
        assert_eq!(*old.resume("1").await.unwrap().output().unwrap(), "first");
        // Another version within: done again, with all that follows outside.
        let again = around(task(first_again()));
        assert_eq!(
            *again.resume("1").await.unwrap().output().unwrap(),
            "second"
        );
        // Another task within: what followed the old ones is refused.
        let longer = around(task(first()).then(shout()));
        let run = longer.resume("1").await.unwrap();
        let error = run.output().unwrap_err();
        assert_eq!(error.kind(), TaskErrorKind::Storage);
        let old = old.resume("1").await.unwrap();
        assert_eq!(*old.output().unwrap(), "first");
        assert!(old.tasks()[1].restored());
    });
}

/// Another version before a nested workflow is other work for what follows it, and one within as well:
/// both at once make no error.
#[test]
fn versions_before_a_nested_workflow_and_within_it_count_both() {
    #[action(name = "before", version = 2)]
    async fn before() -> String {
        "second".into()
    }
    #[action(name = "before", version = 3)]
    async fn before_again() -> String {
        "third".into()
    }
    #[action(version = 2)]
    async fn within() -> String {
        "within".into()
    }
    let storage = MemoryStorage::new();
    let workflow = |before: dotflow::Task<String>| {
        let inner = before.then(DotFlow::new("inner", task(within())));
        DotFlow::new("outer", inner.then(one())).storage(storage.clone())
    };
    paused(async {
        let (second, third) = (workflow(task(before())), workflow(task(before_again())));
        for (workflow, restored) in [(&second, false), (&third, false), (&second, true)] {
            let run = workflow.resume("1").await.unwrap();
            assert_eq!(*run.output().unwrap(), "within");
            let last = run.tasks().iter().find(|task| task.name() == "one");
            assert_eq!(last.unwrap().restored(), restored);
        }
    });
}

/// A task that is not stored passes on what comes before it, and is never looked at itself.
#[test]
fn a_change_before_a_task_that_is_not_stored_is_seen_behind_it() {
    #[action]
    async fn shout(text: PreviousContext<String>) -> String {
        text.to_uppercase()
    }
    let storage = MemoryStorage::new();
    let workflow = |before: dotflow::Task<String>| {
        let passing = before.then(one()).named("passing").without_checkpoint();
        DotFlow::new("v", passing.then(one()).named("last")).storage(storage.clone())
    };
    paused(async {
        let old = workflow(task(load("eu".into())));
        assert_eq!(
            *old.resume("1").await.unwrap().output().unwrap(),
            "rows of eu"
        );
        let longer = workflow(task(load("eu".into())).then(shout()));
        let error = longer.resume("1").await.unwrap().output().unwrap_err();
        assert_eq!(error.kind(), TaskErrorKind::Storage);
        let run = old.resume("1").await.unwrap();
        assert_eq!(*run.output().unwrap(), "rows of eu");
    });
}

#[test]
fn checkpoints_without_the_record_of_their_run_are_refused() {
    let storage = MemoryStorage::new();
    let workflow = DotFlow::new("v", task(load("eu".into()))).storage(storage.clone());
    paused(async {
        assert!(workflow.resume("1").await.unwrap().succeeded());
        let stored = storage.get("1", "load").await.unwrap().unwrap();
        storage.remove_all("1").await.unwrap();
        storage.put_new("1", "load", stored).await.unwrap();
        let anew = workflow
            .clone()
            .input("eu")
            .on_input_change(OnInputChange::Reset);
        for workflow in [&workflow, &anew] {
            let error = workflow.resume("1").await.unwrap_err();
            assert!(error.is_storage(), "{error}");
            assert!(error.to_string().contains("#run"), "{error}");
            assert_eq!(storage.list("1").await.unwrap(), ["load"]);
        }
    });
}

#[test]
fn a_checkpoint_of_another_input_is_refused() {
    let stores = [MemoryStorage::new(), MemoryStorage::new()];
    paused(async {
        for (storage, input) in stores.iter().zip(["eu", "us"]) {
            let workflow = DotFlow::new("v", task(load(input.into()))).storage(storage.clone());
            assert!(workflow.input(input).resume("1").await.unwrap().succeeded());
        }
        let foreign = stores[1].get("1", "load").await.unwrap().unwrap();
        let record = stores[0].get("1", "#run").await.unwrap().unwrap();
        stores[0].remove_all("1").await.unwrap();
        stores[0].put_new("1", "#run", record).await.unwrap();
        stores[0].put_new("1", "load", foreign).await.unwrap();
        let workflow = DotFlow::new("v", task(load("eu".into()))).storage(stores[0].clone());
        let run = workflow.input("eu").resume("1").await.unwrap();
        let error = run.output().unwrap_err();
        assert_eq!(error.kind(), TaskErrorKind::Storage);
        assert!(error.to_string().contains("another input"), "{error}");
    });
}

/// Whatever a workflow says of changes: a record that is damaged is no change.
#[test]
fn a_damaged_record_is_an_error_and_removes_nothing() {
    let storage = MemoryStorage::new();
    let workflow = DotFlow::new("v", task(load("eu".into())))
        .storage(storage.clone())
        .input("eu")
        .on_input_change(OnInputChange::Reset);
    paused(async {
        assert!(workflow.resume("1").await.unwrap().succeeded());
        let keys = ["#run", "load"];
        let whole = [
            storage.get("1", keys[0]).await.unwrap().unwrap(),
            storage.get("1", keys[1]).await.unwrap().unwrap(),
        ];
        let mut flipped = 0;
        for index in 0..whole[0].len() {
            for bit in 0..8 {
                let mut bytes = whole[0].clone().into_bytes();
                bytes[index] ^= 1 << bit;
                let Ok(text) = String::from_utf8(bytes) else {
                    continue;
                };
                storage.remove_all("1").await.unwrap();
                storage.put_new("1", keys[0], text).await.unwrap();
                storage
                    .put_new("1", keys[1], whole[1].clone())
                    .await
                    .unwrap();
                let resumed = workflow.resume("1").await;
                assert_eq!(
                    storage.list("1").await.unwrap(),
                    keys,
                    "bit {bit} of {index}"
                );
                match resumed {
                    // White space between two members says nothing.
                    Ok(run) => assert!(run.tasks()[0].restored()),
                    Err(error) => assert!(error.is_storage(), "{error}"),
                }
                flipped += 1;
            }
        }
        assert!(flipped > 1000, "{flipped}");
    });
}
