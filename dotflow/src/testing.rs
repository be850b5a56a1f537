//! What tests of workflows need: the trace of a run as text, a task's action exchanged for another one,
//! failures injected, and outcomes by the name of the task. Feature `testing`.
//!
//! Turn it on where the tests are, so that the program itself is built without:
//!
//! ```toml
//! [dev-dependencies]
//! dotflow = { version = "0.1", features = ["testing"] }
//! ```
//!
//! A test takes the workflow that the program runs, exchanges what goes outside, lets something fail, and
//! compares text:
//!
//! ```
//! use dotflow::{
//!     DotFlow, PreviousContext, Status, TaskError, action, task,
//!     testing::{capture, statuses},
//! };
//!
//! #[action]
//! fn extract() -> Result<Vec<u32>, std::io::Error> {
//!     Err(std::io::Error::other("there is no database where tests run"))
//! }
//!
//! #[action(retry = 3, retry_delay = "1m")]
//! async fn load(rows: PreviousContext<Vec<u32>>) -> usize {
//!     tracing::info!(rows = rows.len(), "loaded");
//!     rows.len()
//! }
//!
//! fn sales() -> DotFlow<usize> {
//!     DotFlow::new("sales", task(extract()).then(load()))
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
//! #     .block_on(async {
//! // In a test this function is under `#[tokio::test(start_paused = true)]`.
//! let workflow = sales()
//!     .replace("extract", action::from_fn("rows", || async { Ok::<Vec<u32>, TaskError>(vec![3, 5, 8]) }))
//!     .fail("load", ..=1, TaskError::failed("the warehouse is busy"));
//!
//! let trace = capture();
//! let run = workflow.start().await?;
//!
//! assert_eq!(*run.output()?, 3);
//! assert_eq!(statuses(run.report())["load"], Status::Completed);
//! assert_eq!(trace.text(), "\
//! [Trace: workflow_id=…] sales OK — Completed
//! ├── [Span: task:0] extract OK — Completed
//! └── [Span: task:1] load OK — Completed
//!     ├── [Event: retry — attempt 1, &str \"the warehouse is busy\", next in 60s]
//!     └── [Event: info — loaded rows=3]
//! ");
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! # Names
//!
//! A task is named as in the report of a run: `load`. Where several tasks of a workflow have one name,
//! `load` means all of them, and `load#1`, `load#2` one. A task of a workflow within the workflow is
//! `inner/load`, by the name of the task that the inner one is; so are the tasks of a workflow that is
//! built by [`expand`](crate::Task::expand). An item of [`each`](crate::Task::each) is `fetch[3]`, by its
//! index, whatever its label.
//!
//! # Time
//!
//! Delays and timeouts are those of the workflow. With tokio's paused clock (its feature `test-util`)
//! they take no time.

mod capture;
mod exchange;
mod outcomes;
mod recorder;

use std::ops::{Bound, RangeBounds};

use self::exchange::{Change, Faults};
pub use self::{
    capture::{Capture, capture, captured},
    outcomes::statuses,
};
use crate::{action::Action, error::TaskError, workflow::DotFlow};

impl<T: Send + Sync + 'static, In> DotFlow<T, In> {
    /// Has the work of a task done by another action; feature `testing`.
    ///
    /// The task stays what it is: its name, its place in the graph, its retries and timeouts, and whether
    /// its output is stored. The action must return what the task returned, and take what it took or
    /// nothing; since that is checked when it runs, write the types out (a bare `vec![3]` is a
    /// `Vec<i32>`). A workflow within the workflow can be exchanged as a whole, too. See
    /// [`testing`](crate::testing#names) for how a task is named.
    ///
    /// In a workflow that is built when its task is run, by [`expand`](crate::Task::expand), what is
    /// changed is known only then: a name that it has not is no mistake, as another branch may have it,
    /// and an action of other types fails the task that builds it.
    ///
    /// # Panics
    ///
    /// Panics if there is no task of this name, or if the action takes or returns something else.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, PreviousContext, TaskError};
    ///
    /// #[action]
    /// fn fetch() -> Result<u32, std::io::Error> { Err(std::io::Error::other("no network in tests")) }
    ///
    /// #[action]
    /// fn double(number: PreviousContext<u32>) -> u32 { *number * 2 }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let fetched = action::from_fn("fetched", || async { Ok::<u32, TaskError>(21) });
    /// let workflow = DotFlow::new("double", task(fetch()).then(double()))
    ///     .replace("fetch", fetched);
    /// assert_eq!(*workflow.start_blocking()?.output()?, 42);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn replace(self, task: &str, action: impl Action) -> Self {
        self.change(task, Change::replace(action))
    }

    /// Lets attempts of a task fail with this error, without calling its action; feature `testing`.
    ///
    /// Attempts count from 1: `..=2` are the first two, `3..` all from the third on, `..` all. What
    /// follows a failed attempt is the task's to say, by its retries; but `retry_if` of an action is not
    /// asked, since the action isn't: say [`without_retry`](TaskError::without_retry) where it would.
    ///
    /// An item of [`each`](crate::Task::each) is named by its index (`fetch[3]`); without one every item
    /// is meant. A task that is a workflow has no attempts of its own: name a task within it, or
    /// [`replace`](Self::replace) it. What is said of tasks of an [`expand`](crate::Task::expand) there
    /// holds here as well.
    ///
    /// # Panics
    ///
    /// Panics if there is no task of this name, or if it is a workflow.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, TaskError};
    ///
    /// #[action(retry = 3, retry_delay = "1ms")]
    /// async fn load() -> u32 { 42 }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let workflow = DotFlow::new("sales", task(load()));
    /// let busy = || TaskError::failed("the warehouse is busy");
    ///
    /// let run = workflow.clone().fail("load", ..=2, busy()).start().await?;
    /// assert_eq!((*run.output()?, run.tasks()[0].retry_count()), (42, 2));
    ///
    /// let run = workflow.fail("load", .., busy()).start().await?;
    /// assert_eq!(run.output().unwrap_err().to_string(), "the warehouse is busy");
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    #[track_caller]
    pub fn fail(self, task: &str, attempts: impl RangeBounds<u32>, error: TaskError) -> Self {
        let owned = |bound: Bound<&u32>| bound.cloned();
        let attempts = (owned(attempts.start_bound()), owned(attempts.end_bound()));
        self.change(task, Change::Fail(Faults { attempts, error }))
    }

    #[track_caller]
    fn change(self, task: &str, change: Change) -> Self {
        let names = exchange::names(self.plan());
        let name = self.plan().name().to_owned();
        match self.edited(&*change.edit(task)) {
            Ok((workflow, true)) => workflow,
            Ok((_, false)) => panic!("the workflow `{name}` has no task `{task}`: it has {names}"),
            Err(problem) => panic!("{problem}"),
        }
    }
}
