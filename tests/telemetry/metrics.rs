//! Metrics on the wire: exact counts and buckets, whatever the sampler says.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use dotflow::{
    DotFlow, TaskError, action,
    action::from_fn,
    report::EventKind,
    storage::{MemoryStorage, Storage as _},
    task,
};
use dotflow_otel::{OpenTelemetry, Otlp};
use dotflow_tests::collector::{Collector, attribute};
use opentelemetry_proto::tonic::{
    common::v1::{KeyValue, any_value::Value},
    metrics::v1::{HistogramDataPoint, Metric, NumberDataPoint, metric::Data, number_data_point},
};
use opentelemetry_sdk::trace::Sampler;
use tokio::{runtime::Builder, sync::Barrier};
use tracing_subscriber::{Registry, layer::SubscriberExt};

use crate::under;

#[action]
fn quick() {}

#[action(name = "flaky", retry = 3, retry_delay = 0, inline)]
fn fails() -> Result<(), String> {
    Err("no".into())
}

/// Sends the metrics of three runs, two of which go well, and returns them.
fn metrics_with(sampler: Sampler) -> (Vec<Metric>, usize) {
    let collector = Collector::start();
    let telemetry = OpenTelemetry::new("shop")
        .with_otlp_to(Otlp::new().endpoint(collector.endpoint()))
        .with_metrics()
        .sampler(sampler);
    let ((), guard) = under(telemetry, || {
        let good = DotFlow::new("good", (task(quick()), task(quick())));
        let bad = DotFlow::new("bad", task(fails()));
        good.start_blocking().unwrap().ok().unwrap();
        good.start_blocking().unwrap().ok().unwrap();
        assert!(!bad.start_blocking().unwrap().succeeded());
    });
    guard.shutdown().unwrap();
    (collector.metrics(), collector.spans().len())
}

/// Attributes and value of each point of a counter, sorted: `dotflow.task.name=quick … 2`.
fn counts(metrics: &[Metric], name: &str) -> Vec<String> {
    let metric = metrics.iter().find(|one| one.name == name).unwrap();
    let Some(Data::Sum(sum)) = &metric.data else {
        panic!("{name} is a sum");
    };
    let goes_down = name.ends_with(".active");
    assert_eq!(sum.is_monotonic, !goes_down, "{name}");
    let value = |point: &NumberDataPoint| match point.value {
        Some(number_data_point::Value::AsInt(value)) => value,
        _ => panic!("{name} counts"),
    };
    let points = sum.data_points.iter();
    let points = points.map(|point| format!("{} {}", words(&point.attributes), value(point)));
    let mut points: Vec<String> = points.collect();
    points.sort();
    points
}

fn histogram(metrics: &[Metric], name: &str) -> Vec<HistogramDataPoint> {
    let metric = metrics.iter().find(|one| one.name == name).unwrap();
    assert_eq!(metric.unit, "s");
    match &metric.data {
        Some(Data::Histogram(histogram)) => histogram.data_points.clone(),
        _ => panic!("{name} is a histogram"),
    }
}

fn words(attributes: &[KeyValue]) -> String {
    let word = |attribute: &KeyValue| match attribute.value.clone().unwrap().value {
        Some(Value::StringValue(text)) => format!("{}={text}", attribute.key),
        other => panic!("{}: {other:?}", attribute.key),
    };
    let mut words: Vec<String> = attributes.iter().map(word).collect();
    words.sort();
    words.join(" ")
}

