//! Telemetry starts and stops in every kind of runtime: no hang, no panic, no lost span.

use std::time::{Duration, Instant};

use dotflow_otel::{OpenTelemetry, Otlp};
use dotflow_tests::{collector::Collector, emit};
use tokio::runtime::{Builder, Runtime};
use tracing::instrument::WithSubscriber;
use tracing_subscriber::{Registry, layer::SubscriberExt};

/// Builds telemetry, emits a run and stops telemetry again, all where it is called.
fn whole_life(endpoint: &str) {
    let (layer, telemetry) = OpenTelemetry::new("shop")
        .with_otlp_to(Otlp::new().endpoint(endpoint))
        .build()
        .unwrap();
    tracing::subscriber::with_default(Registry::default().with(layer), emit::sales);
    let started = Instant::now();
    telemetry.shutdown().unwrap();
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!((telemetry.exported(), telemetry.dropped()), (4, 0));
}

/// Runs `test` with a live collector and checks that it got everything.
fn with_collector(test: impl FnOnce(String)) {
    let collector = Collector::start();
    test(collector.endpoint());
    assert_eq!(collector.spans().len(), 4);
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn multi_thread(workers: usize) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder
        .worker_threads(workers)
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn without_a_runtime() {
    with_collector(|endpoint| whole_life(&endpoint));
}

#[test]
fn in_a_current_thread_runtime() {
    with_collector(|endpoint| current_thread().block_on(async { whole_life(&endpoint) }));
}

#[test]
fn in_a_multi_thread_runtime() {
    with_collector(|endpoint| multi_thread(4).block_on(async { whole_life(&endpoint) }));
}

#[test]
fn in_a_task_of_the_only_thread() {
    with_collector(|endpoint| {
        current_thread().block_on(async {
            tokio::spawn(async move { whole_life(&endpoint) })
                .await
                .unwrap();
        });
    });
}

#[test]
fn in_a_task_of_the_only_worker() {
    with_collector(|endpoint| {
        multi_thread(1).block_on(async {
            tokio::spawn(async move { whole_life(&endpoint) })
                .await
                .unwrap();
        });
    });
}

#[test]
fn in_a_task_of_one_of_many_workers() {
    with_collector(|endpoint| {
        multi_thread(4).block_on(async {
            tokio::spawn(async move { whole_life(&endpoint) })
                .await
                .unwrap();
        });
    });
}

#[tokio::test]
async fn in_a_tokio_test() {
    with_collector(|endpoint| whole_life(&endpoint));
}

#[test]
fn the_guard_may_be_dropped_in_another_runtime_than_it_was_made_in() {
    with_collector(|endpoint| {
        let (layer, telemetry) = current_thread()
            .block_on(async {
                OpenTelemetry::new("shop")
                    .with_otlp_to(Otlp::new().endpoint(endpoint))
                    .build()
            })
            .unwrap();
        let run = async { emit::sales() };
        multi_thread(2).block_on(run.with_subscriber(Registry::default().with(layer)));
        multi_thread(1).block_on(async move { drop(telemetry) });
    });
}

#[test]
fn a_dropped_guard_delivers_what_is_left() {
    with_collector(|endpoint| {
        let (layer, telemetry) = OpenTelemetry::new("shop")
            .with_otlp_to(Otlp::new().endpoint(endpoint))
            .build()
            .unwrap();
        tracing::subscriber::with_default(Registry::default().with(layer), emit::sales);
        drop(telemetry);
    });
}
