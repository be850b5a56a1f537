//! What a task does: the [`Action`] trait, its specification, and actions made from closures.
//!
//! `#[action]` writes implementations of this trait; they can be written by hand as well.

mod from_fn;
pub(crate) mod inputs;
pub(crate) mod context;
pub(crate) mod surroundings;
pub(crate) mod retry;
pub(crate) mod codec;
pub(crate) mod value;

use std::{borrow::Cow, fmt, future::Future, sync::Arc, time::Duration};

pub use tokio_util::sync::CancellationToken;

pub use self::from_fn::{ActionFn, FromFn, from_fn};
use self::{
    codec::{CheckpointPolicy, Storable},
    context::TaskContext,
    inputs::Inputs,
    retry::{RetryPolicy, check_timeout},
};
use crate::error::TaskError;

/// What a task does, with its own inputs inside, ready to be called once per attempt.
///
/// ```
/// use dotflow::{task, Action, ActionSpec, DotFlow, PreviousContext, TaskContext, TaskError};
///
/// struct Double;
///
/// impl Action for Double {
///     type Inputs = (PreviousContext<u32>,);
///     type Output = u32;
///
///     fn spec(&self) -> ActionSpec {
///         ActionSpec::new("double")
///     }
///
///     async fn call(&self, (previous,): Self::Inputs, _: TaskContext) -> Result<u32, TaskError> {
///         Ok(*previous * 2)
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// // An action is tested alone, without a workflow:
/// assert_eq!(Double.run((21.into(),)).await?, 42);
/// # Ok::<(), dotflow::TaskError>(()) }).unwrap();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an action",
    label = "expected an action or a workflow",
    note = "an action is a function under `#[action]`, called with its own inputs: `load(table)`, not `load`",
    note = "a function without it gives what it returns, and an `async` one a future: is `#[action]` missing on the function?"
)]
#[must_use = "an action does nothing until it is placed in a workflow, as by `task(…)`"]
pub trait Action: Send + Sync + 'static {
    /// The previous contexts that it takes: a tuple, empty for none.
    type Inputs: Inputs;
    /// What it returns when it succeeds.
    type Output: Send + Sync + 'static;

    /// Its name and how it is to be run.
    fn spec(&self) -> ActionSpec;

    /// Does the work: called once per attempt.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from its output; [`TaskError::failed`] takes any error.
    fn call(
        &self,
        inputs: Self::Inputs,
        task: TaskContext,
    ) -> impl Future<Output = Result<Self::Output, TaskError>> + Send;

    /// Does the work once, outside any workflow: for tests of a single action.
    ///
    /// Retries, timeout and telemetry belong to the task that an action becomes, so there are
    /// none here.
    ///
    /// # Errors
    ///
    /// What the action fails with.
    fn run(
        &self,
        inputs: Self::Inputs,
    ) -> impl Future<Output = Result<Self::Output, TaskError>> + Send {
        self.call(inputs, TaskContext::detached())
    }
}

/// The name of a task: most are known when the program is built and cost nothing to copy.
#[derive(Clone)]
pub(crate) enum Name {
    Static(&'static str),
    Shared(Arc<str>),
}

impl Name {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Static(name) => name,
            Self::Shared(name) => name,
        }
    }
}

impl Name {
    /// The name as an owned value that copies nothing where it can.
    pub(crate) fn to_cow(&self) -> Cow<'static, str> {
        match self {
            Self::Static(name) => Cow::Borrowed(name),
            Self::Shared(name) => Cow::Owned((**name).to_owned()),
        }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), formatter)
    }
}

/// The name of an action and how it is to be run.
///
/// ```
/// use dotflow::{ActionSpec, RetryPolicy};
/// use std::time::Duration;
///
/// const SPEC: ActionSpec = ActionSpec::new("load")
///     .retry(RetryPolicy::new().attempts(3))
///     .timeout(Duration::from_secs(30));
/// assert_eq!(SPEC.name(), "load");
/// ```
#[derive(Debug, Clone)]
pub struct ActionSpec {
    pub(crate) name: Name,
    pub(crate) retry: RetryPolicy,
    pub(crate) timeout: Option<Duration>,
    pub(crate) checkpoint: Option<CheckpointPolicy>,
    pub(crate) version: u32,
    pub(crate) may_overlap: bool,
    pub(crate) blocks: bool,
}

impl ActionSpec {
    /// An action of this name, with one attempt, no timeout, version 1, and an output that is not
    /// stored.
    ///
    /// # Panics
    ///
    /// Panics if the name is empty, or nothing but white space.
    ///
    /// ```
    /// use dotflow::ActionSpec;
    ///
    /// const SPEC: ActionSpec = ActionSpec::new("load");
    /// assert_eq!(SPEC.name(), "load");
    /// ```
    pub const fn new(name: &'static str) -> Self {
        assert!(
            !name.trim_ascii().is_empty(),
            "the name is empty: an action has a name"
        );
        Self {
            name: Name::Static(name),
            retry: RetryPolicy::new(),
            timeout: None,
            checkpoint: None,
            version: 1,
            may_overlap: false,
            blocks: false,
        }
    }

