//! Work that leaves its thread: the blocking pool, and the subscriber of the caller, which goes
//! along.

mod attempt;

use std::{
    future::Future,
    panic,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{runtime::Handle, task::JoinHandle};
use tracing::{Dispatch, Span, dispatcher, instrument::WithSubscriber, subscriber::NoSubscriber};

pub(crate) use self::attempt::{Attempt, name_late, remember_late};
use crate::unwind::HeldSpan;

/// The current subscriber, if there is one.
pub(crate) fn subscriber() -> Option<Dispatch> {
    dispatcher::get_default(|dispatch| (!dispatch.is::<NoSubscriber>()).then(|| dispatch.clone()))
}

/// The runtime was shut down before the function could run.
#[derive(Debug)]
pub(crate) struct RuntimeGone;

/// Runs a function on the blocking pool, so that it does not hold up async tasks.
///
/// It runs within the span and under the subscriber of whoever waits for it, and its panics are
/// theirs. When they stop waiting, a function that has not begun yet never does; one that has begun
/// goes on to its end, and its result is dropped. Without a runtime it runs in place.
pub(crate) async fn blocking<R: Send + 'static>(
    function: impl FnOnce() -> R + Send + 'static,
) -> Result<R, RuntimeGone> {
    blocking_below(None, function).await
}

/// As [`blocking`], and holds the span that is the parent of the current one as long as that: a
/// span that closes closes its parent, and where a subscriber panics at both, that would end the
/// process.
pub(crate) async fn blocking_below<R: Send + 'static>(
    parent: Option<HeldSpan>,
    function: impl FnOnce() -> R + Send + 'static,
) -> Result<R, RuntimeGone> {
    let Ok(runtime) = Handle::try_current() else {
        return Ok(function());
    };
    let mut running = AbortOnDrop(match subscriber() {
        None => runtime.spawn_blocking(function),
        Some(subscriber) => {
            let mut within = Within {
                function: Some((HeldSpan::new(Span::current()), function)),
                parent,
                subscriber,
            };
            runtime.spawn_blocking(move || within.call())
        }
    });
    match (&mut running.0).await {
        Ok(returned) => Ok(returned),
        Err(error) if error.is_panic() => panic::resume_unwind(error.into_panic()),
        Err(_) => Err(RuntimeGone),
    }
}

/// Does not wait for a function any more; one that has not begun never does.
///
/// tokio-util has the same, behind a feature that brings one more crate to every user of dotflow.
struct AbortOnDrop<R>(JoinHandle<R>);

impl<R> Drop for AbortOnDrop<R> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A function that is called within a span, and dropped under its subscriber even if it is not:
/// a span that closes elsewhere would leave its parent open for good.
struct Within<F> {
    function: Option<(HeldSpan, F)>,
    parent: Option<HeldSpan>,
    subscriber: Dispatch,
}

impl<R, F: FnOnce() -> R> Within<F> {
    fn call(&mut self) -> R {
        let (span, function) = self.function.take().expect("it is called once");
        dispatcher::with_default(&self.subscriber, move || {
            let _entered = span.enter();
            function()
        })
    }
}

impl<F> Drop for Within<F> {
    fn drop(&mut self) {
        let (function, parent) = (self.function.take(), self.parent.take());
        dispatcher::with_default(&self.subscriber, || {
            drop(function);
            drop(parent);
        });
    }
}

/// A future that is dropped under the subscriber that it was made under, wherever that happens.
///
/// A span that closes closes its parent by way of the current subscriber. Without this, the span
/// of a run whose tasks are dropped by the runtime would stay open for good.
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
