//! Measures the memory that a large workflow takes.
//!
//! `peak-memory <shape>` prints `<tasks>;<built>;<peak>;<left>;<resident>`: the number of tasks, the
//! bytes that the workflow itself holds, the most that its run holds beyond that at any time, what
//! the finished run holds, and the most that the whole process ever had in memory.

use std::{env, fs};

use allocation_counter::measure;
use dotflow::DotFlow;
use dotflow_bench::ways::{chain, each, fan_out};

fn main() {
    match env::args().nth(1).as_deref() {
        Some("chain of 1,000,000") => report(1_000_000, || chain(1_000_000)),
        Some("each over 1,000,000") => report(1_000_001, || each(1_000_000)),
        Some("fan-out of 100,000") => report(100_001, || fan_out(100_000)),
        _ => panic!("the argument is the name of a shape"),
    }
}

fn report<T>(tasks: usize, build: impl FnOnce() -> DotFlow<T>)
where
    T: Send + Sync + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be had");
    let mut workflow = None;
    let building = measure(|| workflow = Some(build()));
    let workflow = workflow.expect("it was built a moment ago");
    let mut run = None;
    let ran = measure(|| run = Some(runtime.block_on(workflow.start())));
    let run = run
        .expect("it ran a moment ago")
        .expect("there is a runtime");
    assert!(run.succeeded(), "nothing in a case can fail");
    println!(
        "{tasks};{};{};{};{}",
        building.bytes_current,
        ran.bytes_max,
        ran.bytes_current,
        resident()
    );
}

/// The most that this process ever had in memory, in bytes; 0 where the system does not tell.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
