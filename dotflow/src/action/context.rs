//! What a task receives: the previous context (the output of a task before it) and the task
//! context (where in which run it stands).

use std::{
    fmt,
    ops::Deref,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio_util::sync::CancellationToken;

use crate::{offload::Attempt, report::id::TaskId};

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

/// What identifies a run, and stops it: all that its tasks know of it.
#[derive(Debug)]
pub(crate) struct RunIdentity {
    pub(crate) workflow_id: Arc<str>,
    pub(crate) workflow_name: Arc<str>,
    pub(crate) scheduled_for: Option<SystemTime>,
    pub(crate) cancellation: CancellationToken,
    /// Whether nothing new is to be begun.
    draining: AtomicBool,
    /// The timeout of the run, once it is over.
    timed_out_after: OnceLock<Duration>,
    /// The task that it is a run within, if it is.
    outer: Option<Outer>,
}

/// The task of a run that another run is within.
#[derive(Debug)]
struct Outer {
    run: Arc<RunIdentity>,
    task: TaskId,
    /// How many runs are around it.
    depth: usize,
}

impl RunIdentity {
    /// A run of its own.
    pub(crate) fn new(
        workflow_id: Arc<str>,
        workflow_name: Arc<str>,
        scheduled_for: Option<SystemTime>,
        cancellation: CancellationToken,
    ) -> Self {
        Self {
            workflow_id,
            workflow_name,
            scheduled_for,
            cancellation,
            draining: AtomicBool::new(false),
            timed_out_after: OnceLock::new(),
            outer: None,
        }
    }

    /// A run within a task of this one.
    pub(crate) fn within(
        self: &Arc<Self>,
        task: TaskId,
        workflow_id: Arc<str>,
        workflow_name: Arc<str>,
        cancellation: CancellationToken,
    ) -> Self {
        let outer = Outer {
            run: Arc::clone(self),
            task,
            depth: self.depth() + 1,
        };
        Self {
            outer: Some(outer),
            ..Self::new(workflow_id, workflow_name, self.scheduled_for, cancellation)
        }
    }

    /// How many runs are around this one.
    pub(crate) fn depth(&self) -> usize {
        self.outer.as_ref().map_or(0, |outer| outer.depth)
    }

    /// This run and those around it, the outermost last.
    fn levels(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |run| Some(&*run.outer.as_ref()?.run))
    }

    /// Lets nothing new begin, here and in the runs within.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether nothing new is to be begun.
    pub(crate) fn is_draining(&self) -> bool {
        match &self.outer {
            None => self.draining.load(Ordering::Relaxed),
            Some(_) => self
                .levels()
                .any(|run| run.draining.load(Ordering::Relaxed)),
        }
    }

    /// Notes that the run has taken longer than it may.
    pub(crate) fn time_out(&self, after: Duration) {
        let _ = self.timed_out_after.set(after);
    }

    pub(crate) fn has_timed_out(&self) -> bool {
        self.timed_out_after.get().is_some()
    }

    /// The timeout that has cut this run short, be it its own or that of a run around it.
    pub(crate) fn timed_out_after(&self) -> Option<Duration> {
        self.levels()
            .find_map(|run| run.timed_out_after.get().copied())
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
#[derive(Debug, Clone)]
pub struct TaskContext {
    run: Arc<RunIdentity>,
    task_id: u32,
    item: Option<u32>,
    attempt: u32,
    /// What is to be known of this attempt alone, where it may block or has a timeout.
    shared: Option<Arc<Attempt>>,
}

impl TaskContext {
    /// The context of an action that runs alone, outside any workflow: task 0, attempt 1, no item,
    /// and `detached` as the id and the name of the workflow.
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
        Self::new(Arc::new(run), 0, None, 1)
    }

    pub(crate) fn new(
        run: Arc<RunIdentity>,
        task_id: u32,
        item: Option<u32>,
        attempt: u32,
    ) -> Self {
        Self {
            run,
            task_id,
            item,
            attempt,
            shared: None,
        }
    }

    pub(crate) fn sharing(mut self, attempt: Arc<Attempt>) -> Self {
        self.shared = Some(attempt);
        self
    }

    pub(crate) fn shared(&self) -> Option<Arc<Attempt>> {
        self.shared.clone()
    }

    /// The id of the run.
    pub fn workflow_id(&self) -> &str {
        &self.run.workflow_id
    }

    /// The name of the workflow.
    pub fn workflow_name(&self) -> &str {
        &self.run.workflow_name
    }

    /// The time for which a schedule has started the run; `None` for a run that was started otherwise.
    pub fn scheduled_for(&self) -> Option<SystemTime> {
        self.run.scheduled_for
    }

    /// The number of the task in its workflow, from 0, as in the span name `task:<id>`.
    pub fn task_id(&self) -> usize {
        self.task_id as usize
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
        self.item.map(|item| item as usize)
    }

    /// The number of the attempt, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
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
            .unwrap_or(&self.run.cancellation)
    }
}
