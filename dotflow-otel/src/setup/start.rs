//! From what is wanted to what runs: providers, pipelines, layers, and the guard of them all.

use std::sync::{Arc, atomic::AtomicBool};

use opentelemetry_sdk::{
    Resource,
    logs::SdkLoggerProvider,
    metrics::{PeriodicReader, SdkMeterProvider},
    trace::{Sampler, SdkTracerProvider},
};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer, registry::LookupSpan};

use super::OpenTelemetry;
use crate::{
    Error, Guard,
    console::{ConsoleLogs, ConsoleMetrics, ConsoleTrees, Screen},
    diagnostics::{self, Listener},
    env::settings::{Destinations, Settings},
    guard::Pipeline,
    logs, metrics,
    resource::resource,
    runtime::ExportRuntime,
    traces::{self, ProcessTracer, SpanPipeline},
};
#[cfg(feature = "otlp")]
use crate::{
    delivery::{Delivery, Item},
    env::{Environment, otlp::Signal},
    logs::LogPipeline,
    metrics::MetricPipeline,
    otlp::Connection,
};

/// What has been started so far.
pub(super) struct Starter {
    wanted: OpenTelemetry,
    settings: Settings,
    resource: Resource,
    listener: Listener,
    runtime: Option<ExportRuntime>,
    pipelines: Vec<Arc<dyn Pipeline>>,
    traces: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
    logs: Option<SdkLoggerProvider>,
}

impl Starter {
    pub(super) fn new(mut wanted: OpenTelemetry, settings: Settings) -> Self {
        let attributes = std::mem::take(&mut wanted.attributes);
        let resource = resource(wanted.service_name.clone(), attributes, &settings);
        Self {
            wanted,
            settings,
            resource,
            listener: Listener::default(),
            runtime: None,
            pipelines: Vec::new(),
            traces: None,
            metrics: None,
            logs: None,
        }
    }

    /// Starts spans. Without any destination they are still made, because the context of outgoing
    /// requests and log records comes from them.
    pub(super) fn traces(&mut self, destinations: Destinations) -> Result<(), Error> {
        if self.settings.disabled {
            return Ok(());
        }
        let mut provider = SdkTracerProvider::builder().with_resource(self.resource.clone());
        if destinations.console {
            provider = provider.with_span_processor(ConsoleTrees::new(self.screen()));
        }
        let (batching, listener) = (self.settings.spans, self.listener.clone());
        let makers = std::mem::take(&mut self.wanted.exporters);
        let made = makers.into_iter();
        let made = made.map(|make| make(batching, &self.resource, &listener));
        let mut pipelines: Vec<SpanPipeline> = made.collect();
        if destinations.otlp {
            pipelines.push(self.otlp_spans()?);
        }
        for pipeline in pipelines {
            provider = provider.with_span_processor(pipeline.clone());
            self.pipelines.push(Arc::new(pipeline));
        }
        let sampler = match (self.settings.sampler.take(), self.wanted.sampler.take()) {
            (Some(sampler), _) => Box::new(sampler),
            (None, Some(sampler)) => sampler,
            (None, None) => Box::new(Sampler::ParentBased(Box::new(Sampler::AlwaysOn))),
        };
        self.traces = Some(provider.with_sampler(sampler).build());
        Ok(())
    }

    /// Starts metrics, where there is a destination.
    pub(super) fn metrics(&mut self, destinations: Destinations) -> Result<(), Error> {
        if self.settings.disabled || destinations == Destinations::default() {
            return Ok(());
        }
        let mut provider = SdkMeterProvider::builder().with_resource(self.resource.clone());
        let interval = self.settings.metric_interval;
        if destinations.console {
            let mut reader = PeriodicReader::builder(ConsoleMetrics(self.screen()));
            if let Some(interval) = interval {
                reader = reader.with_interval(interval);
            }
            provider = provider.with_reader(reader.build());
        }
        if !destinations.otlp {
            self.metrics = Some(provider.build());
            return Ok(());
        }
        #[cfg(not(feature = "otlp"))]
        return Err(Error::without_otlp());
        #[cfg(feature = "otlp")]
        {
            let (connection, runtime) = self.connect(Signal::Metrics)?;
            let exporter = connection.metric_exporter(runtime)?;
            let item = Item::MetricReport;
            let delivery = Delivery::new(item, connection.url, usize::MAX, &self.listener);
            let (exporter, delivery) = delivery.count(exporter);
            let mut reader = PeriodicReader::builder(exporter);
            if let Some(interval) = interval {
                reader = reader.with_interval(interval);
            }
            let provider = provider.with_reader(reader.build()).build();
            self.pipelines.push(Arc::new(MetricPipeline {
                provider: provider.clone(),
                delivery,
            }));
            self.metrics = Some(provider);
            Ok(())
        }
    }

