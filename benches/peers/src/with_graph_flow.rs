//! graph-flow: the value lies in the context of its session, as JSON.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use async_trait::async_trait;
use graph_flow::{Context, FanOutTask, Graph, GraphBuilder, NextAction, Session, Task, TaskResult};

use crate::{CHAIN, Peer, WIDTH};

const VALUE: &str = "value";

/// Adds one to the value in the context.
struct Step {
    id: String,
    next: NextAction,
}

#[async_trait]
impl Task for Step {
    fn id(&self) -> &str {
        &self.id
    }

    async fn run(&self, context: Context) -> graph_flow::Result<TaskResult> {
        let previous: u64 = context.get(VALUE).unwrap_or_default();
        context.set(VALUE, previous + 1)?;
        Ok(TaskResult::new(None, self.next.clone()))
    }
}

/// Adds one to the value and adds that to a sum, since parallel tasks have no outputs but texts.
struct Part {
    id: String,
    sum: Arc<AtomicU64>,
}

#[async_trait]
impl Task for Part {
    fn id(&self) -> &str {
        &self.id
    }

    async fn run(&self, context: Context) -> graph_flow::Result<TaskResult> {
        let previous: u64 = context.get(VALUE).unwrap_or_default();
        self.sum.fetch_add(previous + 1, Relaxed);
        Ok(TaskResult::new(None, NextAction::End))
    }
}

pub(crate) fn peer() -> Peer {
    let chain = Arc::new(chain());
    let sum = Arc::new(AtomicU64::new(0));
    let fan_out = Arc::new(fan_out(&sum));
    Peer {
        name: "graph-flow 0.8, `execute_session`, JSON in its context",
        chain: Box::new(move || {
            let chain = Arc::clone(&chain);
            Box::pin(async move {
                let session = run(&chain).await;
                session.context.get(VALUE).expect("the tasks left it")
            })
        }),
        fan_out: Some(Box::new(move || {
            let (fan_out, sum) = (Arc::clone(&fan_out), Arc::clone(&sum));
            Box::pin(async move {
                run(&fan_out).await;
                sum.swap(0, Relaxed)
            })
        })),
    }
}

async fn run(graph: &Graph) -> Session {
    let mut session = Session::new_from_task("session".to_owned(), "step-0");
    let result = graph.execute_session(&mut session).await;
    result.expect("no task fails");
    session
}

fn chain() -> Graph {
    let mut builder = GraphBuilder::new("chain");
    for number in 0..CHAIN {
        builder = builder.add_task(Arc::new(Step {
            id: format!("step-{number}"),
            next: if number + 1 == CHAIN {
                NextAction::End
            } else {
                NextAction::ContinueAndExecute
            },
        }));
    }
    for number in 1..CHAIN {
        builder = builder.add_edge(format!("step-{}", number - 1), format!("step-{number}"));
    }
    builder.build().expect("the graph is sound")
}

fn fan_out(sum: &Arc<AtomicU64>) -> Graph {
    let parts = (0..WIDTH).map(|number| -> Arc<dyn Task> {
        Arc::new(Part {
            id: format!("part-{number}"),
            sum: Arc::clone(sum),
        })
    });
    let first = Step {
        id: "step-0".to_owned(),
        next: NextAction::ContinueAndExecute,
    };
    GraphBuilder::new("fan-out")
        .add_task(Arc::new(first))
        .add_task(FanOutTask::new("parts", parts.collect()).with_next_action(NextAction::End))
        .add_edge("step-0", "parts")
        .build()
        .expect("the graph is sound")
}
