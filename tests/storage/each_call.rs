//! A storage that fails once, in each of its calls in turn, in the middle of a whole run, or takes
//! the whole program with it: a run that goes on says so, and the resumed one does what is left and
//! nothing else.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use dotflow::{
    DotFlow, OnInputChange, TaskReport,
    storage::{MemoryStorage, Storage, StorageError, StorageFuture},
    task,
};
use dotflow_tests::paused;
use tokio::sync::Notify;

use crate::calls::Calls;

/// What a call that fails has done by then.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// Nothing: the storage could not be reached.
    Before,
    /// All of it: the answer was lost on the way back.
    After,
    /// Nothing, and the program is gone.
    DiesBefore,
    /// All of it, and the program is gone.
    DiesAfter,
}

impl Fault {
    const ALL: [Self; 4] = [Self::Before, Self::After, Self::DiesBefore, Self::DiesAfter];

    fn is_death(self) -> bool {
        matches!(self, Self::DiesBefore | Self::DiesAfter)
    }
}

/// Fails in one of its calls.
#[derive(Clone)]
struct FailsOnce {
    inner: MemoryStorage,
    calls: Arc<AtomicUsize>,
    /// Which call fails, from 1; 0 for none.
    failing: usize,
    fault: Fault,
    /// Tells that the program is gone.
    died: Arc<Notify>,
}

impl FailsOnce {
    fn new(inner: MemoryStorage, failing: usize, fault: Fault) -> Self {
        Self {
            inner,
            calls: Arc::default(),
            failing,
            fault,
            died: Arc::default(),
        }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    async fn call<R>(&self, call: StorageFuture<'_, R>) -> Result<R, StorageError> {
        let is_failing = self.calls.fetch_add(1, Ordering::Relaxed) + 1 == self.failing;
        if !is_failing {
            return call.await;
        }
        if let Fault::After | Fault::DiesAfter = self.fault {
            call.await?;
        }
        if self.fault.is_death() {
            self.died.notify_one();
            return std::future::pending().await;
        }
        Err(StorageError::new("injected"))
    }
}

impl Storage for FailsOnce {
    fn get<'a>(&'a self, workflow_id: &'a str, key: &'a str) -> StorageFuture<'a, Option<String>> {
        Box::pin(self.call(self.inner.get(workflow_id, key)))
    }

    fn put_new<'a>(
        &'a self,
        workflow_id: &'a str,
        key: &'a str,
        checkpoint: String,
    ) -> StorageFuture<'a, bool> {
        Box::pin(self.call(self.inner.put_new(workflow_id, key, checkpoint)))
    }

    fn remove_all<'a>(&'a self, workflow_id: &'a str) -> StorageFuture<'a, ()> {
        Box::pin(self.call(self.inner.remove_all(workflow_id)))
    }

    fn list<'a>(&'a self, workflow_id: &'a str) -> StorageFuture<'a, Vec<String>> {
        Box::pin(self.call(self.inner.list(workflow_id)))
    }
}

/// The tasks that store something: their keys, and the actions that do their work. What follows a
/// workflow that was built on the way has a key that ends in what that one is.
const TASKS: [(&str, &str); 10] = [
    ("list", "list"),
    ("double[0]", "double"),
    ("double[1]", "double"),
    ("double[2]", "double"),
    ("inner/first", "first"),
    ("inner/second", "second"),
    ("sum", "sum"),
    ("last", "last"),
    ("grown/built/made", "made"),
    ("end~", "end"),
];

const OUTPUT: u32 = 1 + 2 * (3 + 5 + 8) + 110 + 1000;

/// A list with its items, a nested workflow beside it, one that is built on the way, and a chain: every
/// way to store.
fn workflow(calls: &Calls, storage: impl Storage, input: &str) -> DotFlow<u32> {
    let items = task(calls.giving("list", vec![3u32, 5, 8]))
        .each(calls.mapping("double", |item: &u32| item * 2));
    let inner =
        task(calls.giving("first", 100u32)).then(calls.mapping("second", |first: &u32| first + 10));
    let inner = task(DotFlow::new("inner", inner).input("inner"));
    let total = items.then(calls.mapping("sum", |items: &Vec<u32>| items.iter().sum::<u32>()));
    let last = dotflow::action::from_fn("last", {
        let calls = calls.clone();
        move |total: dotflow::PreviousContext<u32>, inner: dotflow::PreviousContext<u32>| {
            calls.count("last");
            std::future::ready(Ok::<u32, dotflow::TaskError>(1 + *total + *inner))
        }
    });
    let last = total.and(&inner).then(last.checkpointed());
    let grown = last.expand("grown", {
        let calls = calls.clone();
        move |last: dotflow::PreviousContext<u32>| {
            DotFlow::new("built", task(calls.giving("made", *last)))
        }
    });
    let end = grown.then(calls.mapping("end", |made: &u32| made + 1000));
    DotFlow::new("w", end)
        .storage(storage)
        .input(input)
        .on_input_change(OnInputChange::Reset)
}

