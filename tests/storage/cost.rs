//! What a run asks of its storage, and what a checkpoint costs. `cargo test --release -p dotflow-tests --test storage -- --ignored
//! --nocapture cost` prints it; a number that differs from machine to machine is no test.

use std::{
    io::Write as _,
    mem,
    sync::{Arc, Mutex},
    time::Instant,
};

use dotflow::{
    DotFlow, RunOptions, Task,
    storage::{FileStorage, MemoryStorage, Storage, StorageFuture},
    task,
};
use dotflow_tests::{paused, threaded};

use crate::calls::Calls;

const TASKS: u32 = 500;

fn chain() -> Task<u32> {
    let calls = Calls::default();
    let first = task(calls.giving("task", 0u32));
    (1..TASKS).fold(first, |last, _| {
        last.then(calls.mapping("task", |number: &u32| number + 1))
    })
}

/// Notes what it is asked for.
#[derive(Clone, Default)]
struct Noting {
    inner: MemoryStorage,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Noting {
    fn note(&self, what: String) {
        self.asked.lock().unwrap().push(what);
    }

    fn asked(&self) -> Vec<String> {
        mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Storage for Noting {
    fn get<'a>(&'a self, workflow_id: &'a str, key: &'a str) -> StorageFuture<'a, Option<String>> {
        self.note(format!("get {key}"));
        self.inner.get(workflow_id, key)
    }

    fn put_new<'a>(
        &'a self,
        workflow_id: &'a str,
        key: &'a str,
        checkpoint: String,
    ) -> StorageFuture<'a, bool> {
        self.note(format!("put {key}"));
        self.inner.put_new(workflow_id, key, checkpoint)
    }

    fn remove_all<'a>(&'a self, workflow_id: &'a str) -> StorageFuture<'a, ()> {
        self.note("remove".to_owned());
        self.inner.remove_all(workflow_id)
    }

    fn list<'a>(&'a self, workflow_id: &'a str) -> StorageFuture<'a, Vec<String>> {
        self.note("list".to_owned());
        self.inner.list(workflow_id)
    }
}

#[test]
fn a_run_of_a_new_id_asks_for_nothing_before_its_record() {
    let storage = Noting::default();
    let calls = Calls::default();
    let workflow = DotFlow::new("w", task(calls.giving("one", 1u32))).storage(storage.clone());
    assert!(paused(workflow.start()).unwrap().succeeded());
    assert_eq!(storage.asked(), ["put #run", "get one", "put one"]);

    // Under any other id there may be something.
    let named = workflow.run_with(RunOptions::new().id("1"));
    assert!(paused(named).unwrap().succeeded());
    let all = ["get #run", "list", "put #run", "get one", "put one"];
    assert_eq!(storage.asked(), all);
    assert!(paused(workflow.resume("1")).unwrap().succeeded());
    assert_eq!(storage.asked(), ["get #run", "get one"]);
}

/// What waits for its turn is looked up meanwhile only where something may be found.
#[test]
fn under_a_new_id_a_task_with_a_limit_is_looked_up_when_it_is_its_turn() {
    let storage = Noting::default();
    let calls = Calls::default();
    let one = |name| task(calls.giving(name, 1u32)).group("db");
    let workflow = DotFlow::new("w", (one("a"), one("b")))
        .storage(storage.clone())
        .limit("db", 1);
    assert!(paused(workflow.start()).unwrap().succeeded());
    let in_turn = ["put #run", "get a", "put a", "get b", "put b"];
    assert_eq!(storage.asked(), in_turn);
    assert!(paused(workflow.resume("1")).unwrap().succeeded());
    let looked_up = [
        "get #run", "list", "put #run", "get a", "get b", "put a", "put b",
    ];
    assert_eq!(storage.asked(), looked_up);
}

#[test]
#[ignore = "it measures"]
fn the_cost_of_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let storage = |name: &str| FileStorage::open(folder.path().join(name)).unwrap();
    for (what, workflow) in [
        ("no storage", DotFlow::new("w", chain())),
        (
            "files, no sync",
            DotFlow::new("w", chain()).storage(storage("a").sync(false)),
        ),
        ("files", DotFlow::new("w", chain()).storage(storage("b"))),
        (
            "files, restored",
            DotFlow::new("w", chain()).storage(storage("b")),
        ),
    ] {
        let started = Instant::now();
        threaded(async move {
            let run = match what {
                "no storage" => workflow.start().await,
                _ => workflow.resume("1").await,
            };
            assert_eq!(*run.unwrap().output().unwrap(), TASKS - 1);
        });
        let each = started.elapsed() / TASKS;
        writeln!(std::io::stderr(), "{what}: {each:?} per task").unwrap();
    }
}
