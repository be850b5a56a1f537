//! The shapes of workflow that are measured, and the ways to run each.

use std::{future::Future, pin::Pin, sync::Arc};

use dotflow::{DotFlow, PreviousContext, Run, Task, action, task};

use crate::{by_hand, listener::Listener};

/// A shape of workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// 100 tasks, each after the one before.
    Chain,
    /// 3 tasks, each after the one before: what a run costs, however short it is.
    Three,
    /// 1,000 tasks after one.
    FanOut,
    /// One task whose list of 10,000 has a sub-task for each item.
    Each,
    /// 8 tasks at once, and one after them all.
    Join,
}

/// A way to get the work of a case done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By a workflow.
    Dotflow,
    /// By the least code that has the same result: plain async functions, or a `JoinSet`.
    Plain,
    /// As `Plain`, with one boxed future per task, which is what a graph known only at run time
    /// takes.
    Boxed,
    /// As `Boxed`, with what a report of each task takes: two looks at the clock, and an output
    /// that is shared, or the panic in its place.
    Reported,
    /// As `Plain`, with the very spans that dotflow emits.
    Spans,
}

/// One run from start to end. Its output is checked by whoever waits for it.
pub type OneRun = Pin<Box<dyn Future<Output = u64> + Send>>;

impl Case {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Chain,
        Self::Three,
        Self::FanOut,
        Self::Each,
        Self::Join,
    ];

    /// The name in tables and between processes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chain => "chain of 100",
            Self::Three => "workflow of 3",
            Self::FanOut => "fan-out of 1,000",
            Self::Each => "each over 10,000",
            Self::Join => "join of 8",
        }
    }

    /// How many tasks a run has, items included.
    pub fn tasks(self) -> u32 {
        match self {
            Self::Chain => 100,
            Self::Three => 3,
            Self::FanOut => 1_001,
            Self::Each => 10_001,
            Self::Join => 9,
        }
    }

    /// What a run returns.
    pub fn output(self) -> u64 {
        match self {
            Self::Chain => 100,
            Self::Three => 3,
            Self::FanOut => 2_000,
            Self::Each => (1..=10_000).sum(),
            Self::Join => 8,
        }
    }

    /// Gets everything ready, and returns what starts one run.
    pub fn prepare(self, way: Way) -> Box<dyn Fn() -> OneRun + Send + Sync> {
        match (self, way) {
            (Self::Chain, Way::Dotflow) => single(chain(100)),
            (Self::Three, Way::Dotflow) => single(chain(3)),
            (Self::FanOut, Way::Dotflow) => {
                let workflow = fan_out(1_000);
                Box::new(move || {
                    let run = workflow.start();
                    Box::pin(async move {
                        let outputs = succeeded(run.await).output();
                        outputs
                            .expect("the run succeeded")
                            .iter()
                            .map(|n| **n)
                            .sum()
                    })
                })
            }
            (Self::Each, Way::Dotflow) => {
                let workflow = each(10_000);
                Box::new(move || {
                    let run = workflow.start();
                    Box::pin(async move {
                        let outputs = succeeded(run.await).output();
                        outputs.expect("the run succeeded").iter().sum()
                    })
                })
            }
            (Self::Join, Way::Dotflow) => single(join()),
            (_, Way::Plain) => by_hand::plain(self),
            (_, Way::Boxed) => by_hand::boxed(self),
            (_, Way::Reported) => by_hand::reported(self),
            (_, Way::Spans) => by_hand::spans(self),
        }
    }
}

impl Way {
    /// The ways that are worth measuring for a case and a listener; dotflow is the last one.
    ///
    /// Only spans cost more when somebody listens, and what is spawned is boxed anyway.
    pub fn of(case: Case, listener: Listener) -> &'static [Self] {
        match (listener, case) {
            (Listener::Nobody, Case::Chain | Case::Three) => &[
                Self::Plain,
                Self::Boxed,
                Self::Reported,
                Self::Spans,
                Self::Dotflow,
            ],
            (Listener::Nobody, Case::FanOut) => {
                &[Self::Plain, Self::Reported, Self::Spans, Self::Dotflow]
            }
            (Listener::Nobody, _) => &[Self::Plain, Self::Spans, Self::Dotflow],
            _ => &[Self::Spans, Self::Dotflow],
        }
    }

    /// The name in tables and between processes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dotflow => "dotflow",
            Self::Plain => "plain",
            Self::Boxed => "boxed",
            Self::Reported => "reported",
            Self::Spans => "spans",
        }
    }
}

#[action]
async fn begin() -> u64 {
    1
}

#[action]
async fn step(previous: PreviousContext<u64>) -> u64 {
    *previous + 1
}

#[action]
async fn list(length: u64) -> Vec<u64> {
    (0..length).collect()
}

#[allow(clippy::too_many_arguments, reason = "it joins eight tasks")]
#[action]
async fn sum(
    a: PreviousContext<u64>,
    b: PreviousContext<u64>,
    c: PreviousContext<u64>,
    d: PreviousContext<u64>,
    e: PreviousContext<u64>,
    f: PreviousContext<u64>,
    g: PreviousContext<u64>,
    h: PreviousContext<u64>,
) -> u64 {
    *a + *b + *c + *d + *e + *f + *g + *h
}

/// A chain of `length` tasks, whose output is its length.
pub fn chain(length: usize) -> DotFlow<u64> {
    let mut last = task(begin());
    for _ in 1..length {
        last = last.then(step());
    }
    DotFlow::new("chain", last)
}

/// One task, and `width` tasks after it, whose outputs are all 2.
pub fn fan_out(width: usize) -> DotFlow<Vec<Arc<u64>>> {
    let first = task(begin());
    let rest: Vec<Task<u64>> = (0..width).map(|_| first.then(step())).collect();
    DotFlow::new("fan-out", rest)
}

/// A list from 0 on, and its items plus one.
pub fn each(length: u64) -> DotFlow<Vec<u64>> {
    DotFlow::new("each", task(list(length)).each(step()))
}

fn join() -> DotFlow<u64> {
    let [a, b, c, d, e, f, g, h] = [(); 8].map(|()| task(begin()));
    let joined = a.and(&b).and(&c).and(&d).and(&e).and(&f).and(&g).and(&h);
    DotFlow::new("join", joined.then(sum()))
}

fn single(workflow: DotFlow<u64>) -> Box<dyn Fn() -> OneRun + Send + Sync> {
    Box::new(move || {
        let run = workflow.start();
        Box::pin(async move { *succeeded(run.await).output().expect("the run succeeded") })
    })
}

fn succeeded<T>(run: Result<Run<T>, dotflow::Error>) -> Run<T> {
    run.and_then(Run::ok).expect("nothing in a case can fail")
}
