//! A small pipeline that fails in its last task, as tests of telemetry run it.

use std::{fmt, time::Duration};

use dotflow::{DotFlow, PreviousContext, action, task};

/// Why the last task fails.
#[derive(Debug)]
pub struct LoadError;

impl fmt::Display for LoadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("connection refused")
    }
}

impl std::error::Error for LoadError {}

/// Takes a while, and gives three numbers.
#[action]
pub async fn extract() -> Vec<u32> {
    tokio::time::sleep(Duration::from_millis(3)).await;
    vec![3, 5, 8]
}

/// Adds them, on the blocking pool.
#[action]
pub fn transform(previous: PreviousContext<Vec<u32>>) -> u32 {
    tracing::info!(numbers = previous.len(), "adding");
    previous.iter().sum()
}

/// Fails twice.
#[action(retry = 2, retry_delay = "20ms")]
pub async fn load(_previous: PreviousContext<u32>) -> Result<(), LoadError> {
    tokio::time::sleep(Duration::from_millis(2)).await;
    Err(LoadError)
}

/// Three tasks in a row; the last one fails. Four spans.
pub fn sales() -> DotFlow<()> {
    DotFlow::new("sales", task(extract()).then(transform()).then(load()))
}

/// Does nothing, at once.
#[action(inline)]
pub fn nothing() {}

/// Two tasks in a row, which take next to no time. Three spans.
pub fn quick() -> DotFlow<()> {
    DotFlow::new("quick", task(nothing()).then(nothing()))
}
