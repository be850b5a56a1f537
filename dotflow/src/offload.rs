//! Work that leaves its thread: the blocking pool, and the subscriber of the caller, which goes
//! along.

mod attempt;

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    panic,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    runtime::{Handle, Id},
    task::JoinHandle,
    time::Instant,
};
use tracing::{
    Dispatch, Level, Span, dispatcher, event, instrument::WithSubscriber, subscriber::NoSubscriber,
};

use self::attempt::name_late;
pub(crate) use self::attempt::{Attempt, remember_late};
use crate::{
    spans,
    unwind::{HeldSpan, does_not_panic, for_another_thread},
};

/// The current subscriber, if there is one.
pub(crate) fn subscriber() -> Option<Dispatch> {
    dispatcher::get_default(|dispatch| (!dispatch.is::<NoSubscriber>()).then(|| dispatch.clone()))
}

/// The runtime was shut down before the function could run.
#[derive(Debug)]
pub(crate) struct RuntimeGone;

/// How long a function may wait for a thread before that is told, once at a time.
const LONG_QUEUE: Duration = Duration::from_secs(10);

/// Runs a function on the blocking pool, so that it does not hold up async tasks.
///
/// It runs within the span and under the subscriber of whoever waits for it, and its panics are
/// theirs. When they stop waiting, a function that has not begun yet never does; one that has begun
/// goes on to its end, and its result is dropped. Without a runtime it runs in place.
///
/// It holds the span of its run as long as its own: a span that closes closes its parent, and where a
/// subscriber panics at both, that would end the process.
pub(crate) async fn blocking<R: Send + 'static>(
    attempt: Option<Arc<Attempt>>,
    function: impl FnOnce() -> R + Send + 'static,
) -> Result<R, RuntimeGone> {
    let Ok(runtime) = Handle::try_current() else {
        return Ok(function());
    };
    let subscriber = subscriber();
    // It is told only where somebody may hear it.
    let mut long_queue = (subscriber.is_some() && has_timer(&runtime))
        .then(|| Box::pin(tokio::time::sleep(LONG_QUEUE)));
    let attempt = attempt.or_else(|| long_queue.is_some().then(Arc::default));
    if let Some(attempt) = &attempt {
        attempt.queue();
    }
    let function = {
        let attempt = attempt.clone();
        move || {
            let _running = attempt.as_ref().map(|attempt| attempt.begin());
            let _here = OnPool::enter(true);
            for_another_thread(function)
        }
    };
    let parent = attempt.as_ref().and_then(|attempt| attempt.run.clone());
    let mut running = AbortOnDrop(match subscriber {
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
    let ended = poll_fn(|context| {
        if let Poll::Ready(ended) = Pin::new(&mut running.0).poll(context) {
            return Poll::Ready(ended);
        }
        if let Some(sleep) = &mut long_queue
            && sleep.as_mut().poll(context).is_ready()
        {
            long_queue = None;
            if attempt.as_ref().is_some_and(|one| one.begun_at().is_none()) {
                tell_full_pool(&runtime);
            }
        }
        Poll::Pending
    });
    match ended.await {
        Ok(Ok(returned)) => Ok(returned),
        Ok(Err(panic)) => panic.go_on(),
        // What panics beside the function is a subscriber.
        Err(error) if error.is_panic() => panic::resume_unwind(error.into_panic()),
        Err(_) => Err(RuntimeGone),
    }
}

/// Says that the blocking pool is full, and what is known to fill it: each time it is found so, but
/// not for each function that waits. A run would stand still in silence otherwise.
#[cold]
fn tell_full_pool(runtime: &Handle) {
    static TOLD: Mutex<Option<(Id, Instant)>> = Mutex::new(None);
    let (id, now) = (runtime.id(), Instant::now());
    {
        let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = |(of, at): (Id, Instant)| of != id || now.duration_since(at) >= LONG_QUEUE;
        if !told.is_none_or(is_news) {
            return;
        }
        *told = Some((id, now));
    }
    let late = name_late();
    let late = if late.is_empty() {
        "no function is known to run on though nobody waits for it".to_owned()
    } else {
        format!("these run on though nobody waits for them any more: {late}")
    };
    event!(
        name: "blocking pool full",
        target: spans::TARGET,
        Level::WARN,
        "a plain function has waited {LONG_QUEUE:?} for a thread of the blocking pool, and still \
         does: all threads of it are taken; {late}"
    );
}

/// Whether a runtime can wait for a time. There is no way to ask but to try, which panics where it
/// can't; so the last answer is kept, and the panic is not told.
pub(crate) fn has_timer(runtime: &Handle) -> bool {
    static ANSWER: Mutex<Option<(Id, bool)>> = Mutex::new(None);
    let mut answer = ANSWER.lock().unwrap_or_else(PoisonError::into_inner);
    let known = answer.filter(|(id, _)| *id == runtime.id());
    if let Some((_, has_timer)) = known {
        return has_timer;
    }
    let _entered = runtime.enter();
    let has_timer = does_not_panic(|| drop(tokio::time::sleep(Duration::ZERO)));
    *answer = Some((runtime.id(), has_timer));
    has_timer
}

thread_local! {
    /// Whether this thread is one of the blocking pool, in a function that was offloaded by us.
    static IS_ON_POOL: Cell<bool> = const { Cell::new(false) };
}

/// Where a thread is until this is dropped.
struct OnPool(bool);

impl OnPool {
    fn enter(is_on_pool: bool) -> Self {
        Self(IS_ON_POOL.replace(is_on_pool))
    }
}

impl Drop for OnPool {
    fn drop(&mut self) {
        IS_ON_POOL.set(self.0);
    }
}

/// Waits for a future on a thread that may block, since it is one of the blocking pool; gives the
/// future back on any other.
pub(crate) fn block_on_pool<F: Future>(runtime: &Handle, future: F) -> Result<F::Output, F> {
    if !IS_ON_POOL.get() {
        return Err(future);
    }
    // What the future does is asynchronous again.
    let _elsewhere = OnPool::enter(false);
    Ok(runtime.block_on(future))
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
