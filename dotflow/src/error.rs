//! The two errors of dotflow: [`TaskError`], why one task has no output, and [`Error`], why a run
//! could not be carried out or is not a success.
//!
//! Both are opaque. A `TaskError` tells its kind, its type and its message; an `Error` answers
//! questions (`is_failed_run`). New reasons can then be added without breaking anyone's `match`.

mod task;

use std::{error, fmt, iter, sync::Arc};

use self::task::BoxError;
pub use self::task::{TaskError, TaskErrorKind};
use crate::{escape::Escaped, spans::cut};

/// Why a run could not be carried out, or why it is not a success.
///
/// It is opaque, so that new reasons can be added: ask it by its predicates, of which at most one is
/// true. `Display` says in one sentence what to do; `Debug` adds the tree of a failed run.
///
/// ```
/// use dotflow::{action, task, DotFlow};
///
/// #[action]
/// fn nothing() {}
///
/// let workflow = DotFlow::new("empty", task(nothing()));
/// let future = workflow.start();
/// // Nothing drives this future but a hand-made executor: there is no tokio runtime.
/// let error = futures_util::FutureExt::now_or_never(future).unwrap().unwrap_err();
/// assert!(error.is_no_runtime());
/// ```
pub struct Error {
    inner: Box<ErrorKind>,
}

#[derive(Debug)]
pub(crate) enum ErrorKind {
    NoRuntime,
    NoTimer,
    InsideRuntime,
    RuntimeNotBuilt(std::io::Error),
    RuntimeGone,
    /// There is nothing to resume from.
    NoStorage,
    /// Tasks whose outputs can't be stored, in words.
    NotStorable(Vec<String>),
    InputUnreadable(String),
    /// The input of a run can't be stored: the workflow was given its storage too late.
    InputNotStorable(String),
    /// A run has no input: none was given, and none is stored under its id.
    InputMissing {
        workflow: String,
        id: Option<String>,
    },
    /// The input of a run can't be written, or can't be read.
    InputInvalid {
        workflow: String,
        problem: String,
    },
    /// The workflow, which takes no input, and was given one.
    InputUnexpected(String),
    /// The input of the run of this id.
    InputChanged(String),
    NestedReset(String),
    /// The id of the run, and the workflow that it belongs to.
    OtherWorkflow {
        id: String,
        name: String,
    },
    /// The id that was asked for.
    ReservedId(String),
    /// The id that has checkpoints already.
    AlreadyBegun(String),
    TooDeep {
        depth: usize,
        most: usize,
    },
    Storage(BoxError),
    FailedRun {
        name: Arc<str>,
        status: &'static str,
        tree: String,
        cause: Option<Cause>,
    },
}

/// The failure that is to blame for a failed run.
#[derive(Debug, Clone)]
pub(crate) struct Cause {
    /// Which task failed, in words; `None` where it is not the failure of one task.
    pub(crate) task: Option<String>,
    /// The number of that task.
    pub(crate) number: Option<u32>,
    pub(crate) error: TaskError,
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.task {
            Some(task) => write!(formatter, "{task}: {}", self.error),
            None => fmt::Display::fmt(&self.error, formatter),
        }
    }
}

impl Cause {
    /// The failures from this one down through nested workflows, each with the task that it is of.
    fn chain(&self) -> impl Iterator<Item = &Self> {
        iter::successors(Some(self), |cause| cause.error.within())
    }

    /// The error that all began with: through nested workflows, and the reason why a task was skipped.
    pub(crate) fn root(&self) -> &TaskError {
        let last = self.chain().last().unwrap_or(self);
        last.error.blamed()
    }

    /// As much of the way to that error and of its text as fits into so many bytes: the tasks that it
    /// went through, and what it says.
    pub(crate) fn summary(&self, most: usize) -> String {
        let mut text = String::new();
        let mut last = self;
        for cause in self.chain() {
            if let Some(task) = &cause.task {
                text.push_str(task);
                text.push_str(": ");
            }
            last = cause;
        }
        text.push_str(cut(&last.error.message(), most));
        cut(&text, most).to_owned()
    }
}

