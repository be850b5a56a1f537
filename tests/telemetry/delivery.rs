//! Nothing is lost while there is room for it: requests have a size that servers take, and what can't
//! be sent now is kept and sent again.

use std::time::{Duration, Instant};

use dotflow::{DotFlow, PreviousContext, action, task};
use dotflow_otel::{Guard, OpenTelemetry, Otlp, Protocol};
use dotflow_tests::{
    collector::{Behaviour, Collector, Transport},
    shop,
};
use tracing_subscriber::{Registry, layer::SubscriberExt};

use crate::under;

const TRANSPORTS: [Transport; 2] = [Transport::Grpc, Transport::Http];

fn telemetry(transport: Transport, collector: &Collector) -> OpenTelemetry {
    telemetry_within(transport, collector, Duration::from_secs(10))
}

/// The same with a bound for each request.
fn telemetry_within(
    transport: Transport,
    collector: &Collector,
    timeout: Duration,
) -> OpenTelemetry {
    dotflow_tests::keep_callsites_awake();
    let protocol = match transport {
        Transport::Grpc => Protocol::Grpc,
        Transport::Http => Protocol::HttpProtobuf,
    };
    let otlp = Otlp::new()
        .endpoint(collector.endpoint())
        .protocol(protocol)
        .timeout(timeout);
    OpenTelemetry::new("shop").with_otlp_to(otlp)
}

#[action(inline)]
fn numbers(count: usize) -> Vec<usize> {
    (0..count).collect()
}

/// Fails with a text as long as a page that a server sends in place of an answer.
#[action(inline)]
fn fails(length: usize, _number: PreviousContext<usize>) -> Result<(), String> {
    Err("x".repeat(length))
}

/// Runs a task for each of `count` items, which all fail with a text of `length`. With the workflow
/// and the task that makes the items, that is two spans more.
fn run_failures(telemetry: OpenTelemetry, count: usize, length: usize) -> Guard {
    let (run, guard) = under(telemetry, || {
        DotFlow::new("pages", task(numbers(count)).each(fails(length)))
            .keep_going(true)
            .start_blocking()
    });
    assert!(!run.unwrap().succeeded());
    guard
}

#[test]
fn no_request_is_larger_than_servers_take() {
    for transport in TRANSPORTS {
        let collector = Collector::with(transport, Behaviour::AtMost(4 * 1024 * 1024));
        let guard = run_failures(telemetry(transport, &collector), 600, 3_000);
        guard.shutdown().unwrap();
        assert_eq!((guard.exported(), guard.dropped()), (602, 0));
        assert_eq!(collector.spans().len(), 602);
        let received = collector.received();
        // None had to be refused for that.
        assert_eq!(received.arrivals.len(), received.traces.len());
    }
}

#[test]
fn what_is_too_large_for_a_server_is_halved_and_sent_again() {
    for transport in TRANSPORTS {
        let collector = Collector::with(transport, Behaviour::AtMost(100_000));
        let guard = run_failures(telemetry(transport, &collector), 300, 1_000);
        guard.shutdown().unwrap();
        assert_eq!((guard.exported(), guard.dropped()), (302, 0));
        assert_eq!(collector.spans().len(), 302);
        let received = collector.received();
        assert!(received.arrivals.len() > received.traces.len());
    }
}

#[test]
fn one_that_is_too_large_by_itself_costs_no_other() {
    for transport in TRANSPORTS {
        let collector = Collector::with(transport, Behaviour::AtMost(100_000));
        let ((), guard) = under(telemetry(transport, &collector), || {
            for index in 0..40 {
                let length = if index == 20 { 200_000 } else { 10 };
                tracing::info_span!("page", text = "x".repeat(length)).in_scope(|| ());
            }
        });
        let error = guard.flush().unwrap_err().to_string();
        assert!(error.starts_with("1 of 40 spans were not"), "{error}");
        assert_eq!((guard.exported(), guard.dropped()), (39, 1));
        guard.shutdown().unwrap();
    }
}

