//! How one run is started, where that differs from run to run.

use std::time::SystemTime;

/// How one run is started, for [`run_with`](crate::DotFlow::run_with) and
/// [`spawn_with`](crate::DotFlow::spawn_with).
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
    /// In a box, so that a run which is just started is not the larger for it.
    pub(super) said: Option<Box<Said>>,
}

/// What was said of a run.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    pub(super) id: Option<String>,
    pub(super) resume: bool,
    pub(super) trigger: Option<String>,
    pub(super) scheduled_for: Option<SystemTime>,
}

impl RunOptions {
    /// A run under a new id, that resumes nothing and was started by hand.
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

    /// Sets the id of the run; a new UUID by default. Any string is an id, unless it begins with `#`.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, RunOptions};
    ///
    /// #[action]
    /// fn load() -> u32 { 3 }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let workflow = DotFlow::new("sales", task(load()));
    /// let run = workflow.run_with(RunOptions::new().id("order-42")).await?;
    /// assert_eq!(run.workflow_id(), "order-42");
    /// # Ok::<(), dotflow::Error>(()) }).unwrap();
    /// ```
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.said.get_or_insert_default().id = Some(id.into());
        self
    }

    /// Sets whether the run goes on with what was completed under its id; `false` by default, and then
    /// an id that has checkpoints is an error. `true` needs a
    /// [storage](crate::DotFlow::storage).
    ///
    /// ```
    /// use dotflow::{action, storage::MemoryStorage, task, DotFlow, RunOptions};
    ///
    /// #[action]
    /// fn load() -> u32 { 3 }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let workflow = DotFlow::new("sales", task(load())).storage(MemoryStorage::new());
    /// let options = RunOptions::new().id("order-42").resume(true);
    /// assert!(!workflow.run_with(options.clone()).await?.tasks()[0].restored());
    /// assert!(workflow.run_with(options).await?.tasks()[0].restored());
    /// # Ok::<(), dotflow::Error>(()) }).unwrap();
    /// ```
    pub fn resume(mut self, resume: bool) -> Self {
        self.said.get_or_insert_default().resume = resume;
        self
    }

    /// Sets what started the run, for the span of the run
    /// ([`RUN_TRIGGER`](crate::spans::RUN_TRIGGER)): a word such as `schedule`. By default the span
    /// says nothing of it.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, RunOptions};
    ///
    /// #[action]
    /// fn load() -> u32 { 3 }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let workflow = DotFlow::new("sales", task(load()));
    /// let run = workflow.run_with(RunOptions::new().trigger("webhook")).await?;
    /// assert!(run.succeeded());
    /// # Ok::<(), dotflow::Error>(()) }).unwrap();
    /// ```
    pub fn trigger(mut self, trigger: impl Into<String>) -> Self {
        self.said.get_or_insert_default().trigger = Some(trigger.into());
        self
    }

    /// Sets the time at which the run was due, which its tasks learn from
    /// [`TaskContext::scheduled_for`](crate::TaskContext::scheduled_for); unset by default. It does not
    /// make the run wait.
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
        self.said.get_or_insert_default().scheduled_for = Some(time);
        self
    }

    pub(super) fn id_said(&self) -> Option<&str> {
        self.said.as_ref()?.id.as_deref()
    }

    pub(super) fn resumes(&self) -> bool {
        self.said.as_ref().is_some_and(|said| said.resume)
    }
}
