//! cano: a state machine whose states are numbers here; the value lies in its store.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use cano::prelude::*;

use crate::{CHAIN, Peer, WIDTH};

const VALUE: &str = "value";
const STORE: &str = "store";

/// Adds one to the value in the store.
#[derive(Clone)]
struct Step {
    next: u64,
}

#[task(state = u64)]
impl Step {
    async fn run(&self, resources: &Resources) -> Result<TaskResult<u64>, CanoError> {
        let store = resources.get::<MemoryStore, _>(STORE)?;
        let previous: u64 = store.get(VALUE)?;
        store.put(VALUE, previous + 1)?;
        Ok(TaskResult::Single(self.next))
    }
}

/// Adds one to the value and adds that to a sum, since parallel tasks have no outputs.
#[derive(Clone)]
struct Part {
    sum: Arc<AtomicU64>,
}

#[task(state = u64)]
impl Part {
    async fn run(&self, resources: &Resources) -> Result<TaskResult<u64>, CanoError> {
        let store = resources.get::<MemoryStore, _>(STORE)?;
        let previous: u64 = store.get(VALUE)?;
        self.sum.fetch_add(previous + 1, Relaxed);
        Ok(TaskResult::Single(2))
    }
}

pub(crate) fn peer() -> Peer {
    let store = MemoryStore::new();
    let mut chain = Workflow::new(Resources::new().insert(STORE, store.clone()));
    for state in 0..CHAIN {
        chain = chain.register(state, Step { next: state + 1 });
    }
    let chain = Arc::new(chain.add_exit_state(CHAIN));

    let fan_store = MemoryStore::new();
    let sum = Arc::new(AtomicU64::new(0));
    let parts = (0..WIDTH).map(|_| Part {
        sum: Arc::clone(&sum),
    });
    let all = JoinConfig::new(JoinStrategy::All, 2);
    let fan_out = Workflow::new(Resources::new().insert(STORE, fan_store.clone()))
        .register(0, Step { next: 1 })
        .register_split(1, parts, all)
        .add_exit_state(2);
    let fan_out = Arc::new(fan_out);
    Peer {
        name: "cano 0.15.2, the value in its store",
        chain: Box::new(move || {
            let (chain, store) = (Arc::clone(&chain), store.clone());
            Box::pin(async move {
                store.put(VALUE, 0u64).expect("it takes any value");
                let end = chain.orchestrate(0, CancellationToken::disabled()).await;
                assert_eq!(end.expect("no task fails"), CHAIN);
                store.get(VALUE).expect("the tasks left it")
            })
        }),
        fan_out: Some(Box::new(move || {
            let (fan_out, store) = (Arc::clone(&fan_out), fan_store.clone());
            let sum = Arc::clone(&sum);
            Box::pin(async move {
                store.put(VALUE, 0u64).expect("it takes any value");
                let end = fan_out.orchestrate(0, CancellationToken::disabled()).await;
                assert_eq!(end.expect("no task fails"), 2);
                sum.swap(0, Relaxed)
            })
        })),
    }
}
