//! The guard: delivers what is left, within a bound, and says what could not be delivered.

use std::{
    fmt,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use opentelemetry_sdk::{
    error::{OTelSdkError, OTelSdkResult},
    logs::SdkLoggerProvider,
    metrics::SdkMeterProvider,
    trace::SdkTracerProvider,
};

use crate::{
    Error,
    delivery::{self, Delivery, Item},
    runtime::ExportRuntime,
};

/// How long a flush may take.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// One signal on its way to one destination, as the guard sees it.
pub(crate) trait Pipeline: Send + Sync {
    /// The counts.
    fn delivery(&self) -> &Delivery;
    /// Sends what ended so far and waits for it.
    fn flush(&self) -> OTelSdkResult;
    /// Sends what is left and ends the threads.
    fn stop(&self, deadline: Instant) -> OTelSdkResult;
}

/// Keeps telemetry running; stops it when dropped.
///
/// Hold it until the program ends: `let telemetry = …install()?;`, never `let _ = …`.
/// When it is dropped, what is still queued is delivered, within the shutdown timeout (5 seconds
/// by default). So nothing is lost when `main` returns, also with an error, and when `main` panics.
///
/// A program that ends by `std::process::exit`, by `panic = "abort"` or by a signal runs no drop: it
/// loses what ended since the last batch, which is about a second. For Ctrl-C, wait for the signal
/// and return from `main`:
///
/// ```no_run
/// # async fn run(workflow: impl Future<Output = ()>) -> Result<(), Box<dyn std::error::Error>> {
/// let telemetry = dotflow_otel::OpenTelemetry::new("my-pipeline").with_otlp().install()?;
/// tokio::select! {
///     () = workflow => {}
///     // The dropped workflow's spans end as cancelled.
///     interrupted = tokio::signal::ctrl_c() => interrupted?,
/// }
/// telemetry.shutdown()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "telemetry stops when the guard is dropped"]
pub struct Guard {
    pub(crate) traces: Option<SdkTracerProvider>,
    pub(crate) metrics: Option<SdkMeterProvider>,
    pub(crate) logs: Option<SdkLoggerProvider>,
    pub(crate) pipelines: Vec<Arc<dyn Pipeline>>,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) stopped: AtomicBool,
    /// Where the connections to collectors live.
    pub(crate) _runtime: Option<ExportRuntime>,
}

impl Guard {
    /// Delivers what ended so far and waits for it, for at most 5 seconds.
    ///
    /// # Errors
    ///
    /// Something could not be delivered: the text says how much, where and why. It is not tried
    /// again, except for what was not answered in time.
    pub fn flush(&self) -> Result<(), Error> {
        let lost_before = self.pipelines.iter().map(|one| one.delivery().lost());
        let lost_before: Vec<u64> = lost_before.collect();
        // Threads of their own, since not every part of the SDK has a bound.
        let (flushed, results) = mpsc::channel();
        for pipeline in &self.pipelines {
            let (pipeline, flushed) = (Arc::clone(pipeline), flushed.clone());
            thread::Builder::new()
                .name("dotflow-otel-flush".to_owned())
                .spawn(move || flushed.send(pipeline.flush()))
                .map_err(Error::Start)?;
        }
        let deadline = Instant::now() + FLUSH_TIMEOUT;
        let mut problem = None;
        for _ in &self.pipelines {
            let left = deadline.saturating_duration_since(Instant::now());
            match results.recv_timeout(left) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => problem = Some(error.to_string()),
                Err(_) => problem = Some(format!("no answer within {FLUSH_TIMEOUT:?}")),
            }
        }
        let lost_since = self.pipelines.iter().zip(lost_before);
        let lost_since = lost_since.filter(|(one, before)| one.delivery().lost() > *before);
        let complaints: Vec<String> = lost_since
            .filter_map(|(one, _)| one.delivery().complaint())
            .collect();
        match problem {
            _ if !complaints.is_empty() => Err(Error::NotDelivered(complaints.join("; "))),
            Some(problem) => Err(Error::NotDelivered(problem)),
            None => Ok(()),
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
    /// A part of the SDK did not stop in order, such as an exporter that panicked.
    pub fn shutdown(&self) -> Result<(), Error> {
        if self.stopped.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let stopped = self.stop_pipelines();
        let complaints = self.pipelines.iter();
        let complaints: Vec<String> = complaints
            .filter_map(|pipeline| pipeline.delivery().complaint())
            .collect();
        if !complaints.is_empty() {
            // Standard error may be closed; there is nobody left to tell then.
            let _ = writeln!(io::stderr(), "dotflow-otel: {}", complaints.join("; "));
        }
        self.stop_providers();
        stopped.map_err(|error| Error::Stop(delivery::cause_of(&error)))
    }

    /// From here on nothing is made any more. What goes to the console has no pipeline and ends
    /// with this; all other parts have stopped already, and say so.
    fn stop_providers(&self) {
        if let Some(provider) = &self.traces {
            let _ = provider.shutdown_with_timeout(self.shutdown_timeout);
        }
        if let Some(provider) = &self.metrics {
            let _ = provider.shutdown_with_timeout(self.shutdown_timeout);
        }
        if let Some(provider) = &self.logs {
            let _ = provider.shutdown_with_timeout(self.shutdown_timeout);
        }
    }

    /// Stops all pipelines at the same time, so that one dead collector doesn't use up the time of
    /// the others.
    fn stop_pipelines(&self) -> OTelSdkResult {
        let deadline = Instant::now() + self.shutdown_timeout;
        let (stopped, results) = mpsc::channel();
        thread::scope(|scope| {
            for pipeline in &self.pipelines {
                let stopped = stopped.clone();
                scope.spawn(move || stopped.send(pipeline.stop(deadline)));
            }
            drop(stopped);
            let mut outcome = Ok(());
            for _ in &self.pipelines {
                let left = deadline.saturating_duration_since(Instant::now());
                match results.recv_timeout(left) {
                    Ok(result) => outcome = outcome.and(result),
                    Err(_) => break,
                }
            }
            // Not every part of the SDK has a bound: what is under way ends with this.
            for pipeline in &self.pipelines {
                pipeline.delivery().close();
            }
            match outcome {
                Err(OTelSdkError::Timeout(_)) => Ok(()),
                outcome => outcome,
            }
        })
    }

    /// How many spans were delivered so far. With several exporters, each counts its own; the
    /// console does not count.
    pub fn exported(&self) -> u64 {
        self.spans().map(Delivery::delivered).sum()
    }

    /// How many spans were lost so far: refused by the collector, not delivered in time, or ended
    /// while the queue was full. After [`shutdown`](Self::shutdown) this and
    /// [`exported`](Self::exported) add up to the spans that ended.
    pub fn dropped(&self) -> u64 {
        self.spans().map(Delivery::lost).sum()
    }

    fn spans(&self) -> impl Iterator<Item = &Delivery> {
        let deliveries = self.pipelines.iter().map(|one| one.delivery());
        deliveries.filter(|delivery| delivery.item() == Item::Span)
    }
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
            .finish_non_exhaustive()
    }
}
