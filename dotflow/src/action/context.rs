//! What a task receives: the previous context (the output of a task before it) and the task
//! context (where in which run it stands).

use std::{
    fmt,
    ops::Deref,
    sync::Arc,
    time::{Instant, SystemTime},
};

use tokio_util::sync::CancellationToken;

use super::surroundings::{RunIdentity, Surroundings};
use crate::{
    error::TaskError,
    offload::Attempt,
    report::{
        id::TaskId,
        recorded::{Progress, Recorded},
    },
};

/// The output of a task that ran before, as the next task receives it.
///
/// It dereferences to the value, is cheap to clone, and can be made from a value, which is how an
/// action is tested alone.
///
/// ```
/// use dotflow::PreviousContext;
///
/// let previous = PreviousContext::from(vec![3, 5, 8]);
/// assert_eq!(previous.len(), 3);
/// assert_eq!(previous.into_inner(), [3, 5, 8]);
/// ```
pub struct PreviousContext<T> {
    /// The value itself, shared with every other task that reads it.
    pub storage: Arc<T>,
}

impl<T> PreviousContext<T> {
    /// Takes the value, without copying it where this is its last reader.
    ///
    /// Other readers are tasks that have not taken it yet, a sink or a task under
    /// [`keep`](crate::Task::keep), and a further attempt of this very task. While there are any, the
    /// value is cloned.
    ///
    /// ```
    /// use dotflow::PreviousContext;
    ///
    /// let previous = PreviousContext::from(vec![3, 5, 8]);
    /// let other_reader = previous.clone();
    /// assert_eq!(previous.into_inner(), [3, 5, 8]);
    /// assert_eq!(other_reader.len(), 3);
    /// ```
    pub fn into_inner(self) -> T
    where
        T: Clone,
    {
        Arc::unwrap_or_clone(self.storage)
    }
}

impl<T> Deref for PreviousContext<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.storage
    }
}

impl<T> AsRef<T> for PreviousContext<T> {
    fn as_ref(&self) -> &T {
        &self.storage
    }
}

impl<T> Clone for PreviousContext<T> {
    fn clone(&self) -> Self {
        Self {
            storage: Arc::clone(&self.storage),
        }
    }
}

impl<T> From<T> for PreviousContext<T> {
    fn from(value: T) -> Self {
        Self {
            storage: Arc::new(value),
        }
    }
}

impl<T> From<Arc<T>> for PreviousContext<T> {
    fn from(storage: Arc<T>) -> Self {
        Self { storage }
    }
}

/// Goes over what a borrow of the value goes over.
///
/// ```
/// use dotflow::{Action, PreviousContext, action};
///
/// #[action]
/// async fn longest(previous: PreviousContext<Vec<String>>) -> usize {
///     let mut longest = 0;
///     for line in &previous {
///         longest = longest.max(line.len());
///     }
///     longest
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let lines = vec!["one".to_owned(), "three".to_owned()];
/// assert_eq!(longest().run((lines.into(),)).await?, 5);
/// # Ok::<(), dotflow::TaskError>(()) }).unwrap();
/// ```
#[allow(
    clippy::into_iter_without_iter,
    reason = "`iter` is that of the value, to which it dereferences"
)]
impl<'a, T> IntoIterator for &'a PreviousContext<T>
where
    &'a T: IntoIterator,
{
    type Item = <&'a T as IntoIterator>::Item;
    type IntoIter = <&'a T as IntoIterator>::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        (&*self.storage).into_iter()
    }
}

impl<T: fmt::Debug> fmt::Debug for PreviousContext<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PreviousContext")
            .field("storage", &self.storage)
            .finish()
    }
}

/// Where a task stands: which run, which task, which attempt, and whether it should stop.
///
/// An action gets it by naming it as a parameter:
///
/// ```
/// use dotflow::{action, Action, TaskContext};
///
/// #[action]
/// async fn fetch(url: String, task: TaskContext) -> String {
///     format!("{url}?attempt={}", task.attempt())
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let page = fetch("/rows".into()).run(()).await?;
/// assert_eq!(page, "/rows?attempt=1");
/// # Ok::<(), dotflow::TaskError>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct TaskContext {
    run: Arc<dyn Surroundings>,
    task: TaskId,
    attempt: u32,
    /// What has failed before, if anything has.
    past: Option<Arc<Past>>,
    /// What is to be known of this attempt alone, where it may block or has a timeout.
    shared: Option<Arc<Attempt>>,
}

