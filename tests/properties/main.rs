//! Properties that hold for every graph: random graphs are run, and what happened is compared with
//! a model of what must.
#![allow(clippy::unwrap_used, reason = "it is a test, its helpers included")]

mod graph;
mod limits;
mod nesting;
mod parts;
mod resuming;
mod step;

use std::{collections::HashMap, time::Duration};

use dotflow::{DotFlow, Run, Status, TaskReport};
use dotflow_tests::{Recording, SpanRecord, Value, recorded, recorded_threaded};
use proptest::prelude::*;

use self::{
    graph::{Graph, Mode, graphs},
    step::{Entry, Log},
};

type Outputs = Vec<std::sync::Arc<u64>>;

fn workflow(graph: &Graph, log: &Log) -> DotFlow<Outputs> {
    DotFlow::new("random", graph.sinks(log))
        .concurrency(graph.concurrency)
        .keep_going(graph.keep_going)
}

/// The reports by the name of the node, since tasks get their numbers from their order in the plan.
fn by_node<T>(run: &Run<T>) -> HashMap<usize, &TaskReport> {
    let reports = run.tasks().iter();
    reports
        .map(|report| (report.name().parse().unwrap(), report))
        .collect()
}

/// Every task exactly as often as it is to be attempted, never before its inputs, never too many
/// at a time, and never too early again.
fn check_calls(graph: &Graph, log: &Log) {
    assert!(log.peak() <= graph.concurrency);
    let entries = log.entries();
    for (index, node) in graph.nodes.iter().enumerate() {
        let own: Vec<(usize, &Entry)> = entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.node == index)
            .collect();
        for (number, pair) in own.chunks(2).enumerate() {
            assert!(pair[0].1.begins && pair.get(1).is_none_or(|end| !end.1.begins));
            assert_eq!(
                pair[0].1.attempt as usize,
                number + 1,
                "each attempt is made once"
            );
        }
        assert!(own.len() <= 2 * node.policy.max_attempts() as usize);
        if let Some((begun, _)) = own.first() {
            for before in &node.before {
                let last = entries.iter().rposition(|entry| entry.node == *before);
                assert!(
                    last.is_none_or(|last| last < *begun),
                    "it began before its input was there"
                );
            }
        }
        for ends in own[own.len().min(1)..].chunks_exact(2) {
            let (end, begin) = (ends[0].1, ends[1].1);
            let waited = begin.at - end.at;
            let longest = node.policy.delay_after(end.attempt);
            if !node.is_jittered {
                assert!(waited >= longest, "{waited:?} instead of {longest:?}");
            }
            // A clock that really moves may move on before the task does.
            if graph.sleeps {
                let longest = node.policy.jitter(false).delay_after(end.attempt);
                // The timer counts in milliseconds, and rounds up.
                let unit = Duration::from_millis(u64::from(node.is_jittered));
                assert!(
                    waited <= longest + unit,
                    "{waited:?} instead of {longest:?}"
                );
            }
        }
    }
}

fn find<'a>(recording: &'a Recording, report: &TaskReport) -> Option<&'a SpanRecord> {
    let mut found = recording
        .named("task")
        .filter(|span| span.int("dotflow.task_id") == Some(i64::try_from(report.id()).unwrap()));
    let first = found.next();
    assert!(found.next().is_none(), "one span per task");
    first
}

/// The report of the run and the trace tell the same.
fn check_trace<T>(run: &Run<T>, recording: &Recording) {
    for span in &recording.spans {
        assert_eq!(
            span.closed,
            1,
            "every span ends, once:\n{}",
            recording.tree()
        );
        let mut names: Vec<_> = span.fields.iter().map(|(name, _)| name).collect();
        names.sort();
        assert!(
            names.windows(2).all(|pair| pair[0] != pair[1]),
            "a field stands once"
        );
    }
    let workflow = recording.otel("workflow:random");
    assert_eq!(
        workflow.text("dotflow.workflow.status"),
        Some(run.status().to_string().as_str())
    );
    assert_eq!(
        workflow.field("dotflow.duration"),
        Some(&Value::Float(run.duration().as_secs_f64()))
    );
    let begun = [Status::Completed, Status::Failed, Status::Cancelled];
    let reported = run
        .tasks()
        .iter()
        .filter(|report| begun.contains(&report.status()));
    assert_eq!(reported.count(), recording.named("task").count());
    for report in run.tasks() {
        let span = find(recording, report);
        assert_eq!(span.is_some(), begun.contains(&report.status()));
        let Some(span) = span else {
            assert!(report.errors().is_empty() && report.started_at().is_none());
            continue;
        };
        assert_eq!(span.parent, Some(0));
        assert_eq!(span.text("dotflow.task.name"), Some(report.name()));
        assert_eq!(
            span.text("dotflow.task.status"),
            Some(report.status().to_string().as_str())
        );
        assert_eq!(
            span.int("dotflow.task.retry_count"),
            Some(report.retry_count().into())
        );
        assert_eq!(
            span.field("dotflow.task.duration"),
            Some(&Value::Float(report.duration().as_secs_f64()))
        );
        let events: Vec<_> = span
            .events
            .iter()
            .map(|event| event.name.as_str())
            .collect();
        let told: Vec<_> = report
            .errors()
            .iter()
            .map(|error| {
                if error.next_attempt_in().is_some() {
                    "retry"
                } else {
                    "exception"
                }
            })
            .collect();
        assert_eq!(events, told);
        assert_eq!(
            span.text("otel.status_code").is_some(),
            report.status() == Status::Completed
        );
    }
}

