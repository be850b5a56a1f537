//! The workflow of the quickstart, with its trace on the console and at an OTLP collector, in a program
//! that may be stopped at any time.
//!
//! `cargo run --example otlp` sends to `http://localhost:4317`, or to wherever
//! `OTEL_EXPORTER_OTLP_ENDPOINT` says. Without a collector it finishes all the same, and says at
//! its end that spans were not delivered. An argument is the address of a warehouse of your own:
//! `cargo run --example otlp -- 127.0.0.1:9` shows what a failure looks like.

#[allow(dead_code, reason = "it is an example of its own, with its own `main`")]
#[path = "quickstart.rs"]
mod quickstart;

use dotflow_otel::OpenTelemetry;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Whatever ends `main`, this is dropped after all else, and sends what is left. It says itself
    // what was lost, so a missing collector is no reason to fail.
    let _telemetry = OpenTelemetry::new("sales-pipeline")
        .with_console()
        .with_otlp()
        .install()?;

    let stopped = stop_signal()?;
    let warehouse = match std::env::args().nth(1) {
        Some(address) => address.parse()?,
        None => quickstart::busy_warehouse().await?,
    };
    let workflow = quickstart::sales(warehouse);
    let run = tokio::select! {
        run = workflow.start() => run?,
        // The run is dropped: its spans end as cancelled, and are sent like all others.
        () = stopped => return Err("stopped before the end".into()),
    };
    println!("The warehouse stored it as {}.", run.output()?.id);
    Ok(())
}

/// Has Ctrl-C at a terminal, and the SIGTERM that systemd, Docker and Kubernetes send, end what is returned
/// and not the program: from now on, not only once that is waited for.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
