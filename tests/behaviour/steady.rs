//! A process that runs workflows for ever holds no more memory after the last run than after the
//! first ones: whatever kind of run it was, and however it ended.
//!
//! `DOTFLOW_RUNS=200000 cargo test --release -p dotflow-tests --test behaviour steady -- --nocapture`
//! does so many instead of a few, and says what the process holds on the way.

use std::{
    env, fs,
    process::{self, Command},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use dotflow::{
    DotFlow, PreviousContext, TaskError, action, join_all, storage::MemoryStorage, task,
};
use dotflow_tests::paused;
use tracing_subscriber::fmt::format::FmtSpan;

/// How many runs the process of its own is to do.
const RUNS: &str = "DOTFLOW_RUNS";
/// Tells that process that it is the one.
const CHILD: &str = "DOTFLOW_STEADY_CHILD";
/// The exit code of a process that has come to its end.
const ENDED: i32 = 42;
/// In kilobytes. A run that leaves a hundred bytes behind takes more of 200,000.
const MOST_GROWTH: u64 = 4_096;

static SEEN: AtomicU64 = AtomicU64::new(0);

#[action]
async fn one() -> u32 {
    tokio::task::yield_now().await;
    1
}

#[action(inline)]
fn next(previous: PreviousContext<u32>) -> u32 {
    *previous + 1
}

#[action(retry = 3)]
async fn fail() -> Result<u32, String> {
    Err("down".repeat(100))
}

#[action]
async fn handle(previous: Result<PreviousContext<u32>, TaskError>) -> u32 {
    previous.map_or(0, |value| *value)
}

#[action]
async fn explode() -> u32 {
    panic!("as it was planned")
}

#[action(timeout = "1s")]
async fn late() -> u32 {
    std::future::pending().await
}

#[action]
async fn forever() -> u32 {
    std::future::pending().await
}

#[action(inline)]
fn list() -> Vec<u32> {
    (0..10).collect()
}

#[action]
async fn total(parts: Vec<PreviousContext<u32>>) -> u32 {
    parts.iter().map(|part| **part).sum()
}

/// Kilobytes that the process holds.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.unwrap().trim().strip_suffix(" kB").unwrap();
    kilobytes.parse().unwrap()
}

/// The kinds of run, built once and run again and again.
struct Kinds {
    observed: DotFlow<u32>,
    failing: DotFlow<u32>,
    late: DotFlow<u32>,
    run_late: DotFlow<u32>,
    endless: DotFlow<u32>,
    items: DotFlow<Vec<u32>>,
    nested: DotFlow<u32>,
    panicking: DotFlow<u32>,
}

impl Kinds {
    fn new() -> Self {
        let side_by_side = join_all([task(one()), task(one()), task(forever())]);
        let inner = DotFlow::new("inner", task(one()).then(next()));
        Self {
            observed: DotFlow::new("observed", task(one()).then(next())).observe(|_| {
                SEEN.fetch_add(1, Ordering::Relaxed);
            }),
            failing: DotFlow::new("failing", task(fail()).then(handle())),
            late: DotFlow::new("late", task(late()).then(handle())),
            run_late: DotFlow::new("run late", side_by_side.then(total()))
                .timeout(Duration::from_secs(1)),
            endless: DotFlow::new("endless", side_by_side.then(total())),
            items: DotFlow::new("items", task(list()).each(next())),
            nested: DotFlow::new("nested", task(inner).then(next())),
            panicking: DotFlow::new("panicking", task(explode()).then(next())),
        }
    }

    async fn run(&self, number: u64) {
        match number % 10 {
            0 => drop(self.observed.start().await.unwrap()),
            1 => drop(self.failing.start().await.unwrap()),
            2 => drop(self.late.start().await.unwrap()),
            3 => drop(self.run_late.start().await.unwrap()),
            4 => {
                let run = self.endless.spawn();
                tokio::task::yield_now().await;
                run.cancel();
                drop(run.await.unwrap());
            }
            5 => {
                let run = self.endless.start();
                let waited = tokio::time::timeout(Duration::from_secs(1), run).await;
                assert!(waited.is_err());
            }
            6 => drop(self.items.start().await.unwrap()),
            7 => drop(self.nested.start().await.unwrap()),
            8 => drop(self.panicking.start().await.unwrap()),
            _ => {
                let stored = self.nested.clone().storage(MemoryStorage::new());
                drop(stored.resume("1").await.unwrap());
                drop(stored.resume("1").await.unwrap());
            }
        }
    }
}

/// All runs, in a process of their own.
#[test]
#[ignore = "a part of the test below, in a process of its own"]
fn one_process() {
    if env::var(CHILD).is_err() {
        return;
    }
    let runs: u64 = env::var(RUNS).unwrap().parse().unwrap();
    std::panic::set_hook(Box::new(|_| {}));
    let subscriber = tracing_subscriber::fmt()
        .with_span_events(FmtSpan::FULL)
        .with_writer(std::io::sink)
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let kinds = Kinds::new();
    let (early, late) = paused(async {
        let mut early = 0;
        for number in 0..runs {
            if number == runs / 10 {
                early = resident();
            }
            kinds.run(number).await;
        }
        (early, resident())
    });
    assert_eq!(SEEN.load(Ordering::Relaxed), runs / 10 * 6);
    println!(
        "{early} kB after {} runs, {late} kB after {runs}",
        runs / 10
    );
    if late > early + MOST_GROWTH {
        process::exit(1);
    }
    process::exit(ENDED);
}

#[cfg(target_os = "linux")]
#[test]
fn memory_stays_flat_over_many_runs() {
    let runs = env::var(RUNS).unwrap_or_else(|_| "10000".to_owned());
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "steady::one_process", "--ignored"])
        .args(["--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .env(RUNS, runs)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    println!("{told}");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(ENDED), "{told}{complaints}");
}
