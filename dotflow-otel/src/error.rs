//! What can go wrong when telemetry is set up, flushed or stopped.

use std::{error, fmt, io};

/// Why telemetry could not be set up, flushed or stopped.
///
/// A text of one line that says what went wrong, where, and what to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The program has a global `tracing` subscriber already; a second one is never installed.
    SubscriberExists,
    /// An environment variable has a value that can't be used.
    Environment {
        /// The name of the variable.
        variable: String,
        /// The value, or which part of it; never a secret.
        value: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Metrics or logs are wanted, but there is nowhere to send them to.
    Nowhere {
        /// The method that wants them.
        method: &'static str,
    },
    /// The OTLP exporter could not be built: a wrong endpoint, or a feature that is not enabled.
    Otlp {
        /// The endpoint that was configured.
        endpoint: String,
        /// What the exporter says.
        reason: String,
    },
    /// The thread or the runtime that delivers telemetry could not be started.
    Start(io::Error),
    /// Something that should have been delivered was not.
    NotDelivered(String),
    /// A part of the SDK did not stop in order.
    Stop(String),
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SubscriberExists => formatter.write_str(
                "this program has a global tracing subscriber already: call `build()` instead of \
                 `install()` and add the layer that it returns to that subscriber",
            ),
            Self::Environment {
                variable,
                value,
                problem,
            } => write!(
                formatter,
                "the environment variable {variable} is wrong: {value:?} {problem}"
            ),
            Self::Nowhere { method } => write!(
                formatter,
                "`{method}` has nowhere to send to: add `with_otlp()` or `with_console()`"
            ),
            Self::Otlp { endpoint, reason } => {
                write!(formatter, "no OTLP exporter for {endpoint}: {reason}")
            }
            Self::Start(error) => {
                write!(
                    formatter,
                    "the thread that delivers telemetry can't be started: {error}"
                )
            }
            Self::NotDelivered(what) => formatter.write_str(what),
            Self::Stop(reason) => write!(formatter, "telemetry did not stop in order: {reason}"),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Start(error) => Some(error),
            _ => None,
        }
    }
}

impl Error {
    /// OTLP is asked for by the environment, but not there.
    #[cfg(not(feature = "otlp"))]
    pub(crate) fn without_otlp() -> Self {
        Self::Otlp {
            endpoint: "OTLP".to_owned(),
            reason: "this needs the feature `otlp` of dotflow-otel".to_owned(),
        }
    }
}
