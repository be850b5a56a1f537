//! A run that is killed in the middle, and resumed: what was completed is restored.
//!
//! ```sh
//! cargo run --example resume -- --crash   # the program dies in the third task
//! cargo run --example resume              # does the rest
//! ```
//!
//! The checkpoints are files in the folder `.dotflow/nightly`, one per task, to be read by a
//! person. `DOTFLOW_FOLDER` names another folder than `.dotflow`.

use std::{error::Error, path::PathBuf, time::Duration};

use dotflow::{DotFlow, PreviousContext, action, storage::FileStorage, task};
use serde::{Deserialize, Serialize};

/// Any type that serde can write and read may be stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Order {
    customer: String,
    cents: u64,
}

#[action]
async fn extract() -> Vec<Order> {
    tokio::time::sleep(Duration::from_millis(200)).await;
    let order = |customer: &str, cents| Order {
        customer: customer.to_owned(),
        cents,
    };
    vec![order("Ada", 1_250), order("Grace", 990), order("Ada", 310)]
}

#[action]
fn clean(orders: PreviousContext<Vec<Order>>) -> Vec<Order> {
    let large = |order: &Order| order.cents >= 500;
    orders.into_inner().into_iter().filter(large).collect()
}

#[action]
fn total(orders: PreviousContext<Vec<Order>>, crash: bool) -> u64 {
    if crash {
        // What a power cut, an out-of-memory kill or a deployment does.
        std::process::abort();
    }
    orders.iter().map(|order| order.cents).sum()
}

#[action]
fn format_report(cents: PreviousContext<u64>) -> String {
    format!("{}.{:02} EUR", *cents / 100, *cents % 100)
}

#[action]
async fn publish(report: PreviousContext<String>) -> String {
    format!("published: {}", *report)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let crash = std::env::args().any(|argument| argument == "--crash");
    let folder = std::env::var_os("DOTFLOW_FOLDER").map_or(".dotflow".into(), PathBuf::from);

    let report = task(extract())
        .then(clean())
        .then(total(crash))
        .then(format_report());
    let workflow =
        DotFlow::new("nightly", report.then(publish())).storage(FileStorage::open(folder)?);

    let run = workflow.resume("nightly").await?;
    print!("{run}");
    println!("{}", run.output()?);
    Ok(())
}
