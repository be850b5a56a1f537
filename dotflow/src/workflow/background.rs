//! A run in the background, and the handle to await or cancel it.

use std::{
    fmt,
    future::Future,
    panic::resume_unwind,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::task::JoinHandle;

use super::{Definition, new_scope};
use crate::{
    context::RunScope,
    error::{Error, ErrorKind},
    run::Run,
    shield::discard,
    subscriber::{self, carried},
};

/// A run in the background: await it for its [`Run`], or cancel it.
///
/// Dropping the handle detaches the run: it goes on to its end, as long as its runtime lives.
///
/// ```
/// use dotflow::{action, task, DotFlow, Status};
///
/// #[action]
/// async fn forever() { std::future::pending::<()>().await }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let background = DotFlow::new("endless", task(forever())).spawn();
/// background.cancel();
/// let run = background.await?;
/// assert_eq!(run.status(), Status::Cancelled);
/// # Ok::<(), dotflow::Error>(()) }).unwrap();
/// ```
#[must_use = "dropping it detaches the run: nobody learns how it ends"]
pub struct Background<T, Output = Arc<T>> {
    run: Result<JoinHandle<Run<T, Output>>, Option<Error>>,
    scope: Arc<RunScope>,
}

impl<T, Output> Background<T, Output>
where
    T: Send + Sync + 'static,
    Output: Clone + Send + Sync + 'static,
{
    pub(super) fn spawn(definition: Arc<Definition<T, Output>>) -> Self {
        let scope = new_scope();
        // The run begins here, so that the span of the caller is its parent.
        let run = definition.begin(Arc::clone(&scope)).map(|watch| {
            let run = async move {
                let run = definition.carry_out(watch).await;
                // It may be the last owner, and then drops the callbacks and what they hold.
                discard(definition);
                run
            };
            match subscriber::current() {
                Some(subscriber) => tokio::spawn(carried(subscriber, run)),
                None => tokio::spawn(run),
            }
        });
        Self {
            run: run.map_err(Some),
            scope,
        }
    }
}

impl<T, Output> Background<T, Output> {
    /// The id of the run.
    pub fn workflow_id(&self) -> &str {
        &self.scope.workflow_id
    }

    /// Cancels the run: futures of tasks are dropped, and blocking code sees its token.
    ///
    /// Await the handle to learn what had been done by then. A run that has ended stays as it is.
    pub fn cancel(&self) {
        self.scope.cancellation.cancel();
    }

    /// Whether the run has ended.
    pub fn is_finished(&self) -> bool {
        self.run.as_ref().map_or(true, JoinHandle::is_finished)
    }
}

impl<T, Output> Future for Background<T, Output> {
    type Output = Result<Run<T, Output>, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let run = match &mut self.run {
            Ok(run) => run,
            Err(error) => {
                let error = error.take().expect("it is not polled after its end");
                return Poll::Ready(Err(error));
            }
        };
        Poll::Ready(match ready!(Pin::new(run).poll(context)) {
            Ok(run) => Ok(run),
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            Err(_) => Err(ErrorKind::RuntimeGone.into()),
        })
    }
}

impl<T, Output> fmt::Debug for Background<T, Output> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Background")
            .field("workflow_id", &self.workflow_id())
            .field("is_finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}
