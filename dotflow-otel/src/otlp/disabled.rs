//! What takes the place of the exporter where the feature `otlp` is not enabled: the same names, and
//! an error that says so.

use std::sync::Arc;

use opentelemetry_sdk::{Resource, metrics::data::ResourceMetrics};

use super::options::{Connection, Route};
use crate::{
    delivery::{Delivery, Signal},
    error::Error,
    pipeline::{Batching, Pipeline, Queued},
    runtime::ExportRuntime,
};

/// What could be sent.
pub(crate) trait Encode: Queued {}

impl<Item: Queued> Encode for Item {}

/// All metrics at one moment.
#[derive(Debug)]
pub(crate) struct MetricReport;

impl Queued for MetricReport {
    fn size(&self) -> usize {
        0
    }
}

impl From<&ResourceMetrics> for MetricReport {
    fn from(_: &ResourceMetrics) -> Self {
        Self
    }
}

/// Nothing leads anywhere.
#[expect(clippy::unnecessary_wraps, reason = "with OTLP it can fail")]
pub(crate) fn route(_connection: &Connection) -> Result<Option<Route>, Error> {
    Ok(None)
}

/// Says that nothing can be started.
pub(crate) fn start<Item: Encode>(
    connection: &Connection,
    _signal: Signal,
    _resource: &Resource,
    _runtime: &Arc<ExportRuntime>,
    _delivery: Delivery,
    _batching: Batching,
) -> Result<Pipeline<Item>, Error> {
    let reason = "this needs the feature `otlp` of dotflow-otel";
    Err(Error::exporter(&connection.url, reason))
}