/// What has failed before an attempt.
#[derive(Default)]
pub(crate) struct Past {
    /// Why a task before this one has no output.
    pub(crate) failure: Option<TaskError>,
    /// Why the last attempt failed.
    pub(crate) last_error: Option<TaskError>,
}

/// The surroundings of an action that runs alone.
struct Detached(Arc<RunIdentity>);

#[allow(
    clippy::unnecessary_literal_bound,
    reason = "the trait gives names that are borrowed"
)]
impl Surroundings for Detached {
    fn identity(&self) -> &Arc<RunIdentity> {
        &self.0
    }

    fn name(&self, _task: TaskId) -> &str {
        "detached"
    }

    fn key(&self, task: TaskId) -> String {
        match task.item {
            None => "detached".to_owned(),
            Some(item) => format!("detached[{item}]"),
        }
    }

    fn most_attempts(&self, _task: TaskId) -> u32 {
        1
    }

    fn deadline(&self) -> Option<tokio::time::Instant> {
        None
    }

    fn record(&self, _task: TaskId, _key: &str, _value: Recorded) {}

    fn progress(&self, _task: TaskId, _progress: Progress) {}
}

impl TaskContext {
    /// The context of an action that runs alone, outside any workflow: task 0, attempt 1 of 1, no item,
    /// not cancelled, and `detached` as the id and the name of the workflow and the task.
    ///
    /// ```
    /// use dotflow::TaskContext;
    ///
    /// let task = TaskContext::detached();
    /// assert_eq!((task.task_id(), task.attempt(), task.item()), (0, 1, None));
    /// assert!(!task.cancellation().is_cancelled());
    /// ```
    pub fn detached() -> Self {
        let name: Arc<str> = "detached".into();
        let run = RunIdentity::new(Arc::clone(&name), name, None, CancellationToken::new());
        Self::new(Arc::new(Detached(Arc::new(run))), TaskId::task(0), 1)
    }

    /// The same, as of another attempt: for the test of an action that acts on that.
    ///
    /// ```
    /// use dotflow::{action, Action, TaskContext};
    ///
    /// #[action]
    /// fn patient(task: TaskContext) -> bool { task.attempt() < 3 }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let third = TaskContext::detached().with_attempt(3);
    /// assert!(!patient().call((), third).await?);
    /// # Ok::<(), dotflow::TaskError>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn with_attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// The same, as of an item of a list, by its index from 0.
    ///
    /// ```
    /// use dotflow::TaskContext;
    ///
    /// assert_eq!(TaskContext::detached().with_item(7).item(), Some(7));
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if the index does not fit in 32 bits, as no list is so long.
    #[must_use]
    pub fn with_item(mut self, item: usize) -> Self {
        self.task.item = Some(u32::try_from(item).expect("a list has less than 2^32 items"));
        self
    }

    /// The same, with this token as its [`cancellation`](Self::cancellation).
    ///
    /// ```
    /// use dotflow::TaskContext;
    /// use tokio_util::sync::CancellationToken;
    ///
    /// let token = CancellationToken::new();
    /// token.cancel();
    /// assert!(TaskContext::detached().with_cancellation(token).cancellation().is_cancelled());
    /// ```
    #[must_use]
    pub fn with_cancellation(mut self, cancellation: CancellationToken) -> Self {
        self.shared = Some(Arc::new(Attempt::cancelled_by(cancellation)));
        self
    }

    pub(crate) fn new(run: Arc<dyn Surroundings>, task: TaskId, attempt: u32) -> Self {
        Self {
            run,
            task,
            attempt,
            past: None,
            shared: None,
        }
    }

    pub(crate) fn sharing(mut self, attempt: Arc<Attempt>) -> Self {
        self.shared = Some(attempt);
        self
    }

    pub(crate) fn after(mut self, past: Past) -> Self {
        self.past = Some(Arc::new(past));
        self
    }

    pub(crate) fn shared(&self) -> Option<Arc<Attempt>> {
        self.shared.clone()
    }

    /// The id of the run.
    pub fn workflow_id(&self) -> &str {
        &self.run.identity().workflow_id
    }