fn check(metrics: &[Metric]) {
    assert_eq!(
        counts(metrics, "dotflow.workflow.completed"),
        [
            "dotflow.workflow.name=bad dotflow.workflow.status=Failed \
             error.type=alloc::string::String 1",
            "dotflow.workflow.name=good dotflow.workflow.status=Completed 2",
        ]
    );
    assert_eq!(
        counts(metrics, "dotflow.task.completed"),
        [
            "dotflow.task.name=flaky dotflow.task.status=Failed dotflow.workflow.name=bad \
             error.type=alloc::string::String 1",
            "dotflow.task.name=quick dotflow.task.status=Completed dotflow.workflow.name=good 4",
        ]
    );
    assert_eq!(
        counts(metrics, "dotflow.task.retries"),
        ["dotflow.task.name=flaky dotflow.workflow.name=bad 2"]
    );
    for (name, unit) in [
        ("dotflow.workflow.completed", "{run}"),
        ("dotflow.workflow.active", "{run}"),
        ("dotflow.task.completed", "{task}"),
        ("dotflow.task.active", "{task}"),
        ("dotflow.task.retries", "{attempt}"),
    ] {
        let metric = metrics.iter().find(|one| one.name == name).unwrap();
        assert_eq!(metric.unit, unit);
    }
    // All of them have ended.
    assert_eq!(
        counts(metrics, "dotflow.task.active"),
        [
            "dotflow.task.name=flaky dotflow.workflow.name=bad 0",
            "dotflow.task.name=quick dotflow.workflow.name=good 0",
        ]
    );
    for (name, expected) in [
        ("dotflow.workflow.duration", [1, 2]),
        ("dotflow.task.duration", [1, 4]),
    ] {
        let points = histogram(metrics, name);
        let mut totals: Vec<u64> = points.iter().map(|point| point.count).collect();
        totals.sort_unstable();
        assert_eq!(totals, expected);
        for point in points {
            assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
            // Each is in the bucket where its value belongs: none took longer than a second.
            let up_to_a_second = point.explicit_bounds.iter().position(|bound| *bound >= 1.0);
            let below = &point.bucket_counts[..=up_to_a_second.unwrap()];
            assert_eq!(below.iter().sum::<u64>(), point.count);
        }
    }
}

#[test]
fn metrics_are_exact() {
    let (metrics, spans) = metrics_with(Sampler::AlwaysOn);
    assert_eq!(spans, 8);
    check(&metrics);
}

#[test]
fn metrics_are_the_same_where_no_trace_is_sampled() {
    let (metrics, spans) = metrics_with(Sampler::TraceIdRatioBased(0.0));
    assert_eq!(spans, 0);
    check(&metrics);
}

#[test]
fn tasks_at_the_same_time_are_counted_stored_and_told_of_once() {
    const TASKS: u32 = 8;
    let collector = Collector::start();
    let telemetry = OpenTelemetry::new("shop")
        .with_otlp_to(Otlp::new().endpoint(collector.endpoint()))
        .with_metrics();
    let storage = MemoryStorage::new();
    let told = Arc::new(AtomicU32::new(0));
    let ((), guard) = under(telemetry, || {
        let all_at_once = Arc::new(Barrier::new(TASKS as usize));
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let all_at_once = Arc::clone(&all_at_once);
                let calls = AtomicU32::new(0);
                let second_time = from_fn("second_time", move || {
                    let (barrier, call) = (
                        Arc::clone(&all_at_once),
                        calls.fetch_add(1, Ordering::Relaxed),
                    );
                    async move {
                        barrier.wait().await;
                        if call == 0 {
                            Err(TaskError::failed("no"))
                        } else {
                            Ok(call)
                        }
                    }
                });
                task(second_time.checkpointed())
                    .retry(2)
                    .retry_delay(Duration::ZERO)
            })
            .collect();
        let told = Arc::clone(&told);
        let workflow = DotFlow::new("wide", tasks)
            .storage(storage.clone())
            .observe(move |event| {
                if let EventKind::TaskEnded { .. } = &event.kind {
                    told.fetch_add(1, Ordering::Relaxed);
                }
            });
        assert!(workflow.resume_blocking("1").unwrap().succeeded());
    });
    guard.shutdown().unwrap();
    let metrics = collector.metrics();
    assert_eq!(
        counts(&metrics, "dotflow.task.completed"),
        [
            "dotflow.task.name=second_time dotflow.task.status=Completed \
             dotflow.workflow.name=wide 8"
        ]
    );
    assert_eq!(
        counts(&metrics, "dotflow.task.retries"),
        ["dotflow.task.name=second_time dotflow.workflow.name=wide 8"]
    );
    assert_eq!(told.load(Ordering::Relaxed), TASKS);
    let keys = dotflow_tests::threaded(async move { storage.list("1").await.unwrap() });
    // And the record of the run.
    assert_eq!(keys.len(), TASKS as usize + 1, "{keys:?}");
}

