//! Log records and metrics as lines, for `OTEL_LOGS_EXPORTER=console` and
//! `OTEL_METRICS_EXPORTER=console`.

use std::{fmt::Write as _, time::Duration};

use dotflow::tree::{Line, Tree};
use opentelemetry::{InstrumentationScope, KeyValue, logs::AnyValue};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    logs::{LogProcessor, SdkLogRecord},
    metrics::{
        Temporality,
        data::{AggregatedMetrics, Metric, MetricData, ResourceMetrics, ScopeMetrics},
        exporter::PushMetricExporter,
    },
};

use super::screen::Screen;

/// Shows each log record as it comes.
#[derive(Debug)]
pub(crate) struct ConsoleLogs(pub(crate) Screen);

impl LogProcessor for ConsoleLogs {
    fn emit(&self, record: &mut SdkLogRecord, _scope: &InstrumentationScope) {
        let mut text = String::new();
        match record.body() {
            Some(body) => text.push_str(&value_text(body)),
            None => text.push_str(record.event_name().unwrap_or_default()),
        }
        for (key, value) in record.attributes_iter() {
            let _ = write!(text, " {key}={}", value_text(value));
        }
        if let Some(context) = record.trace_context() {
            let _ = write!(text, " span={}", context.span_id);
        }
        let level = record.severity_text().unwrap_or("LOG");
        self.0.show(&line(level, text));
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Shows all metrics each time they are collected.
#[derive(Debug)]
pub(crate) struct ConsoleMetrics(pub(crate) Screen);

impl PushMetricExporter for ConsoleMetrics {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let scopes = metrics.scope_metrics();
        let lines: String = scopes.flat_map(ScopeMetrics::metrics).map(points).collect();
        self.0.show(&lines);
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

/// The points of a metric, of the kinds that this crate makes.
fn points(metric: &Metric) -> String {
    let mut lines = String::new();
    match metric.data() {
        AggregatedMetrics::U64(MetricData::Sum(sum)) => {
            for point in sum.data_points() {
                let text = format!("{}{}", attribute_text(point.attributes()), point.value());
                lines.push_str(&line(metric.name(), text));
            }
        }
        AggregatedMetrics::I64(MetricData::Sum(sum)) => {
            for point in sum.data_points() {
                let text = format!("{}{}", attribute_text(point.attributes()), point.value());
                lines.push_str(&line(metric.name(), text));
            }
        }
        AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
            for point in histogram.data_points() {
                let attributes = attribute_text(point.attributes());
                let (count, sum) = (point.count(), point.sum());
                let text = format!("{attributes}count={count} sum={sum:.3}s");
                lines.push_str(&line(metric.name(), text));
            }
        }
        _ => {}
    }
    lines
}

fn attribute_text<'point>(attributes: impl Iterator<Item = &'point KeyValue>) -> String {
    attributes.fold(String::new(), |mut text, attribute| {
        let _ = write!(text, "{}={} ", attribute.key, attribute.value);
        text
    })
}

fn value_text(value: &AnyValue) -> String {
    match value {
        AnyValue::String(text) => text.to_string(),
        AnyValue::Int(integer) => integer.to_string(),
        AnyValue::Double(float) => float.to_string(),
        AnyValue::Boolean(boolean) => boolean.to_string(),
        other => format!("{other:?}"),
    }
}

/// One line, escaped as a tree's lines are.
fn line(name: &str, text: String) -> String {
    let mut tree = Tree::new();
    tree.push(0, Line::event(name, text));
    tree.to_string()
}
