//! What exporters only say in their log: how many items a collector rejected, and what was wrong
//! with the connection.
//!
//! An OTLP exporter returns "ok" where a collector took a request but rejected a part of it, and
//! tells the rest as a `tracing` event. Somebody has to listen to it for the counts to be true.
//! [`Ears`] is a layer for that, and exports run under the subscriber that has it.

use std::{
    cell::RefCell,
    fmt,
    sync::{Arc, OnceLock},
};

use tracing::{
    Dispatch, Event, Subscriber,
    dispatcher::WeakDispatch,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{
    Layer, Registry,
    filter::Targets,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
};

/// The target of the exporters' own events.
const TARGET: &str = "opentelemetry-otlp";

/// What was heard during one export.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// How many items of the request the collector rejected.
    pub(crate) rejected: u64,
    /// Why something failed.
    pub(crate) cause: Option<String>,
}

thread_local! {
    /// One export runs on one thread from its start to its end, and no other one in between.
    static HEARD: RefCell<Heard> = RefCell::default();
}

/// Forgets what was heard before and returns it.
pub(crate) fn take() -> Heard {
    HEARD.take()
}

/// Keeps why something failed, better than the exporter's error does.
#[cfg(feature = "http")]
pub(crate) fn note_cause(cause: String) {
    HEARD.with_borrow_mut(|heard| heard.cause = Some(cause));
}

/// The subscriber that listens.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listener(Arc<Dispatches>);

#[derive(Debug, Default)]
struct Dispatches {
    /// The user's subscriber, once our layer is in it.
    users: OnceLock<WeakDispatch>,
    /// Our own, for exports while there is no other.
    own: OnceLock<Dispatch>,
}

impl Listener {
    /// The user's subscriber, while there is one.
    pub(crate) fn of_user(&self) -> Option<Dispatch> {
        self.0.users.get().and_then(WeakDispatch::upgrade)
    }

    /// A subscriber that has ears in any case.
    ///
    /// A scoped subscriber may be gone while the last spans are still sent. One of our own costs
    /// every callsite a little, so it is only made then.
    pub(crate) fn any(&self) -> Dispatch {
        self.of_user().unwrap_or_else(|| {
            let own = self.0.own.get_or_init(|| {
                let ears = layer(Self::default());
                Dispatch::new(Registry::default().with(ears))
            });
            own.clone()
        })
    }
}

/// The layer that listens.
#[derive(Debug, Default)]
struct Ears {
    listener: Listener,
}

/// The layer that listens to exporters, filtered to what they say.
pub(crate) fn layer<S>(listener: Listener) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    Ears { listener }.with_filter(Targets::new().with_target(TARGET, LevelFilter::WARN))
}

impl<S: Subscriber> Layer<S> for Ears {
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        let _ = self.listener.0.users.set(dispatch.downgrade());
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        HEARD.with_borrow_mut(|heard| event.record(heard));
    }
}

impl Visit for Heard {
    fn record_i64(&mut self, field: &Field, value: i64) {
        if field.name().starts_with("rejected_") {
            self.rejected += u64::try_from(value).unwrap_or(0);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "error_message" {
            self.cause = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn fmt::Debug) {}
}