#[test]
fn a_refused_batch_costs_no_other_one() {
    let collector = Collector::with(Transport::Grpc, Behaviour::RefuseFirst(1));
    let ((), guard) = under(telemetry(Transport::Grpc, &collector), || {
        for _ in 0..2_000 {
            tracing::info_span!("small").in_scope(|| ());
        }
    });
    guard.shutdown().unwrap();
    assert_eq!((guard.exported(), guard.dropped()), (2_000 - 512, 512));
}

#[test]
fn a_collector_that_is_away_for_a_while_costs_nothing() {
    for transport in TRANSPORTS {
        let mut collector = Collector::with(transport, Behaviour::Accept);
        let (layer, guard) = telemetry(transport, &collector).build().unwrap();
        tracing::subscriber::with_default(Registry::default().with(layer), || {
            drop(shop::sales().start_blocking().unwrap());
            guard.flush().unwrap();
            collector.crash();
            drop(shop::sales().start_blocking().unwrap());
            let error = guard.flush().unwrap_err();
            assert!(error.is_not_delivered());
            let text = error.to_string();
            assert!(text.starts_with("4 spans were not delivered"), "{text}");
            assert!(text.ends_with("they are kept and sent again"), "{text}");
            assert_eq!((guard.exported(), guard.dropped()), (4, 0));

            collector.restart();
            // Nobody asks for it: they are sent again by themselves.
            collector.wait_until(|collector| collector.spans().len() == 8);
            drop(shop::sales().start_blocking().unwrap());
        });
        guard.shutdown().unwrap();
        assert_eq!((guard.exported(), guard.dropped()), (12, 0));
        assert_eq!(collector.spans().len(), 12);
    }
}

#[test]
fn there_is_one_more_request_at_the_end() {
    for transport in TRANSPORTS {
        let mut collector = Collector::with(transport, Behaviour::Accept);
        collector.crash();
        let (run, guard) = under(telemetry(transport, &collector), || {
            shop::sales().start_blocking()
        });
        drop(run.unwrap());
        guard.flush().unwrap_err();
        collector.restart();
        let started = Instant::now();
        guard.shutdown().unwrap();
        assert_eq!((guard.exported(), guard.dropped()), (4, 0));
        // It does not wait for the time of the next one.
        assert!(started.elapsed() < Duration::from_secs(4));
    }
}

#[test]
fn a_server_that_is_out_of_order_is_asked_again() {
    for transport in TRANSPORTS {
        let collector = Collector::with(transport, Behaviour::Unavailable(2));
        let (layer, guard) = telemetry(transport, &collector).build().unwrap();
        tracing::subscriber::with_default(Registry::default().with(layer), || {
            drop(shop::sales().start_blocking().unwrap());
            let error = guard.flush().unwrap_err().to_string();
            assert!(error.contains(": out of order; they are kept"), "{error}");
            // The second one is refused as well.
            guard.flush().unwrap_err();
            guard.flush().unwrap();
        });
        assert_eq!((guard.exported(), guard.dropped()), (4, 0));
        assert_eq!(collector.received().arrivals.len(), 3);
        guard.shutdown().unwrap();
    }
}

#[test]
fn a_server_says_when_it_wants_to_be_asked_again() {
    // More than we would wait by ourselves.
    let delay = Duration::from_secs(2);
    for transport in TRANSPORTS {
        let collector = Collector::with(transport, Behaviour::Throttle(1, delay));
        // Longer than a request may take, too.
        let telemetry = telemetry_within(transport, &collector, delay / 2);
        let (run, guard) = under(telemetry, || shop::sales().start_blocking());
        drop(run.unwrap());
        // Neither a flush nor the end come before it, and the end waits as long as it may.
        guard.flush().unwrap_err();
        guard.flush().unwrap_err();
        guard.shutdown().unwrap();
        assert_eq!((guard.exported(), guard.dropped()), (4, 0));
        let arrivals = collector.received().arrivals.clone();
        assert_eq!(arrivals.len(), 2);
        assert!(arrivals[1] - arrivals[0] >= delay);
    }
}

#[test]
fn the_end_does_not_wait_for_a_server_that_asks_for_more_time_than_there_is() {
    let hour = Duration::from_secs(3_600);
    let collector = Collector::with(Transport::Grpc, Behaviour::Throttle(1, hour));
    let (run, guard) = under(telemetry(Transport::Grpc, &collector), || {
        shop::sales().start_blocking()
    });
    drop(run.unwrap());
    guard.flush().unwrap_err();
    let started = Instant::now();
    guard.shutdown().unwrap();
    assert!(started.elapsed() < Duration::from_secs(4));
    assert_eq!((guard.exported(), guard.dropped()), (0, 4));
}

