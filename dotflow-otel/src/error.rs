//! What can go wrong when telemetry is set up, flushed or stopped: one opaque error, whose text says
//! what happened, where, and what to do, and whose predicates tell the kinds apart.

use std::{error, fmt, io};

/// Why telemetry could not be set up, flushed or stopped.
///
/// Its text is one line that says what went wrong, where, and what to do. The predicates tell a
/// program which kind of failure it is; kinds may be added without breaking anybody.
pub struct Error(Box<Kind>);

#[derive(Debug)]
enum Kind {
    SubscriberInstalled,
    Environment {
        variable: String,
        value: String,
        problem: String,
    },
    Ignored {
        variable: String,
        instead: String,
    },
    Nowhere {
        method: &'static str,
    },
    Exporter {
        endpoint: String,
        reason: String,
    },
    Start(io::Error),
    NotDelivered(String),
    Stopped(String),
}

impl Error {
    /// Whether the program has a global `tracing` subscriber already. A second one is never
    /// installed.
    ///
    /// The way out is [`build`](crate::OpenTelemetry::build), whose layer is added to that
    /// subscriber.
    ///
    /// ```
    /// use dotflow_otel::OpenTelemetry;
    ///
    /// # fn main() -> Result<(), dotflow_otel::Error> {
    /// let telemetry = OpenTelemetry::new("my-pipeline").install()?;
    /// let second = OpenTelemetry::new("my-pipeline").install().unwrap_err();
    /// assert!(second.is_subscriber_installed());
    /// # telemetry.shutdown()
    /// # }
    /// ```
    pub fn is_subscriber_installed(&self) -> bool {
        matches!(*self.0, Kind::SubscriberInstalled)
    }

    /// Whether an environment variable has a value that can't be used, or no effect at all;
    /// [`variable`](Self::variable) says which one. Such an error only comes of
    /// [`strict`](crate::OpenTelemetry::strict) telemetry.
    ///
    /// ```no_run
    /// use dotflow_otel::OpenTelemetry;
    ///
    /// // With OTEL_TRACES_SAMPLER=sometimes:
    /// let error = OpenTelemetry::new("my-pipeline").strict().install().unwrap_err();
    /// assert!(error.is_environment());
    /// assert_eq!(error.variable(), Some("OTEL_TRACES_SAMPLER"));
    /// ```
    pub fn is_environment(&self) -> bool {
        self.variable().is_some()
    }

    /// The name of the environment variable that is wrong, or `None` where the failure is of another
    /// kind.
    ///
    /// ```
    /// use dotflow_otel::OpenTelemetry;
    /// use tracing_subscriber::Registry;
    ///
    /// // There is nowhere to send metrics to: that is the code's mistake, not the environment's.
    /// let built = OpenTelemetry::new("my-pipeline").with_metrics().build::<Registry>();
    /// assert_eq!(built.map(|_| ()).unwrap_err().variable(), None);
    /// ```
    pub fn variable(&self) -> Option<&str> {
        match &*self.0 {
            Kind::Environment { variable, .. } | Kind::Ignored { variable, .. } => Some(variable),
            _ => None,
        }
    }

    /// Whether the code asks for something that can't be done: an endpoint that is no URL, a Cargo
    /// feature that is not enabled, or a signal that has nowhere to go.
    ///
    /// ```
    /// # #[cfg(feature = "otlp")]
    /// # {
    /// use dotflow_otel::{OpenTelemetry, Otlp};
    /// use tracing_subscriber::Registry;
    ///
    /// let otlp = Otlp::new().endpoint("grpc://collector:4317");
    /// let built = OpenTelemetry::new("my-pipeline").with_otlp_to(otlp).build::<Registry>();
    /// let error = built.map(|_| ()).unwrap_err();
    /// assert!(error.is_configuration());
    /// assert!(error.to_string().contains("grpc://collector:4317"));
    /// # }
    /// ```
    pub fn is_configuration(&self) -> bool {
        matches!(*self.0, Kind::Nowhere { .. } | Kind::Exporter { .. })
    }

    /// Whether the operating system refused a thread that telemetry needs. The reason is the
    /// [`source`](error::Error::source).
    ///
    /// ```
    /// use dotflow_otel::OpenTelemetry;
    /// use tracing_subscriber::Registry;
    ///
    /// match OpenTelemetry::new("my-pipeline").build::<Registry>() {
    ///     Ok((_layer, telemetry)) => telemetry.shutdown().unwrap(),
    ///     // The machine is out of threads: go on without telemetry.
    ///     Err(error) => assert!(error.is_start()),
    /// }
    /// ```
    pub fn is_start(&self) -> bool {
        matches!(*self.0, Kind::Start(_))
    }

