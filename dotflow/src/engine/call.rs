//! One call of user code: whatever that code does, what comes of it is a value or an error.
//!
//! This is the only place of a run that calls, polls or drops what users have written, but for
//! callbacks and observers, which have no say in it.

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Sleep, sleep};

use crate::{
    action::value::Value,
    error::{TaskError, TaskErrorKind},
    graph::plan::StepFuture,
    offload::Attempt,
    unwind::{self, HeldSpan, drop_catching, in_drop},
};

/// One call of an action, whose panics are errors: when it is called, polled, or dropped.
///
/// The span is entered wherever user code runs, and nowhere else: to enter it costs more than all
/// the rest of a small task.
pub(super) struct Call<'task> {
    span: &'task HeldSpan,
    future: Option<StepFuture<'task>>,
}

impl<'task> Call<'task> {
    /// No user code runs before it is polled.
    pub(super) fn new(span: &'task HeldSpan, future: StepFuture<'task>) -> Self {
        Self {
            span,
            future: Some(future),
        }
    }

    /// Gives up after a time, and tells the code so that can't be stopped.
    ///
    /// The time of a function on the blocking pool counts from when it begins: it may have to wait
    /// for a thread, and that says nothing of it. What ends by itself when it is told is waited for, as
    /// a workflow that is to say what became of its tasks.
    pub(super) async fn within(
        mut self,
        timeout: Duration,
        attempt: &Attempt,
        ends_itself: bool,
    ) -> Result<Value, TaskError> {
        let mut begun = pin!(attempt.begun());
        let mut over: Option<Pin<Box<Sleep>>> = None;
        let result = poll_fn(|context| {
            if let Poll::Ready(result) = Pin::new(&mut self).poll(context) {
                return Poll::Ready(Some(result));
            }
            let over = match &mut over {
                Some(over) => over,
                none => {
                    // An action that does not block has begun with its first poll, which was now.
                    let since = if attempt.is_queued() {
                        ready!(begun.as_mut().poll(context)).elapsed()
                    } else {
                        Duration::ZERO
                    };
                    none.insert(Box::pin(sleep(timeout.saturating_sub(since))))
                }
            };
            over.as_mut().poll(context).map(|()| None)
        });
        if let Some(result) = result.await {
            return result;
        }
        if let Some(cancellation) = &attempt.cancellation {
            cancellation.cancel();
        }
        if ends_itself {
            let _ = self.await;
        }
        let message = format!("timed out after {timeout:?}");
        Err(TaskError::of_kind(TaskErrorKind::TimedOut, &message))
    }
}

impl Future for Call<'_> {
    type Output = Result<Value, TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let _entered = self.span.enter();
        let future = self
            .future
            .as_mut()
            .expect("it is not polled after its end");
        let polled = match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(result)) => result,
            Err(panic) => {
                let told = unwind::told(panic);
                Err(TaskError::panicked(&advised(told.message), told.place))
            }
        };
        drop_catching(self.future.take());
        Poll::Ready(polled)
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if let Some(future) = self.future.take() {
            in_drop(|| {
                let _entered = self.span.enter();
                drop_catching(future);
            });
        }
    }
}

/// What tokio says where code asks for a task-local that nobody has set around it.
const NO_TASK_LOCAL: &str = "cannot access a task-local storage value without setting it first";

/// The message of a panic, and what to do about it where that is known.
///
/// A task-local around a run is seen by a task that runs in place, and by no other; whether there is
/// one can't be asked, as only who declared it knows its name. So this is the first time that anybody
/// can tell.
#[cold]
fn advised(message: String) -> String {
    if message != NO_TASK_LOCAL {
        return message;
    }
    message
        + ": a task-local around a run reaches only some of its tasks. Give the value by \
           `DotFlow::with_input`, or as an input of the action"
}

/// The error of a task whose code panicked.
pub(super) fn panicked(message: &str) -> TaskError {
    TaskError::panicked(message, None)
}

/// Calls a plain function of the user, as a `Clone` or a `Serialize`; a panic gives its message.
pub(super) fn function<R>(call: impl FnOnce() -> R) -> Result<R, String> {
    unwind::catch(call)
}
