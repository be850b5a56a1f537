//! The guard: delivers what is left, within a bound, and says what could not be delivered.

use std::{
    fmt,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use opentelemetry_sdk::{
    error::OTelSdkResult, logs::SdkLoggerProvider, metrics::SdkMeterProvider,
    trace::SdkTracerProvider,
};

use crate::{
    delivery::{Delivery, Signal},
    error::Error,
    pipeline::{Control, Waited},
    spans::OpenSpans,
};

/// How long a flush may take.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Keeps telemetry running; stops it when dropped.
///
/// Hold it until the program ends: `let telemetry = …install()?;`, never `let _ = …`.
/// When it is dropped, what is still queued is delivered, within the shutdown timeout (5 seconds
/// by default). So nothing is lost when `main` returns, also with an error, and when `main` panics.
///
/// A program that ends by `std::process::exit`, by `panic = "abort"` or by a signal runs no drop: it
/// loses what ended since the last batch, which is about a second. So wait for the signals: Ctrl-C
/// from a terminal, and SIGTERM from systemd, Docker or Kubernetes.
///
/// ```no_run
/// # #[cfg(unix)]
/// # async fn run(workflow: impl Future<Output = ()>) -> Result<(), Box<dyn std::error::Error>> {
/// # #[cfg(feature = "otlp")]
/// # {
/// use tokio::signal::unix::{SignalKind, signal};
///
/// let telemetry = dotflow_otel::OpenTelemetry::new("my-pipeline").with_otlp().install()?;
/// let mut terminate = signal(SignalKind::terminate())?;
/// tokio::select! {
///     () = workflow => {}
///     // The dropped workflow's spans end as cancelled.
///     interrupted = tokio::signal::ctrl_c() => interrupted?,
///     _ = terminate.recv() => {}
/// }
/// telemetry.shutdown()?;
/// # }
/// # Ok(())
/// # }
/// ```
#[must_use = "telemetry stops when the guard is dropped"]
pub struct Guard {
    pub(crate) traces: Option<SdkTracerProvider>,
    pub(crate) metrics: Option<SdkMeterProvider>,
    pub(crate) logs: Option<SdkLoggerProvider>,
    pub(crate) pipelines: Vec<Arc<dyn Control>>,
    pub(crate) open: OpenSpans,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) stopped: AtomicBool,
}

impl Guard {
    /// Delivers what ended so far and waits for it, for at most 5 seconds.
    ///
    /// # Errors
    ///
    /// Something could not be delivered ([`is_not_delivered`](Error::is_not_delivered)): the text
    /// says how much, where and why. What can be sent again is kept and sent again.
    ///
    /// ```
    /// use dotflow_otel::OpenTelemetry;
    ///
    /// # fn main() -> Result<(), dotflow_otel::Error> {
    /// let telemetry = OpenTelemetry::new("my-pipeline").with_console().install()?;
    /// tracing::info_span!("work").in_scope(|| ());
    /// assert!(telemetry.flush().is_ok());
    /// # telemetry.shutdown()
    /// # }
    /// ```
    pub fn flush(&self) -> Result<(), Error> {
        let deadline = Instant::now() + FLUSH_TIMEOUT;
        if let Some(provider) = &self.metrics {
            // Collects a report and queues it. Without one there is nothing to send.
            let _ = provider.force_flush();
        }
        let begun = self.pipelines.iter().map(|pipeline| {
            let lost = pipeline.delivery().lost();
            (pipeline, pipeline.begin_flush(), lost)
        });
        let begun: Vec<_> = begun.collect();
        let mut reports = Vec::new();
        for (pipeline, ticket, lost_before) in begun {
            let waited = pipeline.wait_flushed(ticket, deadline);
            let delivery = pipeline.delivery();
            if delivery.lost() > lost_before {
                reports.extend(delivery.loss_report());
            }
            match waited {
                Waited::Done => {}
                Waited::Refused => reports.extend(delivery.delay_report()),
                Waited::Panicked => reports.push(ended_early(delivery)),
                Waited::TimedOut => {
                    let signal = delivery.signal();
                    reports.push(format!("{signal}: no answer within {FLUSH_TIMEOUT:?}"));
                }
            }
        }
        if reports.is_empty() {
            Ok(())
        } else {
            Err(Error::not_delivered(reports.join("; ")))
        }
    }

