//! Runs with a storage: what is stored, and how they are resumed.

use std::{future::Future, sync::Arc};

use serde::Serialize;

use super::{DotFlow, block_on, options::RunOptions, restore::OnInputChange, run::Run};
use crate::{checkpoint::Fingerprint, error::Error, storage::Storage};

impl<T: Send + Sync + 'static, In> DotFlow<T, In> {
    /// Says what the workflow depends on, so that a resumed run notices a change of it.
    ///
    /// Nothing else tells a resumed run that a task was given another argument: without an input,
    /// `load("costs")` is restored from what `load("sales")` has stored. So an id stands for one
    /// set of arguments, or the arguments go in here, as a tuple if there are several.
    ///
    /// A fingerprint of the value is stored with the first run of an id; not the value. What it
    /// holds should be written the same way each time: a `BTreeMap`, a `HashMap` or a struct, but
    /// not a `HashSet`, whose order varies. What JSON can't tell apart (a float that is not a number,
    /// `Some(())` from `None`) is an error before anything is run. Checkpoints that were stored
    /// without an input count as those of another one. Without a [storage](Self::storage) nothing is
    /// compared. By default there is no input.
    ///
    /// ```
    /// use dotflow::{action, storage::MemoryStorage, task, DotFlow, OnInputChange};
    ///
    /// #[action]
    /// fn load(table: String) -> String { format!("rows of {table}") }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let storage = MemoryStorage::new();
    /// let workflow = |table: &str| {
    ///     DotFlow::new("copy", task(load(table.into())))
    ///         .storage(storage.clone())
    ///         .input(table)
    /// };
    /// workflow("sales").resume("1").await?;
    /// assert!(workflow("costs").resume("1").await.unwrap_err().is_input_changed());
    /// let anew = workflow("costs").on_input_change(OnInputChange::Reset).resume("1").await?;
    /// assert_eq!(*anew.output()?, "rows of costs");
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn input<I: Serialize + ?Sized>(self, input: &I) -> Self {
        let fingerprint = Fingerprint::of(input).map_err(|error| error.to_string().into());
        self.configure(|definition| definition.restore.declared = Some(fingerprint))
    }

    /// Sets how large an output may be to be stored, in bytes of its JSON; 64 MiB by default. It
    /// applies to each output on its own, and only where there is a [storage](Self::storage).
    ///
    /// A task with a larger one has failed (kind `Storage`): store the data where it belongs, and
    /// return a reference to it. Above 1 MiB an event at level WARN names the task.
    ///
    /// ```
    /// use dotflow::{action, storage::MemoryStorage, task, DotFlow, TaskErrorKind};
    ///
    /// #[action]
    /// fn rows() -> Vec<u32> { (0..1000).collect() }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let workflow = DotFlow::new("rows", task(rows())).storage(MemoryStorage::new()).max_output(100);
    /// let error = workflow.start().await?.output().unwrap_err();
    /// assert_eq!(error.kind(), TaskErrorKind::Storage);
    /// # Ok::<(), dotflow::Error>(()) }).unwrap();
    /// ```
    pub fn max_output(self, bytes: usize) -> Self {
        self.configure(|definition| definition.restore.max_output = bytes)
    }

    /// Sets what a resumed run does when the [input](Self::input) has changed; by default it is an
    /// error ([`OnInputChange::Fail`]).
    ///
    /// ```
    /// use dotflow::{action, storage::MemoryStorage, task, DotFlow, OnInputChange};
    ///
    /// #[action]
    /// fn load(table: String) -> String { table }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let storage = MemoryStorage::new();
    /// let workflow = |table: &str| {
    ///     DotFlow::new("copy", task(load(table.into()))).storage(storage.clone()).input(table)
    /// };
    /// workflow("sales").resume_blocking("1")?;
    /// let reused = workflow("costs").on_input_change(OnInputChange::Reuse).resume_blocking("1")?;
    /// assert_eq!(*reused.output()?, "sales");
    /// # Ok(()) }
    /// ```
    pub fn on_input_change(self, reaction: OnInputChange) -> Self {
        self.configure(|definition| definition.restore.on_input_change = reaction)
    }
}