    /// Whether a flush could not deliver everything that had ended.
    ///
    /// ```
    /// # fn main() -> Result<(), dotflow_otel::Error> {
    /// # #[cfg(feature = "otlp")]
    /// # {
    /// use dotflow_otel::{OpenTelemetry, Otlp};
    /// use tracing_subscriber::{Registry, layer::SubscriberExt};
    ///
    /// let nobody_listens = Otlp::new().endpoint("http://127.0.0.1:9");
    /// let (layer, telemetry) = OpenTelemetry::new("my-pipeline")
    ///     .with_otlp_to(nobody_listens)
    ///     .build()?;
    /// tracing::subscriber::with_default(Registry::default().with(layer), || {
    ///     tracing::info_span!("work").in_scope(|| ());
    ///     assert!(telemetry.flush().unwrap_err().is_not_delivered());
    /// });
    /// # telemetry.shutdown()?;
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_not_delivered(&self) -> bool {
        matches!(*self.0, Kind::NotDelivered(_))
    }

    /// Whether a part of telemetry ended before it was stopped, as it does when an exporter panics.
    ///
    /// ```
    /// use dotflow_otel::OpenTelemetry;
    /// use opentelemetry_sdk::{error::OTelSdkResult, trace::{SpanData, SpanExporter}};
    /// use tracing_subscriber::{Registry, layer::SubscriberExt};
    ///
    /// #[derive(Debug)]
    /// struct Broken;
    ///
    /// impl SpanExporter for Broken {
    ///     async fn export(&self, _batch: Vec<SpanData>) -> OTelSdkResult {
    ///         panic!("on purpose")
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), dotflow_otel::Error> {
    /// let (layer, telemetry) = OpenTelemetry::new("my-pipeline").with_exporter(Broken).build()?;
    /// tracing::subscriber::with_default(Registry::default().with(layer), || {
    ///     tracing::info_span!("work").in_scope(|| ());
    /// });
    /// assert!(telemetry.shutdown().unwrap_err().is_stopped());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_stopped(&self) -> bool {
        matches!(*self.0, Kind::Stopped(_))
    }

    pub(crate) fn subscriber_installed() -> Self {
        Self::new(Kind::SubscriberInstalled)
    }

    /// A variable has a value that can't be used. `value` is the value or the part of it that is
    /// wrong, and never a secret; `problem` goes on with the sentence: "must be a number".
    pub(crate) fn environment(variable: &str, value: impl fmt::Display, problem: &str) -> Self {
        Self::new(Kind::Environment {
            variable: variable.to_owned(),
            value: value.to_string(),
            problem: problem.to_owned(),
        })
    }

    /// A variable has no effect here; `instead` says why, or what has one.
    pub(crate) fn ignored(variable: &str, instead: &str) -> Self {
        Self::new(Kind::Ignored {
            variable: variable.to_owned(),
            instead: instead.to_owned(),
        })
    }

    /// A signal is wanted by this method, but there is nowhere to send it to.
    pub(crate) fn nowhere(method: &'static str) -> Self {
        Self::new(Kind::Nowhere { method })
    }

    /// There can be no exporter for this endpoint.
    pub(crate) fn exporter(endpoint: &str, reason: impl fmt::Display) -> Self {
        Self::new(Kind::Exporter {
            endpoint: endpoint.to_owned(),
            reason: reason.to_string(),
        })
    }

    pub(crate) fn start(error: io::Error) -> Self {
        Self::new(Kind::Start(error))
    }

    pub(crate) fn not_delivered(report: String) -> Self {
        Self::new(Kind::NotDelivered(report))
    }

    pub(crate) fn stopped(report: String) -> Self {
        Self::new(Kind::Stopped(report))
    }

    fn new(kind: Kind) -> Self {
        Self(Box::new(kind))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Kind::SubscriberInstalled => formatter.write_str(
                "this program has a global tracing subscriber already: call `build()` instead of \
                 `install()` and add the layer that it returns to that subscriber",
            ),
            Kind::Environment {
                variable,
                value,
                problem,
            } => write!(
                formatter,
                "the environment variable {variable} is wrong: {value:?} {problem}"
            ),
            Kind::Ignored { variable, instead } => write!(
                formatter,
                "the environment variable {variable} has no effect: {instead}"
            ),
            Kind::Nowhere { method } => write!(
                formatter,
                "`{method}` has nowhere to send to: add `with_otlp()` or `with_console()`"
            ),
            Kind::Exporter { endpoint, reason } => {
                write!(formatter, "no OTLP exporter for {endpoint}: {reason}")
            }
            Kind::Start(error) => write!(
                formatter,
                "the thread that delivers telemetry can't be started: {error}"
            ),
            Kind::NotDelivered(report) => formatter.write_str(report),
            Kind::Stopped(report) => {
                write!(formatter, "telemetry did not stop in order: {report}")
            }
        }
    }
}

// As a test or `main` shows it: the kind, and what the text says.
impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Error").field(&self.0).finish()
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &*self.0 {
            Kind::Start(error) => Some(error),
            _ => None,
        }
    }
}
