//! Who listens to the spans: nobody, a subscriber that does not want them, or OpenTelemetry.

use dotflow_otel::{Guard, OpenTelemetry};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{Sampler, SpanData, SpanExporter},
};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{Registry, filter::Targets, layer::SubscriberExt};

/// Who listens to the spans of a program. A process has one listener all its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// No subscriber at all.
    Nobody,
    /// A subscriber that listens to everything but dotflow.
    Filtered,
    /// A subscriber without layers: it only keeps track of which spans there are.
    Registry,
    /// `dotflow-otel` as users install it, with an exporter that drops what it gets.
    OpenTelemetry,
    /// The same, with a sampler that wants nothing.
    SampledOut,
}

impl Listener {
    /// All of them, from the cheapest on.
    pub const ALL: [Self; 5] = [
        Self::Nobody,
        Self::Filtered,
        Self::Registry,
        Self::OpenTelemetry,
        Self::SampledOut,
    ];

    /// The name in tables and on command lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nobody => "no subscriber",
            Self::Filtered => "filtered out",
            Self::Registry => "Registry only",
            Self::OpenTelemetry => "OpenTelemetry",
            Self::SampledOut => "sampled out",
        }
    }

    /// The listener of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|listener| listener.name() == name)
    }

    /// Makes it the listener of this process.
    ///
    /// # Panics
    ///
    /// Panics if the process has one already.
    pub fn install(self) -> Listening {
        let guard = match self {
            Self::Nobody => None,
            Self::Filtered => {
                let all_but_dotflow = Targets::new()
                    .with_default(LevelFilter::INFO)
                    .with_target(dotflow::spans::TARGET, LevelFilter::OFF);
                set_global(Registry::default().with(all_but_dotflow));
                None
            }
            Self::Registry => {
                set_global(Registry::default());
                None
            }
            Self::OpenTelemetry => Some(install(open_telemetry())),
            Self::SampledOut => Some(install(open_telemetry().sampler(Sampler::AlwaysOff))),
        };
        Listening { guard }
    }
}

fn set_global(subscriber: impl tracing::Subscriber + Send + Sync) {
    tracing::subscriber::set_global_default(subscriber)
        .expect("a process has one listener all its life");
}

fn open_telemetry() -> OpenTelemetry {
    OpenTelemetry::new("bench").with_exporter(Dropping)
}

fn install(telemetry: OpenTelemetry) -> Guard {
    telemetry
        .install()
        .expect("a process has one listener all its life")
}

/// An exporter that drops what it gets, so that no backend is measured.
#[derive(Debug)]
struct Dropping;

impl SpanExporter for Dropping {
    async fn export(&self, _batch: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }
}

/// The listener at work.
#[derive(Debug)]
pub struct Listening {
    guard: Option<Guard>,
}

impl Listening {
    /// Waits until all spans so far are exported, so that the next run finds an empty queue.
    ///
    /// # Panics
    ///
    /// Panics if spans were lost: what was measured then is not what it should be.
    pub fn settle(&self) {
        if let Some(guard) = &self.guard {
            guard.flush().expect("the queue is long enough for one run");
        }
    }
}
