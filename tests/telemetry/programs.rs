//! What a whole program does: its exit code, what it prints, and how long it takes.

use std::{
    process::{Command, Output},
    time::{Duration, Instant},
};

use dotflow_tests::collector::Collector;

fn program(variant: &str, endpoint: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_telemetry-program"))
        .arg(variant)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// An address where nobody listens: a port that was just given back.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn without_a_collector_a_program_ends_at_once_and_says_what_was_lost() {
    let endpoint = nobody();
    let started = Instant::now();
    let output = program("shutdown", &endpoint);
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), "0 4\n");
    let errors = text(&output.stderr);
    let expected = format!("dotflow-otel: 4 of 4 spans were not delivered to {endpoint}: ");
    assert!(errors.starts_with(&expected), "{errors}");
    assert!(errors.contains("Connection refused"), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
}

#[test]
fn with_a_collector_a_program_says_nothing() {
    let collector = Collector::start();
    let output = program("shutdown", &collector.endpoint());
    assert_eq!(text(&output.stdout), "4 0\n");
    assert_eq!(text(&output.stderr), "");
    assert_eq!(collector.spans().len(), 4);
}

#[test]
fn nothing_is_lost_when_main_returns_an_error() {
    let collector = Collector::start();
    let output = program("error", &collector.endpoint());
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(collector.spans().len(), 4);
}

#[test]
fn nothing_is_lost_when_main_panics() {
    let collector = Collector::start();
    let output = program("panic", &collector.endpoint());
    assert_eq!(output.status.code(), Some(101));
    assert_eq!(collector.spans().len(), 4);
}

#[test]
fn a_second_global_subscriber_is_never_installed() {
    let collector = Collector::start();
    let output = program("twice", &collector.endpoint());
    assert!(text(&output.stdout).contains("has a global tracing subscriber already"));
    // The first one goes on.
    assert_eq!(collector.spans().len(), 4);
}