impl<T: Send + Sync + 'static> DotFlow<T> {
    /// Stores the output of each task as soon as it has completed, so that a run can be
    /// [resumed](Self::resume).
    ///
    /// A task counts as completed once its output is stored. If the storage fails, the task has
    /// failed (kind `Storage`, without a further attempt), as it would be done again otherwise;
    /// what was stored before stays. Not stored are: failed tasks; tasks that ran although one
    /// before them had failed, and what follows from those; tasks under `checkpoint = false`; and
    /// a nested workflow as a whole, as its own tasks are.
    ///
    /// Outputs are stored as JSON, by their own `Serialize` and `Deserialize`. A task whose output
    /// can't be stored is an error before anything is run. Without a storage, which is the default,
    /// nothing is stored.
    ///
    /// ```
    /// use dotflow::{action, storage::MemoryStorage, task, DotFlow};
    ///
    /// #[action]
    /// fn extract() -> Vec<u32> { vec![3, 5, 8] }
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let workflow = DotFlow::new("sales", task(extract())).storage(MemoryStorage::new());
    /// let run = workflow.start_blocking()?; // stored too, under a new id
    /// assert!(workflow.resume_blocking(run.workflow_id())?.tasks()[0].restored());
    /// # Ok(()) }
    /// ```
    pub fn storage(self, storage: impl Storage) -> Self {
        self.configure(|definition| definition.restore.storage = Some(Arc::new(storage)))
    }

    /// Runs the workflow under an id: tasks that have completed under it are restored, all others
    /// are run.
    ///
    /// Any string is an id, unless it begins with `#`. With nothing stored under it, this is a first
    /// run. A run by [`start`](Self::start) gets a new id and is stored too, so it can be resumed by
    /// its [`workflow_id`](Run::workflow_id). An id belongs to one workflow: another one is refused
    /// under it, and nothing of either is touched.
    ///
    /// A restored task has a span and a report that say so ([`TaskReport::restored`]), and is not
    /// run. A checkpoint belongs to a task by its name, `#2`, `#3` … added where names repeat; the
    /// items of [`each`](crate::Task::each) and the tasks of nested workflows have one each. A
    /// checkpoint that is damaged, or was made for another task, is refused: its task fails (kind
    /// `Storage`), the error says where it lies, and nothing is overwritten.
    ///
    /// What a failure fed, handled or not, is neither stored nor restored, also through nested
    /// workflows and lists: once the failed task gets another chance, all that must follow. And a
    /// run hands on what a resumed run would: the output as it is read back from its checkpoint.
    ///
    /// # When the program has changed
    ///
    /// | since it was stored | a resumed run |
    /// |---|---|
    /// | a task was added, at the end or beside others | runs it, and restores the others |
    /// | a task was inserted before a stored one, or removed before it | refuses the stored one, since it now comes after another task |
    /// | a task was removed that none comes after | ignores its checkpoint |
    /// | a task was renamed | runs it, and refuses stored ones that come after it |
    /// | an action has another `version` | runs it, and all that comes after it |
    /// | the workflow has another name | refuses the whole run |
    /// | a task returns another type | refuses it, even where the JSON could be read |
    /// | a type of the same name has changed | reads what its `Deserialize` still reads, and refuses the rest |
    /// | more or fewer tasks, or nested workflows, share a name | refuses them, since it is unclear which one is which |
    /// | the code of an action, its arguments or its settings (`retry` …) | can't see it, and restores its output; `#[action(version = 2)]` makes code seen, and [`input`](Self::input) arguments |
    ///
    /// A refused checkpoint is an error that says what to do: give the task another name to have it
    /// run again, or start under another id.
    ///
    /// # Two runs of one id
    ///
    /// Two runs of one id at the same time don't wait for each other: a task may be done by both.
    /// Then the first output that is stored is the one that both go on with.
    ///
    /// [`TaskReport::restored`]: crate::TaskReport::restored
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start); and when there is no storage, when an output can't be stored,
    /// when the [input](Self::input) has changed, when the id is that of another workflow or begins
    /// with `#`, or when the storage fails before the first task.
    ///
    /// ```
    /// use dotflow::{action, storage::MemoryStorage, task, DotFlow, PreviousContext};
    /// use std::sync::atomic::{AtomicU32, Ordering};
    ///
    /// #[action]
    /// fn extract() -> Vec<u32> { vec![3, 5, 8] }
    ///
    /// #[action]
    /// fn load(rows: PreviousContext<Vec<u32>>) -> Result<usize, String> {
    ///     static CALLS: AtomicU32 = AtomicU32::new(0);
    ///     match CALLS.fetch_add(1, Ordering::Relaxed) {
    ///         0 => Err("the table is locked".into()),
    ///         _ => Ok(rows.len()),
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let workflow = DotFlow::new("sales", task(extract()).then(load())).storage(MemoryStorage::new());
    /// let failed = workflow.resume("order-42").await?;
    /// assert!(!failed.succeeded());
    ///
    /// let run = workflow.resume("order-42").await?;
    /// assert_eq!(*run.output()?, 3);
    /// let restored: Vec<bool> = run.tasks().iter().map(|task| task.restored()).collect();
    /// assert_eq!(restored, [true, false]);
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn resume(
        &self,
        workflow_id: &str,
    ) -> impl Future<Output = Result<Run<T>, Error>> + Send + 'static + use<T> {
        self.run_with(RunOptions::new().id(workflow_id).resume(true))
    }

    /// Does what [`resume`](Self::resume) does, in a program without a tokio runtime.
    ///
    /// # Errors
    ///
    /// As [`resume`](Self::resume) and [`start_blocking`](Self::start_blocking).
    ///
    /// ```
    /// use dotflow::{action, storage::MemoryStorage, task, DotFlow};
    ///
    /// #[action]
    /// fn extract() -> Vec<u32> { vec![3, 5, 8] }
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let workflow = DotFlow::new("sales", task(extract())).storage(MemoryStorage::new());
    /// assert!(!workflow.resume_blocking("order-42")?.tasks()[0].restored());
    /// assert!(workflow.resume_blocking("order-42")?.tasks()[0].restored());
    /// # Ok(()) }
    /// ```
    pub fn resume_blocking(&self, workflow_id: &str) -> Result<Run<T>, Error> {
        block_on(self.resume(workflow_id))
    }
}
