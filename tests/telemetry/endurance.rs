//! What a service goes through in a day. Most takes too long for every run of the tests, and is run by
//! hand:
//! `cargo test -p dotflow-tests --test telemetry endurance -- --ignored --nocapture`.

use std::{
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use dotflow_otel::{OpenTelemetry, Otlp};
use dotflow_tests::{
    collector::{Behaviour, Collector, Transport},
    shop,
};

use crate::under;

/// Runs workflows for 14 seconds, a few at a time, while `meanwhile` does things to the collector at
/// whole seconds. Returns how many spans ended, arrived and were lost.
fn for_14_seconds(collector: &mut Collector, meanwhile: impl Fn(&mut Collector, u64)) -> [u64; 3] {
    let telemetry =
        OpenTelemetry::new("shop").with_otlp_to(Otlp::new().endpoint(collector.endpoint()));
    let started = Instant::now();
    let (runs, guard) = under(telemetry, || {
        let mut runs = 0;
        for second in 1..=14 {
            while started.elapsed() < Duration::from_secs(second) {
                drop(shop::quick().start_blocking().unwrap());
                runs += 1;
                thread::sleep(Duration::from_millis(50));
            }
            meanwhile(collector, second);
        }
        runs
    });
    guard.shutdown().unwrap();
    println!(
        "{runs} runs, {} exported, {} dropped",
        guard.exported(),
        guard.dropped()
    );
    assert_eq!(collector.spans().len() as u64, guard.exported());
    [3 * runs, guard.exported(), guard.dropped()]
}

#[test]
#[ignore = "takes 14 seconds"]
fn a_collector_that_is_down_for_five_seconds_costs_nothing() {
    let mut collector = Collector::with(Transport::Grpc, Behaviour::Accept);
    let [ended, exported, dropped] =
        for_14_seconds(&mut collector, |collector, second| match second {
            3 => collector.crash(),
            8 => collector.restart(),
            _ => {}
        });
    assert_eq!((exported, dropped), (ended, 0));
}

#[test]
#[ignore = "takes 14 seconds"]
fn a_collector_that_starts_four_seconds_late_costs_nothing() {
    let mut collector = Collector::start();
    collector.crash();
    let [ended, exported, dropped] = for_14_seconds(&mut collector, |collector, second| {
        if second == 4 {
            collector.restart();
        }
    });
    assert_eq!((exported, dropped), (ended, 0));
}

/// Makes a thousand runs of three spans a second, and returns how many bytes are resident after each
/// second.
fn a_thousand_runs_a_second_for(seconds: usize) -> Vec<u64> {
    let collector = Collector::start();
    let child = Command::new(env!("CARGO_BIN_EXE_telemetry-program"))
        .args(["load", &seconds.to_string()])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<&str> = output.lines().collect();
    // Exported, dropped and open are what began.
    let begun = 3_000 * seconds;
    assert_eq!(lines.pop(), Some(&*format!("{begun} 0 0")));
    assert_eq!(collector.spans().len(), begun);
    lines.iter().map(|line| line.parse().unwrap()).collect()
}

#[test]
#[cfg(target_os = "linux")]
fn a_thousand_runs_a_second_lose_nothing() {
    a_thousand_runs_a_second_for(2);
}

#[test]
#[ignore = "takes 30 seconds"]
#[cfg(target_os = "linux")]
fn a_thousand_runs_a_second_lose_nothing_and_take_no_more_memory() {
    let resident = a_thousand_runs_a_second_for(30);
    println!("resident: {resident:?}");
    let (early, late) = (resident[4], resident[29]);
    assert!(
        late < early + early / 5,
        "{early} bytes after 5 s, {late} after 30"
    );
}
