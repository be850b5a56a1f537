//! Extract, transform, load: three annotated functions, and the trace of their run.
//!
//! `cargo run --example quickstart` needs no server. Loading fails twice, since the warehouse is
//! busy, and then succeeds: the tree that is printed shows each attempt.

use std::net::SocketAddr;

use dotflow::{DotFlow, PreviousContext, action, task};
use dotflow_otel::OpenTelemetry;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A plain `fn` runs on the blocking pool, so it may take its time.
#[action]
fn extract() -> Vec<u32> {
    vec![3, 5, 8]
}

#[action]
async fn transform(previous: PreviousContext<Vec<u32>>) -> u32 {
    previous.iter().sum()
}

/// `warehouse` is the action's own input, given where the workflow is put together.
#[action(retry = 3, retry_delay = "100ms")]
async fn load(warehouse: SocketAddr, previous: PreviousContext<u32>) -> Result<Receipt, LoadError> {
    let mut connection = TcpStream::connect(warehouse).await?;
    connection.write_u32(*previous).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    match answer.strip_prefix("stored as ") {
        Some(id) => Ok(Receipt { id: id.to_owned() }),
        None => Err(LoadError::Refused(answer)),
    }
}

/// What the warehouse gives for what it has stored.
#[derive(Debug)]
pub(crate) struct Receipt {
    /// Under which name the warehouse knows it.
    pub(crate) id: String,
}

#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error("the warehouse can't be reached: {0}")]
    Connection(#[from] std::io::Error),
    #[error("the warehouse refused: {0}")]
    Refused(String),
}

/// The workflow. A wrong connection (`task(extract()).then(load(warehouse))`) would not compile.
pub(crate) fn sales(warehouse: SocketAddr) -> DotFlow<Receipt> {
    let loaded = task(extract()).then(transform()).then(load(warehouse));
    DotFlow::new("sales", loaded)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let telemetry = OpenTelemetry::new("quickstart").with_console().install()?;

    let run = sales(busy_warehouse().await?).start().await?;
    println!("The warehouse stored it as {}.", run.output()?.id);

    telemetry.shutdown()?;
    Ok(())
}

/// Opens a warehouse on this machine that is too busy for its first two callers.
///
/// # Errors
///
/// If no port can be had.
pub(crate) async fn busy_warehouse() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        for caller in 1.. {
            let (mut connection, _) = listener.accept().await?;
            let sum = connection.read_u32().await?;
            let answer = match caller {
                1 | 2 => "too busy".to_owned(),
                _ => format!("stored as sales/{sum}"),
            };
            connection.write_all(answer.as_bytes()).await?;
        }
        std::io::Result::Ok(())
    });
    Ok(address)
}
