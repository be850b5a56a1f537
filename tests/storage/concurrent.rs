//! Several runs of one id at the same time: the first output that is stored is the one for all.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use dotflow::{
    DotFlow, PreviousContext, Run, TaskError, action::from_fn, storage::MemoryStorage, task,
};
use dotflow_tests::recorded;
use tokio::sync::Barrier;

use crate::victims::{Scene, printed};

#[test]
fn two_processes_of_one_id_agree() {
    const ITEMS: usize = 16;
    // Some rounds more, should one process always be through before the other has begun.
    let (mut rounds, mut races) = (0, 0);
    while rounds < 10 || races == 0 {
        assert!(rounds < 200, "the two never met");
        let scene = Scene::new(&format!("{rounds}"), ITEMS, false);
        let both = [scene.spawn(), scene.spawn()];
        let outputs = both.map(|child| printed(&child.wait_with_output().unwrap()));
        let remains = scene.remains();
        for output in outputs {
            remains.assert_output(ITEMS, output);
        }
        // A task that both have done: each had an output, and one was stored.
        races += usize::from(remains.effects.values().any(|calls| calls.len() > 1));
        // And it stays that way.
        assert_eq!(scene.finish()[..2], outputs[0][..2]);
        assert_eq!(scene.remains().checkpoints, remains.checkpoints);
        rounds += 1;
    }
}

#[test]
fn the_slower_run_goes_on_with_the_output_of_the_faster() {
    let calls = Arc::new(AtomicU32::new(0));
    let both_are_in = Arc::new(Barrier::new(2));
    let number = from_fn("number", move || {
        let call = calls.fetch_add(1, Ordering::Relaxed);
        let both_are_in = Arc::clone(&both_are_in);
        async move {
            both_are_in.wait().await;
            Ok::<_, TaskError>(call)
        }
    });
    let next = from_fn("next", |number: PreviousContext<u32>| async move {
        Ok::<_, TaskError>(*number)
    });
    let workflow = DotFlow::new(
        "race",
        task(number.checkpointed()).then(next.checkpointed()),
    )
    .storage(MemoryStorage::new());
    let ((one, other), recording) = recorded(async {
        let (one, other) = tokio::join!(workflow.resume("1"), workflow.resume("1"));
        (one.unwrap(), other.unwrap())
    });
    let output = |run: &Run<u32>| *run.output().unwrap();
    assert_eq!(output(&one), output(&other));
    assert!(!one.tasks()[0].restored() && !other.tasks()[0].restored());
    let superseded = recording
        .spans
        .iter()
        .filter(|span| span.text("otel.name") == Some("task:0"))
        .flat_map(|span| &span.events)
        .filter(|event| event.name == "superseded");
    assert_eq!(superseded.count(), 1);

    // Each run has a trace of its own, whole, although both have one id.
    let runs =
        (0..recording.spans.len()).filter(|index| recording.spans[*index].name == "workflow");
    let tasks_of = |run: usize| {
        let below = recording
            .spans
            .iter()
            .filter(|span| span.parent == Some(run));
        let names = below.filter_map(|span| span.text("otel.name"));
        names.collect::<Vec<_>>()
    };
    let traces: Vec<_> = runs.map(tasks_of).collect();
    assert_eq!(traces, [["task:0", "task:1"], ["task:0", "task:1"]]);
}
