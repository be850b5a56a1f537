//! What is wanted: the builder, `install` and `build`.

use std::{
    collections::BTreeSet,
    fmt::{self, Debug},
    io::{self, Write},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use opentelemetry::{Key, KeyValue, Value, global};
use opentelemetry_sdk::trace::{ShouldSample, SpanExporter};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer, Registry, filter::Targets, layer::SubscriberExt, registry::LookupSpan,
};

use self::assembly::{Assembly, StartExporter};
use crate::{
    config::{Config, Destinations},
    console::Screen,
    dispatch::UserDispatch,
    error::Error,
    guard::Guard,
    otlp::Otlp,
    propagation,
    scope::resource,
};

mod assembly;

/// Sends the spans of workflows, and whatever happens inside their tasks, to where they are wanted.
///
/// Start with a service name, say where telemetry goes, then [`install`](Self::install) it or
/// [`build`](Self::build) a layer for a subscriber of your own.
///
/// ```
/// use dotflow::{action, task, DotFlow};
/// use dotflow_otel::OpenTelemetry;
///
/// #[action]
/// fn extract() -> Vec<u32> {
///     vec![3, 5, 8]
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let telemetry = OpenTelemetry::new("my-pipeline").with_console().install()?;
/// let run = DotFlow::new("sales", task(extract())).start_blocking()?;
/// assert!(run.succeeded());
/// telemetry.shutdown()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing happens before `install()` or `build()`"]
pub struct OpenTelemetry {
    service_name: String,
    attributes: Vec<KeyValue>,
    sampler: Option<Box<dyn ShouldSample>>,
    targets: Targets,
    screen: Option<Screen>,
    exporters: Vec<StartExporter>,
    otlp: Option<Otlp>,
    metrics: bool,
    logs: bool,
    strict: bool,
    shutdown_timeout: Duration,
}

impl OpenTelemetry {
    /// Starts with the name of the service, under which backends list its traces
    /// (`OTEL_SERVICE_NAME` wins over it).
    pub fn new(service_name: impl Into<String>) -> Self {
        Self {
            service_name: service_name.into(),
            attributes: Vec::new(),
            sampler: None,
            targets: Targets::new().with_default(LevelFilter::INFO),
            screen: None,
            exporters: Vec::new(),
            otlp: None,
            metrics: false,
            logs: false,
            strict: false,
            shutdown_timeout: Duration::from_secs(5),
        }
    }

    /// Prints each trace as a tree on standard output when it ends; in colours on a terminal, unless
    /// `NO_COLOR` is set.
    pub fn with_console(mut self) -> Self {
        self.screen = Some(Screen::stdout());
        self
    }

