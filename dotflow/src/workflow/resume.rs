//! Runs with a storage: what is needed before they begin, and how they are resumed.

use std::{future::Future, sync::Arc};

use futures_util::future::{Either, select};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{Definition, DotFlow, block_on, run_to_end, storable::not_storable};
use crate::{
    checkpoint::{Checkpoints, Compared, Fingerprint},
    clock::new_id,
    context::RunScope,
    error::{Error, ErrorKind},
    plan::Plan,
    run::Run,
    storage::{Storage, StorageError},
};

/// What a resumed run does when the input of its workflow is not the one that it was begun with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum OnInputChange {
    /// It goes on with the checkpoints: what was completed stays as it is.
    Reuse,
    /// It removes all checkpoints of its id and begins anew. Not while another run of the same id
    /// is going on: that one would mix outputs of both inputs.
    Reset,
    /// It is an error, before anything is run.
    #[default]
    Fail,
}

/// The largest output that is stored, unless the workflow says otherwise: 64 MiB.
const DEFAULT_MAX_OUTPUT: usize = 64 * 1024 * 1024;

/// What a workflow says of its storing.
#[derive(Clone)]
pub(super) struct Restoring {
    storage: Option<Arc<dyn Storage>>,
    /// The fingerprint of the input, or why there is none.
    input: Option<Result<Fingerprint, Arc<str>>>,
    on_input_change: OnInputChange,
    /// The largest output that is stored, in bytes of its JSON.
    max_output: usize,
}

impl Default for Restoring {
    fn default() -> Self {
        Self {
            storage: None,
            input: None,
            on_input_change: OnInputChange::default(),
            max_output: DEFAULT_MAX_OUTPUT,
        }
    }
}

impl Restoring {
    /// Makes sure, before anything is run, that all outputs can be stored.
    pub(super) fn check(&self, scope: &RunScope, plan: &Plan) -> Result<(), Error> {
        if scope.checkpoints.is_none() {
            return Ok(());
        }
        if let Some(Err(error)) = &self.input {
            return Err(ErrorKind::InputUnreadable(error.to_string()).into());
        }
        let tasks = not_storable(plan);
        if tasks.is_empty() {
            return Ok(());
        }
        Err(ErrorKind::NotStorable(tasks).into())
    }

    /// Makes sure that the checkpoints were made of the present input.
    pub(super) async fn prepare(&self, scope: &RunScope) -> Result<(), Error> {
        let Some(checkpoints) = &scope.checkpoints else {
            return Ok(());
        };
        // Why there is no fingerprint was asked before the run began.
        let input = self.input.as_ref().and_then(|input| input.as_ref().ok());
        if checkpoints.is_nested() && input.is_none() {
            return Ok(());
        }
        let compared = Box::pin(self.compare(scope, checkpoints, input));
        let cancelled = Box::pin(scope.cancellation.cancelled());
        match select(compared, cancelled).await {
            Either::Left((compared, _)) => compared,
            // The engine sees it as well, before it begins anything.
            Either::Right(_) => Ok(()),
        }
    }

    async fn compare(
        &self,
        scope: &RunScope,
        checkpoints: &Checkpoints,
        input: Option<&Fingerprint>,
    ) -> Result<(), Error> {
        let failed = |error: StorageError| Error::from(ErrorKind::Storage(error.into()));
        let id = || scope.workflow_id.to_string();
        let mut compared = checkpoints.compare(input).await.map_err(failed)?;
        if compared == Compared::InputChanged && self.on_input_change == OnInputChange::Reset {
            if checkpoints.is_nested() {
                return Err(ErrorKind::NestedReset(id()).into());
            }
            checkpoints.remove_all().await.map_err(failed)?;
            // Another run may have begun with another input in between.
            compared = checkpoints.compare(input).await.map_err(failed)?;
        }
        match compared {
            Compared::Same => Ok(()),
            Compared::InputChanged if self.on_input_change == OnInputChange::Reuse => Ok(()),
            Compared::InputChanged => Err(ErrorKind::InputChanged(id()).into()),
            Compared::OtherWorkflow(name) => {
                Err(ErrorKind::OtherWorkflow { id: id(), name }.into())
            }
        }
    }

