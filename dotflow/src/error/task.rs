//! Why one task has no output.

use std::{any::type_name, borrow::Cow, error, fmt, iter, sync::Arc, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    spans::{MAX_ERROR_TEXT, cut},
    unwind::catch,
};

/// How many sources of an error are told.
pub(super) const MAX_CAUSES: usize = 32;

/// The attempt of an error that no task has ended with yet.
const FRESH: u32 = 0;

pub(super) type BoxError = Box<dyn error::Error + Send + Sync>;

/// What kind of thing kept a task from having an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum TaskErrorKind {
    /// The action returned an error.
    Failed,
    /// An attempt took longer than the task's timeout.
    TimedOut,
    /// The action panicked.
    Panicked,
    /// The run was cancelled while the task was running, or before it started.
    Cancelled,
    /// The task did not run, since a task before it has no output or the run stopped earlier.
    Skipped,
    /// The output could not be stored or restored.
    Storage,
    /// The action has ended the run early, by [`TaskError::stop`]: nothing is wrong.
    Stopped,
}

impl TaskErrorKind {
    /// The Rust path of the variant: the `exception.type` in telemetry where the action returned no
    /// error that has a type of its own.
    fn type_name(self) -> &'static str {
        match self {
            Self::Failed => "dotflow::TaskErrorKind::Failed",
            Self::TimedOut => "dotflow::TaskErrorKind::TimedOut",
            Self::Panicked => "dotflow::TaskErrorKind::Panicked",
            Self::Cancelled => "dotflow::TaskErrorKind::Cancelled",
            Self::Skipped => "dotflow::TaskErrorKind::Skipped",
            Self::Storage => "dotflow::TaskErrorKind::Storage",
            Self::Stopped => "dotflow::TaskErrorKind::Stopped",
        }
    }
}

/// Why an attempt of a task failed, or why a task has no output.
///
/// It is cheap to clone. `Display` gives the message of the error that the action returned, and
/// `source()` goes on with that error's sources, so that printing the chain says nothing twice. That
/// error itself is behind [`get_ref`](Self::get_ref).
///
/// ```
/// use dotflow::{TaskError, TaskErrorKind};
///
/// let error = TaskError::failed("the table is locked");
/// assert_eq!(error.kind(), TaskErrorKind::Failed);
/// assert_eq!(error.type_name(), "&str");
/// assert_eq!(error.to_string(), "the table is locked");
/// ```
#[derive(Clone)]
pub struct TaskError {
    inner: Arc<Inner>,
}

#[derive(Clone)]
struct Inner {
    kind: TaskErrorKind,
    type_name: Cow<'static, str>,
    message: Message,
    error: Option<Arc<Behind>>,
    attempt: u32,
    next_attempt_in: Option<Duration>,
    again: Again,
}

/// The error that an action returned.
enum Behind {
    Boxed(BoxError),
    /// One whose box would hide its type, as anyhow's.
    Kept(Box<dyn AsRef<dyn error::Error + Send + Sync> + Send + Sync>),
}

/// Whether another attempt may follow, as far as the error has a say in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    AsThePolicySays,
    /// Not before so long.
    After(Duration),
    Never,
}

/// What an error says.
#[derive(Clone)]
pub(super) enum Message {
    Text(Arc<str>),
    /// Of a skipped task: why, without the text of the failure that is to blame. That one is behind
    /// the error, and may be long; it is shared by all that it skips.
    Skipped(Arc<str>),
}

impl TaskError {
    /// An error that an action returned, with the name of its type and its message. Another attempt
    /// may follow it.
    ///
    /// ```
    /// # use dotflow::TaskError;
    /// let error = TaskError::failed(std::io::Error::other("disk on fire"));
    /// assert_eq!(error.type_name(), "std::io::error::Error");
    /// assert!(error.get_ref().unwrap().is::<std::io::Error>());
    /// ```
    pub fn failed<E: Into<BoxError>>(error: E) -> Self {
        let error = error.into();
        let message = Message::text(&error.to_string());
        Self::new(
            TaskErrorKind::Failed,
            type_name::<E>(),
            message,
            Some(error),
        )
    }

