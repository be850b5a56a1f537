//! Variables of the specification that have no effect here, which is said where one is set.

use super::environment::Environment;

/// Each variable, and what to use in its place or why there is nothing.
const IGNORED: [(&str, &str); 16] = [
    (
        "OTEL_CONFIG_FILE",
        "a configuration file is not read, and the other variables hold",
    ),
    (
        "OTEL_EXPERIMENTAL_CONFIG_FILE",
        "a configuration file is not read, and the other variables hold",
    ),
    ("OTEL_ENTITIES", "use OTEL_RESOURCE_ATTRIBUTES"),
    (
        "OTEL_LOG_LEVEL",
        "the first failed delivery and the losses at the end are always told",
    ),
    ("OTEL_BSP_EXPORT_TIMEOUT", "use OTEL_EXPORTER_OTLP_TIMEOUT"),
    ("OTEL_BLRP_EXPORT_TIMEOUT", "use OTEL_EXPORTER_OTLP_TIMEOUT"),
    (
        "OTEL_METRIC_EXPORT_TIMEOUT",
        "use OTEL_EXPORTER_OTLP_TIMEOUT",
    ),
    (
        "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT",
        "log records have no limit",
    ),
    (
        "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "log records have no limit",
    ),
    (
        "OTEL_EXPORTER_PROMETHEUS_HOST",
        "there is no Prometheus exporter; send OTLP to Prometheus or a collector",
    ),
    (
        "OTEL_EXPORTER_PROMETHEUS_PORT",
        "there is no Prometheus exporter; send OTLP to Prometheus or a collector",
    ),
    ("OTEL_METRICS_EXEMPLAR_FILTER", "metrics have no exemplars"),
    (
        "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN",
        "exceptions are events of spans",
    ),
    (
        "OTEL_EXPORTER_ZIPKIN_ENDPOINT",
        "there is no Zipkin exporter; send OTLP to a collector",
    ),
    (
        "OTEL_EXPORTER_JAEGER_ENDPOINT",
        "Jaeger takes OTLP: use OTEL_EXPORTER_OTLP_ENDPOINT",
    ),
    ("BAGGAGE", "baggage comes with requests only"),
];

/// Notes each of them that is set.
pub(super) fn note(env: &Environment<'_>) {
    for (name, instead) in IGNORED {
        if env.text(name).is_some() {
            env.ignore(name, instead);
        }
    }
}
