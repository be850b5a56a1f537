//! The action of every random task, and the log that it writes.

use std::{
    marker::PhantomData,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use dotflow::{
    Action, ActionSpec, PreviousContext, TaskContext, TaskError,
    wiring::{Accepts, Input, Many},
};
use tokio::time::Instant;

use crate::graph::NodePlan;

/// Something that a task did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) node: usize,
    pub(crate) attempt: u32,
    /// Whether the attempt begins here, or ends.
    pub(crate) begins: bool,
    pub(crate) at: Instant,
}

/// What all tasks did, in order, and how many did at once.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Logged>);

#[derive(Default)]
struct Logged {
    entries: Mutex<Vec<Entry>>,
    running: AtomicUsize,
    peak: AtomicUsize,
}

impl Log {
    pub(crate) fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.entries.lock().unwrap()
    }

    pub(crate) fn peak(&self) -> usize {
        self.0.peak.load(Ordering::SeqCst)
    }

    fn begin(&self, node: usize, attempt: u32) -> Attempt<'_> {
        let running = self.0.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.peak.fetch_max(running, Ordering::SeqCst);
        let attempt = Attempt {
            log: self,
            node,
            number: attempt,
        };
        attempt.note(true);
        attempt
    }
}

/// An attempt ends however its future does: by a value, an error, a panic or a drop.
struct Attempt<'log> {
    log: &'log Log,
    node: usize,
    number: u32,
}

impl Attempt<'_> {
    fn note(&self, begins: bool) {
        self.log.entries().push(Entry {
            node: self.node,
            attempt: self.number,
            begins,
            at: Instant::now(),
        });
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.note(false);
        self.log.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The action of a random task, once it is said how it takes its inputs.
pub(crate) struct Node<I = ()> {
    index: usize,
    plan: NodePlan,
    sleeps: bool,
    log: Log,
    inputs: PhantomData<fn(I)>,
}

impl Node {
    pub(crate) fn new(index: usize, plan: NodePlan, sleeps: bool, log: Log) -> Self {
        Self {
            index,
            plan,
            sleeps,
            log,
            inputs: PhantomData,
        }
    }

    fn with<I>(self) -> Node<I> {
        let Self {
            index,
            plan,
            sleeps,
            log,
            ..
        } = self;
        Node {
            index,
            plan,
            sleeps,
            log,
            inputs: PhantomData,
        }
    }

    pub(crate) fn required(self) -> Node<Vec<PreviousContext<u64>>> {
        self.with()
    }

    pub(crate) fn optional(self) -> Node<Vec<Option<PreviousContext<u64>>>> {
        self.with()
    }

    pub(crate) fn handling(self) -> Node<Vec<Result<PreviousContext<u64>, TaskError>>> {
        self.with()
    }
}

/// The sum of what is there.
pub(crate) trait Sum: Input + Accepts<Many<u64>> {
    fn sum(self) -> u64;
}

impl Sum for Vec<PreviousContext<u64>> {
    fn sum(self) -> u64 {
        self.into_iter().map(PreviousContext::into_inner).sum()
    }
}

impl Sum for Vec<Option<PreviousContext<u64>>> {
    fn sum(self) -> u64 {
        self.into_iter()
            .flatten()
            .map(PreviousContext::into_inner)
            .sum()
    }
}

impl Sum for Vec<Result<PreviousContext<u64>, TaskError>> {
    fn sum(self) -> u64 {
        self.into_iter()
            .flatten()
            .map(PreviousContext::into_inner)
            .sum()
    }
}

impl<I: Sum> Action for Node<I> {
    type Inputs = (I,);
    type Output = u64;

    fn spec(&self) -> ActionSpec {
        ActionSpec::new("random")
    }

    async fn call(&self, (inputs,): (I,), task: TaskContext) -> Result<u64, TaskError> {
        let _attempt = self.log.begin(self.index, task.attempt());
        if !self.sleeps {
            tokio::task::yield_now().await;
        } else if self.plan.millis > 0 {
            tokio::time::sleep(Duration::from_millis(self.plan.millis)).await;
        }
        if task.attempt() <= self.plan.failures {
            assert!(!self.plan.panics, "as it was planned");
            return Err(TaskError::failed("as it was planned"));
        }
        Ok(inputs.sum() % 1_000_000 + self.index as u64 + 1)
    }
}
