//! Collectors that misbehave, and bursts: the workflow goes on, the end is bounded, and the counts
//! add up.

use std::time::{Duration, Instant};

use dotflow::{DotFlow, PreviousContext, action, task};
use dotflow_otel::{Guard, OpenTelemetry, Otlp, Protocol};
use dotflow_tests::{
    Recorder,
    collector::{Behaviour, Collector, Nobody, Transport},
    shop,
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SpanData, SpanExporter},
};
use tracing_subscriber::{Registry, layer::SubscriberExt};

use crate::under;

/// More than a batch, so that the exporter is busy while tasks run.
const TASKS: usize = 2_000;
const SPANS: u64 = TASKS as u64 + 2;

#[action(inline)]
fn numbers(count: usize) -> Vec<usize> {
    (0..count).collect()
}

#[action(inline)]
fn next(number: PreviousContext<usize>) -> usize {
    *number + 1
}

/// As many tasks as `count`, and one more that makes their items.
fn fan_out(count: usize) -> DotFlow<Vec<usize>> {
    DotFlow::new("fan-out", task(numbers(count)).each(next()))
}

fn telemetry(endpoint: String) -> OpenTelemetry {
    dotflow_tests::keep_callsites_awake();
    OpenTelemetry::new("shop")
        .with_otlp_to(Otlp::new().endpoint(endpoint))
        .shutdown_timeout(Duration::from_millis(700))
}

/// Sooner than the slow collector answers, and than an export gives up by itself; long enough for
/// a machine that has other things to do.
const BEFORE_ANY_ANSWER: Duration = Duration::from_secs(8);

/// Runs the fan-out; returns how long that took, and the guard.
fn run(telemetry: OpenTelemetry) -> (Duration, Guard) {
    under(telemetry, || {
        let workflow = fan_out(TASKS);
        let started = Instant::now();
        workflow.start_blocking().unwrap().ok().unwrap();
        started.elapsed()
    })
}

/// Runs with a collector that takes everything, and with one that does not; checks that the
/// workflow does not notice and that the end is bounded. Returns the guard.
fn compare(fault: &str, endpoint: String) -> Guard {
    let live = Collector::start();
    let (with_live, guard) = run(telemetry(live.endpoint()));
    drop(guard);
    let (with_fault, guard) = run(telemetry(endpoint));
    let ratio = with_fault.as_secs_f64() / with_live.as_secs_f64();
    println!("{fault}: {with_fault:?}, {ratio:.2} times as long as with a live collector");
    // Waiting for such a collector once would take ten seconds. Other tests run at the same time,
    // and the machine may be busy besides, so the ratio alone says little.
    assert!(ratio < 3.0 || with_fault < BEFORE_ANY_ANSWER);

    let started = Instant::now();
    guard.shutdown().unwrap();
    let took = started.elapsed();
    println!("{fault}: shutdown took {took:?}");
    assert!(took < BEFORE_ANY_ANSWER, "{took:?}");
    assert_eq!(guard.exported() + guard.dropped(), SPANS, "{fault}");
    guard
}

#[test]
fn no_collector() {
    let nobody = Nobody::new();
    let guard = compare("no collector", nobody.endpoint());
    assert_eq!(guard.dropped(), SPANS);
}

#[test]
fn a_collector_that_refuses() {
    let collector = Collector::with(Transport::Grpc, Behaviour::Refuse);
    let guard = compare("refuses", collector.endpoint());
    assert_eq!(guard.dropped(), SPANS);
}

#[test]
fn a_collector_that_never_answers() {
    let collector = Collector::with(Transport::Grpc, Behaviour::Silent);
    let guard = compare("never answers", collector.endpoint());
    assert_eq!(guard.dropped(), SPANS);
}

#[test]
fn a_collector_that_answers_after_ten_seconds() {
    let slow = Behaviour::Slow(Duration::from_secs(10));
    let collector = Collector::with(Transport::Grpc, slow);
    let guard = compare("answers after 10 s", collector.endpoint());
    assert_eq!(guard.dropped(), SPANS);
}

#[test]
fn a_listener_that_is_no_collector() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let guard = compare("accepts connections only", endpoint);
    assert_eq!(guard.dropped(), SPANS);
    drop(listener);
}

#[test]
fn a_collector_that_dies_midway() {
    let mut collector = Collector::start();
    let (layer, guard) = telemetry(collector.endpoint()).build().unwrap();
    let subscriber = Registry::default().with(layer);
    tracing::subscriber::with_default(subscriber, || {
        fan_out(TASKS).start_blocking().unwrap().ok().unwrap();
        guard.flush().unwrap();
        assert_eq!((guard.exported(), guard.dropped()), (SPANS, 0));
        collector.crash();
        fan_out(TASKS).start_blocking().unwrap().ok().unwrap();
        let error = guard.flush().unwrap_err().to_string();
        assert!(
            error.contains("were not delivered to http://127.0.0.1:"),
            "{error}"
        );
    });
    guard.shutdown().unwrap();
    assert_eq!((guard.exported(), guard.dropped()), (SPANS, SPANS));
}