#[test]
fn restored_tasks_are_not_counted_as_completed_again() {
    let collector = Collector::start();
    let telemetry = OpenTelemetry::new("shop")
        .with_otlp_to(Otlp::new().endpoint(collector.endpoint()))
        .with_metrics();
    let ((), guard) = under(telemetry, || {
        let workflow = DotFlow::new("stored", task(quick())).storage(MemoryStorage::new());
        for _ in 0..3 {
            assert!(workflow.resume_blocking("1").unwrap().succeeded());
        }
    });
    guard.shutdown().unwrap();
    let metrics = collector.metrics();
    assert_eq!(
        counts(&metrics, "dotflow.task.completed"),
        [
            "dotflow.task.name=quick dotflow.task.status=Completed dotflow.workflow.name=stored 1",
            "dotflow.task.name=quick dotflow.task.status=Restored dotflow.workflow.name=stored 2",
        ]
    );
    let timed = histogram(&metrics, "dotflow.task.duration");
    assert_eq!(timed.iter().map(|point| point.count).sum::<u64>(), 1);
    assert_eq!(
        counts(&metrics, "dotflow.workflow.completed"),
        ["dotflow.workflow.name=stored dotflow.workflow.status=Completed 3"]
    );
}

#[action]
async fn waits(begun: Arc<Barrier>, may_end: Arc<Barrier>) {
    begun.wait().await;
    may_end.wait().await;
}

#[test]
fn what_is_under_way_is_counted() {
    let collector = Collector::start();
    let telemetry = OpenTelemetry::new("shop")
        .with_otlp_to(Otlp::new().endpoint(collector.endpoint()))
        .with_metrics();
    dotflow_tests::keep_callsites_awake();
    let (layer, guard) = telemetry.build().unwrap();
    let subscriber = Registry::default().with(layer);
    tracing::subscriber::with_default(subscriber, || {
        let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let [begun, may_end] = [3, 3].map(|count| Arc::new(Barrier::new(count)));
            let tasks = [0, 1].map(|_| task(waits(Arc::clone(&begun), Arc::clone(&may_end))));
            let workflow = DotFlow::new("long", tasks.to_vec());
            let run = workflow.spawn();
            begun.wait().await;
            guard.flush().unwrap();
            may_end.wait().await;
            run.await.unwrap().ok().unwrap();
        });
    });
    let active = |name| counts(&collector.metrics(), name);
    assert_eq!(
        active("dotflow.workflow.active"),
        ["dotflow.workflow.name=long 1"]
    );
    assert_eq!(
        active("dotflow.task.active"),
        ["dotflow.task.name=waits dotflow.workflow.name=long 2"]
    );
    guard.shutdown().unwrap();
    assert_eq!(
        active("dotflow.workflow.active"),
        ["dotflow.workflow.name=long 0"]
    );
}

#[action]
async fn sleeps(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

#[test]
fn durations_fall_into_their_buckets() {
    let collector = Collector::start();
    let telemetry = OpenTelemetry::new("shop")
        .with_otlp_to(Otlp::new().endpoint(collector.endpoint()))
        .with_metrics();
    // The clock of this runtime stands still, so the durations are exact.
    let ((), guard) = under(telemetry, || {
        dotflow_tests::paused(async {
            for milliseconds in [2, 30, 40, 700, 45_000] {
                let workflow = DotFlow::new("timed", task(sleeps(milliseconds)));
                workflow.start().await.unwrap().ok().unwrap();
            }
        });
    });
    guard.shutdown().unwrap();
    let metrics = collector.metrics();
    let points = histogram(&metrics, "dotflow.task.duration");
    let [point] = &points[..] else {
        panic!("one series");
    };
    let name = attribute(&point.attributes, "dotflow.task.name");
    assert_eq!(name, Some(&Value::StringValue("sleeps".into())));
    let filled: Vec<(f64, u64)> = point
        .explicit_bounds
        .iter()
        .copied()
        .zip(point.bucket_counts.iter().copied())
        .filter(|(_, count)| *count > 0)
        .collect();
    assert_eq!(filled, [(0.005, 1), (0.05, 2), (1.0, 1), (60.0, 1)]);
    assert!(
        (point.sum.unwrap() - 45.772).abs() < 0.01,
        "{:?}",
        point.sum
    );
}