impl Error {
    /// Whether there was no tokio runtime to run on.
    ///
    /// Tasks run on the runtime in which a workflow is started. In a program without one,
    /// [`start_blocking`](crate::DotFlow::start_blocking) brings its own.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    ///
    /// #[action]
    /// fn work() {}
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let handle = std::thread::spawn(|| DotFlow::new("w", task(work())).spawn()); // outside of it
    /// assert!(handle.join().unwrap().await.unwrap_err().is_no_runtime());
    /// # });
    /// ```
    pub fn is_no_runtime(&self) -> bool {
        matches!(*self.inner, ErrorKind::NoRuntime)
    }

    /// Whether the tokio runtime has no timer, which timeouts and retries need.
    ///
    /// A runtime built by hand has one only with `enable_time()` or `enable_all()`. Nothing was run,
    /// since a wait would panic in the middle of the run.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    ///
    /// #[action(timeout = "30s")]
    /// fn work() {}
    ///
    /// # fn main() -> Result<(), std::io::Error> {
    /// let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// let run = runtime.block_on(DotFlow::new("timed", task(work())).start());
    /// assert!(run.unwrap_err().is_no_timer());
    /// # Ok(()) }
    /// ```
    pub fn is_no_timer(&self) -> bool {
        matches!(*self.inner, ErrorKind::NoTimer)
    }

    /// Whether outputs were to be stored that can't be: nothing was run.
    ///
    /// With a storage each output must be `Serialize` and `DeserializeOwned`, as a task that is not
    /// stored would be done again without anyone having asked for it. The message names each task
    /// and its type, and says how to leave a task out.
    ///
    /// ```
    /// use dotflow::{action, storage::MemoryStorage, task, DotFlow};
    /// use std::time::Instant;
    ///
    /// #[action]
    /// fn now() -> Instant { Instant::now() }
    ///
    /// let workflow = DotFlow::new("clock", task(now())).storage(MemoryStorage::new());
    /// let error = workflow.start_blocking().unwrap_err();
    /// assert!(error.is_not_storable());
    /// assert!(error.to_string().contains("task:0 `now` returns `std::time::Instant`"));
    /// ```
    pub fn is_not_storable(&self) -> bool {
        matches!(*self.inner, ErrorKind::NotStorable(_))
    }

    /// Whether the run was not resumed because its input has changed: nothing was run.
    ///
    /// What is stored under the id was made from another [`input`](crate::DotFlow::input), so it may
    /// be wrong for this one. [`on_input_change`](crate::DotFlow::on_input_change) says what to do
    /// instead.
    ///
    /// ```
    /// use dotflow::{action, storage::MemoryStorage, task, DotFlow};
    ///
    /// #[action]
    /// fn load(table: String) -> String { table }
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let storage = MemoryStorage::new();
    /// let workflow = |table: &str| {
    ///     DotFlow::new("copy", task(load(table.into()))).storage(storage.clone()).input(table)
    /// };
    /// workflow("sales").resume_blocking("1")?;
    /// assert!(workflow("costs").resume_blocking("1").unwrap_err().is_input_changed());
    /// # Ok(()) }
    /// ```
    pub fn is_input_changed(&self) -> bool {
        matches!(
            *self.inner,
            ErrorKind::InputChanged(_) | ErrorKind::NestedReset(_)
        )
    }

    /// Whether there is no input for a run whose workflow takes one: none was given, and none is stored
    /// under its id.
    ///
    /// ```
    /// use dotflow::{action, storage::MemoryStorage, DotFlow, PreviousContext};
    ///
    /// #[action]
    /// fn double(number: PreviousContext<u32>) -> u32 { *number * 2 }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let double = DotFlow::with_input("double", |number| number.then(double()))
    ///     .storage(MemoryStorage::new());
    /// assert!(double.resume_blocking("1").unwrap_err().is_input_missing());
    /// # Ok(()) }
    /// ```
    pub fn is_input_missing(&self) -> bool {
        matches!(*self.inner, ErrorKind::InputMissing { .. })
    }