    /// Prints each trace as a tree on `writer` when it ends, without colours.
    ///
    /// ```
    /// # fn main() -> Result<(), dotflow_otel::Error> {
    /// // Standard output is kept free for the program's own output.
    /// let telemetry = dotflow_otel::OpenTelemetry::new("my-pipeline")
    ///     .with_console_to(std::io::stderr())
    ///     .install()?;
    /// # telemetry.shutdown()
    /// # }
    /// ```
    pub fn with_console_to(mut self, writer: impl Write + Send + 'static) -> Self {
        self.screen = Some(Screen::plain(writer));
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
    ///
    /// The exporter is polled without an async runtime around it.
    pub fn with_exporter<Exporter>(mut self, exporter: Exporter) -> Self
    where
        Exporter: SpanExporter + 'static,
    {
        self.exporters.push(assembly::start_exporter(exporter));
        self
    }

    /// Makes metrics from the spans of workflows and tasks, also of those that are not sampled, and
    /// sends them where spans go: over OTLP, or else to the console.
    ///
    /// | metric | kind | attributes |
    /// |---|---|---|
    /// | `dotflow_workflow_total` | counter | `status`, `dotflow.workflow.name` |
    /// | `dotflow_workflow_duration_seconds` | histogram | the same |
    /// | `dotflow_task_total` | counter | `status`, `dotflow.workflow.name`, `dotflow.task.name` |
    /// | `dotflow_task_duration_seconds` | histogram | the same |
    /// | `dotflow_task_retry_total` | counter | the same, without `status` |
    ///
    /// `status` is how the run or the task ended: `Completed`, `Failed` or `Cancelled`. A task that
    /// was restored from a checkpoint is counted as `Restored` and has no duration, so that work is
    /// counted by the run that did it, and by no other.
    pub fn with_metrics(mut self) -> Self {
        self.metrics = true;
        self
    }

    /// Sends the events of your code (`tracing::info!` and the like) as log records, each with the
    /// trace and the span it happened in, where spans go: over OTLP, or else to the console.
    pub fn with_logs(mut self) -> Self {
        self.logs = true;
        self
    }

    /// Adds an attribute that tells who sends the telemetry, such as `deployment.environment.name`
    /// (`OTEL_RESOURCE_ATTRIBUTES` wins over it).
    pub fn with_attribute(mut self, key: impl Into<Key>, value: impl Into<Value>) -> Self {
        self.attributes.push(KeyValue::new(key, value));
        self
    }

    /// Sets the version of the service, `service.version` (default none; `OTEL_RESOURCE_ATTRIBUTES`
    /// wins over it).
    ///
    /// ```
    /// # fn main() -> Result<(), dotflow_otel::Error> {
    /// let telemetry = dotflow_otel::OpenTelemetry::new("my-pipeline")
    ///     .version(env!("CARGO_PKG_VERSION"))
    ///     .install()?;
    /// assert!(telemetry.shutdown().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn version(self, version: impl Into<Value>) -> Self {
        self.with_attribute("service.version", version)
    }

    /// Decides which traces are sent. By default all are, except where a remote parent was not
    /// sampled (`OTEL_TRACES_SAMPLER` wins over this).
    ///
    /// ```
    /// use opentelemetry_sdk::trace::Sampler;
    ///
    /// let one_in_ten = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(0.1)));
    /// let telemetry = dotflow_otel::OpenTelemetry::new("my-pipeline").sampler(one_in_ten);
    /// # drop(telemetry);
    /// ```
    pub fn sampler(mut self, sampler: impl ShouldSample + 'static) -> Self {
        self.sampler = Some(Box::new(sampler));
        self
    }

    /// Decides which spans and events are taken, by their target and level (default: all from INFO
    /// up). Spans of dotflow have the target `dotflow` and the level INFO.
    pub fn filter(mut self, targets: Targets) -> Self {
        self.targets = targets;
        self
    }

