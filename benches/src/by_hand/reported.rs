//! Boxed futures with a report of each task: the least that an engine for graphs which are known
//! only at run time can do.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::{task::JoinSet, time::Instant};

use super::{BoxedStep, steps};
use crate::cases::{Case, OneRun};

/// What came of a task.
#[expect(
    dead_code,
    reason = "a report is made whether somebody reads it or not"
)]
struct Report {
    started: Instant,
    duration: Duration,
    output: Result<Arc<u64>, Box<dyn Any + Send>>,
}

/// The chain, or the fan-out by a `JoinSet`.
pub(crate) fn reported(case: Case) -> Box<dyn Fn() -> OneRun + Send + Sync> {
    let steps = steps(case);
    Box::new(move || {
        let steps = Arc::clone(&steps);
        match case {
            Case::FanOut => Box::pin(async move { sum(&fan_out(&steps).await) }),
            _ => Box::pin(async move { *output(&chain(&steps).await[steps.len() - 1]) }),
        }
    })
}

async fn chain(steps: &[BoxedStep]) -> Vec<Report> {
    let mut reports: Vec<Report> = Vec::with_capacity(steps.len());
    let mut last = Arc::new(0);
    for step in steps {
        let report = run(step, last).await;
        last = output(&report);
        reports.push(report);
    }
    reports
}

async fn fan_out(steps: &Arc<[BoxedStep]>) -> Vec<Report> {
    let first = run(&steps[0], Arc::new(0)).await;
    let previous = output(&first);
    let mut running = JoinSet::new();
    for number in 1..steps.len() {
        let (steps, previous) = (Arc::clone(steps), Arc::clone(&previous));
        running.spawn(async move { (number, run(&steps[number], previous).await) });
    }
    let mut reports: Vec<Option<Report>> = Vec::new();
    reports.resize_with(steps.len(), || None);
    reports[0] = Some(first);
    while let Some(ended) = running.join_next().await {
        let (number, report) = ended.expect("panics are caught within");
        reports[number] = Some(report);
    }
    reports.into_iter().flatten().collect()
}

async fn run(step: &BoxedStep, previous: Arc<u64>) -> Report {
    let started = Instant::now();
    let output = AssertUnwindSafe(step(previous)).catch_unwind().await;
    Report {
        started,
        duration: started.elapsed(),
        output: output.map(Arc::new),
    }
}

fn output(report: &Report) -> Arc<u64> {
    let output = report.output.as_ref();
    Arc::clone(output.expect("nothing in a case can fail"))
}

/// The outputs of all tasks but the first one.
fn sum(reports: &[Report]) -> u64 {
    reports[1..].iter().map(|report| *output(report)).sum()
}