    /// Why an output could not be stored or restored.
    pub(crate) fn storage<E: error::Error + Send + Sync + 'static>(error: E) -> Self {
        let kind = TaskErrorKind::Storage;
        let message = Message::text(&error.to_string());
        Self::new(kind, kind.type_name(), message, Some(error.into())).without_retry()
    }

    pub(crate) fn of_kind(kind: TaskErrorKind, message: &str) -> Self {
        Self::new(kind, kind.type_name(), Message::text(message), None)
    }

    /// The error of a task whose code panicked, with the file and the line where they are known.
    pub(crate) fn panicked(message: &str, place: Option<String>) -> Self {
        let kind = TaskErrorKind::Panicked;
        let place = place.map(|place| Words {
            message: format!("panicked at {place}"),
            source: None,
        });
        let message = Message::text(message);
        Self::new(kind, kind.type_name(), message, place.map(Into::into))
    }

    /// Why a task was skipped, with the failure that is to blame as the source.
    pub(crate) fn skipped(reason: &str, cause: &Self) -> Self {
        let kind = TaskErrorKind::Skipped;
        let message = Message::Skipped(reason.into());
        Self::new(kind, kind.type_name(), message, Some(cause.clone().into()))
    }

    pub(super) fn new(
        kind: TaskErrorKind,
        type_name: impl Into<Cow<'static, str>>,
        message: Message,
        error: Option<BoxError>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                kind,
                type_name: type_name.into(),
                message,
                error: error.map(|error| Arc::new(Behind::Boxed(error))),
                attempt: FRESH,
                next_attempt_in: None,
                again: Again::AsThePolicySays,
            }),
        }
    }

    /// The same error, marked so that no further attempt follows it.
    ///
    /// Actions use it for errors that another attempt can't put right; `#[action]` uses it where
    /// `retry_if` says no.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, TaskError};
    ///
    /// #[action(retry = 3)]
    /// fn load() -> Result<(), TaskError> {
    ///     Err(TaskError::failed("there is no such table").without_retry())
    /// }
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let run = DotFlow::new("sales", task(load())).start_blocking()?;
    /// assert_eq!(run.tasks()[0].retry_count(), 0);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn without_retry(mut self) -> Self {
        Arc::make_mut(&mut self.inner).again = Again::Never;
        self
    }

    /// An error that another attempt can't put right: none follows, whatever the policy says.
    ///
    /// It may be anywhere in the chain of sources of what an action returns, also under `anyhow`.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, TaskError};
    ///
    /// #[action(retry = 3)]
    /// fn load(table: String) -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
    ///     match &*table {
    ///         "sales" => Ok(3),
    ///         _ => Err(TaskError::permanent("there is no such table").into()),
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let run = DotFlow::new("sales", task(load("costs".into()))).start_blocking()?;
    /// assert_eq!(run.tasks()[0].retry_count(), 0);
    /// # Ok(()) }
    /// ```
    pub fn permanent<E: Into<BoxError>>(error: E) -> Self {
        Self::failed(error).without_retry()
    }

    /// An error after which the next attempt, if the policy has one left, waits so long: as a server
    /// says that asks to be left alone. It replaces the delay of the policy, is at most its
    /// [`max_delay`](crate::Task::max_delay), and has no random part.
    ///
    /// It may be anywhere in the chain of sources of what an action returns, also under `anyhow`.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, TaskError};
    /// use std::time::Duration;
    ///
    /// #[action(retry = 2, retry_delay = "1h")]
    /// async fn call() -> Result<(), TaskError> {
    ///     Err(TaskError::retry_after(Duration::from_millis(1), "too many requests"))
    /// }
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let run = DotFlow::new("calls", task(call())).start_blocking()?;
    /// assert_eq!(run.tasks()[0].errors()[0].next_attempt_in(), Some(Duration::from_millis(1)));
    /// # Ok(()) }
    /// ```
    pub fn retry_after<E: Into<BoxError>>(delay: Duration, error: E) -> Self {
        let mut error = Self::failed(error);
        Arc::make_mut(&mut error.inner).again = Again::After(delay);
        error
    }

    /// What an action returns to end its run early, since nothing is left to do: nothing is wrong.
    ///
    /// The task is Completed, what depends on it Skipped, and the run Completed; `output` says why
    /// there is none. Running tasks finish, clean-up tasks are run, and nothing else is begun. Nothing
    /// is stored for the task, so a resumed run asks it again. Within a nested workflow it ends that
    /// one; for an item of a list, the list.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, PreviousContext, Status, TaskError};
    ///
    /// #[action]
    /// fn news(since: u32) -> Result<Vec<String>, TaskError> {
    ///     Err(TaskError::stop(format!("nothing new since {since}")))
    /// }
    ///
    /// #[action]
    /// fn send(_news: PreviousContext<Vec<String>>) {}
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let run = DotFlow::new("news", task(news(2020)).then(send())).start_blocking()?;
    /// assert!(run.succeeded());
    /// let statuses = [run.tasks()[0].status(), run.tasks()[1].status()];
    /// assert_eq!(statuses, [Status::Completed, Status::Skipped]);
    /// let why = run.output().unwrap_err().to_string();
    /// assert_eq!(why, "skipped, since task:0 `news` has ended the run: nothing new since 2020");
    /// # Ok(()) }
    /// ```
    pub fn stop(reason: impl Into<String>) -> Self {
        Self::of_kind(TaskErrorKind::Stopped, &reason.into())
    }

    /// An error whose box would hide its type.
    pub(crate) fn kept<E>(error: E) -> Self
    where
        E: AsRef<dyn error::Error + Send + Sync> + Send + Sync + 'static,
    {
        let message = Message::text(&error.as_ref().to_string());
        let mut this = Self::new(TaskErrorKind::Failed, type_name::<E>(), message, None);
        let behind = Behind::Kept(Box::new(error));
        Arc::make_mut(&mut this.inner).error = Some(Arc::new(behind));
        this
    }

    /// The error as the engine takes it from an action. What that returned may be such an error itself,
    /// as with `previous?`; one of another kind belongs to another task: this task has failed,
    /// whatever that one did.
    pub(crate) fn returned(self) -> Self {
        let inner = self.get_ref().and_then(|inner| inner.downcast_ref());
        match inner {
            Some(inner) if Self::kind(inner) == TaskErrorKind::Failed => inner.clone(),
            Some(inner) if inner.is_stop() => inner.clone(),
            _ => self,
        }
    }

    /// Whether an action has just said by it that the run is to end.
    pub(crate) fn is_stop(&self) -> bool {
        self.kind() == TaskErrorKind::Stopped && self.inner.attempt == FRESH
    }

    /// What an action says by its error, or by one in its chain of sources: that the run is to end, or
    /// when to try again.
    pub(crate) fn says(&self) -> (Option<Self>, Again) {
        if self.is_stop() || self.inner.again != Again::AsThePolicySays {
            return (self.is_stop().then(|| self.clone()), self.inner.again);
        }
        let found = catch(|| {
            // A chain need not have an end.
            let chain = iter::successors(error::Error::source(self), |error| error.source());
            let mut said = chain
                .take(MAX_CAUSES)
                .filter_map(|error| error.downcast_ref::<Self>());
            said.find(|said| said.is_stop() || said.inner.again != Again::AsThePolicySays)
                .map(|said| (said.is_stop().then(|| said.clone()), said.inner.again))
        });
        found
            .ok()
            .flatten()
            .unwrap_or((None, Again::AsThePolicySays))
    }

    pub(crate) fn at_attempt(mut self, attempt: u32) -> Self {
        Arc::make_mut(&mut self.inner).attempt = attempt;
        self
    }

    pub(crate) fn followed_after(mut self, delay: Duration) -> Self {
        Arc::make_mut(&mut self.inner).next_attempt_in = Some(delay);
        self
    }

    /// The messages of its sources, each the cause of the one before it; the first few of them, and
    /// a word where one can't be read, as sources are user code.
    pub(crate) fn causes(&self) -> Vec<String> {
        let mut causes = Vec::new();
        let read = catch(|| {
            let mut source = error::Error::source(self);
            let mut length = 0;
            while let Some(cause) = source {
                // A chain need not have an end.
                if causes.len() == MAX_CAUSES || length > MAX_ERROR_TEXT {
                    break;
                }
                let message = cause.to_string();
                length += message.len();
                causes.push(cut(&message, MAX_ERROR_TEXT).to_owned());
                source = cause.source();
            }
        });
        if read.is_err() {
            causes.push("(the message of a source can't be read: it panicked)".to_owned());
        }
        causes
    }

    /// What `Display` gives, without a copy where there need be none.
    pub(crate) fn message(&self) -> Cow<'_, str> {
        match &self.inner.message {
            Message::Text(text) => Cow::Borrowed(text),
            Message::Skipped(_) => Cow::Owned(self.to_string()),
        }
    }

    /// What kind of thing went wrong.
    pub fn kind(&self) -> TaskErrorKind {
        self.inner.kind
    }

    /// The full Rust type of the error that the action returned, such as `my_crate::LoadError`; for
    /// all other kinds the path of the [`TaskErrorKind`].
    pub fn type_name(&self) -> &str {
        &self.inner.type_name
    }

    /// The number of the attempt that failed, from 1.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    ///
    /// #[action(retry = 2, retry_delay = 0)]
    /// fn refuse() -> Result<(), String> { Err("no".into()) }
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let run = DotFlow::new("refused", task(refuse())).start_blocking()?;
    /// assert_eq!(run.output().unwrap_err().attempt(), 2);
    /// # Ok(()) }
    /// ```
    pub fn attempt(&self) -> u32 {
        self.inner.attempt.max(1)
    }

    /// How long the task waited before its next attempt; `None` where no further one followed.
    pub fn next_attempt_in(&self) -> Option<Duration> {
        self.inner.next_attempt_in
    }

    /// The error that the action returned, to look into or to downcast; for the kind `Storage` the
    /// [`StorageError`](crate::storage::StorageError), and for `Skipped` the error of the task that is
    /// to blame. `None` for all other kinds.
    ///
    /// An error that was read back from a report has only the words of it left.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    /// use std::io;
    ///
    /// #[action]
    /// fn load() -> Result<(), io::Error> {
    ///     Err(io::ErrorKind::PermissionDenied.into())
    /// }
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let error = DotFlow::new("sales", task(load())).start_blocking()?.output().unwrap_err();
    /// let refused: &io::Error = error.get_ref().unwrap().downcast_ref().unwrap();
    /// assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
    /// # Ok(()) }
    /// ```
    pub fn get_ref(&self) -> Option<&(dyn error::Error + Send + Sync + 'static)> {
        self.says_what_is_behind().then(|| self.behind()).flatten()
    }

    /// Whether the message is that of the error behind it, or ends with it.
    fn says_what_is_behind(&self) -> bool {
        use TaskErrorKind::{Failed, Skipped, Storage};
        matches!(self.kind(), Failed | Storage | Skipped)
    }

    pub(super) fn behind(&self) -> Option<&(dyn error::Error + Send + Sync + 'static)> {
        self.inner.error.as_ref().map(|error| match &**error {
            Behind::Boxed(error) => &**error,
            Behind::Kept(error) => (**error).as_ref(),
        })
    }
}

