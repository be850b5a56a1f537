//! The subscriber of the caller goes along with work that leaves its thread.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tracing::{Dispatch, dispatcher, instrument::WithSubscriber, subscriber::NoSubscriber};

/// The current subscriber, if there is one.
pub(crate) fn current() -> Option<Dispatch> {
    dispatcher::get_default(|dispatch| (!dispatch.is::<NoSubscriber>()).then(|| dispatch.clone()))
}

/// A future that is dropped under the subscriber that it was made under, wherever that happens.
///
/// A span that closes closes its parent by way of the current subscriber. Without this, the span
/// of a run whose tasks are dropped by the runtime would stay open for ever.
pub(crate) struct DroppedUnder<F> {
    // In a box, so that it can be dropped before the rest. Always there but while it is dropped.
    future: Option<Pin<Box<F>>>,
    subscriber: Dispatch,
}

impl<F: Future> DroppedUnder<F> {
    pub(crate) fn new(subscriber: Dispatch, future: F) -> Self {
        Self {
            future: Some(Box::pin(future)),
            subscriber,
        }
    }
}

/// Gives a future that leaves its thread its subscriber: while it runs, and when it is dropped.
pub(crate) fn carried<F: Future>(
    subscriber: Dispatch,
    future: F,
) -> impl Future<Output = F::Output> + use<F> {
    let running = future.with_subscriber(subscriber.clone());
    DroppedUnder::new(subscriber, running)
}

impl<F: Future> Future for DroppedUnder<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let future = self.future.as_mut().expect("only the drop takes it");
        future.as_mut().poll(context)
    }
}

impl<F> Drop for DroppedUnder<F> {
    fn drop(&mut self) {
        let future = self.future.take();
        dispatcher::with_default(&self.subscriber, || drop(future));
    }
}