    /// The name of the workflow.
    pub fn workflow_name(&self) -> &str {
        &self.run.identity().workflow_name
    }

    /// The time for which a schedule has started the run; `None` for a run that was started otherwise.
    pub fn scheduled_for(&self) -> Option<SystemTime> {
        self.run.identity().scheduled_for
    }

    /// The number of the task in its workflow, from 0, as in the span name `task:<id>`.
    pub fn task_id(&self) -> usize {
        self.task.number as usize
    }

    /// The name of the task.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, TaskContext};
    ///
    /// #[action]
    /// fn load(task: TaskContext) -> String { task.task_name().to_owned() }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let run = DotFlow::new("sales", task(load()).named("load-eu")).start_blocking()?;
    /// assert_eq!(*run.output()?, "load-eu");
    /// # Ok(()) }
    /// ```
    pub fn task_name(&self) -> &str {
        self.run.name(self.task)
    }

    /// The index of the item that this sub-task of [`each`](crate::Task::each) works on, from 0;
    /// `None` for any other task.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, PreviousContext, TaskContext};
    ///
    /// #[action]
    /// fn names() -> Vec<String> { vec!["Ada".into(), "Grace".into()] }
    ///
    /// #[action]
    /// fn line(name: PreviousContext<String>, task: TaskContext) -> String {
    ///     format!("{}: {}", task.item().unwrap(), *name)
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let run = DotFlow::new("lines", task(names()).each(line())).start_blocking()?;
    /// assert_eq!(*run.output()?, ["0: Ada", "1: Grace"]);
    /// # Ok(()) }
    /// ```
    pub fn item(&self) -> Option<usize> {
        self.task.item.map(|item| item as usize)
    }

    /// The number of the attempt, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// How many attempts the task has in total, at most.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, TaskContext};
    ///
    /// #[action(retry = 3)]
    /// fn place(task: TaskContext) -> String {
    ///     format!("{}: {} of {}", task.task_name(), task.attempt(), task.attempts())
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let run = DotFlow::new("places", task(place())).start_blocking()?;
    /// assert_eq!(*run.output()?, "place: 1 of 3");
    /// # Ok(()) }
    /// ```
    pub fn attempts(&self) -> u32 {
        self.run.most_attempts(self.task)
    }

    /// Why the attempt before this one failed; `None` for the first one.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, TaskContext};
    ///
    /// #[action(retry = 2, retry_delay = 0)]
    /// fn fall_back(task: TaskContext) -> Result<String, String> {
    ///     let last = task.last_error().ok_or("no")?;
    ///     Ok(format!("after: {last}"))
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let run = DotFlow::new("twice", task(fall_back())).start_blocking()?;
    /// assert_eq!(*run.output()?, "after: no");
    /// # Ok(()) }
    /// ```
    pub fn last_error(&self) -> Option<&TaskError> {
        self.past.as_ref()?.last_error.as_ref()
    }

    /// Why a task before this one has no output, without handling it: what a last step needs that tells
    /// somebody how it went. `None` where all have one.
    ///
    /// Only tasks that take a previous context as `Option` or `Result` run without it; with `Option` the
    /// failure stays a failure of the run.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, PreviousContext, TaskContext};
    ///
    /// #[action]
    /// fn load() -> Result<u32, String> { Err("the table is locked".into()) }
    ///
    /// #[action]
    /// fn notify(rows: Option<PreviousContext<u32>>, task: TaskContext) -> String {
    ///     match (rows, task.failure()) {
    ///         (Some(rows), _) => format!("{} rows", *rows),
    ///         (None, Some(error)) => format!("it failed: {}", error.root()),
    ///         (None, None) => unreachable!(),
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let run = DotFlow::new("sales", task(load()).then(notify())).start_blocking()?;
    /// assert_eq!(*run.output()?, "it failed: the table is locked");
    /// assert!(!run.succeeded());
    /// # Ok(()) }
    /// ```
    pub fn failure(&self) -> Option<&TaskError> {
        self.past.as_ref()?.failure.as_ref()
    }

