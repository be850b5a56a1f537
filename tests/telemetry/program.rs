//! A program with telemetry, in variants that differ by how it ends. The first argument names the
//! variant; where telemetry goes is up to the `OTEL_*` variables.

use std::{env, io::Write, process::ExitCode};

use dotflow_otel::OpenTelemetry;
use dotflow_tests::shop;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::{LevelFilter, Targets};

fn main() -> ExitCode {
    let variant = env::args().nth(1).expect("a variant");
    let mut telemetry = OpenTelemetry::new("program").with_otlp();
    if variant == "all" || variant == "everything" {
        telemetry = telemetry.with_metrics().with_logs();
    }
    if variant == "everything" {
        telemetry = telemetry.filter(Targets::new().with_default(LevelFilter::TRACE));
    }
    if variant == "strict" {
        telemetry = telemetry.strict();
    }
    let telemetry = match telemetry.install() {
        Ok(telemetry) => telemetry,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let run = shop::sales().start_blocking();
    drop(run.expect("it can be carried out"));
    match variant.as_str() {
        "shutdown" | "strict" | "all" => {
            telemetry.shutdown().expect("it stops in order");
            println!("{} {}", telemetry.exported(), telemetry.dropped());
        }
        "everything" => {
            for _ in 0..3 {
                tracing::trace!("still here");
                telemetry.flush().expect("the collector takes it");
            }
            telemetry.shutdown().expect("it stops in order");
        }
        "error" => return ExitCode::FAILURE,
        "panic" => panic!("on purpose"),
        "wait" => {
            println!("ready");
            std::io::stdout().flush().expect("the test reads it");
            std::thread::park();
        }
        "ctrl-c" => {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            runtime.block_on(async {
                let kind = SignalKind::interrupt();
                let mut interrupted = signal(kind).expect("signals can be waited for");
                println!("ready");
                std::io::stdout().flush().expect("the test reads it");
                interrupted.recv().await;
            });
        }
        "twice" => {
            let error = OpenTelemetry::new("program")
                .install()
                .expect_err("it is the second");
            println!("{error}");
        }
        _ => unreachable!("no such variant"),
    }
    ExitCode::SUCCESS
}