    /// Sets how long the guard may take to deliver what is left at the end (default 5 seconds).
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = timeout;
        self
    }

    /// Makes an error of every environment variable that can't be obeyed.
    ///
    /// By default such a variable is told of on standard error, by its name, and passed over: the
    /// environment belongs to the platform, and telemetry is no reason for a program not to run.
    ///
    /// ```
    /// # fn main() -> Result<(), dotflow_otel::Error> {
    /// // In a test of a deployment: a typing error shall not send traces to nowhere.
    /// let telemetry = dotflow_otel::OpenTelemetry::new("my-pipeline").strict().install()?;
    /// assert!(telemetry.shutdown().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Starts telemetry, and makes it the global `tracing` subscriber of this program and W3C the
    /// global propagator.
    ///
    /// The first delivery that fails, and the first one that works again, are lines on standard
    /// error, in the words of the server.
    ///
    /// With `OTEL_SDK_DISABLED=true` no subscriber is installed, so that spans cost nothing.
    ///
    /// # Errors
    ///
    /// - There is a global subscriber already: [`Error::is_subscriber_installed`].
    /// - The code asks for something that can't be done: [`Error::is_configuration`].
    /// - There is no thread to be had: [`Error::is_start`].
    /// - With [`strict`](Self::strict) only, a variable can't be obeyed: [`Error::is_environment`].
    pub fn install(self) -> Result<Guard, Error> {
        let config = Config::of_process();
        let (propagators, is_disabled) = (config.propagators, config.disabled);
        let user = UserDispatch::default();
        let (layer, guard) = self.start::<Registry>(config, &user)?;
        if !is_disabled {
            tracing::subscriber::set_global_default(Registry::default().with(layer))
                .map_err(|_| Error::subscriber_installed())?;
        }
        user.is_ours();
        global::set_text_map_propagator(propagators.propagator());
        Ok(guard)
    }

    /// Starts telemetry and returns a layer to add to a subscriber of your own; touches nothing
    /// global.
    ///
    /// The first delivery that fails, and the first one that works again, are events of the target
    /// `dotflow_otel…`, which your other layers see as they see everything else.
    ///
    /// ```
    /// use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (layer, telemetry) = dotflow_otel::OpenTelemetry::new("my-pipeline").build()?;
    /// tracing_subscriber::registry().with(layer).try_init()?;
    /// # telemetry.shutdown()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - The OTLP endpoint is wrong, a feature is missing, or there is nowhere to send to:
    ///   [`Error::is_configuration`].
    /// - There is no thread to be had: [`Error::is_start`].
    /// - With [`strict`](Self::strict) only, a variable can't be obeyed: [`Error::is_environment`].
    pub fn build<S>(self) -> Result<(impl Layer<S> + Send + Sync + use<S>, Guard), Error>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        self.start(Config::of_process(), &UserDispatch::default())
    }

    fn start<S>(
        self,
        mut config: Config,
        user: &UserDispatch,
    ) -> Result<(impl Layer<S> + Send + Sync + use<S>, Guard), Error>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let problems = std::mem::take(&mut config.problems);
        if self.strict {
            problems.into_iter().next().map_or(Ok(()), Err)?;
        } else {
            tell_of(&problems);
        }
        propagation::choose(config.propagators);
        let spans = Destinations {
            console: self.screen.is_some(),
            otlp: self.otlp.is_some(),
        };
        let along = |from_environment: Option<Destinations>, is_wanted, method| {
            from_environment.map_or_else(|| along_with(spans, is_wanted, method), Ok)
        };
        let metrics = along(config.metrics.destinations, self.metrics, "with_metrics()")?;
        let logs = along(config.logs.destinations, self.logs, "with_logs()")?;
        // The environment has no word for exporters that only the code knows. They stay, unless
        // spans are to go nowhere.
        let are_nowhere = config.traces.destinations == Some(Destinations::default());
        let exporters = if are_nowhere {
            Vec::new()
        } else {
            self.exporters
        };
        let spans = config.traces.destinations.unwrap_or(spans);
        let is_disabled = config.disabled;
        let resource = resource(
            self.service_name,
            self.attributes,
            &config.attributes,
            config.service_name.as_deref(),
        );
        let otlp = self.otlp.unwrap_or_default();
        let mut assembly = Assembly::new(config, resource, otlp, self.screen, user);
        if !is_disabled {
            assembly.traces(spans, exporters, self.sampler)?;
            assembly.metrics(metrics)?;
            assembly.logs(logs)?;
        }
        Ok(assembly.finish(self.targets, self.shutdown_timeout))
    }
}

/// Says what the environment asks for in vain, each once in the life of this process.
fn tell_of(problems: &[Error]) {
    static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    for problem in problems.iter().map(ToString::to_string) {
        if !told.contains(&problem) {
            // Standard error may be closed; there is nobody left to tell then.
            let _ = writeln!(io::stderr(), "dotflow-otel: {problem}");
            told.insert(problem);
        }
    }
}

/// Where a signal goes that the code wants along with spans: over OTLP, or else to the console.
fn along_with(
    spans: Destinations,
    is_wanted: bool,
    method: &'static str,
) -> Result<Destinations, Error> {
    if !is_wanted {
        return Ok(Destinations::default());
    }
    if spans == Destinations::default() {
        return Err(Error::nowhere(method));
    }
    Ok(Destinations {
        otlp: spans.otlp,
        console: spans.console && !spans.otlp,
    })
}

impl Debug for OpenTelemetry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("OpenTelemetry")
            .field("service_name", &self.service_name)
            .finish_non_exhaustive()
    }
}
