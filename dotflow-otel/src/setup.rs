//! From what is wanted to what runs: the builder, `install` and `build`.

use std::{
    fmt::{self, Debug},
    io::Write,
    sync::atomic::AtomicBool,
    time::Duration,
};

use opentelemetry::{Key, KeyValue, Value, global};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider, ShouldSample, SpanExporter},
};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer, Registry, filter::Targets, layer::SubscriberExt, registry::LookupSpan,
};

use crate::{
    Error, Guard,
    console::Console,
    env::{
        Environment,
        settings::{Batching, Destinations, Settings},
    },
    resource::resource,
    traces::{self, SpanPipeline},
};
#[cfg(feature = "otlp")]
use crate::{env::otlp::Signal, otlp::Otlp, runtime::ExportRuntime};

/// Sends the spans of workflows, and whatever happens inside their tasks, to where they are wanted.
///
/// Start with a service name, say where telemetry goes, then [`install`](Self::install) it or
/// [`build`](Self::build) a layer for a subscriber of your own.
///
/// ```
/// # fn main() -> Result<(), dotflow_otel::Error> {
/// let telemetry = dotflow_otel::OpenTelemetry::new("my-pipeline").with_console().install()?;
/// tracing::info_span!("hello").in_scope(|| ());
/// telemetry.shutdown()
/// # }
/// ```
#[must_use = "nothing happens before `install()` or `build()`"]
pub struct OpenTelemetry {
    service_name: String,
    attributes: Vec<KeyValue>,
    sampler: Option<Box<dyn ShouldSample>>,
    console: Option<Console>,
    exporters: Vec<MakePipeline>,
    #[cfg(feature = "otlp")]
    otlp: Option<Otlp>,
    shutdown_timeout: Duration,
}

/// Exporters are generic and can't be boxed, so what is kept is how to make a pipeline of one.
type MakePipeline = Box<dyn FnOnce(Batching, &Resource) -> SpanPipeline + Send>;

impl OpenTelemetry {
    /// Starts with the name of the service, under which backends list its traces
    /// (`OTEL_SERVICE_NAME` wins over it).
    pub fn new(service_name: impl Into<String>) -> Self {
        Self {
            service_name: service_name.into(),
            attributes: Vec::new(),
            sampler: None,
            console: None,
            exporters: Vec::new(),
            #[cfg(feature = "otlp")]
            otlp: None,
            shutdown_timeout: Duration::from_secs(5),
        }
    }

    /// Prints each trace as a tree on standard output when it ends.
    pub fn with_console(mut self) -> Self {
        self.console = Some(Console::stdout());
        self
    }

    /// Prints each trace as a tree on `writer` when it ends, without colours.
    pub fn with_console_to(mut self, writer: impl Write + Send + 'static) -> Self {
        self.console = Some(Console::plain(Box::new(writer)));
        self
    }

    /// Sends spans over OTLP, by default over gRPC to `http://localhost:4317`; the
    /// `OTEL_EXPORTER_OTLP_*` variables say otherwise.
    #[cfg(feature = "otlp")]
    pub fn with_otlp(self) -> Self {
        self.with_otlp_to(Otlp::new())
    }

    /// Sends spans over OTLP as `otlp` says.
    #[cfg(feature = "otlp")]
    pub fn with_otlp_to(mut self, otlp: Otlp) -> Self {
        self.otlp = Some(otlp);
        self
    }

    /// Sends spans to any exporter, in batches, from a thread of its own.
    pub fn with_exporter(mut self, exporter: impl SpanExporter + 'static) -> Self {
        self.exporters.push(Box::new(move |batching, resource| {
            let destination = format!("{exporter:?}");
            // An exporter's `Debug` may be long; its type name is what people know it by.
            let name = destination.split(|c: char| !c.is_alphanumeric()).next();
            let name = name.unwrap_or("the exporter").to_owned();
            SpanPipeline::new(exporter, name, batching, resource)
        }));
        self
    }

    /// Adds an attribute that tells who sends the telemetry, such as `deployment.environment.name`.
    pub fn with_attribute(mut self, key: impl Into<Key>, value: impl Into<Value>) -> Self {
        self.attributes.push(KeyValue::new(key, value));
        self
    }

