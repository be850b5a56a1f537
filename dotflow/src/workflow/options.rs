//! How one run is started, where that differs from run to run.

use std::time::SystemTime;

/// How one run is started: by [`run_with`](crate::DotFlow::run_with).
///
/// ```
/// use dotflow::{action, storage::MemoryStorage, task, DotFlow, RunOptions};
///
/// #[action]
/// fn load() -> u32 { 3 }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let workflow = DotFlow::new("sales", task(load())).storage(MemoryStorage::new());
/// let options = RunOptions::new().id("order-42");
/// assert_eq!(workflow.run_with(options.clone()).await?.workflow_id(), "order-42");
/// // The id has checkpoints now: to go on with them has to be said.
/// assert!(workflow.run_with(options.clone()).await.unwrap_err().is_already_begun());
/// assert!(workflow.run_with(options.resume(true)).await?.tasks()[0].restored());
/// # Ok::<(), dotflow::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    pub(crate) id: Option<String>,
    pub(crate) resume: bool,
    pub(crate) trigger: Option<String>,
    pub(crate) scheduled_for: Option<SystemTime>,
}

impl RunOptions {
    /// A run under a new id, started by hand.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, RunOptions};
    ///
    /// #[action]
    /// fn load() -> u32 { 3 }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let run = DotFlow::new("sales", task(load())).run_with(RunOptions::new()).await?;
    /// assert!(run.succeeded());
    /// # Ok::<(), dotflow::Error>(()) }).unwrap();
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the id of the run; a new one unless said otherwise. Any string is an id, unless it
    /// begins with `#`.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets whether the run goes on with what was completed under its id; `false` unless said
    /// otherwise, and then an id that has checkpoints is an error.
    pub fn resume(mut self, resume: bool) -> Self {
        self.resume = resume;
        self
    }

    /// Sets what started the run, for the span of the run: a word as `schedule`; nothing unless
    /// said otherwise.
    pub fn trigger(mut self, trigger: impl Into<String>) -> Self {
        self.trigger = Some(trigger.into());
        self
    }

    /// Sets the time that the run was due, which its tasks learn from
    /// [`TaskContext::scheduled_for`](crate::TaskContext::scheduled_for); none unless said
    /// otherwise.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, RunOptions, TaskContext};
    /// use std::time::SystemTime;
    ///
    /// #[action]
    /// fn due(task: TaskContext) -> Option<SystemTime> { task.scheduled_for() }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let options = RunOptions::new().scheduled_for(SystemTime::UNIX_EPOCH);
    /// let run = DotFlow::new("nightly", task(due())).run_with(options).await?;
    /// assert_eq!(*run.output()?, Some(SystemTime::UNIX_EPOCH));
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn scheduled_for(mut self, time: SystemTime) -> Self {
        self.scheduled_for = Some(time);
        self
    }
}
