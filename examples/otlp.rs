//! The workflow of the quickstart, with its trace on the console and at an OTLP collector.
//!
//! `cargo run --example otlp` sends to `http://localhost:4317`, or to wherever
//! `OTEL_EXPORTER_OTLP_ENDPOINT` says. Without a collector it finishes all the same, and says at
//! its end that spans were not delivered.

#[allow(dead_code, reason = "it is an example of its own, with its own `main`")]
#[path = "quickstart.rs"]
mod quickstart;

use dotflow_otel::OpenTelemetry;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let telemetry = OpenTelemetry::new("sales-pipeline")
        .with_console()
        .with_otlp()
        .install()?;

    let warehouse = quickstart::busy_warehouse().await?;
    let run = quickstart::sales(warehouse).start().await?;
    println!("The warehouse stored it as {}.", run.output()?.id);

    // The guard itself says what was lost, so a missing collector is no reason to fail.
    drop(telemetry);
    Ok(())
}
