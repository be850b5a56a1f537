//! Random workflows of workflows are run, cut short, and resumed; what happened is compared with
//! the model.

use std::{collections::HashMap, time::Duration};

use dotflow::{DotFlow, Run, Status, storage::MemoryStorage};
use dotflow_tests::{Recording, SpanRecord, Value, recorded, recorded_threaded};
use proptest::prelude::*;

use crate::parts::{Calls, Part, Tally, parts};

/// How many times the spans of the tasks, those within included, say this of themselves.
fn count(recording: &Recording, status: Status) -> usize {
    let status = status.to_string();
    let spans = recording.named("task");
    spans
        .filter(|span| span.text("dotflow.task.status") == Some(status.as_str()))
        .count()
}

/// What holds of every trace, whatever happened to the run.
fn check_spans(run: &Run<u64>, recording: &Recording) {
    let parent = |span: &SpanRecord| span.parent.map(|parent| &recording.spans[parent]);
    let mut items: HashMap<_, usize> = HashMap::new();
    for span in &recording.spans {
        let tree = recording.tree();
        assert_eq!(span.closed, 1, "every span ends, once:\n{tree}");
        let own = span.text("dotflow.workflow_id");
        if span.name == "task" {
            let workflow = parent(span).unwrap();
            assert_eq!(workflow.name, "workflow");
            assert_eq!(workflow.text("dotflow.workflow_id"), own);
            let (task, item) = (span.int("dotflow.task_id"), span.int("dotflow.task.item"));
            assert!(span.field("dotflow.task.retry_count").is_some());
            *items.entry((span.parent, task, item)).or_default() += 1;
        } else if let Some(outer) = parent(span) {
            assert_eq!(outer.text("dotflow.task.name"), Some("within"));
            let errs = span.text("otel.status_description").is_some();
            let outer_status = outer.text("dotflow.task.status");
            // A task of several attempts may complete after a workflow that failed within it.
            assert!(errs || outer_status != Some("Failed"), "{tree}");
        }
    }
    assert!(items.values().all(|spans| *spans == 1), "one span each");
    let root = &recording.spans[0];
    let status = run.status().to_string();
    assert_eq!(root.text("dotflow.workflow.status"), Some(status.as_str()));
    let duration = Value::Float(run.duration().as_secs_f64());
    assert_eq!(root.field("dotflow.duration"), Some(&duration));
}

/// What the model says of a run that nothing stopped.
fn check_outcome(part: &Part, calls: &Calls, run: &Run<u64>, recording: &Recording) {
    let (value, tally) = part.model();
    assert_eq!(run.output().ok().map(|output| *output), value);
    assert_eq!(run.succeeded(), value.is_some());
    // Those of workflows within stand below theirs.
    let reports = run.tasks().iter().filter(|task| task.parent().is_none());
    let of = |status| {
        reports
            .clone()
            .filter(|task| task.status() == status)
            .count()
    };
    let told = Tally {
        completed: of(Status::Completed),
        failed: of(Status::Failed),
        skipped: of(Status::Skipped),
        spans: recording.named("task").count(),
        workflows: recording.named("workflow").count() - 1,
        retries: recording
            .spans
            .iter()
            .flat_map(|span| &span.events)
            .filter(|event| event.name == "retry")
            .count(),
        begun: calls.begun(),
        succeeded: calls.succeeded(),
        distinct: tally.distinct,
    };
    assert_eq!(told, tally);
    assert_eq!(of(Status::NotStarted), 0);
    let ended = count(recording, Status::Completed) + count(recording, Status::Failed);
    assert_eq!(ended, tally.spans);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn workflows_of_workflows_do_what_the_model_says(part in parts(), concurrency in 1_usize..5) {
        let calls = Calls::default();
        let workflow = part.workflow("outer", concurrency, &calls);
        let (run, recording) = recorded(async { workflow.start().await.unwrap() });
        check_spans(&run, &recording);
        check_outcome(&part, &calls, &run, &recording);
        if concurrency == 1 {
            prop_assert!(calls.peak() <= 1, "one at a time, within workflows too");
        }
    }

    #[test]
    fn workflows_of_workflows_do_so_on_several_threads(part in parts(), concurrency in 1_usize..5) {
        let calls = Calls::default();
        let workflow = part.workflow("outer", concurrency, &calls);
        let (run, recording) = recorded_threaded(async move { workflow.start().await.unwrap() });
        check_spans(&run, &recording);
        check_outcome(&part, &calls, &run, &recording);
    }

    #[test]
    fn what_was_completed_before_the_cut_is_not_done_again(
        part in parts(),
        concurrency in 1_usize..5,
        cuts in proptest::collection::vec(0_u64..30, 0..3),
    ) {
        let calls = Calls::default();
        let workflow: DotFlow<u64> = part
            .workflow("outer", concurrency, &calls)
            .storage(MemoryStorage::new());
        for millis in cuts {
            let cut = workflow.clone().timeout(Duration::from_millis(millis));
            let (run, recording) = recorded(async { cut.resume("one").await.unwrap() });
            check_spans(&run, &recording);
            prop_assert!(run.duration() <= Duration::from_millis(millis));
            prop_assert!(run.tasks().iter().all(|task| task.status() != Status::InProgress));
            if count(&recording, Status::Cancelled) > 0 {
                prop_assert_eq!(run.status(), Status::Failed);
            }
        }
        let (run, recording) = recorded(async { workflow.resume("one").await.unwrap() });
        check_spans(&run, &recording);
        let (value, tally) = part.model();
        prop_assert_eq!(run.output().ok().map(|output| *output), value);
        prop_assert_eq!(calls.succeeded(), tally.distinct, "once, over all runs");
    }
}