    pub(super) fn has_no_input(&self) -> bool {
        self.input.is_none()
    }
}

impl<T, Output> Definition<T, Output> {
    /// Whether an output of the workflow follows from a failure that was handled.
    pub(super) fn is_provisional(&self, scope: &RunScope) -> bool {
        scope.checkpoints.as_ref().is_some_and(|checkpoints| {
            let mut sinks = self.plan.sinks.iter();
            sinks.any(|sink| checkpoints.has_provisional_output(*sink))
        })
    }

    /// What a run has for itself: the id that it is resumed under, or a new one.
    pub(super) fn scope(&self, workflow_id: Option<String>) -> Arc<RunScope> {
        let workflow_id: Arc<str> = workflow_id.unwrap_or_else(new_id).into();
        let storage = self.restoring.storage.as_ref();
        Arc::new(RunScope {
            checkpoints: storage.map(|storage| {
                let (storage, id) = (Arc::clone(storage), Arc::clone(&workflow_id));
                let plan = Arc::clone(&self.plan) as _;
                Checkpoints::new(storage, id, plan, self.restoring.max_output)
            }),
            workflow_id,
            cancellation: CancellationToken::new(),
        })
    }
}

impl<T, Output> DotFlow<T, Output>
where
    T: Send + Sync + 'static,
    Output: Clone + Send + Sync + 'static,
{
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
    /// can't be stored is an error before anything is run.
    pub fn storage(self, storage: impl Storage) -> Self {
        self.configure(|definition| definition.restoring.storage = Some(Arc::new(storage)))
    }

    /// Says what the workflow depends on, so that a resumed run notices a change of it.
    ///
    /// Nothing else tells a resumed run that a task was given another argument: without an input,
    /// `load("costs")` is restored from what `load("sales")` has stored. So an id stands for one
    /// set of arguments, or the arguments go in here, as a tuple if there are several.
    ///
    /// A fingerprint of the value is stored with the first run of an id; not the value. What it
    /// holds should be written the same way each time: a `BTreeMap`, a `HashMap` or a struct, but
    /// no `HashSet`, whose order varies. What JSON can't tell apart (a float that is no number,
    /// `Some(())` from `None`) is an error before anything is run. Checkpoints that were stored without an input count as
    /// those of another one. Without a [storage](Self::storage) nothing is compared.
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
        self.configure(|definition| definition.restoring.input = Some(fingerprint))
    }

    /// Sets how large an output may be to be stored, in bytes of its JSON; 64 MiB unless said
    /// otherwise.
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
        self.configure(|definition| definition.restoring.max_output = bytes)
    }

    /// Sets what a resumed run does when the [input](Self::input) has changed: an error, unless
    /// said otherwise.
    pub fn on_input_change(self, reaction: OnInputChange) -> Self {
        self.configure(|definition| definition.restoring.on_input_change = reaction)
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
    ) -> impl Future<Output = Result<Run<T, Output>, Error>> + Send + 'static + use<T, Output> {
        let definition = Arc::clone(&self.definition);
        let workflow_id = workflow_id.to_owned();
        async move {
            if definition.restoring.storage.is_none() {
                return Err(ErrorKind::NoStorage.into());
            }
            if workflow_id.starts_with('#') {
                return Err(ErrorKind::ReservedId(workflow_id).into());
            }
            run_to_end(definition, Some(workflow_id)).await
        }
    }

    /// Does what [`resume`](Self::resume) does, in a program without a tokio runtime.
    ///
    /// # Errors
    ///
    /// As [`resume`](Self::resume) and [`start_blocking`](Self::start_blocking).
    pub fn resume_blocking(&self, workflow_id: &str) -> Result<Run<T, Output>, Error> {
        block_on(self.resume(workflow_id))
    }
}
