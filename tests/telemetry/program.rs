//! A program with telemetry, in variants that differ by how it ends. The first argument names the
//! variant; where spans go is up to the `OTEL_*` variables.

use std::{env, process::ExitCode};

use dotflow_otel::OpenTelemetry;
use dotflow_tests::emit;

fn main() -> ExitCode {
    let variant = env::args().nth(1).expect("a variant");
    let telemetry = match OpenTelemetry::new("program").with_otlp().install() {
        Ok(telemetry) => telemetry,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    emit::sales();
    match variant.as_str() {
        "shutdown" => {
            telemetry.shutdown().expect("it stops in order");
            println!("{} {}", telemetry.exported(), telemetry.dropped());
        }
        "error" => return ExitCode::FAILURE,
        "panic" => panic!("on purpose"),
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
