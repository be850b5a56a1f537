//! The subscriber that our layers are part of, for what is said from other threads.
//!
//! A thread that delivers telemetry has no subscriber of its own. What it has to tell the user (that
//! deliveries fail, and that they work again) goes to the one that the layer was added to.

use std::sync::{Arc, OnceLock};

use tracing::{
    Dispatch, Subscriber,
    dispatcher::{self, WeakDispatch},
};
use tracing_subscriber::Layer;

/// The subscriber of the user, once our layer is in it and as long as it lives.
#[derive(Debug, Clone, Default)]
pub(crate) struct UserDispatch(Arc<OnceLock<WeakDispatch>>);

impl UserDispatch {
    /// The subscriber, while there is one.
    pub(crate) fn get(&self) -> Option<Dispatch> {
        self.0.get().and_then(WeakDispatch::upgrade)
    }

    /// Runs `tell` under that subscriber; under this thread's own where there is none.
    pub(crate) fn with(&self, tell: impl FnOnce()) {
        match self.get() {
            Some(dispatch) => dispatcher::with_default(&dispatch, tell),
            None => tell(),
        }
    }
}

/// A layer that only learns which subscriber it is part of.
#[derive(Debug)]
pub(crate) struct DispatchLayer(pub(crate) UserDispatch);

impl<S: Subscriber> Layer<S> for DispatchLayer {
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        // The first one stays: a layer belongs to one subscriber.
        let _ = self.0.0.set(dispatch.downgrade());
    }
}