    /// Whether the input of a run can't be written as JSON, can't be read from it, or was given to a
    /// workflow that takes none.
    ///
    /// ```
    /// use dotflow::{action, AnyWorkflow, DotFlow, PreviousContext, RunOptions};
    ///
    /// #[action]
    /// fn double(number: PreviousContext<u32>) -> u32 { *number * 2 }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let double = AnyWorkflow::from(DotFlow::with_input("double", |number| number.then(double())));
    /// let error = double.run_with(RunOptions::new(), Some("\"four\"")).await.unwrap_err();
    /// assert!(error.is_input_invalid());
    /// # });
    /// ```
    pub fn is_input_invalid(&self) -> bool {
        matches!(
            *self.inner,
            ErrorKind::InputInvalid { .. }
                | ErrorKind::InputUnreadable(_)
                | ErrorKind::InputNotStorable(_)
                | ErrorKind::InputUnexpected(_)
        )
    }

    /// Whether the id belongs to a run of another workflow: nothing was run.
    ///
    /// Tasks of two workflows may share a name, so that one would restore what the other has stored.
    /// A workflow is known by its name: renamed, it is another one.
    ///
    /// ```
    /// use dotflow::{action, storage::MemoryStorage, task, DotFlow};
    ///
    /// #[action]
    /// fn load() -> u32 { 3 }
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let storage = MemoryStorage::new();
    /// let workflow = |name: &str| DotFlow::new(name, task(load())).storage(storage.clone());
    /// workflow("sales").resume_blocking("1")?;
    /// assert!(workflow("costs").resume_blocking("1").unwrap_err().is_other_workflow());
    /// # Ok(()) }
    /// ```
    pub fn is_other_workflow(&self) -> bool {
        matches!(*self.inner, ErrorKind::OtherWorkflow { .. })
    }

    /// Whether the run was to be a new one, but its id has checkpoints already: nothing was run.
    ///
    /// Going on with an earlier run has to be asked for, by [`resume`](crate::DotFlow::resume) or
    /// [`RunOptions::resume`](crate::RunOptions::resume), so that an id that is used twice by mistake
    /// does not pass for work done.
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
    /// workflow.run_with(options.clone()).await?;
    /// assert!(workflow.run_with(options).await.unwrap_err().is_already_begun());
    /// # Ok::<(), dotflow::Error>(()) }).unwrap();
    /// ```
    pub fn is_already_begun(&self) -> bool {
        matches!(*self.inner, ErrorKind::AlreadyBegun(_))
    }

    /// Whether more workflows are nested in each other than can be run: nothing was run.
    ///
    /// At most 64 can be, since each of them is a call within the stack of the one around it. A chain
    /// of tasks has no limit.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    ///
    /// #[action]
    /// fn work() {}
    ///
    /// let mut workflow = DotFlow::new("1", task(work()));
    /// for depth in 2..=65 {
    ///     workflow = DotFlow::new(depth.to_string(), task(workflow));
    /// }
    /// assert!(workflow.start_blocking().unwrap_err().is_too_deep());
    /// ```
    pub fn is_too_deep(&self) -> bool {
        matches!(*self.inner, ErrorKind::TooDeep { .. })
    }

    /// Whether the id begins with `#`: nothing was run.
    ///
    /// Such ids are dotflow's own: it stores under them what belongs to no single run.
    ///
    /// ```
    /// use dotflow::{action, storage::MemoryStorage, task, DotFlow};
    ///
    /// #[action]
    /// fn load() -> u32 { 3 }
    ///
    /// let workflow = DotFlow::new("sales", task(load())).storage(MemoryStorage::new());
    /// assert!(workflow.resume_blocking("#42").unwrap_err().is_reserved_id());
    /// ```
    pub fn is_reserved_id(&self) -> bool {
        matches!(*self.inner, ErrorKind::ReservedId(_))
    }

