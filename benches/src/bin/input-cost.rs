//! What the input of a run costs: a workflow of five tasks that is given one, beside the same workflow
//! that is built anew for each run, and one that takes nothing. All three in turn, in one run:
//! `cargo run --release -p dotflow-bench --bin input-cost`.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use allocation_counter::measure;
use dotflow::{DotFlow, PreviousContext, Task, action, task};

const TURNS: u32 = 400;
const RUNS: u32 = 100;

#[action]
async fn first(number: u64) -> u64 {
    number
}

#[action]
async fn from(number: PreviousContext<u64>) -> u64 {
    *number
}

#[action]
async fn step(number: PreviousContext<u64>) -> u64 {
    *number + 1
}

fn chain(first: Task<u64>) -> Task<u64> {
    (0..4).fold(first, |last, _| last.then(step()))
}

fn built(number: u64) -> DotFlow<u64> {
    DotFlow::new("built", chain(task(first(number))))
}

async fn run(workflow: &DotFlow<u64>) {
    let run = workflow.start().await.expect("a run can begin");
    black_box(run.output().expect("nothing can fail"));
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime can be had");
    let given = DotFlow::with_input("given", |number| chain(number.then(from())));
    let plain = built(1);
    let allocations = |work: &dyn Fn()| {
        work();
        measure(work).count_total
    };
    let of_given = allocations(&|| runtime.block_on(async { run(&given.with(1)).await }));
    let of_plain = allocations(&|| runtime.block_on(run(&plain)));
    println!("allocations of a run: {of_given} with an input, {of_plain} without one");
    assert!(of_given <= of_plain + 1, "an input costs one allocation");

    let mut ratios = [Vec::new(), Vec::new()];
    for _ in 0..TURNS {
        let times: Vec<Duration> = (0..3)
            .map(|way| {
                let since = Instant::now();
                runtime.block_on(async {
                    for number in 0..u64::from(RUNS) {
                        match way {
                            0 => run(&given.with(number)).await,
                            1 => run(&built(number)).await,
                            _ => run(&plain).await,
                        }
                    }
                });
                since.elapsed()
            })
            .collect();
        for (ratios, other) in ratios.iter_mut().zip(&times[1..]) {
            ratios.push(times[0].as_secs_f64() / other.as_secs_f64());
        }
    }
    for (ratios, other) in ratios
        .iter_mut()
        .zip(["built anew for each run", "without an input"])
    {
        ratios.sort_by(f64::total_cmp);
        let median = ratios[ratios.len() / 2];
        println!("a run with an input takes {median:.2} of the time of one {other}");
    }
}
