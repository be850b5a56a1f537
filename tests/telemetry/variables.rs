//! Each variable of the OpenTelemetry specification does what it says, in a whole program, or is said to
//! have no effect.

use std::process::Stdio;

use dotflow_tests::collector::{Behaviour, Collector, Nobody, Transport, attribute};
use opentelemetry_proto::tonic::{
    common::v1::any_value::Value,
    metrics::v1::{AggregationTemporality, metric::Data},
    trace::v1::Span,
};

use crate::programs::{PROTOCOLS, command, program, text};

/// Those that have no effect, with values that are right.
const WITHOUT_EFFECT: [(&str, &str); 16] = [
    ("OTEL_CONFIG_FILE", "/etc/otel.yaml"),
    ("OTEL_EXPERIMENTAL_CONFIG_FILE", "/etc/otel.yaml"),
    ("OTEL_ENTITIES", "service{service.name=a}"),
    ("OTEL_LOG_LEVEL", "debug"),
    ("OTEL_BSP_EXPORT_TIMEOUT", "1000"),
    ("OTEL_BLRP_EXPORT_TIMEOUT", "1000"),
    ("OTEL_METRIC_EXPORT_TIMEOUT", "1000"),
    ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "1"),
    ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "1"),
    ("OTEL_EXPORTER_PROMETHEUS_HOST", "localhost"),
    ("OTEL_EXPORTER_PROMETHEUS_PORT", "9464"),
    ("OTEL_EXPORTER_ZIPKIN_ENDPOINT", "http://zipkin:9411"),
    ("OTEL_EXPORTER_JAEGER_ENDPOINT", "http://jaeger:14250"),
    ("OTEL_METRICS_EXEMPLAR_FILTER", "always_on"),
    ("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", "logs/dup"),
    ("BAGGAGE", "tenant=a"),
];

#[test]
fn what_has_no_effect_is_said_to_have_none() {
    let collector = Collector::start();
    let output = program("shutdown", &collector.endpoint(), &WITHOUT_EFFECT);
    assert_eq!(text(&output.stdout), "4 0\n");
    let errors = text(&output.stderr);
    assert_eq!(errors.lines().count(), WITHOUT_EFFECT.len(), "{errors}");
    for (name, _) in WITHOUT_EFFECT {
        let start = format!("dotflow-otel: the environment variable {name} has no effect: ");
        let told = errors.lines().filter(|line| line.starts_with(&start));
        assert_eq!(told.count(), 1, "{name}: {errors}");
    }
}

#[test]
fn each_signal_may_go_its_own_way() {
    let traces = Collector::start();
    let metrics = Collector::with(Transport::Http, Behaviour::Accept);
    let traces_endpoint = traces.endpoint().replace("http://", "");
    let metrics_endpoint = format!("{}/v1/metrics", metrics.endpoint());
    let variables = [
        // Without a scheme it is TLS, unless this says otherwise.
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &*traces_endpoint),
        ("OTEL_EXPORTER_OTLP_TRACES_INSECURE", "true"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-of=traces"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip"),
        // The whole URL.
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &*metrics_endpoint),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-of=all"),
        ("OTEL_METRICS_EXPORTER", "otlp"),
    ];
    let output = program("shutdown", &Nobody::new().endpoint(), &variables);
    assert_eq!(text(&output.stdout), "4 0\n");
    assert_eq!(text(&output.stderr), "");
    assert_eq!(traces.spans().len(), 4);
    assert_eq!(metrics.metrics().len(), 8);
    let received = traces.received();
    assert_eq!(received.headers[0]["x-of"], "traces");
    assert_eq!(received.headers[0]["grpc-encoding"], "gzip");
    assert_eq!(metrics.received().headers[0]["x-of"], "all");
}

#[test]
fn sums_may_be_those_since_the_last_report() {
    for (preference, expected) in [
        ("cumulative", AggregationTemporality::Cumulative),
        ("delta", AggregationTemporality::Delta),
    ] {
        let collector = Collector::start();
        let variables = [
            ("OTEL_METRICS_EXPORTER", "otlp"),
            (
                "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
                preference,
            ),
        ];
        program("shutdown", &collector.endpoint(), &variables);
        let metrics = collector.metrics();
        let completed = metrics
            .iter()
            .find(|one| one.name == "dotflow.task.completed");
        let Some(Data::Sum(sum)) = &completed.unwrap().data else {
            panic!("it is a sum");
        };
        assert_eq!(sum.aggregation_temporality(), expected);
    }
}

#[test]
fn metrics_are_sent_as_often_as_wanted() {
    let collector = Collector::start();
    // It runs until it is ended from outside.
    let mut child = command("wait", &collector.endpoint())
        .env("OTEL_METRICS_EXPORTER", "otlp")
        .env("OTEL_METRIC_EXPORT_INTERVAL", "50")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    collector.wait_until(|collector| collector.received().metrics.len() >= 3);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn batches_are_as_large_as_wanted() {
    let collector = Collector::start();
    let variables = [
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1"),
        ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "2"),
    ];
    let output = program("all", &collector.endpoint(), &variables);
    assert_eq!(text(&output.stdout), "4 0\n");
    let received = collector.received();
    assert_eq!((received.traces.len(), received.logs.len()), (4, 2));
}

