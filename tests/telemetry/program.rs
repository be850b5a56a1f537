//! A program with telemetry, in variants that differ by how it ends. The first argument names the
//! variant; where telemetry goes is up to the `OTEL_*` variables.

use std::{
    env,
    io::Write,
    process::ExitCode,
    time::{Duration, Instant},
};

use dotflow_otel::{
    OpenTelemetry,
    opentelemetry::{
        KeyValue,
        trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState},
    },
};
use dotflow_tests::shop;
use tokio::signal::unix::{SignalKind, signal};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
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
    let started = Instant::now();
    let installed = telemetry.install();
    let took = started.elapsed();
    let telemetry = match installed {
        Ok(telemetry) => telemetry,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    if !matches!(variant.as_str(), "service" | "size" | "load") {
        let run = shop::sales().start_blocking();
        drop(run.expect("it can be carried out"));
    }
    match variant.as_str() {
        "shutdown" | "strict" | "all" => {
            telemetry.shutdown().expect("it stops in order");
            println!("{} {}", telemetry.exported(), telemetry.dropped());
        }
        "links" => {
            link();
            telemetry.shutdown().expect("it stops in order");
        }
        "everything" => {
            for _ in 0..3 {
                tracing::trace!("still here");
                telemetry.flush().expect("the collector takes it");
            }
            telemetry.shutdown().expect("it stops in order");
        }
        "service" => {
            // Once more for each line, until there are no more.
            for line in std::io::stdin().lines() {
                line.expect("the test writes text");
                drop(shop::sales().start_blocking().expect("it runs"));
                println!("{}", telemetry.flush().is_ok());
            }
        }
        "size" => {
            println!("{}", resident());
            // For those who measure by hand: a test of time would fail on a busy machine.
            eprintln!("installed in {took:?}");
        }
        "load" => {
            let seconds = env::args().nth(2).and_then(|text| text.parse().ok());
            load(seconds.expect("seconds"), started);
            telemetry.shutdown().expect("it stops in order");
            let (exported, dropped) = (telemetry.exported(), telemetry.dropped());
            println!("{exported} {dropped} {}", telemetry.open());
        }
        "held" => {
            let held = tracing::info_span!("held");
            telemetry.shutdown().expect("it stops in order");
            println!("{} {}", telemetry.exported(), telemetry.open());
            drop(held);
        }
        "error" => return ExitCode::FAILURE,
        "panic" => panic!("on purpose"),
        "wait" => {
            println!("ready");
            std::io::stdout().flush().expect("the test reads it");
            std::thread::park();
        }
        "signals" => {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            runtime.block_on(async {
                let wait = |kind| signal(kind).expect("signals can be waited for");
                let mut interrupt = wait(SignalKind::interrupt());
                let mut terminate = wait(SignalKind::terminate());
                println!("ready");
                std::io::stdout().flush().expect("the test reads it");
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
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

/// A span with three links, each with three attributes.
fn link() {
    let linked = tracing::info_span!("linked");
    for span in 1..=3_u64 {
        let (trace, span) = (TraceId::from(7), SpanId::from(span));
        let state = TraceState::default();
        let other = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, state);
        let attributes = ["a", "b", "c"].map(|key| KeyValue::new(key, "x"));
        linked.add_link_with_attributes(other, attributes.into());
    }
}

/// Runs a thousand workflows a second, and prints after each how many bytes are resident.
fn load(seconds: u32, started: Instant) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for second in 1..=seconds {
        let due = started + Duration::from_secs(second.into());
        for _ in 0..1_000 {
            let run = runtime.block_on(shop::quick().start());
            assert!(run.expect("it runs").succeeded());
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        println!("{}", resident());
    }
}

/// How many bytes of memory are resident.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("this is Linux");
    let pages = pages.split(' ').nth(1).expect("the second number is that");
    4_096 * pages.parse::<u64>().expect("a number")
}
