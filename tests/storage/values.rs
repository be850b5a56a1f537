//! A run and its resume hand on the same values: those that are read back from the checkpoint.

use std::fmt::Debug;

use dotflow::{
    DotFlow, PreviousContext, TaskErrorKind, action,
    storage::{MemoryStorage, Storage},
    task,
};
use dotflow_tests::{paused, recorded};
use serde::{Deserialize, Serialize};

use crate::calls::Calls;

/// What the task after one with this output receives: in the first run, and in a resumed one.
fn handed_on<T>(output: T) -> [String; 2]
where
    T: crate::calls::Value + Debug,
{
    let (calls, storage) = (Calls::default(), MemoryStorage::new());
    let made = task(calls.giving("made", output));
    let seen = made.then(calls.mapping("seen", |value: &T| format!("{value:?}")));
    let workflow = DotFlow::new("w", seen.without_checkpoint()).storage(storage);
    paused(async {
        let first = workflow.resume("1").await.unwrap().output().unwrap();
        let again = workflow.resume("1").await.unwrap();
        assert!(again.tasks()[0].restored());
        [first.to_string(), again.output().unwrap().to_string()]
    })
}

/// What `Debug` shows of it is what is compared.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(dead_code, reason = "read by `Debug`")]
struct Skips {
    kept: u32,
    #[serde(skip)]
    lost: Vec<u32>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Short(u8),
    Long(u64),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(dead_code, reason = "read by `Debug`")]
struct Defaults {
    #[serde(skip_serializing, default = "seven")]
    number: u32,
}

fn seven() -> u32 {
    7
}

#[test]
fn both_runs_hand_on_what_is_stored() {
    let skips = Skips {
        kept: 1,
        lost: vec![2],
    };
    let [first, again] = handed_on(skips);
    assert_eq!(first, again);
    assert_eq!(first, "Skips { kept: 1, lost: [] }");
    let [first, again] = handed_on(Untagged::Long(3));
    assert_eq!(first, again);
    assert_eq!(first, "Short(3)");
    let [first, again] = handed_on(Defaults { number: 1 });
    assert_eq!(first, again);
    assert_eq!(first, "Defaults { number: 7 }");
}

#[action]
async fn large(bytes: usize) -> String {
    "x".repeat(bytes)
}

#[action]
async fn length(text: PreviousContext<String>) -> usize {
    text.len()
}

const MIB: usize = 1024 * 1024;

#[test]
fn a_large_output_is_a_warning_and_a_huge_one_an_error() {
    let run = |bytes, most: Option<usize>| {
        let storage = MemoryStorage::new();
        let workflow =
            DotFlow::new("w", task(large(bytes)).then(length())).storage(storage.clone());
        let workflow = match most {
            Some(most) => workflow.max_output(most),
            None => workflow,
        };
        let (run, recording) = recorded(async { workflow.resume("1").await.unwrap() });
        let events = recording.spans.iter().flat_map(|span| &span.events);
        let warnings = events.filter(|event| event.name == "large output").count();
        let keys = paused(async move { storage.list("1").await.unwrap() });
        (run, warnings, keys.contains(&"large".to_owned()))
    };
    let (small, warnings, stored) = run(MIB - 2, None);
    assert!(small.succeeded() && warnings == 0 && stored);
    let (large, warnings, stored) = run(MIB, None);
    assert!(large.succeeded() && warnings == 1 && stored);
    let (larger, warnings, stored) = run(3 * MIB, None);
    assert!(larger.succeeded() && warnings == 1 && stored);
    let (huge, _, stored) = run(64 * MIB, None);
    let error = huge.tasks()[0].errors()[0].clone();
    assert_eq!(error.kind(), TaskErrorKind::Storage);
    assert!(
        error.to_string().contains("return a reference to it"),
        "{error}"
    );
    assert!(!stored, "{error}");
    // The text of a hundred characters has two quotes as well.
    let (limited, _, stored) = run(100, Some(101));
    assert!(!limited.succeeded() && !stored);
    let (just, _, stored) = run(100, Some(102));
    assert!(just.succeeded() && stored);
    let (raised, _, stored) = run(65 * MIB, Some(128 * MIB));
    assert!(raised.succeeded() && stored);
}
