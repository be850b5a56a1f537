//! Where the user is told what goes wrong with deliveries and that they work again, and what the
//! environment asks for in vain.
//!
//! A thread that delivers telemetry has no subscriber of its own. What it has to tell goes to the one
//! that our layer was added to; where that one is ours alone, nobody would see it there, and it goes
//! to standard error.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tracing::{
    Dispatch, Subscriber,
    dispatcher::{self, WeakDispatch},
};
use tracing_subscriber::Layer;

use crate::error::Error;

/// The subscriber of the user, once our layer is in it and as long as it lives.
#[derive(Debug, Clone, Default)]
pub(crate) struct UserDispatch(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    dispatch: OnceLock<WeakDispatch>,
    /// Whether the subscriber has no other layers than ours.
    is_ours: AtomicBool,
}

impl UserDispatch {
    /// The subscriber, while there is one.
    pub(crate) fn get(&self) -> Option<Dispatch> {
        self.0.dispatch.get().and_then(WeakDispatch::upgrade)
    }

    /// Runs `work` under that subscriber; under this thread's own where there is none.
    pub(crate) fn with(&self, work: impl FnOnce()) {
        match self.get() {
            Some(dispatch) => dispatcher::with_default(&dispatch, work),
            None => work(),
        }
    }

    /// The subscriber has no other layers than ours: from here on what is told goes to standard error.
    pub(crate) fn tell_on_standard_error(&self) {
        self.0.is_ours.store(true, Ordering::Release);
    }

    /// Tells of a problem.
    pub(crate) fn warn(&self, text: &str) {
        self.tell(text, || tracing::warn!("{text}"));
    }

    /// Tells that a problem is over.
    pub(crate) fn inform(&self, text: &str) {
        self.tell(text, || tracing::info!("{text}"));
    }

    fn tell(&self, text: &str, event: impl FnOnce()) {
        if self.0.is_ours.load(Ordering::Acquire) {
            // Standard error may be closed; there is nobody left to tell then.
            let _ = writeln!(io::stderr(), "dotflow-otel: {text}");
        } else {
            self.with(event);
        }
    }
}

/// Says what the environment asks for in vain, each once in the life of this process.
pub(crate) fn tell_of(problems: &[Error]) {
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

/// A layer that only learns which subscriber it is part of.
#[derive(Debug)]
pub(crate) struct DispatchLayer(pub(crate) UserDispatch);

impl<S: Subscriber> Layer<S> for DispatchLayer {
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        // The first one stays: a layer belongs to one subscriber.
        let _ = self.0.0.dispatch.set(dispatch.downgrade());
    }
}
