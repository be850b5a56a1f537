//! Telemetry starts and stops in every kind of runtime: no hang, no panic, no lost span.

use std::time::{Duration, Instant};

use dotflow_otel::{OpenTelemetry, Otlp};
use dotflow_tests::{collector::Collector, shop};
use tokio::runtime::{Builder, Runtime};
use tracing::instrument::WithSubscriber;
use tracing_subscriber::{Registry, layer::SubscriberExt};

use crate::under;

fn telemetry(endpoint: String) -> OpenTelemetry {
    dotflow_tests::keep_callsites_awake();
    OpenTelemetry::new("shop").with_otlp_to(Otlp::new().endpoint(endpoint))
}

/// Builds telemetry, runs a workflow and stops telemetry again, all where it is polled.
async fn whole_life(endpoint: String) {
    let (layer, guard) = telemetry(endpoint).build().unwrap();
    let run = async { shop::sales().start().await };
    let run = run.with_subscriber(Registry::default().with(layer)).await;
    drop(run.unwrap());
    let started = Instant::now();
    guard.shutdown().unwrap();
    assert!(started.elapsed() < Duration::from_secs(30));
    assert_eq!((guard.exported(), guard.dropped()), (4, 0));
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
    with_collector(|endpoint| {
        let (run, guard) = under(telemetry(endpoint), || shop::sales().start_blocking());
        drop(run.unwrap());
        guard.shutdown().unwrap();
    });
}

#[test]
fn in_a_current_thread_runtime() {
    with_collector(|endpoint| current_thread().block_on(whole_life(endpoint)));
}

#[test]
fn in_a_multi_thread_runtime() {
    with_collector(|endpoint| multi_thread(4).block_on(whole_life(endpoint)));
}

#[test]
fn in_a_task_of_the_only_thread() {
    with_collector(|endpoint| {
        let runtime = current_thread();
        let task = runtime.spawn(whole_life(endpoint));
        runtime.block_on(task).unwrap();
    });
}

#[test]
fn in_a_task_of_the_only_worker() {
    with_collector(|endpoint| {
        let runtime = multi_thread(1);
        let task = runtime.spawn(whole_life(endpoint));
        runtime.block_on(task).unwrap();
    });
}

#[test]
fn in_a_task_of_one_of_many_workers() {
    with_collector(|endpoint| {
        let runtime = multi_thread(4);
        let task = runtime.spawn(whole_life(endpoint));
        runtime.block_on(task).unwrap();
    });
}

#[tokio::test]
async fn in_a_tokio_test() {
    let collector = Collector::start();
    whole_life(collector.endpoint()).await;
    assert_eq!(collector.spans().len(), 4);
}

#[test]
fn the_guard_may_be_dropped_in_another_runtime_than_it_was_made_in() {
    with_collector(|endpoint| {
        let built = current_thread().block_on(async { telemetry(endpoint).build() });
        let (layer, guard) = built.unwrap();
        let run = async { shop::sales().start().await.map(drop) };
        let run = run.with_subscriber(Registry::default().with(layer));
        multi_thread(2).block_on(run).unwrap();
        multi_thread(1).block_on(async move { drop(guard) });
    });
}

#[test]
fn a_flush_delivers_what_ended_so_far() {
    let collector = Collector::start();
    let telemetry = telemetry(collector.endpoint()).with_metrics().with_logs();
    let (run, guard) = under(telemetry, || shop::sales().start_blocking());
    drop(run.unwrap());
    guard.flush().unwrap();
    assert_eq!(collector.spans().len(), 4);
    assert_eq!(collector.log_records().len(), 3);
    assert_eq!(collector.metrics().len(), 8);
    assert_eq!((guard.exported(), guard.dropped()), (4, 0));
}