    /// Decides which traces are sent. By default all are, except where a remote parent was not
    /// sampled (`OTEL_TRACES_SAMPLER` wins over this).
    pub fn sampler(mut self, sampler: impl ShouldSample + 'static) -> Self {
        self.sampler = Some(Box::new(sampler));
        self
    }

    /// Sets how long the guard may take to deliver what is left at the end (default 5 seconds).
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = timeout;
        self
    }

    /// Starts telemetry and makes it the global `tracing` subscriber of this program, and W3C trace
    /// context the global propagator.
    ///
    /// With `OTEL_SDK_DISABLED=true` no subscriber is installed, so that spans cost nothing.
    ///
    /// # Errors
    ///
    /// There is a global subscriber already, a variable is malformed, or telemetry can't be started.
    pub fn install(self) -> Result<Guard, Error> {
        let settings = Settings::read(&Environment::of_process())?;
        let propagators = settings.propagators;
        let disabled = settings.disabled;
        let (layer, guard) = self.start::<Registry>(settings)?;
        if !disabled {
            tracing::subscriber::set_global_default(Registry::default().with(layer))
                .map_err(|_| Error::SubscriberExists)?;
        }
        global::set_text_map_propagator(propagators.propagator());
        Ok(guard)
    }

    /// Starts telemetry and returns a layer to add to a subscriber; touches nothing global.
    ///
    /// # Errors
    ///
    /// A variable is malformed, or telemetry can't be started: the OTLP endpoint is wrong, a feature
    /// is missing, or there is no thread to be had.
    pub fn build<S>(self) -> Result<(impl Layer<S> + Send + Sync + use<S>, Guard), Error>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        self.start(Settings::read(&Environment::of_process())?)
    }

    fn start<S>(
        mut self,
        settings: Settings,
    ) -> Result<(Option<impl Layer<S> + Send + Sync + use<S>>, Guard), Error>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        if let Some(destinations) = settings.traces {
            self.send_spans_to(destinations);
        }
        if settings.disabled {
            self.send_spans_to(Destinations::default());
        }
        let resource = resource(self.service_name, self.attributes, &settings);
        let mut pipelines: Vec<SpanPipeline> = Vec::new();
        let mut runtime = None;
        #[cfg(feature = "otlp")]
        if let Some(otlp) = self.otlp {
            let runtime = runtime.insert(ExportRuntime::start()?);
            let connection = otlp.resolve(&Environment::of_process(), Signal::Traces)?;
            let url = connection.url.clone();
            let exporter = connection.span_exporter(runtime)?;
            pipelines.push(SpanPipeline::new(exporter, url, settings.spans, &resource));
        }
        for make_pipeline in self.exporters {
            pipelines.push(make_pipeline(settings.spans, &resource));
        }

        let mut provider = SdkTracerProvider::builder().with_resource(resource);
        if let Some(console) = self.console {
            provider = provider.with_span_processor(console);
        }
        for pipeline in &pipelines {
            provider = provider.with_span_processor(pipeline.clone());
        }
        let sampler = match (settings.sampler, self.sampler) {
            (Some(sampler), _) => Box::new(sampler),
            (None, Some(sampler)) => sampler,
            (None, None) => Box::new(Sampler::ParentBased(Box::new(Sampler::AlwaysOn))),
        };
        let provider = provider.with_sampler(sampler).build();

        let targets = Targets::new()
            .with_default(LevelFilter::INFO)
            .with_target("opentelemetry", LevelFilter::OFF);
        let layer = traces::layer(traces::tracer(&provider), targets);
        let guard = Guard {
            provider,
            pipelines,
            shutdown_timeout: self.shutdown_timeout,
            stopped: AtomicBool::new(false),
            _runtime: runtime,
        };
        Ok(((!settings.disabled).then_some(layer), guard))
    }

    /// Replaces what the code wants by what the environment says. Exporters that only the code
    /// knows have no word there: they stay, unless spans are to go nowhere.
    fn send_spans_to(&mut self, destinations: Destinations) {
        if destinations == Destinations::default() {
            self.exporters.clear();
        }
        self.console = destinations
            .console
            .then(|| self.console.take().unwrap_or_else(Console::stdout));
        #[cfg(feature = "otlp")]
        {
            self.otlp = destinations
                .otlp
                .then(|| self.otlp.take().unwrap_or_default());
        }
    }
}

impl Debug for OpenTelemetry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("OpenTelemetry")
            .field("service_name", &self.service_name)
            .finish_non_exhaustive()
    }
}