#[test]
fn numbers_beyond_all_measure_are_no_end_of_the_program() {
    let collector = Collector::start();
    let most = &*u64::MAX.to_string();
    let names = [
        "OTEL_BSP_SCHEDULE_DELAY",
        "OTEL_BLRP_SCHEDULE_DELAY",
        "OTEL_METRIC_EXPORT_INTERVAL",
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    ];
    let variables = names.map(|name| (name, most));
    let output = program("all", &collector.endpoint(), &variables);
    assert_eq!(text(&output.stderr), "");
    assert_eq!(text(&output.stdout), "4 0\n");
}

#[test]
fn every_sampler_of_the_specification_is_known() {
    for (sampler, argument, spans) in [
        ("always_on", "", 4),
        ("always_off", "", 0),
        ("traceidratio", "1", 4),
        ("traceidratio", "0", 0),
        ("parentbased_always_on", "", 4),
        ("parentbased_always_off", "", 0),
        ("parentbased_traceidratio", "0", 0),
    ] {
        let collector = Collector::start();
        let variables = [
            ("OTEL_TRACES_SAMPLER", sampler),
            ("OTEL_TRACES_SAMPLER_ARG", argument),
        ];
        let output = program("strict", &collector.endpoint(), &variables);
        let expected = format!("{spans} 0\n");
        assert_eq!(text(&output.stdout), expected, "{sampler} {argument}");
    }
}

/// The spans of a program that runs with these variables, of which none is wrong.
fn spans(variables: &[(&str, &str)]) -> Vec<Span> {
    let collector = Collector::start();
    let output = program("strict", &collector.endpoint(), variables);
    assert_eq!(text(&output.stderr), "");
    collector.spans()
}

#[test]
fn spans_keep_as_much_as_wanted() {
    for name in [
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_ATTRIBUTE_COUNT_LIMIT",
    ] {
        for span in spans(&[(name, "2")]) {
            assert_eq!(span.attributes.len(), 2, "{name}");
            assert!(span.dropped_attributes_count > 0, "{name}");
            // How it ended is no attribute, so it is there in any case.
            assert!(span.status.is_some_and(|status| status.code != 0));
        }
    }
    let of_load = |name| {
        let spans = spans(&[(name, "1")]);
        let load = spans.into_iter().find(|span| span.name == "task:2");
        load.unwrap().events
    };
    // What matters has room all the same.
    let events = of_load("OTEL_SPAN_EVENT_COUNT_LIMIT");
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["retry", "exception"]);
    for event in of_load("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT") {
        assert_eq!(event.attributes.len(), 1, "{}", event.name);
    }
}

#[test]
fn spans_keep_as_many_links_and_as_much_of_each_as_wanted() {
    let links = |variables: &[(&str, &str)]| {
        let collector = Collector::start();
        let output = program("links", &collector.endpoint(), variables);
        assert_eq!(text(&output.stderr), "");
        let spans = collector.spans();
        let linked = spans.iter().find(|span| span.name == "linked").unwrap();
        let kept = linked.links.iter();
        let attributes: Vec<usize> = kept.map(|link| link.attributes.len()).collect();
        (attributes, linked.dropped_links_count)
    };
    assert_eq!(links(&[]), (vec![3, 3, 3], 0));
    assert_eq!(
        links(&[("OTEL_SPAN_LINK_COUNT_LIMIT", "2")]),
        (vec![3, 3], 1)
    );
    for name in [
        "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_ATTRIBUTE_COUNT_LIMIT",
    ] {
        assert_eq!(links(&[(name, "1")]), (vec![1, 1, 1], 0), "{name}");
    }
}

#[test]
fn the_limit_of_spans_cuts_long_strings() {
    for span in spans(&[("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3")]) {
        let id = attribute(&span.attributes, "dotflow.workflow_id");
        let Some(Value::StringValue(id)) = id else {
            panic!("{span:?}");
        };
        assert_eq!(id.len(), 3);
    }
}

#[test]
fn a_parent_from_the_environment_is_read_as_the_specification_says() {
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let belongs = |parent: &str, more: &[(&str, &str)]| {
        let parent = [("TRACEPARENT", parent)];
        let spans = spans(&[&parent, more].concat());
        let expected = u128::from_str_radix(trace, 16).unwrap().to_be_bytes();
        let belong = spans.iter().filter(|span| span.trace_id == expected);
        (spans.len(), belong.count())
    };
    let sampled = format!("00-{trace}-b7ad6b7169203331-01");
    let state = [("TRACESTATE", "vendor=1")];
    assert_eq!(belongs(&sampled, &state), (4, 4));
    // A version of the future has more to say.
    let future = format!("01-{trace}-b7ad6b7169203331-01-more");
    assert_eq!(belongs(&future, &[]), (4, 4));
    // Who started it decides whether it is sampled.
    let unsampled = format!("00-{trace}-b7ad6b7169203331-00");
    assert_eq!(belongs(&unsampled, &[]), (0, 0));
    // A service that was started by a traced command puts its runs of weeks into traces of their own.
    assert_eq!(belongs(&sampled, &[("OTEL_PROPAGATORS", "none")]), (4, 0));
}

#[test]
fn a_server_with_tls_that_is_talked_to_without_is_told_of_in_words_that_help() {
    for (transport, protocol) in PROTOCOLS {
        let collector = Collector::secure(transport);
        let endpoint = collector.endpoint().replace("https://", "http://");
        let variables = [("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)];
        let output = program("shutdown", &endpoint, &variables);
        assert_eq!(text(&output.stdout), "0 4\n");
        let errors = text(&output.stderr);
        println!("{errors}");
        assert!(errors.contains("with `https://`"), "{errors}");
    }
}
