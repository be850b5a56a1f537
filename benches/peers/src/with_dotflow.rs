//! dotflow, from this repository.

use dotflow::{DotFlow, PreviousContext, Task, action, task};

use crate::{CHAIN, Peer, WIDTH};

#[action]
async fn begin() -> u64 {
    1
}

#[action]
async fn step(previous: PreviousContext<u64>) -> u64 {
    *previous + 1
}

pub(crate) fn peer() -> Peer {
    let mut last = task(begin());
    for _ in 1..CHAIN {
        last = last.then(step());
    }
    let chain = DotFlow::new("chain", last);
    let first = task(begin());
    let rest: Vec<Task<u64>> = (0..WIDTH).map(|_| first.then(step())).collect();
    let fan_out = DotFlow::new("fan-out", rest);
    Peer {
        name: "dotflow",
        chain: Box::new(move || {
            let run = chain.start();
            Box::pin(async move {
                let run = run.await.expect("there is a runtime");
                *run.output().expect("no task fails")
            })
        }),
        fan_out: Some(Box::new(move || {
            let run = fan_out.start();
            Box::pin(async move {
                let run = run.await.expect("there is a runtime");
                let outputs = run.output().expect("no task fails");
                outputs.iter().map(|output| **output).sum()
            })
        })),
    }
}
