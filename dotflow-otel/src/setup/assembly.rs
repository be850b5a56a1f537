//! From what is wanted to what runs: providers, pipelines, layers, and the guard of them all.

use std::sync::{Arc, atomic::AtomicBool};

use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::{
    Resource,
    logs::SdkLoggerProvider,
    metrics::{PeriodicReader, SdkMeterProvider, exporter::PushMetricExporter},
    trace::{Sampler, SdkTracerProvider, ShouldSample, SpanExporter},
};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

use crate::{
    config::{Config, Destinations},
    console::{ConsoleLogs, ConsoleMetrics, ConsoleTrees, Screen},
    delivery::{Delivery, Signal},
    dispatch::{DispatchLayer, UserDispatch, tell_of},
    error::Error,
    guard::Guard,
    logs::{self, CompleteRecords, LogQueue},
    metrics::{self, MetricQueue},
    otlp::{self, Connection, Encode, Otlp},
    pipeline::{Batching, Control, Pipeline},
    runtime::ExportRuntime,
    spans::{self, OpenSpans, ProcessTracer, Shape, SpanQueue},
};

/// Exporters are generic and can't be boxed, so what is kept is how to start a pipeline to one.
pub(super) type StartExporter =
    Box<dyn FnOnce(Batching, &Resource, &UserDispatch) -> Result<SpanPipeline, Error> + Send>;

/// Spans on their way to one destination.
pub(super) type SpanPipeline = Pipeline<opentelemetry_sdk::trace::SpanData>;

/// How to start a pipeline to an exporter that the user brings.
pub(super) fn start_exporter<E: SpanExporter + 'static>(exporter: E) -> StartExporter {
    Box::new(|batching, resource, user| spans::start_custom(exporter, resource, user, batching))
}

/// What has been started so far.
pub(super) struct Assembly {
    config: Config,
    resource: Resource,
    otlp: Otlp,
    screen: Option<Screen>,
    user: UserDispatch,
    /// Whether what the environment says in vain is an error.
    strict: bool,
    open: OpenSpans,
    runtime: Option<Arc<ExportRuntime>>,
    pipelines: Vec<Arc<dyn Control>>,
    traces: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
    logs: Option<SdkLoggerProvider>,
}

impl Assembly {
    pub(super) fn new(
        config: Config,
        resource: Resource,
        otlp: Otlp,
        screen: Option<Screen>,
        user: &UserDispatch,
        strict: bool,
    ) -> Self {
        Self {
            config,
            resource,
            otlp,
            screen,
            user: user.clone(),
            strict,
            open: OpenSpans::default(),
            runtime: None,
            pipelines: Vec::new(),
            traces: None,
            metrics: None,
            logs: None,
        }
    }

    /// Starts spans. Without any destination they are still made, because the context of outgoing
    /// requests and log records comes from them.
    pub(super) fn traces(
        &mut self,
        destinations: Destinations,
        exporters: Vec<StartExporter>,
        sampler: Option<Box<dyn ShouldSample>>,
        shape: Shape,
    ) -> Result<(), Error> {
        let mut provider = SdkTracerProvider::builder()
            .with_resource(self.resource.clone())
            .with_span_limits(self.config.limits.span);
        if destinations.console {
            let with_trace_ids = destinations.otlp || !exporters.is_empty();
            let trees = ConsoleTrees::new(self.screen(), with_trace_ids);
            provider = provider.with_span_processor(trees);
        }
        let batching = self.config.traces.batching;
        for start in exporters {
            let pipeline = start(batching, &self.resource, &self.user)?;
            self.pipelines.push(Arc::new(pipeline.clone()));
            // It may be the only one that gets them.
            let shape = Shape {
                with_events: true,
                ..shape
            };
            provider = provider.with_span_processor(SpanQueue { pipeline, shape });
        }
        if destinations.otlp {
            let connection = self.connection(Signal::Traces)?;
            let pipeline = self.pipeline(&connection, Signal::Traces)?;
            provider = provider.with_span_processor(SpanQueue { pipeline, shape });
        }
        let sampler = match (self.config.sampler.take(), sampler) {
            (Some(sampler), _) => Box::new(sampler),
            (None, Some(sampler)) => sampler,
            (None, None) => Box::new(Sampler::ParentBased(Box::new(Sampler::AlwaysOn))),
        };
        self.traces = Some(provider.with_sampler(sampler).build());
        Ok(())
    }