    /// When the time of this attempt or of the run is over, whichever comes first; `None` where neither
    /// has a timeout.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, TaskContext};
    /// use std::time::{Duration, Instant};
    ///
    /// #[action(timeout = "1h")]
    /// fn left(task: TaskContext) -> Duration {
    ///     task.deadline().unwrap().saturating_duration_since(Instant::now())
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let run = DotFlow::new("hour", task(left())).timeout(Duration::from_secs(60)).start_blocking()?;
    /// assert!(*run.output()? <= Duration::from_secs(60));
    /// # Ok(()) }
    /// ```
    pub fn deadline(&self) -> Option<Instant> {
        let own = self.shared.as_ref().and_then(|attempt| attempt.deadline());
        let all = [own, self.run.deadline()];
        Some(all.into_iter().flatten().min()?.into_std())
    }

    /// A text that stands for the work of this task and no other: the same for all attempts, when the
    /// run is resumed, and on every machine; for services that take such a key to do a thing once.
    ///
    /// It is made of the id of the run, the name of the task (with `#2` … where names repeat), those of
    /// the tasks that it is nested in, and the item; of no number, so that a task that is added changes
    /// none. At most 200 bytes of visible ASCII: a longer one, or one of other characters, is the
    /// SHA-256 of that, in hex digits.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, RunOptions, TaskContext};
    ///
    /// #[action]
    /// fn charge(task: TaskContext) -> String { task.idempotency_key() }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let inner = DotFlow::new("payment", task(charge()));
    /// let checkout = DotFlow::new("checkout", task(inner));
    /// let run = checkout.run_with(RunOptions::new().id("order-42")).await?;
    /// assert_eq!(*run.output()?, "order-42/payment/charge");
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn idempotency_key(&self) -> String {
        const LONGEST: usize = 200;
        let key = self.run.identity().key(self.run.key(self.task));
        if key.len() <= LONGEST && key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return key;
        }
        crate::checkpoint::hex_digest(key.as_bytes())
    }

    /// Says something of this task: how many rows it has loaded, which host it has asked. It is an
    /// attribute of the task's span where the layer knows how to set one, an event for observers and
    /// for any `tracing` layer, and in the report.
    ///
    /// The last value of a key counts, and the first 128 keys. Don't record secrets.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, TaskContext};
    ///
    /// #[action]
    /// fn load(task: TaskContext) {
    ///     task.record("rows", 3);
    ///     task.record("region", "eu");
    /// }
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let run = DotFlow::new("sales", task(load())).start_blocking()?;
    /// let keys: Vec<_> = run.tasks()[0].recorded().keys().collect();
    /// assert_eq!(keys, ["region", "rows"]);
    /// # Ok(()) }
    /// ```
    pub fn record(&self, key: &str, value: impl Into<Recorded>) {
        self.run.record(self.task, key, value.into());
    }

    /// Says how far this task has come. It is told to observers, and the report has the last of it.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, TaskContext};
    ///
    /// #[action]
    /// fn load(task: TaskContext) {
    ///     for row in 0..3 {
    ///         task.progress(row + 1, 3);
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let run = DotFlow::new("sales", task(load())).start_blocking()?;
    /// let progress = run.tasks()[0].progress().unwrap();
    /// assert_eq!((progress.done, progress.of), (3, 3));
    /// # Ok(()) }
    /// ```
    pub fn progress(&self, done: u64, of: u64) {
        self.run.progress(self.task, Progress { done, of });
    }

    /// Says when to stop: it is cancelled with the run, and when this attempt has timed out.
    ///
    /// Async code needs it rarely, since its future is dropped then. A plain `fn` can't be
    /// stopped from outside: a long one asks `is_cancelled()` now and then.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, TaskContext};
    ///
    /// #[action]
    /// fn count(task: TaskContext) -> u64 {
    ///     (0..1000).take_while(|_| !task.cancellation().is_cancelled()).count() as u64
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let run = DotFlow::new("counts", task(count())).start_blocking()?;
    /// assert_eq!(*run.output()?, 1000);
    /// # Ok(()) }
    /// ```
    pub fn cancellation(&self) -> &CancellationToken {
        let own = self.shared.as_ref();
        own.and_then(|attempt| attempt.cancellation.as_ref())
            .unwrap_or(&self.run.identity().cancellation)
    }
}

impl fmt::Debug for TaskContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TaskContext")
            .field("workflow_id", &self.workflow_id())
            .field("task", &self.task)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}
