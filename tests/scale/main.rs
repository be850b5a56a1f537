//! How much a large run takes: `scale <shape> <tasks>` prints times and the peak of memory.
//!
//! Shapes: `chain`, `each`, `fan` (a fan-out with a fan-in), `megabytes` (a chain that passes
//! values of 1 MB). `scale stored` prints what large outputs cost that are stored. Build it with
//! `--release`.

mod stored;

use std::{env, fs, process::ExitCode, time::Instant};

use dotflow::{DotFlow, PreviousContext, Task, action, join_all, task};

#[action(inline)]
fn first() -> u64 {
    0
}

#[action(inline)]
fn next(previous: PreviousContext<u64>) -> u64 {
    *previous + 1
}

#[action(inline)]
fn list(length: u64) -> Vec<u64> {
    (0..length).collect()
}

#[action(inline)]
fn total(parts: Vec<PreviousContext<u64>>) -> u64 {
    parts.iter().map(|part| **part).sum()
}

#[action(inline)]
fn total_of_list(previous: PreviousContext<Vec<u64>>) -> u64 {
    previous.iter().sum()
}

#[action(inline)]
fn megabyte() -> Vec<u8> {
    vec![1; 1 << 20]
}

#[action(inline)]
fn next_megabyte(previous: PreviousContext<Vec<u8>>) -> Vec<u8> {
    previous.to_vec()
}

#[action(inline)]
fn length(previous: PreviousContext<Vec<u8>>) -> u64 {
    previous.len() as u64
}

fn graph(shape: &str, tasks: u64) -> Option<Task<u64>> {
    Some(match shape {
        "chain" => (1..tasks).fold(task(first()), |chain, _| chain.then(next())),
        "each" => task(list(tasks)).each(next()).then(total_of_list()),
        "fan" => {
            let top = task(first());
            join_all((0..tasks).map(|_| top.then(next()))).then(total())
        }
        "megabytes" => {
            let chain = (1..tasks).fold(task(megabyte()), |chain, _| chain.then(next_megabyte()));
            chain.then(length())
        }
        _ => return None,
    })
}

/// The most memory that the process has had so far.
fn peak() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown".to_owned(), |peak| peak.trim().to_owned())
}

#[allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is a program"
)]
fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    if let [_, first, rest @ ..] = &arguments[..]
        && first == "stored"
    {
        return match stored::main(rest) {
            Some(()) => ExitCode::SUCCESS,
            None => ExitCode::FAILURE,
        };
    }
    let parsed = match &arguments[..] {
        [_, shape, tasks] => tasks.parse().ok().map(|tasks| (shape, tasks)),
        _ => None,
    };
    let began = Instant::now();
    let Some((Some(graph), tasks)) = parsed.map(|(shape, tasks)| (graph(shape, tasks), tasks))
    else {
        eprintln!("usage: scale chain|each|fan|megabytes <tasks>, or scale stored");
        return ExitCode::FAILURE;
    };
    println!("start: peak {}", peak());
    let workflow = DotFlow::new("scale", graph);
    println!("built after {:?}: peak {}", began.elapsed(), peak());
    let began = Instant::now();
    let run = match workflow.start_blocking() {
        Ok(run) => run,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let took = began.elapsed();
    let per_task = took.as_nanos() / u128::from(tasks.max(1));
    println!("ran in {took:?}, {per_task} ns per task: peak {}", peak());
    println!("output {:?}, {} reports", run.output(), run.tasks().len());
    let began = Instant::now();
    drop((run, workflow));
    println!("dropped after {:?}", began.elapsed());
    ExitCode::SUCCESS
}