    /// Starts metrics, where there is a destination.
    pub(super) fn metrics(&mut self, destinations: Destinations) -> Result<(), Error> {
        if destinations == Destinations::default() {
            return Ok(());
        }
        let mut provider = SdkMeterProvider::builder().with_resource(self.resource.clone());
        if self.config.exponential_histograms {
            provider = provider.with_view(metrics::exponential);
        }
        if destinations.console {
            let console = ConsoleMetrics(self.screen());
            provider = provider.with_reader(self.reader(console));
        }
        if destinations.otlp {
            let connection = self.connection(Signal::Metrics)?;
            let queue = MetricQueue {
                pipeline: self.pipeline(&connection, Signal::Metrics)?,
                temporality: connection.temporality,
            };
            provider = provider.with_reader(self.reader(queue));
        }
        self.metrics = Some(provider.build());
        Ok(())
    }

    /// What collects metrics again and again, on a thread of the SDK.
    fn reader<E: PushMetricExporter>(&self, exporter: E) -> PeriodicReader<E> {
        let reader = PeriodicReader::builder(exporter);
        match self.config.metric_interval {
            Some(interval) => reader.with_interval(interval),
            None => reader,
        }
        .build()
    }

    /// Starts log records, where there is a destination.
    pub(super) fn logs(&mut self, destinations: Destinations) -> Result<(), Error> {
        if destinations == Destinations::default() {
            return Ok(());
        }
        let mut provider = SdkLoggerProvider::builder()
            .with_resource(self.resource.clone())
            .with_log_processor(CompleteRecords);
        if destinations.console {
            provider = provider.with_log_processor(ConsoleLogs(self.screen()));
        }
        if destinations.otlp {
            let connection = self.connection(Signal::Logs)?;
            let pipeline = self.pipeline(&connection, Signal::Logs)?;
            provider = provider.with_log_processor(LogQueue(pipeline));
        }
        self.logs = Some(provider.build());
        Ok(())
    }

    /// How a signal reaches its collector.
    fn connection(&mut self, signal: Signal) -> Result<Connection, Error> {
        let overrides = std::mem::take(&mut self.config.signal(signal).otlp);
        let mut connection = Connection::resolve(&self.otlp, overrides, signal)?;
        match otlp::route(&connection) {
            Ok(route) => connection.route = route,
            Err(problem) if self.strict => return Err(problem),
            Err(problem) => tell_of(&[problem]),
        }
        Ok(connection)
    }

    /// Starts what sends a signal to its collector, and keeps it for the guard.
    fn pipeline<Item>(
        &mut self,
        connection: &Connection,
        signal: Signal,
    ) -> Result<Pipeline<Item>, Error>
    where
        Item: Encode,
    {
        let runtime = match &self.runtime {
            Some(runtime) => Arc::clone(runtime),
            None => Arc::clone(self.runtime.insert(Arc::new(ExportRuntime::start()?))),
        };
        let batching = self.config.signal(signal).batching;
        let delivery = Delivery::new(signal, connection.destination(), &self.user);
        let resource = &self.resource;
        let pipeline = otlp::start(connection, signal, resource, &runtime, delivery, batching)?;
        self.pipelines.push(Arc::new(pipeline.clone()));
        Ok(pipeline)
    }

    /// The layer of everything that was started, and its guard.
    pub(super) fn finish<S>(
        self,
        targets: Targets,
        root_kind: Option<SpanKind>,
        shutdown_timeout: std::time::Duration,
    ) -> (impl Layer<S> + Send + Sync + use<S>, Guard)
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
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
            let tracer = ProcessTracer::new(provider, self.config.parent, root_kind);
            let (user, open) = (self.user.clone(), self.open.clone());
            layers.push(Box::new(spans::layer(tracer, targets, user, open)));
        }
        let layer = DispatchLayer(self.user).and_then(layers);
        let guard = Guard {
            traces: self.traces,
            metrics: self.metrics,
            logs: self.logs,
            pipelines: self.pipelines,
            open: self.open,
            shutdown_timeout,
            stopped: AtomicBool::new(false),
        };
        (layer, guard)
    }

    fn screen(&mut self) -> Screen {
        self.screen.get_or_insert_with(Screen::stdout).clone()
    }
}
