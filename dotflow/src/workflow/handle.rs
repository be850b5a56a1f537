//! A run in the background, and the handle to await, cancel or drain it.

use std::{
    fmt,
    future::Future,
    panic::resume_unwind,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    definition::{Definition, Start},
    run::Run,
    shell::Shell,
};
use crate::{
    action::surroundings::RunIdentity,
    error::{Error, ErrorKind},
    offload::{self, carried},
    unwind::drop_catching,
};

/// A run in the background: await it for its [`Run`], or cancel it.
///
/// Dropping the handle detaches the run: it goes on to its end, as long as its runtime lives.
/// Awaiting it gives the errors of [`start`](crate::DotFlow::start), and one of its own when the
/// runtime was shut down before the run had ended.
///
/// ```
/// use dotflow::{action, task, DotFlow, Status};
///
/// #[action]
/// async fn forever() { std::future::pending::<()>().await }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let handle = DotFlow::new("endless", task(forever())).spawn();
/// handle.cancel();
/// let run = handle.await?;
/// assert_eq!(run.status(), Status::Cancelled);
/// # Ok::<(), dotflow::Error>(()) }).unwrap();
/// ```
#[must_use = "dropping it detaches the run: nobody learns how it ends"]
pub struct RunHandle<T> {
    run: Result<JoinHandle<Ended<T>>, Option<Error>>,
    identity: Arc<RunIdentity>,
}

type Ended<T> = Result<Run<T>, Error>;

impl<T: Send + Sync + 'static> RunHandle<T> {
    pub(super) fn spawn(definition: Arc<Definition>, shell: Arc<Shell<T>>, start: Start) -> Self {
        let identity = Arc::clone(&start.identity);
        // The run begins here, so that the span of the caller is its parent.
        let run = definition.begin(start).map(|guard| {
            let run = async move {
                let ended = definition.drive(guard).await;
                let run = ended.map(|ended| shell.finish(ended));
                // They may be the last owners, and then drop the callbacks and what they hold.
                drop_catching((definition, shell));
                run
            };
            match offload::subscriber() {
                Some(subscriber) => tokio::spawn(carried(subscriber, run)),
                None => tokio::spawn(run),
            }
        });
        Self {
            run: run.map_err(Some),
            identity,
        }
    }
}

impl<T> RunHandle<T> {
    /// The id of the run.
    pub fn workflow_id(&self) -> &str {
        &self.identity.workflow_id
    }

    /// Cancels the run: futures of tasks are dropped, and blocking code sees its token.
    ///
    /// Await the handle to learn what had been done by then. A run that has ended stays as it is.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, Status};
    ///
    /// #[action]
    /// async fn endless() { std::future::pending().await }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let handle = DotFlow::new("endless", task(endless())).spawn();
    /// handle.cancel();
    /// assert_eq!(handle.await?.status(), Status::Cancelled);
    /// # Ok::<(), dotflow::Error>(()) }).unwrap();
    /// ```
    pub fn cancel(&self) {
        self.identity.cancellation.cancel();
    }

    /// What cancels the run, for others than the owner of this handle: clones of it can be kept
    /// anywhere.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, Status};
    ///
    /// #[action]
    /// async fn forever() { std::future::pending::<()>().await }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let handle = DotFlow::new("endless", task(forever())).spawn();
    /// let cancellation = handle.cancellation().clone();
    /// tokio::spawn(async move { cancellation.cancel() });
    /// assert_eq!(handle.await?.status(), Status::Cancelled);
    /// # Ok::<(), dotflow::Error>(()) }).unwrap();
    /// ```
    pub fn cancellation(&self) -> &CancellationToken {
        &self.identity.cancellation
    }

    /// Lets running tasks come to their end, and starts nothing new.
    ///
    /// Await the handle to learn what had been done by then: a run with tasks that were not started
    /// is `Cancelled`, and with a storage it can be resumed. A nested workflow is one task of the
    /// run, and comes to its end.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, Status};
    ///
    /// #[action]
    /// async fn work() { tokio::task::yield_now().await }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let handle = DotFlow::new("two", task(work()).then(work())).spawn();
    /// tokio::task::yield_now().await; // the first task runs now
    /// handle.drain();
    /// let run = handle.await?;
    /// assert_eq!(run.status(), Status::Cancelled);
    /// assert_eq!(run.tasks()[0].status(), Status::Completed);
    /// assert_eq!(run.tasks()[1].status(), Status::NotStarted);
    /// # Ok::<(), dotflow::Error>(()) }).unwrap();
    /// ```
    pub fn drain(&self) {
        self.identity.drain();
    }

    /// Whether the run has ended, so that awaiting the handle does not wait. A run that could not
    /// begin has ended as well.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    ///
    /// #[action]
    /// async fn work() { tokio::task::yield_now().await }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let handle = DotFlow::new("short", task(work())).spawn();
    /// assert!(!handle.is_finished());
    /// while !handle.is_finished() {
    ///     tokio::task::yield_now().await;
    /// }
    /// assert!(handle.await?.succeeded());
    /// # Ok::<(), dotflow::Error>(()) }).unwrap();
    /// ```
    pub fn is_finished(&self) -> bool {
        self.run.as_ref().map_or(true, JoinHandle::is_finished)
    }
}

impl<T> Future for RunHandle<T> {
    type Output = Result<Run<T>, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let run = match &mut self.run {
            Ok(run) => run,
            Err(error) => {
                let error = error.take().expect("it is not polled after its end");
                return Poll::Ready(Err(error));
            }
        };
        Poll::Ready(match ready!(Pin::new(run).poll(context)) {
            Ok(run) => run,
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            Err(_) => Err(ErrorKind::RuntimeGone.into()),
        })
    }
}

impl<T> fmt::Debug for RunHandle<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RunHandle")
            .field("workflow_id", &self.workflow_id())
            .field("is_finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}
