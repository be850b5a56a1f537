//! One call of an action: the one place where the user's code is polled and dropped.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use tracing::Span;

use crate::{
    error::{TaskError, TaskErrorKind},
    shield::{discard, panic_message},
    task::StepFuture,
    value::Value,
};

/// One call of an action, whose panics are errors: when it is called, polled, or dropped.
///
/// The span is entered wherever code of the user's runs, and nowhere else: to enter it costs more
/// than all the rest of a small task.
pub(super) struct Caught<'task> {
    span: &'task Span,
    future: Option<StepFuture<'task>>,
}

impl<'task> Caught<'task> {
    /// None of the user's code runs before it is polled.
    pub(super) fn new(span: &'task Span, future: StepFuture<'task>) -> Self {
        Self {
            span,
            future: Some(future),
        }
    }
}

impl Future for Caught<'_> {
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
                let error = TaskError::of_kind(TaskErrorKind::Panicked, &panic_message(&*panic));
                discard(panic);
                Err(error)
            }
        };
        discard(self.future.take());
        Poll::Ready(polled)
    }
}

impl Drop for Caught<'_> {
    fn drop(&mut self) {
        if let Some(future) = self.future.take() {
            let _entered = self.span.enter();
            discard(future);
        }
    }
}
