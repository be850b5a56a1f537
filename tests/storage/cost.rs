//! What a checkpoint costs. `cargo test --release -p dotflow-tests --test storage -- --ignored
//! --nocapture cost` prints it; a number that differs from machine to machine is no test.

use std::{io::Write as _, time::Instant};

use dotflow::{DotFlow, Task, storage::FileStorage, task};
use dotflow_tests::threaded;

use crate::calls::Calls;

const TASKS: u32 = 500;

fn chain() -> Task<u32> {
    let calls = Calls::default();
    let first = task(calls.giving("task", 0u32));
    (1..TASKS).fold(first, |last, _| {
        last.then(calls.mapping("task", |number: &u32| number + 1))
    })
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
