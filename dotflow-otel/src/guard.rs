//! The guard: delivers what is left, within a bound, and says what could not be delivered.

use std::{
    fmt,
    io::{self, Write},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use opentelemetry_sdk::trace::SdkTracerProvider;

use crate::{Error, runtime::ExportRuntime, traces::SpanPipeline};

/// Keeps telemetry running; stops it when dropped.
///
/// Hold it until the program ends: `let telemetry = …install()?;`, never `let _ = …`.
/// When it is dropped, what is still queued is delivered, within the shutdown timeout (5 seconds
/// by default). It is dropped when `main` returns, also with an error, and when `main` panics. A
/// program that ends by `std::process::exit`, by a signal or by `panic = "abort"` runs no drop: it
/// loses what ended within about the last second.
#[must_use = "telemetry stops when the guard is dropped"]
pub struct Guard {
    pub(crate) provider: SdkTracerProvider,
    pub(crate) pipelines: Vec<SpanPipeline>,
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
    /// Something that ended before this call could not be delivered; the text says how many, where
    /// and why. What could not be delivered is not tried again.
    pub fn flush(&self) -> Result<(), Error> {
        for pipeline in &self.pipelines {
            let lost_before = pipeline.delivery().lost();
            let flushed = pipeline.flush();
            let lost = pipeline.delivery().lost() > lost_before;
            match (lost, flushed, pipeline.delivery().complaint()) {
                (true, _, Some(complaint)) => return Err(Error::NotDelivered(complaint)),
                (false, Err(error), _) => return Err(Error::NotDelivered(error.to_string())),
                _ => {}
            }
        }
        Ok(())
    }

    /// Delivers what is left, within the shutdown timeout, and stops. Further calls do nothing.
    ///
    /// Spans that can't be delivered are no error of the program, so they don't make this fail:
    /// they are counted by [`dropped`](Self::dropped), and one line on standard error says how many
    /// they were, where they should have gone, and why they did not get there.
    ///
    /// # Errors
    ///
    /// A part of the SDK did not stop in order.
    pub fn shutdown(&self) -> Result<(), Error> {
        if self.stopped.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let deadline = Instant::now() + self.shutdown_timeout;
        // At the same time, so that one dead collector doesn't use up the time of the others.
        thread::scope(|scope| {
            for pipeline in &self.pipelines {
                scope.spawn(move || pipeline.stop(deadline));
            }
        });
        let complaints: Vec<String> = self
            .pipelines
            .iter()
            .filter_map(|pipeline| pipeline.delivery().complaint())
            .collect();
        if !complaints.is_empty() {
            // Standard error may be closed; there is nobody left to tell then.
            let _ = writeln!(io::stderr(), "dotflow-otel: {}", complaints.join("; "));
        }
        self.provider
            .shutdown_with_timeout(self.shutdown_timeout)
            .map_err(|error| Error::Stop(error.to_string()))
    }

    /// How many spans were delivered so far. With several exporters, each counts its own; the
    /// console does not count.
    pub fn exported(&self) -> u64 {
        let delivered = self.pipelines.iter().map(|one| one.delivery().delivered());
        delivered.sum()
    }

    /// How many spans were lost so far: refused by the collector, not delivered in time, or ended
    /// while the queue was full. After [`shutdown`](Self::shutdown) this and
    /// [`exported`](Self::exported) add up to the spans that ended.
    pub fn dropped(&self) -> u64 {
        let lost = self.pipelines.iter().map(|one| one.delivery().lost());
        lost.sum()
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