    /// Delivers what is left, within the shutdown timeout, and stops. Further calls do nothing.
    ///
    /// What can't be delivered is no error of the program, so it doesn't make this fail: spans are
    /// counted by [`dropped`](Self::dropped), and one line on standard error says how much was lost,
    /// where it should have gone, and why it did not get there.
    ///
    /// # Errors
    ///
    /// A part of telemetry had ended before ([`is_stopped`](Error::is_stopped)), as it does when an
    /// exporter panics.
    ///
    /// ```
    /// # fn main() -> Result<(), dotflow_otel::Error> {
    /// let telemetry = dotflow_otel::OpenTelemetry::new("my-pipeline").install()?;
    /// tracing::info_span!("work").in_scope(|| ());
    /// telemetry.shutdown()?;
    /// assert_eq!(telemetry.dropped(), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn shutdown(&self) -> Result<(), Error> {
        if self.stopped.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let started = Instant::now();
        // What no clock can show is as good as a year.
        let deadline = started.checked_add(self.shutdown_timeout);
        let deadline = deadline.unwrap_or(started + Duration::from_secs(365 * 24 * 60 * 60));
        for pipeline in &self.pipelines {
            pipeline.delivery().begin_stop();
        }
        // From here on nothing is made any more. The last report of metrics is queued by this.
        let timeout = self.shutdown_timeout;
        let _ = stop(self.metrics.as_ref(), |one| {
            one.shutdown_with_timeout(timeout)
        });
        for pipeline in &self.pipelines {
            pipeline.begin_stop(deadline);
        }
        let mut ended = Vec::new();
        for pipeline in &self.pipelines {
            let delivery = pipeline.delivery();
            match pipeline.stop(deadline) {
                Waited::Panicked => ended.push(ended_early(delivery)),
                Waited::TimedOut => {
                    let waited = started.elapsed().as_secs_f64();
                    delivery.note_loss(|| format!("no answer within {waited:.1}s"));
                }
                Waited::Done | Waited::Refused => {}
            }
        }
        let _ = stop(self.traces.as_ref(), |one| {
            one.shutdown_with_timeout(timeout)
        });
        let _ = stop(self.logs.as_ref(), |one| one.shutdown_with_timeout(timeout));
        let losses = self.pipelines.iter();
        let mut losses: Vec<String> = losses
            .filter_map(|pipeline| pipeline.delivery().loss_report())
            .collect();
        let open = self.open();
        if open > 0 && self.spans().next().is_some() {
            let (spans, them) = if open == 1 {
                ("span", "it")
            } else {
                ("spans", "them")
            };
            losses.push(format!(
                "{open} {spans} never ended: something still holds {them}"
            ));
        }
        if !losses.is_empty() {
            // Standard error may be closed; there is nobody left to tell then.
            let _ = writeln!(io::stderr(), "dotflow-otel: {}", losses.join("; "));
        }
        if ended.is_empty() {
            Ok(())
        } else {
            Err(Error::stopped(ended.join("; ")))
        }
    }

    /// How many spans were delivered so far. With several exporters, each counts its own; the
    /// console does not count.
    ///
    /// ```
    /// # fn main() -> Result<(), dotflow_otel::Error> {
    /// // The console is no place that spans are delivered to.
    /// let telemetry = dotflow_otel::OpenTelemetry::new("my-pipeline").with_console().install()?;
    /// tracing::info_span!("work").in_scope(|| ());
    /// assert_eq!((telemetry.exported(), telemetry.dropped()), (0, 0));
    /// # telemetry.shutdown()
    /// # }
    /// ```
    pub fn exported(&self) -> u64 {
        self.spans().map(Delivery::delivered).sum()
    }

    /// How many spans were lost so far: refused by the collector, not delivered in time, or ended
    /// while the queue was full. After [`shutdown`](Self::shutdown) this and
    /// [`exported`](Self::exported) add up to the spans that ended.
    ///
    /// ```
    /// # fn main() -> Result<(), dotflow_otel::Error> {
    /// # #[cfg(feature = "otlp")]
    /// # {
    /// use dotflow_otel::{OpenTelemetry, Otlp};
    /// use tracing_subscriber::{Registry, layer::SubscriberExt};
    ///
    /// let nobody_listens = Otlp::new().endpoint("http://127.0.0.1:9");
    /// let (layer, telemetry) =
    ///     OpenTelemetry::new("my-pipeline").with_otlp_to(nobody_listens).build()?;
    /// tracing::subscriber::with_default(Registry::default().with(layer), || {
    ///     tracing::info_span!("work").in_scope(|| ());
    /// });
    /// telemetry.shutdown()?;
    /// assert_eq!((telemetry.exported(), telemetry.dropped()), (0, 1));
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    pub fn dropped(&self) -> u64 {
        self.spans().map(Delivery::lost).sum()
    }

    /// How many spans began and did not end yet.
    ///
    /// Spans of workflows and tasks end when these end. Others end when nobody holds them any more,
    /// and only then they are delivered. [`shutdown`](Self::shutdown) says how many never did.
    ///
    /// ```
    /// # fn main() -> Result<(), dotflow_otel::Error> {
    /// let telemetry = dotflow_otel::OpenTelemetry::new("my-pipeline").install()?;
    /// let span = tracing::info_span!("work").entered();
    /// assert_eq!(telemetry.open(), 1);
    /// drop(span);
    /// assert_eq!(telemetry.open(), 0);
    /// # telemetry.shutdown()
    /// # }
    /// ```
    pub fn open(&self) -> u64 {
        self.open.count()
    }

    fn spans(&self) -> impl Iterator<Item = &Delivery> {
        let deliveries = self.pipelines.iter().map(|one| one.delivery());
        deliveries.filter(|delivery| delivery.signal() == Signal::Traces)
    }
}

fn stop<Provider>(
    provider: Option<&Provider>,
    stop: impl FnOnce(&Provider) -> OTelSdkResult,
) -> OTelSdkResult {
    provider.map_or(Ok(()), stop)
}

/// What is said of a pipeline whose thread is gone.
fn ended_early(delivery: &Delivery) -> String {
    let signal = delivery.signal();
    format!("the thread that sends {signal} has ended, as it does when an exporter panics")
}

impl Drop for Guard {
    fn drop(&mut self) {
        // The line about what was lost is written already, and a drop can't return an error.
        let _ = self.shutdown();
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Guard")
            .field("exported", &self.exported())
            .field("dropped", &self.dropped())
            .field("open", &self.open())
            .finish_non_exhaustive()
    }
}