#[test]
fn a_collector_that_takes_a_part() {
    for transport in [Transport::Grpc, Transport::Http] {
        let collector = Collector::with(transport, Behaviour::RejectPart(1));
        let protocol = match transport {
            Transport::Grpc => Protocol::Grpc,
            Transport::Http => Protocol::HttpProtobuf,
        };
        let otlp = Otlp::new()
            .endpoint(collector.endpoint())
            .protocol(protocol);
        let telemetry = OpenTelemetry::new("shop").with_otlp_to(otlp);
        let (run, guard) = under(telemetry, || shop::sales().start_blocking());
        drop(run.unwrap());
        let error = guard.flush().unwrap_err().to_string();
        let expected = "1 of 4 spans were not delivered";
        assert!(error.starts_with(expected), "{error}");
        assert!(
            error.ends_with("rejected them: too many attributes"),
            "{error}"
        );
        guard.shutdown().unwrap();
        assert_eq!((guard.exported(), guard.dropped()), (3, 1));
    }
}

#[test]
fn a_full_queue_is_counted() {
    let collector = Collector::with(Transport::Grpc, Behaviour::Silent);
    // More spans than the queue takes, while nothing leaves it.
    let otlp = Otlp::new()
        .endpoint(collector.endpoint())
        .timeout(Duration::from_secs(600));
    let telemetry = OpenTelemetry::new("shop")
        .with_otlp_to(otlp)
        .shutdown_timeout(Duration::from_millis(100));
    let (spans, guard) = under(telemetry, || {
        for _ in 0..70_000 {
            tracing::info_span!("small").in_scope(|| ());
        }
        70_000
    });
    assert_eq!(guard.dropped(), spans - 65_536);
    guard.shutdown().unwrap();
    assert_eq!((guard.exported(), guard.dropped()), (0, spans));
}

/// An exporter of the user's own that never comes back, or does not survive.
#[derive(Debug)]
enum Broken {
    Blocks,
    Panics,
}

impl SpanExporter for Broken {
    async fn export(&self, _batch: Vec<SpanData>) -> OTelSdkResult {
        match self {
            Self::Blocks => loop {
                std::thread::park();
            },
            Self::Panics => panic!("on purpose"),
        }
    }
}

#[test]
fn an_exporter_that_blocks_can_not_hold_up_the_end() {
    let telemetry = OpenTelemetry::new("shop")
        .with_exporter(Broken::Blocks)
        .shutdown_timeout(Duration::from_millis(300));
    let (run, guard) = under(telemetry, || shop::sales().start_blocking());
    drop(run.unwrap());
    let started = Instant::now();
    guard.shutdown().unwrap();
    assert!(started.elapsed() < BEFORE_ANY_ANSWER);
    assert_eq!((guard.exported(), guard.dropped()), (0, 4));
}

#[test]
fn an_exporter_that_panics_is_an_error_of_the_shutdown() {
    let telemetry = OpenTelemetry::new("shop").with_exporter(Broken::Panics);
    let (run, guard) = under(telemetry, || shop::sales().start_blocking());
    drop(run.unwrap());
    guard.flush().unwrap_err();
    let error = guard.shutdown().unwrap_err().to_string();
    assert!(
        error.contains("the thread that sends spans has ended"),
        "{error}"
    );
    assert_eq!((guard.exported(), guard.dropped()), (0, 4));
}

#[test]
fn a_service_is_told_once_that_deliveries_fail() {
    let mut collector = Collector::start();
    let endpoint = collector.endpoint();
    collector.crash();
    let (layer, guard) = telemetry(endpoint).build().unwrap();
    let recorder = Recorder::default();
    let subscriber = Registry::default().with(layer).with(recorder.clone());
    tracing::subscriber::with_default(subscriber, || {
        for _ in 0..2 {
            drop(shop::sales().start_blocking().unwrap());
            guard.flush().unwrap_err();
        }
        guard.shutdown().unwrap();
    });
    let events = recorder.recording().events;
    let told = events.iter().filter(|event| {
        let message = event.fields.get("message").map(ToString::to_string);
        message.is_some_and(|text| text.contains("spans can't be delivered to http://127.0.0.1"))
    });
    assert_eq!(told.count(), 1, "{events:#?}");
}

/// 100,000 tasks at once. A test build is slow, but the ratio of what makes spans to what sends
/// them is what it is.
#[test]
fn a_burst_is_delivered_or_counted() {
    let collector = Collector::start();
    let telemetry = OpenTelemetry::new("shop")
        .with_otlp_to(Otlp::new().endpoint(collector.endpoint()))
        .shutdown_timeout(Duration::from_secs(60));
    let ((), guard) = under(telemetry, || {
        fan_out(100_000).start_blocking().unwrap().ok().unwrap();
    });
    guard.shutdown().unwrap();
    println!("delivered {}, lost {}", guard.exported(), guard.dropped());
    assert_eq!(guard.exported() + guard.dropped(), 100_002);
    assert_eq!(guard.exported(), collector.spans().len() as u64);
}
