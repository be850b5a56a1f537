//! The two errors of dotflow: [`TaskError`], why one task has no output, and [`Error`], why a run
//! could not be carried out or is not a success.
//!
//! Both are opaque. A `TaskError` tells its kind, its type and its message; an `Error` answers
//! questions (`is_failed_run`). New reasons can then be added without breaking anyone's `match`.

mod chain;
mod words;
mod task;

use std::{error, fmt, sync::Arc};

pub(crate) use self::task::Again;
use self::task::BoxError;
pub use self::task::{TaskError, TaskErrorKind};
use crate::escape::Escaped;

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

impl Error {
    /// The failure that is to blame for a failed run, as [`Run::ok`](crate::Run::ok) makes it an error;
    /// `None` for all other errors. It is the [`source`](error::Error::source), too.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    /// use std::{error::Error as _, io};
    ///
    /// #[action]
    /// fn load() -> Result<u32, io::Error> { Err(io::ErrorKind::PermissionDenied.into()) }
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let error = DotFlow::new("sales", task(load())).start_blocking()?.ok().unwrap_err();
    /// assert_eq!(error.to_string(), "workflow `sales`: Failed: task:0 `load`");
    /// assert_eq!(error.source().unwrap().to_string(), "permission denied");
    /// let refused: &io::Error = error.failure().unwrap().downcast_ref().unwrap();
    /// assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
    /// # Ok(()) }
    /// ```
    pub fn failure(&self) -> Option<&TaskError> {
        match &*self.inner {
            ErrorKind::FailedRun { cause, .. } => Some(&cause.as_ref()?.error),
            _ => None,
        }
    }

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
        fmt::Display::fmt(&Escaped(&format!("{self:#}")), formatter)?;
        match &*self.inner {
            ErrorKind::FailedRun { tree, .. } => write!(formatter, "\n{tree}"),
            _ => Ok(()),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &*self.inner {
            ErrorKind::RuntimeNotBuilt(error) => Some(error),
            ErrorKind::Storage(error) => error.source(),
            ErrorKind::FailedRun { cause, .. } => Some(&cause.as_ref()?.error),
            _ => None,
        }
    }
}
