//! sayiir, with its runner that stores nothing. It has no output, so the last task leaves it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use sayiir_core::{context::WorkflowContext, error::BoxError, workflow::WorkflowBuilder};
use sayiir_runtime::{InProcessRunner, WorkflowRunner, serialization::JsonCodec};

use crate::{CHAIN, Peer};

pub(crate) fn peer() -> Peer {
    let output = Arc::new(AtomicU64::new(0));
    let context = WorkflowContext::new("chain", Arc::new(JsonCodec), Arc::new(()));
    let mut builder = WorkflowBuilder::new(context).then("step-0", add_one);
    for number in 1..CHAIN - 1 {
        builder = builder.then(&format!("step-{number}"), add_one);
    }
    let left = Arc::clone(&output);
    let workflow = builder
        .then("last", move |previous: u64| {
            let left = Arc::clone(&left);
            async move {
                left.store(previous + 1, Relaxed);
                Ok(previous + 1)
            }
        })
        .build()
        .expect("the names are unique");
    let workflow = Arc::new(workflow);
    Peer {
        name: "sayiir 1.0, `InProcessRunner`, JSON between tasks",
        chain: Box::new(move || {
            let (workflow, output) = (Arc::clone(&workflow), Arc::clone(&output));
            Box::pin(async move {
                let status = InProcessRunner.run(&workflow, 0u64).await;
                status.expect("no task fails");
                output.swap(0, Relaxed)
            })
        }),
        fan_out: None,
    }
}

async fn add_one(previous: u64) -> Result<u64, BoxError> {
    Ok(previous + 1)
}
