//! What is wanted: the builder, one method for each setting.

use std::{
    fmt::{self, Debug},
    io::Write,
    time::Duration,
};

use opentelemetry::{Key, KeyValue, Value, trace::SpanKind};
use opentelemetry_sdk::trace::{ShouldSample, SpanExporter};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

use super::assembly::{self, StartExporter};
use crate::{console::Screen, otlp::Otlp, spans::SpanNames};

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
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch that one method turns"
)]
#[must_use = "nothing happens before `install()` or `build()`"]
pub struct OpenTelemetry {
    pub(super) service_name: String,
    pub(super) attributes: Vec<KeyValue>,
    pub(super) sampler: Option<Box<dyn ShouldSample>>,
    pub(super) targets: Targets,
    pub(super) screen: Option<Screen>,
    pub(super) exporters: Vec<StartExporter>,
    pub(super) otlp: Option<Otlp>,
    pub(super) metrics: bool,
    pub(super) logs: bool,
    pub(super) span_names: SpanNames,
    pub(super) root_kind: Option<SpanKind>,
    pub(super) events_on_spans: bool,
    pub(super) strict: bool,
    pub(super) shutdown_timeout: Duration,
}

impl OpenTelemetry {
    /// Starts with the name of the service, under which backends list its traces
    /// (`OTEL_SERVICE_NAME` wins over it).
    ///
    /// ```
    /// let telemetry = dotflow_otel::OpenTelemetry::new("my-pipeline");
    /// assert!(format!("{telemetry:?}").contains("my-pipeline"));
    /// ```
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
            span_names: SpanNames::default(),
            root_kind: None,
            events_on_spans: false,
            strict: false,
            shutdown_timeout: Duration::from_secs(5),
        }
    }

    /// Prints each trace as a tree on standard output when it ends; in colours on a terminal, unless
    /// `NO_COLOR` is set. Where spans are sent as well, its first line has the id of the trace
    /// (`trace_id=`), by which backends find it.
    ///
    /// ```
    /// # fn main() -> Result<(), dotflow_otel::Error> {
    /// let telemetry = dotflow_otel::OpenTelemetry::new("my-pipeline").with_console().install()?;
    /// tracing::info_span!("work").in_scope(|| ());
    /// assert!(telemetry.shutdown().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_console(mut self) -> Self {
        self.screen = Some(Screen::stdout());
        self
    }

    /// Prints each trace as a tree on `writer` when it ends, without colours.
    ///
    /// ```
    /// use std::fs::{self, File};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // Standard output is kept free for the program's own output.
    /// let path = std::env::temp_dir().join(format!("traces-{}.txt", std::process::id()));
    /// let telemetry = dotflow_otel::OpenTelemetry::new("my-pipeline")
    ///     .with_console_to(File::create(&path)?)
    ///     .install()?;
    /// tracing::info_span!("work").in_scope(|| ());
    /// telemetry.shutdown()?;
    /// assert!(fs::read_to_string(&path)?.contains("work"));
    /// # fs::remove_file(path)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_console_to(mut self, writer: impl Write + Send + 'static) -> Self {
        self.screen = Some(Screen::plain(writer));
        self
    }

    /// Sends spans over OTLP, by default over gRPC to `http://localhost:4317`; the
    /// `OTEL_EXPORTER_OTLP_*` variables say otherwise.
    ///
    /// ```
    /// # fn main() -> Result<(), dotflow_otel::Error> {
    /// let telemetry = dotflow_otel::OpenTelemetry::new("my-pipeline").with_otlp().install()?;
    /// assert!(telemetry.shutdown().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "otlp")]
    pub fn with_otlp(self) -> Self {
        self.with_otlp_to(Otlp::new())
    }

    /// Sends spans over OTLP as `otlp` says.
    ///
    /// ```
    /// use dotflow_otel::{OpenTelemetry, Otlp};
    ///
    /// # fn main() -> Result<(), dotflow_otel::Error> {
    /// let otlp = Otlp::new().endpoint("http://collector:4317");
    /// let telemetry = OpenTelemetry::new("my-pipeline").with_otlp_to(otlp).install()?;
    /// assert!(telemetry.shutdown().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "otlp")]
    pub fn with_otlp_to(mut self, otlp: Otlp) -> Self {
        self.otlp = Some(otlp);
        self
    }

    /// Sends spans to any exporter, in batches, from a thread of its own.
    ///
    /// The exporter is polled without an async runtime around it.
    ///
    /// ```
    /// use std::sync::{Arc, atomic::{AtomicUsize, Ordering}};
    ///
    /// use opentelemetry_sdk::{error::OTelSdkResult, trace::{SpanData, SpanExporter}};
    ///
    /// #[derive(Debug, Default)]
    /// struct Counting(Arc<AtomicUsize>);
    ///
    /// impl SpanExporter for Counting {
    ///     async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
    ///         self.0.fetch_add(batch.len(), Ordering::Relaxed);
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), dotflow_otel::Error> {
    /// let count = Arc::new(AtomicUsize::new(0));
    /// let telemetry = dotflow_otel::OpenTelemetry::new("my-pipeline")
    ///     .with_exporter(Counting(Arc::clone(&count)))
    ///     .install()?;
    /// tracing::info_span!("work").in_scope(|| ());
    /// telemetry.flush()?;
    /// assert_eq!(count.load(Ordering::Relaxed), 1);
    /// # telemetry.shutdown()
    /// # }
    /// ```
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
    /// | metric | kind, unit | attributes |
    /// |---|---|---|
    /// | `dotflow.workflow.completed` | counter, `{run}` | `dotflow.workflow.name`, `dotflow.workflow.status`, on failures `error.type` |
    /// | `dotflow.workflow.duration` | histogram, `s` | the same |
    /// | `dotflow.workflow.active` | up-down counter, `{run}` | `dotflow.workflow.name` |
    /// | `dotflow.task.completed` | counter, `{task}` | `dotflow.workflow.name`, `dotflow.task.name`, `dotflow.task.status`, on failures `error.type` |
    /// | `dotflow.task.duration` | histogram, `s` | the same |
    /// | `dotflow.task.wait` | histogram, `s` | `dotflow.workflow.name`, `dotflow.task.name` |
    /// | `dotflow.task.retries` | counter, `{attempt}` | the same |
    /// | `dotflow.task.active` | up-down counter, `{task}` | the same |
    ///
    /// The status is `Completed`, `Failed` or `Cancelled`. A task that was restored from a checkpoint
    /// is counted as `Restored` and has no duration, so that work is counted by the run that did it,
    /// and by no other. Prometheus shows these names as `dotflow_task_duration_seconds` and the like.
    ///
    /// ```
    /// # fn main() -> Result<(), dotflow_otel::Error> {
    /// let telemetry = dotflow_otel::OpenTelemetry::new("my-pipeline")
    ///     .with_console()
    ///     .with_metrics()
    ///     .install()?;
    /// assert!(telemetry.shutdown().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_metrics(mut self) -> Self {
        self.metrics = true;
        self
    }

    /// Sends the events of your code (`tracing::info!` and the like) as log records, each with the
    /// trace and the span it happened in, where spans go: over OTLP, or else to the console.
    ///
    /// What is sent over OTLP as a log record is not sent as an event of the span once more;
    /// [`events_on_spans`](Self::events_on_spans) changes that. Retries and exceptions of tasks are
    /// both.
    ///
    /// ```
    /// # fn main() -> Result<(), dotflow_otel::Error> {
    /// let telemetry = dotflow_otel::OpenTelemetry::new("my-pipeline")
    ///     .with_console()
    ///     .with_logs()
    ///     .install()?;
    /// assert!(telemetry.shutdown().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_logs(mut self) -> Self {
        self.logs = true;
        self
    }

    /// Decides what the spans of tasks are called at backends (default `task:0`, `task:1`, …).
    ///
    /// ```
    /// use dotflow_otel::{OpenTelemetry, SpanNames};
    ///
    /// # fn main() -> Result<(), dotflow_otel::Error> {
    /// // `fetch` and `fetch[3]`, instead of `task:1`.
    /// let telemetry = OpenTelemetry::new("my-pipeline").span_names(SpanNames::Task).install()?;
    /// assert!(telemetry.shutdown().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn span_names(mut self, names: SpanNames) -> Self {
        self.span_names = names;
        self
    }

    /// Gives spans without a parent in this process a kind (default `INTERNAL`, as all others have).
    ///
    /// New Relic and Azure, among others, show and count on their start pages only what has the kind
    /// `SERVER` or `CONSUMER`.
    ///
    /// ```
    /// use dotflow_otel::{OpenTelemetry, opentelemetry::trace::SpanKind};
    ///
    /// # fn main() -> Result<(), dotflow_otel::Error> {
    /// let telemetry = OpenTelemetry::new("my-pipeline").root_kind(SpanKind::Server).install()?;
    /// assert!(telemetry.shutdown().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn root_kind(mut self, kind: SpanKind) -> Self {
        self.root_kind = Some(kind);
        self
    }

    /// Decides whether the events of your code are also events of their spans where they are sent as
    /// log records (default `false`: each is sent once). Without log records they always are.
    ///
    /// ```
    /// # fn main() -> Result<(), dotflow_otel::Error> {
    /// let telemetry = dotflow_otel::OpenTelemetry::new("my-pipeline")
    ///     .with_console()
    ///     .with_logs()
    ///     .events_on_spans(true)
    ///     .install()?;
    /// assert!(telemetry.shutdown().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn events_on_spans(mut self, are_sent: bool) -> Self {
        self.events_on_spans = are_sent;
        self
    }

    /// Adds an attribute that tells who sends the telemetry, such as `deployment.environment.name`
    /// (`OTEL_RESOURCE_ATTRIBUTES` wins over it).
    ///
    /// ```
    /// # fn main() -> Result<(), dotflow_otel::Error> {
    /// let telemetry = dotflow_otel::OpenTelemetry::new("my-pipeline")
    ///     .with_attribute("deployment.environment.name", "staging")
    ///     .install()?;
    /// assert!(telemetry.shutdown().is_ok());
    /// # Ok(())
    /// # }
    /// ```
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
    /// # fn main() -> Result<(), dotflow_otel::Error> {
    /// let one_in_ten = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(0.1)));
    /// let telemetry =
    ///     dotflow_otel::OpenTelemetry::new("my-pipeline").sampler(one_in_ten).install()?;
    /// assert!(telemetry.shutdown().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn sampler(mut self, sampler: impl ShouldSample + 'static) -> Self {
        self.sampler = Some(Box::new(sampler));
        self
    }

    /// Decides which spans and events are taken, by their target and level (default: all from INFO
    /// up). Spans of dotflow have the target `dotflow` and the level INFO.
    ///
    /// ```
    /// use tracing_subscriber::filter::{LevelFilter, Targets};
    ///
    /// # fn main() -> Result<(), dotflow_otel::Error> {
    /// // The workflows and tasks alone.
    /// let telemetry = dotflow_otel::OpenTelemetry::new("my-pipeline")
    ///     .filter(Targets::new().with_target("dotflow", LevelFilter::INFO))
    ///     .install()?;
    /// let _other = tracing::info_span!("other").entered();
    /// assert_eq!(telemetry.open(), 0);
    /// # telemetry.shutdown()
    /// # }
    /// ```
    pub fn filter(mut self, targets: Targets) -> Self {
        self.targets = targets;
        self
    }

    /// Sets how long the guard may take to deliver what is left at the end (default 5 seconds).
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// # fn main() -> Result<(), dotflow_otel::Error> {
    /// let telemetry = dotflow_otel::OpenTelemetry::new("my-pipeline")
    ///     .shutdown_timeout(Duration::from_secs(30))
    ///     .install()?;
    /// let started = Instant::now();
    /// telemetry.shutdown()?;
    /// // That is a bound, not a pause.
    /// assert!(started.elapsed() < Duration::from_secs(30));
    /// # Ok(())
    /// # }
    /// ```
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
}

impl Debug for OpenTelemetry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("OpenTelemetry")
            .field("service_name", &self.service_name)
            .finish_non_exhaustive()
    }
}
