//! What a run holds in memory, counted by the allocations of its thread.
#![allow(clippy::unwrap_used, reason = "it is a test, its helpers included")]

use allocation_counter::measure;
use dotflow::{DotFlow, PreviousContext, TaskErrorKind, action, task};
use dotflow_tests::paused;

const TEXT: usize = 10_000;
const SKIPPED: usize = 20_000;

#[action(inline)]
fn refuse() -> Result<u32, String> {
    Err("x".repeat(TEXT))
}

#[action(inline)]
fn next(previous: PreviousContext<u32>) -> u32 {
    *previous + 1
}

/// The text of a failure is there once, however many tasks are skipped for it; and what they say of
/// it is cut.
#[test]
fn skipped_tasks_share_the_text_of_the_failure() {
    let refused = task(refuse());
    let skipped: Vec<_> = (0..SKIPPED).map(|_| refused.then(next()).keep()).collect();
    let workflow = DotFlow::new("skipped", skipped.clone());
    let mut run = None;
    let held = measure(|| run = Some(paused(workflow.start()).unwrap()));
    let bytes = usize::try_from(held.bytes_max).unwrap();
    assert!(
        bytes / SKIPPED < 1_000,
        "{} bytes for each skipped task",
        bytes / SKIPPED
    );
    let error = run.unwrap().get(&skipped[7]).unwrap().unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::Skipped);
    let said = "skipped, since task:0 `refuse` failed: ";
    assert_eq!(error.to_string(), format!("{said}{}", "x".repeat(4096)));
}