impl fmt::Debug for TaskError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TaskError")
            .field("kind", &self.kind())
            .field("type_name", &self.type_name())
            .field("message", &self.message())
            .field("attempt", &self.attempt())
            .finish()
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match &self.inner.message {
            Message::Text(text) => return formatter.write_str(text),
            Message::Skipped(reason) => reason,
        };
        write!(formatter, "skipped, since {reason}")?;
        match self.get_ref().and_then(|cause| cause.downcast_ref()) {
            Some(cause) => {
                let cause = Self::message(cause);
                write!(formatter, ": {}", cut(&cause, MAX_ERROR_TEXT))
            }
            None => Ok(()),
        }
    }
}

impl Message {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl error::Error for TaskError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        let error = self.behind()?;
        // A nested workflow says what has failed in it, and so on down to the first failure.
        if let Some(within) = self.within() {
            return within.root().source();
        }
        if self.says_what_is_behind() {
            // The chain goes on behind that error, which is told already.
            error.source()
        } else {
            Some(error)
        }
    }
}

/// A [`TaskError`] as it is written: all that can be told of it in words and numbers.
#[derive(Serialize, Deserialize)]
struct Written<'error> {
    kind: TaskErrorKind,
    #[serde(rename = "type")]
    type_name: Cow<'error, str>,
    message: Cow<'error, str>,
    /// The messages of the sources, each the cause of the one before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    causes: Vec<String>,
    attempt: u32,
    /// In seconds.
    next_attempt_in: Option<f64>,
}

