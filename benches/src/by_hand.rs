//! The same work without dotflow, as it is written by someone who knows tokio and `tracing`.

mod reported;

use std::{future::Future, iter, pin::Pin, sync::Arc};

use tokio::{task::JoinSet, time::Instant};
use tracing::{Instrument, Span, field::Empty, info_span, record_all};
use uuid::Uuid;

pub(crate) use self::reported::reported;
use crate::cases::{Case, OneRun};

/// As many at a time as dotflow runs, unless told otherwise.
const AT_ONCE: usize = 256;

async fn begin() -> u64 {
    1
}

async fn step(previous: Arc<u64>) -> u64 {
    *previous + 1
}

async fn list(length: u64) -> Vec<u64> {
    (0..length).collect()
}

/// The least code that has the same result.
pub(crate) fn plain(case: Case) -> Box<dyn Fn() -> OneRun + Send + Sync> {
    match case {
        Case::Chain | Case::Three => Box::new(move || {
            Box::pin(async move {
                let mut last = begin().await;
                for _ in 1..case.tasks() {
                    last = step(Arc::new(last)).await;
                }
                last
            })
        }),
        Case::FanOut => Box::new(move || {
            Box::pin(async move {
                let first = Arc::new(begin().await);
                let mut running = JoinSet::new();
                for _ in 1..case.tasks() {
                    running.spawn(step(Arc::clone(&first)));
                }
                running.join_all().await.into_iter().sum()
            })
        }),
        Case::Each => Box::new(|| {
            Box::pin(async {
                let items = list(10_000).await;
                let mut outputs = vec![0; items.len()];
                let mut running = JoinSet::new();
                for (index, item) in items.into_iter().enumerate() {
                    if running.len() == AT_ONCE {
                        take_in(&mut running, &mut outputs).await;
                    }
                    running.spawn(async move { (index, step(Arc::new(item)).await) });
                }
                while !running.is_empty() {
                    take_in(&mut running, &mut outputs).await;
                }
                outputs.into_iter().sum()
            })
        }),
        Case::Join => Box::new(|| {
            Box::pin(async {
                let mut running = JoinSet::new();
                for _ in 0..8 {
                    running.spawn(begin());
                }
                running.join_all().await.into_iter().sum()
            })
        }),
    }
}

async fn take_in(running: &mut JoinSet<(usize, u64)>, outputs: &mut [u64]) {
    let ended = running.join_next().await.expect("one of them runs");
    let (index, output) = ended.expect("nothing in a case can fail");
    outputs[index] = output;
}

type BoxedFuture = Pin<Box<dyn Future<Output = u64> + Send>>;
type BoxedStep = Box<dyn Fn(Arc<u64>) -> BoxedFuture + Send + Sync>;

/// A chain, with one boxed future per task, and an `Arc` for its output.
pub(crate) fn boxed(case: Case) -> Box<dyn Fn() -> OneRun + Send + Sync> {
    let steps = steps(case);
    Box::new(move || {
        let steps = Arc::clone(&steps);
        Box::pin(async move {
            let mut last = Arc::new(0);
            for step in &*steps {
                last = Arc::new(step(last).await);
            }
            *last
        })
    })
}

fn steps(case: Case) -> Arc<[BoxedStep]> {
    let rest = 1..case.tasks();
    let rest = rest.map(|_| -> BoxedStep { Box::new(|previous| Box::pin(step(previous))) });
    let first: BoxedStep = Box::new(|_| Box::pin(begin()));
    iter::once(first).chain(rest).collect()
}

