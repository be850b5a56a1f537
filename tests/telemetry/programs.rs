//! What a whole program does: its exit code, what it prints, how long it takes, and how the
//! environment decides.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use dotflow_tests::collector::{Behaviour, Collector, Identity, Nobody, Transport, attribute};
use opentelemetry_proto::tonic::{
    common::v1::any_value::Value,
    metrics::v1::{Metric, metric::Data},
};

pub(crate) fn command(variant: &str, endpoint: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_telemetry-program"));
    command
        .arg(variant)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env_remove("TRACEPARENT");
    command
}

/// Runs the program to its end, with more variables.
pub(crate) fn program(variant: &str, endpoint: &str, variables: &[(&str, &str)]) -> Output {
    let variables = variables.iter().copied();
    let mut command = command(variant, endpoint);
    command.envs(variables).stdin(Stdio::null());
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command.spawn().unwrap())
}

/// Waits for the end of a program, but not for ever. What these write fits into a pipe.
fn finish(mut child: Child) -> Output {
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("the program did not end");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.wait_with_output().unwrap()
}

pub(crate) const PROTOCOLS: [(Transport, &str); 2] = [
    (Transport::Grpc, "grpc"),
    (Transport::Http, "http/protobuf"),
];

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn without_a_collector_a_program_ends_at_once_and_says_what_was_lost() {
    for protocol in ["grpc", "http/protobuf"] {
        let nobody = Nobody::new();
        let endpoint = nobody.endpoint();
        let started = Instant::now();
        let output = program(
            "shutdown",
            &endpoint,
            &[("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)],
        );
        let took = started.elapsed();
        assert!(took < Duration::from_secs(8), "{took:?}");
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(text(&output.stdout), "0 4\n");
        let errors = text(&output.stderr);
        let expected = format!("dotflow-otel: 4 of 4 spans were not delivered to {endpoint}");
        assert!(errors.starts_with(&expected), "{errors}");
        assert!(errors.contains("Connection refused"), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
}

#[test]
fn one_line_tells_of_all_signals() {
    let output = program("all", &Nobody::new().endpoint(), &[]);
    let errors = text(&output.stderr);
    for lost in [
        "4 of 4 spans",
        "3 of 3 log records",
        "1 of 1 metric reports",
    ] {
        assert!(errors.contains(lost), "{errors}");
    }
    assert_eq!(errors.lines().count(), 1, "{errors}");
}

#[test]
fn with_a_collector_a_program_says_nothing() {
    let collector = Collector::start();
    let output = program("shutdown", &collector.endpoint(), &[]);
    assert_eq!(text(&output.stdout), "4 0\n");
    assert_eq!(text(&output.stderr), "");
    assert_eq!(collector.spans().len(), 4);
}

#[test]
fn a_span_that_never_ends_is_told_of_at_the_end() {
    let collector = Collector::start();
    let output = program("held", &collector.endpoint(), &[]);
    assert_eq!(text(&output.stdout), "4 1\n");
    let expected = "dotflow-otel: 1 span never ended: something still holds it\n";
    assert_eq!(text(&output.stderr), expected);
    // Where nothing is sent, nobody misses it.
    let console = [("OTEL_TRACES_EXPORTER", "console")];
    let output = program("held", &collector.endpoint(), &console);
    assert_eq!(text(&output.stderr), "");
}

/// The queue grows with what waits in it. Allocated at once, that of spans alone was 23 MB.
#[test]
#[cfg(target_os = "linux")]
fn an_idle_program_is_small() {
    let collector = Collector::start();
    let variables = [
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
    ];
    let output = program("size", &collector.endpoint(), &variables);
    let bytes: u64 = text(&output.stdout).trim().parse().unwrap();
    let megabytes = bytes / 1_000_000;
    assert!(megabytes < 16, "{megabytes} MB are resident");
}

/// Runs the service for as many requests, and returns what came of each and what it said.
fn service(requests: usize, endpoint: &str, variables: &[(&str, &str)]) -> (String, String) {
    let mut child = command("service", endpoint)
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all("\n".repeat(requests).as_bytes()).unwrap();
    drop(input);
    let output = finish(child);
    assert_eq!(output.status.code(), Some(0));
    (text(&output.stdout).into(), text(&output.stderr).into())
}

#[test]
fn a_service_says_at_once_that_deliveries_fail_and_when_they_work_again() {
    for (transport, protocol) in PROTOCOLS {
        let collector = Collector::with(transport, Behaviour::RefuseFirst(2));
        let protocol = ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
        let (output, errors) = service(3, &collector.endpoint(), &[protocol]);
        assert_eq!(output, "false\nfalse\ntrue\n");
        let lines: Vec<&str> = errors.lines().collect();
        let [failed, works, lost] = lines[..] else {
            panic!("{errors}");
        };
        assert!(failed.starts_with("dotflow-otel: spans can't be delivered to http://127"));
        // In the words of the server.
        assert!(failed.ends_with(": not you"), "{failed}");
        assert!(works.starts_with("dotflow-otel: spans are delivered to http://127"));
        assert!(lost.starts_with("dotflow-otel: 8 of 12 spans were not delivered"));
    }
}

#[test]
fn tls_to_a_server_without_it_is_told_in_words_that_help() {
    let collector = Collector::start();
    let endpoint = collector.endpoint().replace("http://", "https://");
    let output = program("shutdown", &endpoint, &[]);
    let errors = text(&output.stderr);
    assert!(
        errors.contains("begin the endpoint with `http://`"),
        "{errors}"
    );
}

#[test]
fn nothing_is_lost_when_main_returns_an_error() {
    let collector = Collector::start();
    let output = program("error", &collector.endpoint(), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(collector.spans().len(), 4);
}

#[test]
fn nothing_is_lost_when_main_panics() {
    let collector = Collector::start();
    let output = program("panic", &collector.endpoint(), &[]);
    assert_eq!(output.status.code(), Some(101));
    assert_eq!(collector.spans().len(), 4);
}

/// Starts the program, waits until it is ready, sends it a signal, and waits for its end.
fn interrupted(variant: &str, signal: &str, collector: &Collector) -> ExitStatus {
    let program = command(variant, &collector.endpoint());
    let variables = program
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    // A program that ignores Ctrl-C, as jobs of a script in the background do, hands that on.
    let mut child = Command::new("env")
        .arg("--default-signal=INT,TERM")
        .arg(program.get_program())
        .args(program.get_args())
        .envs(variables)
        .env_remove("TRACEPARENT")
        .env("OTEL_BSP_SCHEDULE_DELAY", "3600000")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let output = child.stdout.take().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    let id = child.id().to_string();
    let killed = Command::new("kill").args([signal, &id]).status().unwrap();
    assert!(killed.success());
    finish(child).status
}

#[test]
fn a_signal_loses_what_is_queued_unless_the_program_waits_for_it() {
    for signal in ["-INT", "-TERM"] {
        let collector = Collector::start();
        let status = interrupted("wait", signal, &collector);
        assert_eq!(status.code(), None, "it was killed");
        assert_eq!(collector.spans().len(), 0);

        let status = interrupted("signals", signal, &collector);
        assert_eq!(status.code(), Some(0));
        assert_eq!(collector.spans().len(), 4);
    }
}

#[test]
fn a_second_global_subscriber_is_never_installed() {
    let collector = Collector::start();
    let output = program("twice", &collector.endpoint(), &[]);
    assert!(text(&output.stdout).contains("has a global tracing subscriber already"));
    // The first one goes on.
    assert_eq!(collector.spans().len(), 4);
}

/// What platforms set for programs that they have never seen.
const OF_A_PLATFORM: [(&str, &str); 18] = [
    ("OTEL_PROPAGATORS", "tracecontext,baggage,b3"),
    ("OTEL_METRICS_EXPORTER", "prometheus"),
    ("OTEL_TRACES_EXPORTER", "zipkin"),
    ("OTEL_SDK_DISABLED", "1"),
    ("OTEL_TRACES_SAMPLER", "parentbased_jaeger_remote"),
    ("OTEL_TRACES_SAMPLER_ARG", "endpoint=http://localhost:14250"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "99999999999"),
    ("OTEL_BSP_SCHEDULE_DELAY", "0"),
    ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
    ("OTEL_RESOURCE_ATTRIBUTES", "team"),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", "snappy"),
    ("OTEL_SPAN_EVENT_COUNT_LIMIT", "many"),
    (
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "grpc://collector:4317",
    ),
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/etc/hostname"),
    ("OTEL_CONFIG_FILE", "/etc/otel.yaml"),
    ("TRACEPARENT", "garbage"),
];

#[test]
fn the_environment_never_stops_a_program() {
    let all = OF_A_PLATFORM.iter().map(|variable| vec![*variable]);
    for variables in all.chain([OF_A_PLATFORM.to_vec()]) {
        let collector = Collector::start();
        let output = program("shutdown", &collector.endpoint(), &variables);
        assert_eq!(output.status.code(), Some(0), "{variables:?}");
        assert_eq!(text(&output.stdout), "4 0\n", "{variables:?}");
        assert_eq!(collector.spans().len(), 4, "{variables:?}");
        // Each is told of by its name, in a line of its own.
        let errors = text(&output.stderr);
        assert_eq!(errors.lines().count(), variables.len(), "{errors}");
        for (name, _) in variables {
            let start = format!("dotflow-otel: the environment variable {name} ");
            let told = errors.lines().filter(|line| line.starts_with(&start));
            assert_eq!(told.count(), 1, "{name}: {errors}");
        }
    }
}

#[test]
fn strict_telemetry_makes_errors_of_the_same_variables() {
    for (name, value) in OF_A_PLATFORM {
        let output = program("strict", "http://localhost:1", &[(name, value)]);
        assert_eq!(output.status.code(), Some(2), "{name}");
        let errors = text(&output.stderr);
        assert!(errors.contains(name), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
}

#[test]
fn blank_values_and_trailing_commas_are_no_mistakes() {
    let collector = Collector::start();
    let variables = [
        ("OTEL_TRACES_EXPORTER", "otlp,"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "  "),
        ("OTEL_RESOURCE_ATTRIBUTES", "team=flows,"),
        ("OTEL_TRACES_SAMPLER", ""),
    ];
    let output = program("strict", &collector.endpoint(), &variables);
    assert_eq!(text(&output.stdout), "4 0\n");
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn no_time_for_a_request_means_without_a_bound() {
    let slow = Behaviour::Slow(Duration::from_millis(200));
    let collector = Collector::with(Transport::Grpc, slow);
    let variables = [("OTEL_EXPORTER_OTLP_TIMEOUT", "0")];
    let output = program("shutdown", &collector.endpoint(), &variables);
    assert_eq!(text(&output.stdout), "4 0\n");
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn long_strings_are_cut_where_the_environment_says_so() {
    let collector = Collector::start();
    let variables = [("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "7")];
    program("shutdown", &collector.endpoint(), &variables);
    let spans = collector.spans();
    let load = spans.iter().find(|span| span.name == "task:2").unwrap();
    let exception = load.events.iter().find(|event| event.name == "exception");
    let message = attribute(&exception.unwrap().attributes, "exception.message");
    assert_eq!(message, Some(&Value::StringValue("connect".into())));
    let name = attribute(&load.attributes, "dotflow.task.name");
    assert_eq!(name, Some(&Value::StringValue("load".into())));
}

#[test]
fn histograms_may_have_exponential_buckets() {
    let collector = Collector::start();
    let variables = [
        ("OTEL_METRICS_EXPORTER", "otlp"),
        (
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
            "base2_exponential_bucket_histogram",
        ),
    ];
    let output = program("shutdown", &collector.endpoint(), &variables);
    assert_eq!(text(&output.stderr), "");
    let metrics = collector.metrics();
    let is_exponential = |metric: &&Metric| {
        let data = metric.data.as_ref();
        matches!(data, Some(Data::ExponentialHistogram(_)))
    };
    assert_eq!(metrics.iter().filter(is_exponential).count(), 3);
}

#[test]
fn a_disabled_sdk_sends_nothing() {
    let collector = Collector::start();
    // What else is set does not matter, whatever it is.
    let disabled = [
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_TRACES_EXPORTER", "jaeger"),
        ("TRACEPARENT", "garbage"),
    ];
    let output = program("strict", &collector.endpoint(), &disabled);
    assert_eq!(text(&output.stdout), "0 0\n");
    assert_eq!(text(&output.stderr), "");
    assert_eq!(collector.spans().len(), 0);
}

#[test]
fn the_environment_decides_where_spans_go() {
    let collector = Collector::start();
    let console = [("OTEL_TRACES_EXPORTER", "console")];
    let output = program("shutdown", &collector.endpoint(), &console);
    assert!(text(&output.stdout).starts_with("[Trace: workflow_id="));
    // Not a terminal, so no colours.
    assert!(!text(&output.stdout).contains('\u{1b}'));
    let none = [("OTEL_TRACES_EXPORTER", "none")];
    let output = program("shutdown", &collector.endpoint(), &none);
    assert_eq!(text(&output.stdout), "0 0\n");
    assert_eq!(collector.spans().len(), 0);
}

#[test]
fn the_environment_turns_on_metrics_and_logs() {
    let collector = Collector::start();
    let variables = [
        ("OTEL_METRICS_EXPORTER", "otlp,console"),
        ("OTEL_LOGS_EXPORTER", "console,otlp"),
    ];
    let output = program("shutdown", &collector.endpoint(), &variables);
    assert_eq!(collector.metrics().len(), 8);
    assert_eq!(collector.log_records().len(), 3);
    let shown = text(&output.stdout);
    assert!(
        shown.contains("[Event: INFO — adding numbers=3 span="),
        "{shown}"
    );
    let failed = "[Event: dotflow.workflow.completed — dotflow.workflow.name=sales \
                  dotflow.workflow.status=Failed error.type=";
    assert!(shown.contains(failed), "{shown}");
}

#[test]
fn the_environment_wins_over_the_code() {
    let collector = Collector::start();
    let variables = [
        ("OTEL_SERVICE_NAME", "from-outside"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "team=flows,service.name=not-this,service.instance.id=one",
        ),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20b"),
    ];
    program("shutdown", &collector.endpoint(), &variables);
    let received = collector.received();
    assert_eq!(received.headers[0]["x-key"], "a b");
    let resource = received.traces[0].resource_spans[0].resource.clone();
    let resource = resource.unwrap().attributes;
    let get = |key: &str| attribute(&resource, key).cloned();
    let text = |text: &str| Some(Value::StringValue(text.into()));
    assert_eq!(get("service.name"), text("from-outside"));
    assert_eq!(get("team"), text("flows"));
    assert_eq!(get("service.instance.id"), text("one"));
}

#[test]
fn two_processes_of_one_service_are_told_apart() {
    let id = || {
        let collector = Collector::start();
        program("shutdown", &collector.endpoint(), &[]);
        let received = collector.received();
        let resource = received.traces[0].resource_spans[0].resource.clone();
        let attributes = resource.unwrap().attributes;
        attribute(&attributes, "service.instance.id").cloned()
    };
    let (one, other) = (id(), id());
    assert!(one.is_some());
    assert_ne!(one, other);
}

#[test]
fn a_sampler_from_outside_drops_traces() {
    let collector = Collector::start();
    let off = [("OTEL_TRACES_SAMPLER", "always_off")];
    let output = program("shutdown", &collector.endpoint(), &off);
    assert_eq!(text(&output.stdout), "0 0\n");
    assert_eq!(collector.spans().len(), 0);
}

#[test]
fn a_batch_job_belongs_to_the_trace_that_started_it() {
    let collector = Collector::start();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let variables = [("TRACEPARENT", parent)];
    program("shutdown", &collector.endpoint(), &variables);
    let spans = collector.spans();
    assert_eq!(spans.len(), 4);
    let workflow = spans.iter().find(|span| span.name == "workflow:sales");
    let workflow = workflow.unwrap();
    let expected = u128::from_str_radix("0af7651916cd43dd8448eb211c80319c", 16).unwrap();
    assert_eq!(workflow.trace_id, expected.to_be_bytes());
    let expected = u64::from_str_radix("b7ad6b7169203331", 16).unwrap();
    assert_eq!(workflow.parent_span_id, expected.to_be_bytes());
}

#[test]
fn http_adds_the_path_of_each_signal() {
    let collector = Collector::with(Transport::Http, Behaviour::Accept);
    let variables = [("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")];
    let output = program("all", &collector.endpoint(), &variables);
    assert_eq!(text(&output.stdout), "4 0\n");
    assert_eq!(text(&output.stderr), "");
    assert_eq!(collector.spans().len(), 4);
    assert_eq!(collector.log_records().len(), 3);
    assert_eq!(collector.metrics().len(), 8);
}

/// Sending telemetry makes spans and events in hyper, h2 and tonic. Were they sent as well, it
/// would never end.
#[test]
fn telemetry_about_telemetry_is_not_sent() {
    for (transport, protocol) in PROTOCOLS {
        let collector = Collector::with(transport, Behaviour::Accept);
        let protocol = ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
        let output = program("everything", &collector.endpoint(), &[protocol]);
        assert_eq!(text(&output.stderr), "", "{transport:?}");
        assert!(output.status.success());
        let spans: Vec<_> = collector
            .spans()
            .into_iter()
            .map(|span| span.name)
            .collect();
        assert_eq!(spans.len(), 4, "{spans:?}");
        let records = collector.log_records();
        let (own, users): (Vec<_>, Vec<_>) = records
            .iter()
            .map(|record| format!("{:?}", record.body))
            .partition(|body| body.contains("still here"));
        assert_eq!((own.len(), users.len()), (3, 3), "{users:?}");
    }
}

#[test]
fn tls_needs_a_certificate_that_is_trusted() {
    for (transport, protocol) in PROTOCOLS {
        let collector = Collector::secure(transport);
        let folder = std::env::temp_dir();
        let file = folder.join(format!(
            "dotflow-otel-{}-{transport:?}.pem",
            std::process::id()
        ));
        std::fs::write(&file, collector.certificate()).unwrap();
        let protocol = ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
        let trusted = ("OTEL_EXPORTER_OTLP_CERTIFICATE", file.to_str().unwrap());

        let output = program("all", &collector.endpoint(), &[protocol, trusted]);
        assert_eq!(text(&output.stderr), "", "{transport:?}");
        assert_eq!(collector.spans().len(), 4);
        assert_eq!(collector.log_records().len(), 3);
        assert_eq!(collector.metrics().len(), 8);
        std::fs::remove_file(&file).unwrap();

        let output = program("shutdown", &collector.endpoint(), &[protocol]);
        assert_eq!(text(&output.stdout), "0 4\n");
        let errors = text(&output.stderr);
        assert!(errors.contains("certificate"), "{errors}");
        assert_eq!(collector.spans().len(), 4);
    }
}

#[test]
fn a_collector_may_be_behind_a_proxy() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("server.pem");
    let cases = PROTOCOLS.map(|protocol| [(protocol, false), (protocol, true)]);
    for ((transport, protocol), is_secure) in cases.into_iter().flatten() {
        let case = format!("{transport:?} {is_secure}");
        let collector = if is_secure {
            Collector::secure(transport)
        } else {
            Collector::with(transport, Behaviour::Accept)
        };
        if is_secure {
            std::fs::write(&file, collector.certificate()).unwrap();
        }
        let (endpoint, proxy) = collector.behind_a_proxy();
        let url = format!("http://me:secret@{}", proxy.address());
        let variable = if is_secure {
            "https_proxy"
        } else {
            "HTTP_PROXY"
        };
        let mut variables = vec![
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("NO_PROXY", "elsewhere.example"),
            (variable, &*url),
        ];
        if is_secure {
            let trusted = file.to_str().unwrap();
            variables.push(("OTEL_EXPORTER_OTLP_CERTIFICATE", trusted));
        }
        let output = program("shutdown", &endpoint, &variables);
        assert_eq!(text(&output.stdout), "4 0\n", "{case}");
        assert_eq!(text(&output.stderr), "", "{case}");
        assert_eq!(collector.spans().len(), 4, "{case}");

        let heads = proxy.heads();
        let start = if is_secure || transport == Transport::Grpc {
            "CONNECT collector.example:"
        } else {
            "POST http://collector.example:"
        };
        assert!(heads[0].starts_with(start), "{case}: {heads:?}");
        // `me:secret`
        let auth = "proxy-authorization: basic bwu6c2vjcmv0";
        assert!(heads[0].to_lowercase().contains(auth), "{case}: {heads:?}");

        // Not where it is told that there is none: the name is only known to the proxy.
        variables[1].1 = "collector.example";
        let output = program("shutdown", &endpoint, &variables);
        assert_eq!(text(&output.stdout), "0 4\n", "{case}");
        assert_eq!(proxy.heads().len(), heads.len(), "{case}");
    }
}

#[test]
fn losses_behind_a_proxy_name_it_and_no_password() {
    let nobody = Nobody::new();
    let address = nobody.endpoint().replace("http://", "");
    let url = format!("http://me:secret@{address}");
    let variables = [("ALL_PROXY", &*url)];
    let output = program("shutdown", "http://collector.example:4317", &variables);
    let errors = text(&output.stderr);
    let expected = format!("http://collector.example:4317 through the proxy http://{address}/: ");
    assert!(errors.contains(&expected), "{errors}");
    assert!(!errors.contains("secret"), "{errors}");
}

#[test]
fn a_proxy_that_can_not_be_used_is_told_of_where_it_matters() {
    let collector = Collector::start();
    let socks = [("ALL_PROXY", "socks5://me:secret@proxy:1080")];
    // No proxy leads to this machine.
    let output = program("strict", &collector.endpoint(), &socks);
    assert_eq!(text(&output.stderr), "");
    assert_eq!(text(&output.stdout), "4 0\n");
    let output = program("strict", "http://collector.example:4317", &socks);
    assert_eq!(output.status.code(), Some(2));
    let errors = text(&output.stderr);
    assert!(
        errors.contains("ALL_PROXY is wrong: \"proxy:1080\""),
        "{errors}"
    );
    let output = program("shutdown", "http://collector.example:4317", &socks);
    assert_eq!(output.status.code(), Some(0));
    let errors = text(&output.stderr);
    assert!(
        errors.starts_with("dotflow-otel: the environment variable ALL_PROXY"),
        "{errors}"
    );
}

#[test]
fn a_collector_may_ask_who_the_client_is() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, content).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let client = Identity::generate();
    let certificate = write("client.pem", &client.certificate);
    let key = write("client.key", &client.key);
    for (transport, protocol) in PROTOCOLS {
        let collector = Collector::secure_for(transport, &client);
        let trusted = write("server.pem", collector.certificate());
        let protocol = ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
        let trusted = ("OTEL_EXPORTER_OTLP_CERTIFICATE", trusted.as_str());
        let certificate = ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &*certificate);
        let key = ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &*key);

        let output = program("shutdown", &collector.endpoint(), &[protocol, trusted]);
        assert_eq!(
            text(&output.stdout),
            "0 4\n",
            "{transport:?}: nobody knows the client"
        );
        assert_eq!(collector.spans().len(), 0);

        let variables = [protocol, trusted, certificate, key];
        let output = program("shutdown", &collector.endpoint(), &variables);
        assert_eq!(text(&output.stderr), "", "{transport:?}");
        assert_eq!(collector.spans().len(), 4);

        let half = [protocol, trusted, certificate];
        let output = program("strict", &collector.endpoint(), &half);
        assert_eq!(output.status.code(), Some(2));
        let errors = text(&output.stderr);
        assert!(errors.contains("OTEL_EXPORTER_OTLP_CLIENT_KEY"), "{errors}");
    }
}
