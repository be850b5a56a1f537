//! The runtime of this crate: one thread in which the connections to collectors live.
//!
//! They must not live in the user's runtime: that one may have a single thread, which waits for the
//! very flush that needs them, or there may be none at all.

use tokio::runtime::{Builder, Handle, Runtime};
use tracing::{Dispatch, dispatcher};

use crate::error::Error;

/// A runtime with one thread, stopped without waiting when dropped.
#[derive(Debug)]
pub(crate) struct ExportRuntime(Option<Runtime>);

impl ExportRuntime {
    pub(crate) fn start() -> Result<Self, Error> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("dotflow-otel")
            .on_thread_start(stay_silent)
            .enable_all()
            .build()
            .map_err(Error::start)?;
        Ok(Self(Some(runtime)))
    }

    #[cfg_attr(
        not(feature = "otlp"),
        allow(dead_code, reason = "only OTLP needs this")
    )]
    pub(crate) fn handle(&self) -> &Handle {
        self.0
            .as_ref()
            .expect("the runtime is only taken when dropped")
            .handle()
    }
}

impl Drop for ExportRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // A plain drop waits, which is forbidden inside the user's runtime.
            runtime.shutdown_background();
        }
    }
}

/// Gives this thread no subscriber for the rest of its life.
///
/// The connection's own spans and events are not the user's, and sending them would make more of
/// them.
pub(crate) fn stay_silent() {
    std::mem::forget(dispatcher::set_default(&Dispatch::none()));
}