    /// Whether the storage failed before anything was run.
    ///
    /// A storage that fails later on fails the task whose output it was to keep, with the kind
    /// [`Storage`](TaskErrorKind::Storage), and not the run as a whole.
    ///
    /// ```
    /// use dotflow::{action, storage::FileStorage, task, DotFlow};
    ///
    /// #[action]
    /// fn load() -> u32 { 3 }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let folder = folder.path();
    /// let workflow = DotFlow::new("sales", task(load())).storage(FileStorage::open(folder)?);
    /// std::fs::write(folder.join("order-42"), "in the way of the folder for this run")?;
    /// assert!(workflow.resume_blocking("order-42").unwrap_err().is_storage());
    /// # Ok(()) }
    /// ```
    pub fn is_storage(&self) -> bool {
        matches!(*self.inner, ErrorKind::Storage(_))
    }

    /// Whether the run was carried out, but is not a success (from [`Run::ok`](crate::Run::ok)).
    ///
    /// All other errors mean that the run was not carried out. A run whose tasks fail is a result like
    /// any other, until `ok` makes an error of it.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    ///
    /// #[action]
    /// fn refuse() -> Result<(), String> { Err("no".into()) }
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let run = DotFlow::new("refused", task(refuse())).start_blocking()?;
    /// assert!(run.ok().unwrap_err().is_failed_run());
    /// # Ok(()) }
    /// ```
    pub fn is_failed_run(&self) -> bool {
        matches!(*self.inner, ErrorKind::FailedRun { .. })
    }
}

impl TaskError {
    /// The error that this one is made of: why a task was skipped; else itself.
    fn blamed(&self) -> &Self {
        let mut error = self;
        while let TaskErrorKind::Skipped = error.kind()
            && let Some(cause) = error.get_ref().and_then(|cause| cause.downcast_ref())
        {
            error = cause;
        }
        error
    }

    /// The failure within, where a nested workflow is what has failed.
    fn within(&self) -> Option<&Cause> {
        let failed: &Error = self.blamed().get_ref()?.downcast_ref()?;
        match &*failed.inner {
            ErrorKind::FailedRun { cause, .. } => cause.as_ref(),
            _ => None,
        }
    }

    /// The class of the error for telemetry: its type, or that of the failure within a nested
    /// workflow.
    pub(crate) fn class(&self) -> &str {
        let root = self.within().map_or_else(|| self.blamed(), Cause::root);
        match root.kind() {
            TaskErrorKind::TimedOut => TIMEOUT,
            _ => root.type_name(),
        }
    }
}

/// The class of what has taken too long, as the conventions of OpenTelemetry have it.
pub(crate) const TIMEOUT: &str = "timeout";

impl From<ErrorKind> for Error {
    #[cold]
    fn from(kind: ErrorKind) -> Self {
        Self {
            inner: Box::new(kind),
        }
    }
}

