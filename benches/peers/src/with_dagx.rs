//! dagx: a graph runs once, so building it is part of each run.

use dagx::{DagRunner, TaskHandle, task_fn};

use crate::{CHAIN, Peer, WIDTH};

pub(crate) fn peer() -> Peer {
    Peer {
        name: "dagx 0.3, built for each run",
        chain: Box::new(|| {
            Box::pin(async {
                let dag = DagRunner::new();
                let mut last = begin(&dag);
                for _ in 1..CHAIN {
                    last = step(&dag, last);
                }
                run(&dag).await;
                dag.get(last).expect("no task fails")
            })
        }),
        fan_out: Some(Box::new(|| {
            Box::pin(async {
                let dag = DagRunner::new();
                let first = begin(&dag);
                let rest: Vec<_> = (0..WIDTH).map(|_| step(&dag, first)).collect();
                run(&dag).await;
                let outputs = rest.into_iter().map(|task| dag.get(task));
                outputs
                    .map(|output: dagx::DagResult<u64>| output.expect("no task fails"))
                    .sum()
            })
        })),
    }
}

fn begin(dag: &DagRunner) -> TaskHandle<u64> {
    dag.add_task(task_fn(|(): ()| async { 1u64 })).into()
}

fn step(dag: &DagRunner, previous: TaskHandle<u64>) -> TaskHandle<u64> {
    dag.add_task(task_fn(|previous: u64| async move { previous + 1 }))
        .depends_on(previous)
}

async fn run(dag: &DagRunner) {
    let run = dag.run(|task| {
        tokio::spawn(task);
    });
    run.await.expect("no task fails");
}