impl Serialize for TaskError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written {
            kind: self.kind(),
            type_name: self.type_name().into(),
            message: self.message(),
            causes: self.causes(),
            attempt: self.attempt(),
            next_attempt_in: self.next_attempt_in().map(|delay| delay.as_secs_f64()),
        }
        .serialize(serializer)
    }
}

/// Reads back what was written: the words, not the error itself, so nothing is behind
/// [`get_ref`](TaskError::get_ref) but the messages.
impl<'de> Deserialize<'de> for TaskError {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        let causes = written.causes.into_iter().rev();
        let source = causes.fold(None, |source, message| {
            Some(Box::new(Words { message, source }))
        });
        let type_name = written.type_name.into_owned();
        let message = Message::text(&written.message);
        let mut error = Self::new(written.kind, type_name, message, None);
        let behind = if error.says_what_is_behind() {
            let message = written.message.into_owned();
            Some(Box::new(Words { message, source }))
        } else {
            source
        };
        let inner = Arc::make_mut(&mut error.inner);
        inner.error = behind.map(|behind| Arc::new(Behind::Boxed(behind)));
        inner.attempt = written.attempt;
        inner.next_attempt_in = written
            .next_attempt_in
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Ok(error)
    }
}

/// An error of which only the words are left.
#[derive(Debug)]
struct Words {
    message: String,
    source: Option<Box<Words>>,
}

impl fmt::Display for Words {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl error::Error for Words {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