    /// Sets how many times it is attempted, and how long it waits in between; one attempt by
    /// default.
    ///
    /// ```
    /// use dotflow::{task, Action, ActionSpec, DotFlow, RetryPolicy, TaskContext, TaskError};
    ///
    /// struct Load;
    ///
    /// impl Action for Load {
    ///     type Inputs = ();
    ///     type Output = ();
    ///
    ///     fn spec(&self) -> ActionSpec {
    ///         ActionSpec::new("load").retry(RetryPolicy::new().attempts(3))
    ///     }
    ///
    ///     async fn call(&self, (): (), _: TaskContext) -> Result<(), TaskError> {
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let workflow = DotFlow::new("sales", task(Load));
    /// assert_eq!(workflow.plan().tasks()[0].retry_policy().max_attempts(), 3);
    /// ```
    #[must_use]
    pub const fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Sets how long one attempt may take; without a limit by default. An attempt that takes longer
    /// has failed, and is retried as any other.
    ///
    /// # Panics
    ///
    /// Panics if it is zero, or longer than one year (365 days).
    ///
    /// ```
    /// # use dotflow::{action, task, Action, ActionSpec, DotFlow, TaskContext, TaskError};
    /// # struct Load;
    /// # impl Action for Load {
    /// #     type Inputs = ();
    /// #     type Output = ();
    /// #     fn spec(&self) -> ActionSpec { SPEC }
    /// #     async fn call(&self, (): (), _: TaskContext) -> Result<(), TaskError> { Ok(()) }
    /// # }
    /// use std::time::Duration;
    ///
    /// const SPEC: ActionSpec = ActionSpec::new("load").timeout(Duration::from_secs(30));
    /// # let workflow = DotFlow::new("sales", task(Load));
    /// assert_eq!(workflow.plan().tasks()[0].timeout(), Some(Duration::from_secs(30)));
    /// ```
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        check_timeout(timeout);
        self.timeout = Some(timeout);
        self
    }

    /// Sets the version of what it does; 1 by default. Outputs stored by another version are not
    /// restored: the task is done again, with all that follows it.
    ///
    /// # Panics
    ///
    /// Panics if it is 0.
    ///
    /// ```
    /// use dotflow::ActionSpec;
    ///
    /// const SPEC: ActionSpec = ActionSpec::new("load").version(2);
    /// assert_eq!(SPEC.name(), "load");
    /// ```
    #[must_use]
    pub const fn version(mut self, version: u32) -> Self {
        assert!(version > 0, "the version of an action is at least 1");
        self.version = version;
        self
    }

    /// Says that the next attempt of a plain function under `#[action]` may start while one that has
    /// timed out still runs; unless this is said, it waits until that one has ended.
    ///
    /// ```
    /// use dotflow::ActionSpec;
    ///
    /// const SPEC: ActionSpec = ActionSpec::new("probe").may_overlap();
    /// assert_eq!(SPEC.name(), "probe");
    /// ```
    #[must_use]
    pub const fn may_overlap(mut self) -> Self {
        self.may_overlap = true;
        self
    }

    /// Says that the function runs on the blocking pool, where it may have to wait for a thread.
    #[doc(hidden)]
    #[must_use]
    pub const fn on_blocking_pool(mut self) -> Self {
        self.blocks = true;
        self
    }

    /// Says that the output is of this type and can be stored, for actions written by hand;
    /// `#[action]` finds that out by itself. Not stored by default.
    ///
    /// # Panics
    ///
    /// Making a task of the action panics if its output is of another type.
    ///
    /// ```
    /// use dotflow::ActionSpec;
    ///
    /// const SPEC: ActionSpec = ActionSpec::new("load").checkpointed::<Vec<u32>>();
    /// assert_eq!(SPEC.name(), "load");
    /// ```
    #[must_use]
    pub const fn checkpointed<T: Storable>(self) -> Self {
        self.with_checkpoint(CheckpointPolicy::of::<T>())
    }

    /// Has the action run again whenever a run is resumed, instead of storing its output.
    ///
    /// Without it, or [`checkpointed`](Self::checkpointed), a workflow with a storage is refused
    /// before anything runs.
    ///
    /// ```
    /// use dotflow::storage::MemoryStorage;
    /// use dotflow::{task, Action, ActionSpec, DotFlow, TaskContext, TaskError};
    ///
    /// struct Connect;
    ///
    /// impl Action for Connect {
    ///     type Inputs = ();
    ///     type Output = std::time::Instant;
    ///
    ///     fn spec(&self) -> ActionSpec {
    ///         ActionSpec::new("connect").without_checkpoint()
    ///     }
    ///
    ///     async fn call(&self, (): (), _: TaskContext) -> Result<Self::Output, TaskError> {
    ///         Ok(std::time::Instant::now())
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let workflow = DotFlow::new("copy", task(Connect)).storage(MemoryStorage::new());
    /// workflow.resume_blocking("1")?;
    /// assert!(!workflow.resume_blocking("1")?.tasks()[0].restored());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub const fn without_checkpoint(self) -> Self {
        self.with_checkpoint(CheckpointPolicy::Never)
    }

    /// Sets whether and how the output is stored.
    #[doc(hidden)]
    #[must_use]
    pub const fn with_checkpoint(mut self, checkpoint: CheckpointPolicy) -> Self {
        self.checkpoint = Some(checkpoint);
        self
    }

    /// The name that the task gets, unless [`named`](crate::Task::named) says otherwise.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }
}
