//! `cargo bench` prints what a task costs with each library, as the table in BENCHMARKS.md.
//!
//! The libraries take turns, since the speed of a machine drifts; the ratios to dotflow's runs in
//! the same round say more than the times.

use std::{
    env,
    process::Command,
    time::{Duration, Instant},
};

use dotflow_peers::{CHAIN, OneRun, Peer, Start, WIDTH, all};
use tokio::runtime::Runtime;

/// How long the runs between two looks at the clock should take together.
const STRETCH: Duration = Duration::from_millis(5);
const ROUNDS: usize = 25;

fn main() {
    // `cargo test --all-targets` starts benchmarks as well, without this argument.
    if !env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runtime = Runtime::new().expect("a runtime can be had");
    let peers = all();
    let chain = times(&runtime, peers.iter().map(|peer| Some(&peer.chain)), CHAIN);
    let fan_out = peers.iter().map(|peer| peer.fan_out.as_ref());
    let fan_out = times(&runtime, fan_out, 2 * WIDTH);
    let counts = counts();
    println!(
        "| library | chain of 100: ns | of dotflow's time | allocations \
         | fan-out of 1,000: ns | of dotflow's time | allocations |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|");
    for (number, Peer { name, .. }) in peers.iter().enumerate() {
        let [chain_count, fan_out_count] = counts[number];
        println!(
            "| {name} | {} | {} |",
            columns(chain[number], chain_count, CHAIN),
            columns(fan_out[number], fan_out_count, WIDTH + 1),
        );
    }
}

fn columns(time: Option<(f64, f64)>, count: Option<f64>, tasks: u64) -> String {
    let tasks = f64::from(u32::try_from(tasks).expect("it is small"));
    match (time, count) {
        (Some((time, ratio)), Some(count)) => {
            format!("{:.0} | {ratio:.2} × | {:.1}", time / tasks, count / tasks)
        }
        _ => "– | – | –".to_owned(),
    }
}

/// Per library the median time of a run in nanoseconds, and the median of its ratios to the first.
fn times<'peer>(
    runtime: &Runtime,
    starts: impl Iterator<Item = Option<&'peer Start>>,
    output: u64,
) -> Vec<Option<(f64, f64)>> {
    let mut timed: Vec<_> = starts
        .map(|start| start.map(|start| (start, runs(runtime, start, output), Vec::new())))
        .collect();
    for _ in 0..ROUNDS {
        for (start, runs, rounds) in timed.iter_mut().flatten() {
            let elapsed = stretch(runtime, start, *runs, output);
            rounds.push(elapsed.as_secs_f64() * 1e9 / f64::from(*runs));
        }
    }
    let first = timed.first().and_then(Option::as_ref);
    let first = first
        .map(|(_, _, rounds)| rounds.clone())
        .unwrap_or_default();
    timed
        .into_iter()
        .map(|timed| {
            let (_, _, rounds) = timed?;
            let ratios = rounds.iter().zip(&first).map(|(time, first)| time / first);
            let ratio = median(ratios.collect());
            Some((median(rounds), ratio))
        })
        .collect()
}

/// How many runs fill a stretch.
fn runs(runtime: &Runtime, start: &Start, output: u64) -> u32 {
    let mut runs = 1;
    while stretch(runtime, start, runs, output) < STRETCH {
        runs *= 2;
    }
    runs
}

fn stretch(runtime: &Runtime, start: &Start, runs: u32, output: u64) -> Duration {
    let runs: Vec<OneRun> = (0..runs).map(|_| start()).collect();
    let stretch = runtime.spawn(async move {
        let started = Instant::now();
        for run in runs {
            assert_eq!(run.await, output);
        }
        started.elapsed()
    });
    runtime.block_on(stretch).expect("no task fails")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The allocations of a run of the chain and of the fan-out, per library.
fn counts() -> Vec<[Option<f64>; 2]> {
    let program = env!("CARGO_BIN_EXE_count-allocations");
    let counted = Command::new(program).output();
    let counted = counted.expect("it was built with this program");
    assert!(
        counted.status.success(),
        "`{program}` failed:\n{}",
        String::from_utf8_lossy(&counted.stderr)
    );
    let lines = String::from_utf8_lossy(&counted.stdout).into_owned();
    let lines = lines.lines().map(|line| {
        let mut fields = line.rsplit(';').map(|field| field.parse().ok());
        let fan_out = fields.next().flatten();
        [fields.next().flatten(), fan_out]
    });
    lines.collect()
}