/// The very spans that dotflow emits, around the same plain code.
pub(crate) fn spans(case: Case) -> Box<dyn Fn() -> OneRun + Send + Sync> {
    match case {
        Case::Chain | Case::Three => Box::new(move || {
            let name = "chain";
            Box::pin(in_workflow(name, case.tasks(), async move |workflow| {
                let mut last = workflow.task(0, "begin", None, None, begin()).await;
                for number in 1..case.tasks() {
                    let work = step(Arc::new(last));
                    let after = Some((number - 1).to_string());
                    last = workflow.task(number, "step", None, after, work).await;
                }
                last
            }))
        }),
        Case::FanOut => Box::new(move || {
            Box::pin(in_workflow(
                "fan-out",
                case.tasks(),
                async move |workflow| {
                    let first = Arc::new(workflow.task(0, "begin", None, None, begin()).await);
                    let mut running = JoinSet::new();
                    for number in 1..case.tasks() {
                        let (workflow, first) = (workflow.clone(), Arc::clone(&first));
                        running.spawn(async move {
                            let after = Some("0".to_owned());
                            let work = step(first);
                            workflow.task(number, "step", None, after, work).await
                        });
                    }
                    running.join_all().await.into_iter().sum()
                },
            ))
        }),
        Case::Each => Box::new(|| {
            Box::pin(in_workflow("each", 2, async |workflow| {
                let items = workflow.task(0, "list", None, None, list(10_000)).await;
                let mut outputs = vec![0; items.len()];
                let mut running = JoinSet::new();
                for (index, item) in items.into_iter().enumerate() {
                    if running.len() == AT_ONCE {
                        take_in(&mut running, &mut outputs).await;
                    }
                    let workflow = workflow.clone();
                    running.spawn(async move {
                        let work = step(Arc::new(item));
                        let after = Some("0".to_owned());
                        let output = workflow.task(1, "step", Some(index), after, work);
                        (index, output.await)
                    });
                }
                while !running.is_empty() {
                    take_in(&mut running, &mut outputs).await;
                }
                outputs.into_iter().sum()
            }))
        }),
        Case::Join => Box::new(move || {
            Box::pin(in_workflow("join", case.tasks(), async move |workflow| {
                let mut running = JoinSet::new();
                for number in 0..8 {
                    let workflow = workflow.clone();
                    running.spawn(async move {
                        workflow.task(number, "begin", None, None, begin()).await
                    });
                }
                let parts = running.join_all().await;
                let sum = async { parts.into_iter().sum() };
                let after = Some("0,1,2,3,4,5,6,7".to_owned());
                workflow.task(8, "sum", None, after, sum).await
            }))
        }),
    }
}

/// What the tasks of a run know of it.
#[derive(Clone)]
struct Workflow(Arc<(Span, String)>);

async fn in_workflow<Work>(name: &'static str, tasks: u32, work: Work) -> u64
where
    Work: AsyncFnOnce(Workflow) -> u64,
{
    let workflow_id = Uuid::now_v7().to_string();
    let span = info_span!(
        target: "dotflow",
        "workflow",
        otel.name = %format_args!("workflow:{name}"),
        "dotflow.workflow_id" = &*workflow_id,
        "dotflow.workflow.name" = name,
        "dotflow.tasks_count" = i64::from(tasks),
        "dotflow.workflow.status" = Empty,
        "dotflow.duration" = Empty,
        "dotflow.tasks_failed" = Empty,
        "dotflow.tasks_skipped" = Empty,
        "dotflow.tasks_restored" = Empty,
        otel.status_code = Empty,
    );
    let started = Instant::now();
    let output = work(Workflow(Arc::new((span.clone(), workflow_id)))).await;
    let _entered = span.enter();
    record_all!(
        span,
        "dotflow.workflow.status" = "Completed",
        "dotflow.duration" = started.elapsed().as_secs_f64(),
        "dotflow.tasks_failed" = 0i64,
        "dotflow.tasks_skipped" = 0i64,
        "dotflow.tasks_restored" = 0i64,
        otel.status_code = "OK",
    );
    output
}

impl Workflow {
    async fn task<T>(
        &self,
        number: u32,
        name: &'static str,
        item: Option<usize>,
        after: Option<String>,
        work: impl Future<Output = T>,
    ) -> T {
        let (workflow, workflow_id) = &*self.0;
        let span = info_span!(
            target: "dotflow",
            parent: workflow,
            "task",
            otel.name = %format_args!("task:{number}"),
            "dotflow.workflow_id" = &**workflow_id,
            "dotflow.task_id" = i64::from(number),
            "dotflow.task.name" = name,
            "dotflow.task.item" = item.and_then(|item| i64::try_from(item).ok()),
            "dotflow.task.item_label" = None::<&str>,
            "dotflow.task.after" = after.as_deref(),
            "dotflow.task.status" = Empty,
            "dotflow.task.duration" = Empty,
            "dotflow.task.wait" = Empty,
            "dotflow.task.retry_count" = Empty,
            otel.status_code = Empty,
        );
        let started = Instant::now();
        let output = work.instrument(span.clone()).await;
        record_all!(
            span,
            "dotflow.task.status" = "Completed",
            "dotflow.task.duration" = started.elapsed().as_secs_f64(),
            "dotflow.task.wait" = 0.0,
            "dotflow.task.retry_count" = 0i64,
            otel.status_code = "OK",
        );
        output
    }
}