impl fmt::Debug for Error {
    // `main` prints a returned error with `Debug`: a sentence serves the reader better there than
    // the fields would, and so does the tree of a failed run.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It goes to a terminal, and messages of errors come from anywhere.
        fmt::Display::fmt(&Escaped(&self.to_string()), formatter)?;
        match &*self.inner {
            ErrorKind::FailedRun { tree, .. } => write!(formatter, "\n{tree}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.inner {
            ErrorKind::NoRuntime => formatter.write_str(
                "there is no tokio runtime here: call this inside one (as under \
                 #[tokio::main]), or use start_blocking() or resume_blocking(), which bring one",
            ),
            ErrorKind::NoTimer => formatter.write_str(
                "the tokio runtime has no timer, which timeouts and retries need: build it with \
                 enable_time() or enable_all()",
            ),
            ErrorKind::InsideRuntime => formatter.write_str(
                "start_blocking() and resume_blocking() would block a thread of the tokio runtime \
                 they were called on: use start().await or resume().await there, or call them in \
                 an action that is a plain function, which may block",
            ),
            ErrorKind::RuntimeNotBuilt(_) => {
                formatter.write_str("the runtime for start_blocking() could not be built")
            }
            ErrorKind::RuntimeGone => formatter.write_str(
                "the tokio runtime was shut down before the workflow in the background ended",
            ),
            ErrorKind::NoStorage => formatter.write_str(
                "there is no storage to resume from: give the workflow one, as \
                 .storage(FileStorage::open(\".dotflow\")?)",
            ),
            ErrorKind::NotStorable(tasks) => write!(
                formatter,
                "the workflow has a storage, but these outputs can't be stored: {}. Let the types \
                 implement serde's Serialize and Deserialize (a closure says `.checkpointed()` \
                 besides, a generic action `#[action(checkpoint)]`), or mark the tasks by \
                 `checkpoint = false` (or `.without_checkpoint()`), which has them run again \
                 whenever the run is resumed",
                tasks.join("; ")
            ),
            ErrorKind::InputUnreadable(error) => write!(
                formatter,
                "the value given to .input() can't be written as JSON, so its changes can't be \
                 noticed: {error}"
            ),
            ErrorKind::InputNotStorable(workflow) => write!(
                formatter,
                "the input of workflow `{workflow}` can't be stored, since its storage was set \
                 after .with(input), when the type of the input was not known any more: call \
                 .storage() before .with()"
            ),
            ErrorKind::InputMissing {
                workflow,
                id: Some(id),
            } => write!(
                formatter,
                "workflow `{workflow}` takes an input, and none is stored under the id {id:?}: give \
                 it by .with(input).resume(id)"
            ),
            ErrorKind::InputMissing { workflow, id: None } => write!(
                formatter,
                "workflow `{workflow}` takes an input, and was given none"
            ),
            ErrorKind::InputInvalid { workflow, problem } => write!(
                formatter,
                "this can't be the input of workflow `{workflow}`: {problem}"
            ),
            ErrorKind::InputUnexpected(workflow) => write!(
                formatter,
                "workflow `{workflow}` takes no input, and was given one"
            ),
            ErrorKind::InputChanged(id) => write!(
                formatter,
                "the input is not the one that workflow {id:?} was run with, so its checkpoints \
                 may be out of date: resume it with the old input, start under another id, or \
                 say by .on_input_change() whether to go on with the checkpoints (Reuse) or to \
                 remove them (Reset)"
            ),
            ErrorKind::NestedReset(id) => write!(
                formatter,
                "the input of the nested workflow {id:?} has changed, and its checkpoints can't \
                 be removed without those of the run around it: give the input to the outermost \
                 workflow"
            ),
            ErrorKind::OtherWorkflow { id, name } => write!(
                formatter,
                "the id {id:?} belongs to a run of workflow `{name}`, whose checkpoints are stored \
                 under it: start this workflow under another id, or resume that one"
            ),
            ErrorKind::AlreadyBegun(id) => write!(
                formatter,
                "there are checkpoints under the id {id:?} already: resume that run, by resume() or \
                 RunOptions::resume(true), or start a new one under another id"
            ),
            ErrorKind::TooDeep { depth, most } => write!(
                formatter,
                "{depth} workflows are nested in each other, and at most {most} can be: use tasks \
                 of one workflow instead, as a chain of tasks has no limit"
            ),
            ErrorKind::ReservedId(id) => write!(
                formatter,
                "the id {id:?} begins with `#`, which dotflow keeps for itself: take another one"
            ),
            ErrorKind::Storage(error) => write!(formatter, "nothing was run: {error}"),
            ErrorKind::FailedRun {
                name,
                status,
                cause,
                ..
            } => {
                write!(formatter, "workflow `{name}`: {status}")?;
                match cause {
                    Some(cause) => write!(formatter, ": {cause}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &*self.inner {
            ErrorKind::RuntimeNotBuilt(error) => Some(error),
            ErrorKind::Storage(error) => error.source(),
            // The message ends with that of the cause, so the chain goes on behind it.
            ErrorKind::FailedRun { cause, .. } => cause.as_ref()?.error.source(),
            _ => None,
        }
    }
}