    /// Starts log records, where there is a destination.
    pub(super) fn logs(&mut self, destinations: Destinations) -> Result<(), Error> {
        if self.settings.disabled || destinations == Destinations::default() {
            return Ok(());
        }
        let mut provider = SdkLoggerProvider::builder().with_resource(self.resource.clone());
        if destinations.console {
            provider = provider.with_log_processor(ConsoleLogs(self.screen()));
        }
        #[cfg(not(feature = "otlp"))]
        if destinations.otlp {
            return Err(Error::without_otlp());
        }
        #[cfg(feature = "otlp")]
        if destinations.otlp {
            let (connection, runtime) = self.connect(Signal::Logs)?;
            let exporter = connection.log_exporter(runtime)?;
            let batching = self.settings.log_records;
            let (url, resource) = (connection.url, &self.resource);
            let pipeline = LogPipeline::new(exporter, url, batching, resource, &self.listener);
            provider = provider.with_log_processor(pipeline.clone());
            self.pipelines.push(Arc::new(pipeline));
        }
        self.logs = Some(provider.build());
        Ok(())
    }

    /// The layer of everything that was started, and its guard.
    pub(super) fn finish<S>(self) -> (impl Layer<S> + Send + Sync + use<S>, Guard)
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let targets = self.wanted.targets;
        // The SDK's own events would make more of them when they are sent.
        let targets = targets.with_target("opentelemetry", LevelFilter::OFF);
        let mut layers: Vec<Box<dyn Layer<S> + Send + Sync>> = Vec::new();
        if let Some(provider) = &self.metrics {
            layers.push(Box::new(metrics::layer(provider)));
        }
        if let Some(provider) = &self.logs {
            layers.push(Box::new(logs::layer(provider, targets.clone())));
        }
        if let Some(provider) = &self.traces {
            let tracer = ProcessTracer::new(provider, self.settings.parent);
            layers.push(Box::new(traces::layer(tracer, targets)));
        }
        let layer = diagnostics::layer(self.listener).and_then(layers);
        let guard = Guard {
            traces: self.traces,
            metrics: self.metrics,
            logs: self.logs,
            pipelines: self.pipelines,
            shutdown_timeout: self.wanted.shutdown_timeout,
            stopped: AtomicBool::new(false),
            _runtime: self.runtime,
        };
        (layer, guard)
    }

    fn screen(&mut self) -> Screen {
        let screen = self.wanted.screen.get_or_insert_with(Screen::stdout);
        screen.clone()
    }

    #[cfg(feature = "otlp")]
    fn otlp_spans(&mut self) -> Result<SpanPipeline, Error> {
        let (connection, runtime) = self.connect(Signal::Traces)?;
        let exporter = connection.span_exporter(runtime)?;
        let (batching, listener) = (self.settings.spans, &self.listener);
        let (url, resource) = (connection.url, &self.resource);
        Ok(SpanPipeline::new(
            exporter, url, batching, resource, listener,
        ))
    }

    #[cfg(not(feature = "otlp"))]
    #[expect(clippy::unused_self, reason = "the other one uses it")]
    fn otlp_spans(&mut self) -> Result<SpanPipeline, Error> {
        Err(Error::without_otlp())
    }

    /// How a signal reaches its collector, and the runtime for it.
    #[cfg(feature = "otlp")]
    fn connect(&mut self, signal: Signal) -> Result<(Connection, &ExportRuntime), Error> {
        let otlp = self.wanted.otlp.clone().unwrap_or_default();
        let connection = otlp.resolve(&Environment::of_process(), signal)?;
        let runtime = match self.runtime.take() {
            Some(runtime) => runtime,
            None => ExportRuntime::start()?,
        };
        Ok((connection, self.runtime.insert(runtime)))
    }
}