#[test]
fn an_absurd_wait_is_no_end_of_the_program() {
    // More than a clock can show, and the most that gRPC has a number for.
    let waits = [
        (Transport::Http, u64::MAX),
        (Transport::Grpc, 315_576_000_000),
    ];
    for (transport, seconds) in waits {
        let behaviour = Behaviour::Throttle(1, Duration::from_secs(seconds));
        let collector = Collector::with(transport, behaviour);
        let (run, guard) = under(telemetry(transport, &collector), || {
            shop::sales().start_blocking()
        });
        drop(run.unwrap());
        let error = guard.flush().unwrap_err().to_string();
        assert!(error.ends_with("they are kept and sent again"), "{error}");
        guard.shutdown().unwrap();
        assert_eq!((guard.exported(), guard.dropped()), (0, 4));
    }
}

#[test]
fn the_end_may_take_as_long_as_it_likes() {
    let collector = Collector::with(Transport::Grpc, Behaviour::Accept);
    let telemetry = telemetry(Transport::Grpc, &collector).shutdown_timeout(Duration::MAX);
    let (run, guard) = under(telemetry, || shop::sales().start_blocking());
    drop(run.unwrap());
    guard.shutdown().unwrap();
    assert_eq!((guard.exported(), guard.dropped()), (4, 0));
}

#[test]
fn a_server_that_puts_off_for_ever_does_not_put_off_the_end() {
    let ever = u32::MAX;
    let second = Duration::from_secs(1);
    // As the connection says it, as the server says it, and with a time that always comes.
    for behaviour in [
        Behaviour::Unavailable(ever),
        Behaviour::Throttle(ever, second),
    ] {
        for transport in TRANSPORTS {
            let collector = Collector::with(transport, behaviour);
            let telemetry = telemetry(transport, &collector).shutdown_timeout(2 * second);
            let (run, guard) = under(telemetry, || shop::sales().start_blocking());
            drop(run.unwrap());
            // It is kept as long as the program goes on.
            guard.flush().unwrap_err();
            assert_eq!((guard.exported(), guard.dropped()), (0, 0));
            let started = Instant::now();
            guard.shutdown().unwrap();
            let took = started.elapsed();
            assert!(took < 4 * second, "{behaviour:?} {transport:?}: {took:?}");
            assert_eq!((guard.exported(), guard.dropped()), (0, 4));
        }
    }
}

/// A server that needs too long for many spans, but not for few: sent again as they are, they would
/// stand in the way of all others for ever.
#[test]
fn what_is_not_answered_in_time_is_sent_again_in_halves() {
    for behaviour in [Behaviour::SilentAbove(20_000), Behaviour::LateAbove(20_000)] {
        for transport in TRANSPORTS {
            let collector = Collector::with(transport, behaviour);
            let telemetry = telemetry_within(transport, &collector, Duration::from_millis(300));
            let guard = run_failures(telemetry, 100, 500);
            let flushed = (0..20).any(|_| guard.flush().is_ok());
            assert!(flushed, "{guard:?}");
            guard.shutdown().unwrap();
            assert_eq!((guard.exported(), guard.dropped()), (102, 0));
            assert_eq!(collector.spans().len(), 102);
        }
    }
}

#[test]
fn a_full_queue_has_room_for_workflows() {
    let collector = Collector::with(Transport::Grpc, Behaviour::Silent);
    let telemetry =
        telemetry(Transport::Grpc, &collector).shutdown_timeout(Duration::from_millis(100));
    let (run, guard) = under(telemetry, || {
        for _ in 0..65_536 {
            tracing::info_span!("small").in_scope(|| ());
        }
        shop::sales().start_blocking()
    });
    drop(run.unwrap());
    // The three tasks, but not the workflow, without which nobody can read the trace.
    assert_eq!(guard.dropped(), 3);
    guard.shutdown().unwrap();
    assert_eq!((guard.exported(), guard.dropped()), (0, 65_540));
}