/// What is stored, by key, besides the records of runs.
fn stored(storage: &MemoryStorage) -> BTreeMap<String, String> {
    paused(async {
        let mut stored = BTreeMap::new();
        for key in storage.list("1").await.unwrap() {
            if !key.ends_with("#run") {
                let text = storage.get("1", &key).await.unwrap().unwrap();
                stored.insert(key, text);
            }
        }
        stored
    })
}

/// How many times each action has to work where these keys are stored already.
fn missing(stored: &BTreeMap<String, String>) -> Vec<(&'static str, u32)> {
    let calls = Calls::default();
    for (key, action) in TASKS {
        let is_key = |stored: &String| stored == key || key == "end~" && stored.starts_with(key);
        if !stored.keys().any(is_key) {
            calls.count(action);
        }
    }
    calls.all()
}

/// Whether a run has succeeded; where it has not, the storage is the reason.
fn succeeds(workflow: &DotFlow<u32>, died: &Notify) -> bool {
    let run = workflow.resume("1");
    let ended = paused(async {
        tokio::select! {
            run = run => Some(run),
            // From here on nobody polls the run any more.
            () = died.notified() => None,
        }
    });
    match ended {
        None => false,
        Some(Ok(run)) if run.succeeded() => {
            assert_eq!(*run.output().unwrap(), OUTPUT);
            true
        }
        Some(Ok(run)) => {
            let mut errors = run.tasks().iter().flat_map(TaskReport::errors);
            assert!(
                errors.any(|error| error.to_string().contains("injected")),
                "{run}"
            );
            false
        }
        Some(Err(error)) => {
            assert!(error.is_storage(), "{error}");
            assert!(error.to_string().contains("injected"), "{error}");
            false
        }
    }
}

fn finishes(calls: &Calls, storage: impl Storage, input: &str) -> bool {
    succeeds(&workflow(calls, storage, input), &Notify::new())
}

/// Runs with what is stored already, failing in each call in turn, and then without a fault.
///
/// With `is_stale`, what is stored already belongs to another input.
fn fails_in_each_call(
    fault: Fault,
    begun: impl Fn() -> MemoryStorage,
    input: &str,
    is_stale: bool,
) -> usize {
    let whole = FailsOnce::new(begun(), 0, fault);
    assert!(finishes(&Calls::default(), whole.clone(), input));
    for failing in 1..=whole.calls() {
        let storage = FailsOnce::new(begun(), failing, fault);
        let before = stored(&storage.inner);
        assert!(
            !succeeds(
                &workflow(&Calls::default(), storage.clone(), input),
                &storage.died
            ),
            "{fault:?} in call {failing} was not told"
        );
        assert!(storage.calls() >= failing);

        let mut left = stored(&storage.inner);
        left.retain(|key, text| !is_stale || before.get(key) != Some(text));
        let calls = Calls::default();
        let is_done = finishes(&calls, storage.inner.clone(), input);
        assert!(is_done, "{fault:?} in call {failing}");
        assert_eq!(calls.all(), missing(&left), "{fault:?} in call {failing}");
        assert_eq!(stored(&storage.inner).len(), TASKS.len());
    }
    whole.calls()
}

#[test]
fn a_first_run_that_fails_in_any_call_can_be_resumed() {
    for fault in Fault::ALL {
        let calls = fails_in_each_call(fault, MemoryStorage::new, "input", false);
        println!("{fault:?}: {calls} calls");
        // At least one look and one write for each task.
        assert!(calls >= 2 * TASKS.len(), "{calls}");
    }
}

#[test]
fn a_resumed_run_that_fails_in_any_call_can_be_resumed() {
    // Of a finished run three checkpoints are missing again.
    let begun = || {
        let whole = MemoryStorage::new();
        assert!(finishes(&Calls::default(), whole.clone(), "input"));
        let begun = MemoryStorage::new();
        paused(async {
            for key in whole.list("1").await.unwrap() {
                if !["double[1]", "inner/second", "last"].contains(&&*key) {
                    let text = whole.get("1", &key).await.unwrap().unwrap();
                    begun.put_new("1", &key, text).await.unwrap();
                }
            }
        });
        begun
    };
    for fault in Fault::ALL {
        let calls = fails_in_each_call(fault, begun, "input", false);
        println!("{fault:?}: {calls} calls");
    }
}

#[test]
fn a_run_that_begins_anew_and_fails_in_any_call_can_be_resumed() {
    let begun = || {
        let storage = MemoryStorage::new();
        assert!(finishes(&Calls::default(), storage.clone(), "old"));
        storage
    };
    for fault in Fault::ALL {
        let calls = fails_in_each_call(fault, begun, "new", true);
        println!("{fault:?}: {calls} calls");
    }
}
