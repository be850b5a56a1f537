//! How a case is run: by a workflow of dotflow, or by hand.

use std::sync::Arc;

use dotflow::{DotFlow, PreviousContext, Run, Task, action, task};

use crate::{
    by_hand,
    cases::{Case, OneRun, Way},
};

impl Case {
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
                        let outputs = succeeded(&run.await).output();
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
                        let outputs = succeeded(&run.await).output();
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
        Box::pin(async move { *succeeded(&run.await).output().expect("the run succeeded") })
    })
}

/// Borrowed, as a run is large, and asking it is not to be what is measured.
fn succeeded<T>(run: &Result<Run<T>, dotflow::Error>) -> &Run<T> {
    let run = run.as_ref().expect("a run can begin");
    run.ok().expect("nothing in a case can fail");
    run
}