/// What the model says, where nothing stops the run before its end.
fn check_outcome(graph: &Graph, run: &Run<Outputs>, log: &Log) {
    let model = graph.model();
    let reports = by_node(run);
    assert_eq!(reports.len(), graph.nodes.len());
    for (index, expected) in model.nodes.iter().enumerate() {
        let report = reports[&index];
        assert_eq!(report.status(), expected.status, "node {index}");
        let calls = log
            .entries()
            .iter()
            .filter(|entry| entry.node == index && entry.begins)
            .count();
        assert_eq!(calls, expected.attempts as usize);
        let failures = expected.attempts - u32::from(expected.status == Status::Completed);
        assert_eq!(report.errors().len(), failures as usize);
    }
    assert_eq!(run.status(), model.status);
    assert_eq!(
        run.succeeded(),
        run.output().is_ok() && run.status() == Status::Completed
    );
    if let Ok(outputs) = run.output() {
        let sinks = graph.sink_nodes();
        let expected: Vec<u64> = sinks
            .iter()
            .map(|sink| model.nodes[*sink].value.unwrap())
            .collect();
        assert!(outputs.iter().map(|output| **output).eq(expected));
    }
}

/// What holds even when a failure stops the run: a task does what the model says, or is never
/// begun, and clean-up tasks always run.
fn check_stopped(graph: &Graph, run: &Run<Outputs>) {
    let reports = by_node(run);
    let not_started = run
        .tasks()
        .iter()
        .filter(|task| task.status() == Status::NotStarted)
        .count();
    if not_started > 0 {
        assert_eq!(run.status(), Status::Failed);
    }
    for (index, node) in graph.nodes.iter().enumerate() {
        let report = reports[&index];
        let missing = |before: &usize| reports[before].status() != Status::Completed;
        let failed =
            |before: &usize| matches!(reports[before].status(), Status::Failed | Status::Skipped);
        match report.status() {
            Status::Completed => assert!(node.succeeds()),
            Status::Failed => assert!(!node.succeeds()),
            Status::Skipped => {
                assert!(node.mode == Mode::Required && node.before.iter().any(failed));
            }
            Status::NotStarted => assert_eq!(node.mode, Mode::Required, "clean-up tasks run"),
            status => panic!("{status} at the end of a run"),
        }
        if node.mode == Mode::Required && node.before.iter().any(missing) {
            assert!(matches!(
                report.status(),
                Status::Skipped | Status::NotStarted
            ));
        }
    }
}

/// What holds of a run that nothing cut short.
fn check_whole(graph: &Graph, log: &Log, run: &Run<Outputs>, recording: &Recording) {
    check_calls(graph, log);
    check_trace(run, recording);
    if graph.keep_going {
        check_outcome(graph, run, log);
    } else {
        check_stopped(graph, run);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_run_does_what_the_model_says(graph in graphs(true)) {
        let log = Log::default();
        let workflow = workflow(&graph, &log);
        let (run, recording) = recorded(async { workflow.start().await.unwrap() });
        check_whole(&graph, &log, &run, &recording);
    }

    #[test]
    fn several_threads_change_nothing(graph in graphs(false)) {
        let log = Log::default();
        let workflow = workflow(&graph, &log);
        let (run, recording) = recorded_threaded(async move { workflow.start().await.unwrap() });
        check_whole(&graph, &log, &run, &recording);
    }

    #[test]
    fn a_run_that_is_cut_short_tells_the_truth(graph in graphs(true), millis in 0_u64..40) {
        let log = Log::default();
        let workflow = workflow(&graph, &log).timeout(Duration::from_millis(millis));
        let (run, recording) = recorded(async { workflow.start().await.unwrap() });
        check_calls(&graph, &log);
        check_trace(&run, &recording);
        prop_assert!(run.duration() <= Duration::from_millis(millis));
        let cancelled = run.tasks().iter().any(|task| task.status() == Status::Cancelled);
        if cancelled {
            prop_assert_eq!(run.status(), Status::Failed);
            prop_assert_eq!(run.duration(), Duration::from_millis(millis));
        }
    }
}
