//! Environments of any `OTEL_*` variables: telemetry is built, or refused where it is strict; nothing
//! panics, nothing hangs, and without `strict` an environment never stops a program.
//!
//! The environment of a running process can't be changed safely, so each one is that of a process of
//! its own: this test binary once more.

use std::{
    env,
    process::{self, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use dotflow_otel::OpenTelemetry;
use tracing_subscriber::Registry;

use crate::bytes::Choices;

/// Whether the process that tries an environment is to be strict about it.
const STRICT: &str = "DOTFLOW_STRICT_ENVIRONMENT";
/// The exit code of a process that has come to its end.
const ENDED: i32 = 42;
/// Much longer than any of them takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is read, ignored, or said to be ignored.
const VARIABLES: [&str; 46] = [
    "OTEL_SDK_DISABLED",
    "OTEL_SERVICE_NAME",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_ENTITIES",
    "OTEL_LOG_LEVEL",
    "OTEL_PROPAGATORS",
    "OTEL_TRACES_EXPORTER",
    "OTEL_METRICS_EXPORTER",
    "OTEL_LOGS_EXPORTER",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_BSP_EXPORT_TIMEOUT",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BLRP_SCHEDULE_DELAY",
    "OTEL_BLRP_EXPORT_TIMEOUT",
    "OTEL_BLRP_MAX_QUEUE_SIZE",
    "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_METRIC_EXPORT_INTERVAL",
    "OTEL_METRIC_EXPORT_TIMEOUT",
    "OTEL_METRICS_EXEMPLAR_FILTER",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_EXPORTER_OTLP_COMPRESSION",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
    "OTEL_CONFIG_FILE",
    "TRACEPARENT",
    "HTTPS_PROXY",
];

/// What is right for some variable, or nearly.
const VALUES: [&str; 40] = [
    "",
    " ",
    "0",
    "1",
    "-1",
    "1.5",
    "1e309",
    "nan",
    "512",
    "1000000000",
    "4294967296",
    "18446744073709551615",
    "18446744073709551616",
    "true",
    "TRUE",
    "false",
    "none",
    "otlp",
    "console",
    "otlp,console",
    "otlp,unknown",
    "tracecontext,baggage",
    "b3,xray",
    "always_off",
    "parentbased_traceidratio",
    "jaeger_remote",
    "grpc",
    "http/protobuf",
    "http/json",
    "gzip",
    "delta",
    "base2_exponential_bucket_histogram",
    "http://localhost:1",
    "https://localhost:1/path?query",
    "http://user:secret@[::1]:1",
    "http://localhost:99999",
    "ftp://localhost",
    "key=value,other=%20",
    "key=%zz,=,a=b=c,\u{1b}[31m=x",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
];

pub(crate) fn check(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let is_strict = choices.pick(4) == 0;
    let mut variables: Vec<(&str, String)> = Vec::new();
    while !choices.is_empty() && variables.len() < 12 {
        let variable = VARIABLES[choices.pick(VARIABLES.len())];
        let value = match choices.pick(4) {
            0 => choices.string(6),
            1 => {
                let pair = [choices.pick(VALUES.len()), choices.pick(VALUES.len())];
                pair.map(|value| VALUES[value]).join(",")
            }
            _ => VALUES[choices.pick(VALUES.len())].to_owned(),
        };
        // An environment can't hold it.
        variables.push((variable, value.replace('\0', "")));
    }
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "environment::one_environment", "--ignored"])
        .envs(variables.iter().cloned())
        .env(STRICT, is_strict.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    loop {
        match child.try_wait().unwrap() {
            Some(status) => {
                assert_eq!(status.code(), Some(ENDED), "{status} with {variables:?}");
                return;
            }
            None if begun.elapsed() > PATIENCE => {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("it hangs with {variables:?}");
            }
            None => thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// One environment, in a process of its own.
#[test]
#[ignore = "a part of a test, in a process of its own"]
fn one_environment() {
    let Ok(strict) = env::var(STRICT) else {
        return;
    };
    let telemetry = OpenTelemetry::new("fuzz").with_otlp().with_console();
    let telemetry = telemetry.with_metrics().with_logs();
    if strict == "true" {
        // Refused or not, it comes back.
        drop(telemetry.strict().build::<Registry>());
    } else {
        let built = telemetry.build::<Registry>();
        let (layer, guard) = built.expect("an environment never stops a program");
        drop((layer, guard));
    }
    process::exit(ENDED);
}
