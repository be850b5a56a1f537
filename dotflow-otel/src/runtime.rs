//! The runtime of this crate: one thread in which the connections to collectors live.
//!
//! They must not live in the user's runtime: that one may have a single thread, which waits for the
//! very flush that needs them, or there may be none at all.

use std::{pin::pin, time::Duration};

use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    logs::{LogBatch, LogExporter},
    metrics::{Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
    trace::{SpanData, SpanExporter},
};
use tokio::runtime::{Builder, Handle, Runtime};
use tracing::{Dispatch, dispatcher};

use crate::Error;

/// A runtime with one thread, stopped without waiting when dropped.
#[derive(Debug)]
pub(crate) struct ExportRuntime(Option<Runtime>);

impl ExportRuntime {
    pub(crate) fn start() -> Result<Self, Error> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("dotflow-otel")
            .on_thread_start(|| {
                // The connection's own spans and events are not the user's, and sending them would
                // make more of them. The default stays for the life of the thread.
                std::mem::forget(dispatcher::set_default(&Dispatch::none()));
            })
            .enable_all()
            .build()
            .map_err(Error::Start)?;
        Ok(Self(Some(runtime)))
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.0
            .as_ref()
            .expect("the runtime is only taken when dropped")
            .handle()
    }
}

impl Drop for ExportRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // A plain drop waits, which is forbidden inside the user's runtime.
            runtime.shutdown_background();
        }
    }
}

/// An exporter that finds the export runtime around it, whatever thread polls it.
#[derive(Debug)]
pub(crate) struct OnRuntime<Exporter> {
    exporter: Exporter,
    handle: Handle,
}

impl<Exporter> OnRuntime<Exporter> {
    pub(crate) fn new(exporter: Exporter, runtime: &ExportRuntime) -> Self {
        let handle = runtime.handle().clone();
        Self { exporter, handle }
    }

    async fn enter<Output>(&self, export: impl Future<Output = Output>) -> Output {
        let mut export = pin!(export);
        std::future::poll_fn(|context| {
            let _entered = self.handle.enter();
            export.as_mut().poll(context)
        })
        .await
    }
}

impl<Exporter: SpanExporter> SpanExporter for OnRuntime<Exporter> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.enter(self.exporter.export(batch)).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<Exporter: LogExporter> LogExporter for OnRuntime<Exporter> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        self.enter(self.exporter.export(batch)).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<Exporter: PushMetricExporter> PushMetricExporter for OnRuntime<Exporter> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.enter(self.exporter.export(metrics)).await
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
