//! What it costs to store 100 MB that a task returns, and to read it back: as rows, and as bytes.
//!
//! Each measurement is a process of its own, as it tells of its peak of memory.

use std::{
    env, fs, io,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use dotflow::{DotFlow, PreviousContext, Task, action, storage::FileStorage, task};
use serde::{Deserialize, Serialize};

/// Of bytes; of rows, of their JSON.
const BYTES: usize = 100_000_000;
const ROWS: u64 = 1_000_000;
/// Bytes are written as numbers, of up to three digits and a comma.
const MAX_OUTPUT: usize = 1 << 30;

const KINDS: [&str; 2] = ["rows", "bytes"];
const WAYS: [&str; 3] = ["without", "write", "resume"];

/// About 100 bytes of JSON.
#[derive(Clone, Serialize, Deserialize)]
struct Row {
    id: u64,
    customer: String,
    price: f64,
    note: String,
}

#[action(inline)]
fn rows() -> Vec<Row> {
    let row = |id: u64| Row {
        id,
        customer: format!("customer {}", id % 1_000),
        price: f64::from(u32::try_from(id % 10_000).expect("it is small")) / 100.0,
        note: "paid by card, sent by mail on Monday".to_owned(),
    };
    (0..ROWS).map(row).collect()
}

#[action(inline)]
fn bytes() -> Vec<u8> {
    (0..=250).cycle().take(BYTES).collect()
}

#[action(inline)]
fn count_rows(rows: PreviousContext<Vec<Row>>) -> u64 {
    rows.len() as u64
}

#[action(inline)]
fn count_bytes(bytes: PreviousContext<Vec<u8>>) -> u64 {
    bytes.len() as u64
}

fn last(kind: &str) -> Option<Task<u64>> {
    Some(match kind {
        "rows" => task(rows()).then(count_rows()),
        "bytes" => task(bytes()).then(count_bytes()),
        _ => return None,
    })
}

fn folder(kind: &str) -> PathBuf {
    env::temp_dir().join(format!("dotflow-scale-{kind}"))
}

/// One measurement: how long the run took.
fn run(kind: &str, way: &str) -> Option<Duration> {
    let workflow = DotFlow::new("stored", last(kind)?).max_output(MAX_OUTPUT);
    let folder = folder(kind);
    if way == "write" {
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return None,
            _ => {}
        }
    }
    let began = Instant::now();
    let run = match way {
        "without" => workflow.start_blocking(),
        "write" | "resume" => {
            let storage = FileStorage::open(folder).ok()?;
            workflow.storage(storage).resume_blocking("1")
        }
        _ => return None,
    };
    let took = began.elapsed();
    let run = run.ok()?;
    let restored = run.tasks()[0].restored();
    (run.succeeded() && restored == (way == "resume")).then_some(took)
}

/// `scale stored` prints a table; with a kind and a way, one line of it.
#[allow(clippy::print_stdout, reason = "this is a program")]
pub(crate) fn main(arguments: &[String]) -> Option<()> {
    if let [kind, way] = arguments {
        let took = run(kind, way)?;
        println!("| {kind} | {way} | {took:.2?} | {} |", super::peak());
        return Some(());
    }
    println!("| 100 MB of | storage | time | peak |\n|---|---|---|---|");
    for kind in KINDS {
        for way in WAYS {
            let program = env::current_exe().ok()?;
            let status = Command::new(program).args(["stored", kind, way]).status();
            status.ok()?.success().then_some(())?;
        }
        fs::remove_dir_all(folder(kind)).ok()?;
    }
    Some(())
}
