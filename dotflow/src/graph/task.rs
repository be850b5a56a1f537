//! Tasks and how they are put together: [`task`], `then` and `each`.
//!
//! A [`Task`] is a handle on a node of a graph that grows only forwards: a node names the nodes
//! before it, so a cycle can't be written. Nothing runs here.

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use super::{
    node::{Edge, Node},
    plan::{EachFns, ItemLabel, Settings},
    step::Step,
    wiring::{AcceptsAll, NoInputs, TakesItem},
};
use crate::{
    action::{
        Name,
        codec::CheckpointPolicy,
        retry::{RetryPolicy, check_timeout},
        value::Value,
    },
    error::TaskError,
    unwind::drop_catching,
};

/// An action placed in a workflow, together with the tasks it depends on. `T` is what it returns.
///
/// It is a handle: clones mean the same task, and a task that several others follow runs once.
/// The methods that configure it change that one task, for every handle on it, until
/// [`DotFlow::new`](crate::DotFlow::new) makes the workflow. What a method sets replaces what
/// `#[action]` or an earlier call has set.
///
/// ```
/// use dotflow::{action, task, DotFlow, PreviousContext};
///
/// #[action]
/// fn extract() -> Vec<u32> { vec![3, 5, 8] }
///
/// #[action]
/// fn sum(rows: PreviousContext<Vec<u32>>) -> u32 { rows.iter().sum() }
///
/// #[action]
/// fn count(rows: PreviousContext<Vec<u32>>) -> usize { rows.len() }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let rows = task(extract()); // runs once, and two tasks follow it
/// let run = DotFlow::new("sales", (rows.then(sum()), rows.then(count()))).start_blocking()?;
/// let (sum, count) = &*run.output()?;
/// assert_eq!((**sum, **count), (16, 3));
/// # Ok(()) }
/// ```
#[must_use = "a task runs only as part of a workflow: pass it on to `DotFlow::new`"]
pub struct Task<T> {
    pub(crate) node: Arc<Node>,
    _output: PhantomData<fn() -> T>,
}

/// Makes the first task of a chain, from an action or a workflow that takes no previous context.
///
/// # Panics
///
/// Panics if the action was written by hand and says that its output is
/// [`checkpointed`](crate::ActionSpec::checkpointed) as another type than it returns.
///
/// ```
/// use dotflow::{action, task, DotFlow};
///
/// #[action]
/// fn extract() -> Vec<u32> { vec![3, 5, 8] }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let run = DotFlow::new("numbers", task(extract())).start().await?;
/// assert_eq!(*run.output()?, [3, 5, 8]);
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
pub fn task<S>(step: S) -> Task<S::Output>
where
    S: Step,
    S::Inputs: NoInputs,
{
    Task::from_node(Node::new(step, Vec::new()))
}

impl<T> Task<T> {
    fn from_node(node: Arc<Node>) -> Self {
        Self {
            node,
            _output: PhantomData,
        }
    }

    /// The handle on what each run is given.
    pub(crate) fn input() -> Self {
        Self::from_node(Node::input())
    }

    fn configure(self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.node.settings());
        self
    }

    /// Sets the name, which appears in traces, reports and the keys of checkpoints; by default that
    /// of the action, or of the workflow.
    ///
    /// Any string is a name. Tasks may share one: their checkpoints are told apart by `#2`, `#3` …
    /// A task that is renamed is another task for a [resumed](crate::DotFlow::resume) run.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    ///
    /// #[action]
    /// fn load() {}
    ///
    /// let workflow = DotFlow::new("sales", task(load()).named("load-eu"));
    /// assert_eq!(workflow.plan().tasks()[0].name(), "load-eu");
    /// ```
    pub fn named(self, name: impl Into<String>) -> Self {
        let name = Name::Shared(name.into().into());
        self.configure(|settings| settings.name = name)
    }

    /// Puts the task into a group: a label for people and dashboards, without effect on its run. No
    /// group by default.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    ///
    /// #[action]
    /// fn load() {}
    ///
    /// let workflow = DotFlow::new("sales", task(load()).group("warehouse"));
    /// assert_eq!(workflow.plan().tasks()[0].group(), Some("warehouse"));
    /// ```
    pub fn group(self, group: impl Into<String>) -> Self {
        let group = group.into().into();
        self.configure(|settings| settings.group = Some(group))
    }

    /// Sets how many times the task is attempted in total, the first attempt included; 1 by default.
    ///
    /// Errors, panics and timeouts are all followed by another attempt. With
    /// [`each`](Self::each) every item has this many.
    ///
    /// # Panics
    ///
    /// Panics if it is 0.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, TaskContext};
    /// use std::time::Duration;
    ///
    /// #[action]
    /// fn load(task: TaskContext) -> Result<u32, String> {
    ///     match task.attempt() {
    ///         1 => Err("the table is locked".into()),
    ///         attempt => Ok(attempt),
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let load = task(load()).retry(3).retry_delay(Duration::ZERO);
    /// let run = DotFlow::new("sales", load).start_blocking()?;
    /// assert_eq!(*run.output()?, 2);
    /// assert_eq!(run.tasks()[0].retry_count(), 1);
    /// # Ok(()) }
    /// ```
    pub fn retry(self, attempts: u32) -> Self {
        self.configure(|settings| settings.retry = settings.retry.attempts(attempts))
    }

    /// Sets the wait before the second attempt; 1 s by default. With zero there is no wait before any
    /// attempt.
    ///
    /// # Panics
    ///
    /// Panics if it is longer than one year (365 days).
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    /// use std::time::Duration;
    ///
    /// #[action]
    /// fn load() {}
    ///
    /// let workflow = DotFlow::new("sales", task(load()).retry(3).retry_delay(Duration::from_millis(500)));
    /// let policy = workflow.plan().tasks()[0].retry_policy();
    /// assert_eq!(policy.delay_after(1), Duration::from_millis(500));
    /// ```
    pub fn retry_delay(self, delay: Duration) -> Self {
        self.configure(|settings| settings.retry = settings.retry.delay(delay))
    }

    /// Sets the factor by which each wait is longer than the one before it; 1.0 by default, which
    /// keeps waits equal.
    ///
    /// # Panics
    ///
    /// Panics if it is not a number, below 1 (waits would shrink to nothing), or above 1000.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    /// use std::time::Duration;
    ///
    /// #[action]
    /// fn load() {}
    ///
    /// let workflow = DotFlow::new("sales", task(load()).retry(3).backoff(2.0));
    /// let policy = workflow.plan().tasks()[0].retry_policy();
    /// assert_eq!(policy.delay_after(1), Duration::from_secs(1));
    /// assert_eq!(policy.delay_after(2), Duration::from_secs(2));
    /// ```
    pub fn backoff(self, factor: f64) -> Self {
        self.configure(|settings| settings.retry = settings.retry.backoff(factor))
    }

    /// Sets the longest wait between two attempts; 1 h by default.
    ///
    /// # Panics
    ///
    /// Panics if it is longer than one year (365 days).
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    /// use std::time::Duration;
    ///
    /// #[action]
    /// fn load() {}
    ///
    /// let load = task(load()).retry(9).backoff(2.0).max_delay(Duration::from_secs(30));
    /// let workflow = DotFlow::new("sales", load);
    /// let policy = workflow.plan().tasks()[0].retry_policy();
    /// assert_eq!(policy.delay_after(8), Duration::from_secs(30));
    /// ```
    pub fn max_delay(self, max_delay: Duration) -> Self {
        self.configure(|settings| settings.retry = settings.retry.max_delay(max_delay))
    }

    /// Makes each wait a random part of what it would be, from nothing to all of it, so that tasks
    /// that failed together don't come back together. Without jitter by default.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    /// use std::time::Duration;
    ///
    /// #[action]
    /// fn load() {}
    ///
    /// let workflow = DotFlow::new("sales", task(load()).retry(3).jitter());
    /// let policy = workflow.plan().tasks()[0].retry_policy();
    /// assert!(policy.delay_after(1) <= Duration::from_secs(1));
    /// ```
    pub fn jitter(self) -> Self {
        self.configure(|settings| settings.retry = settings.retry.jitter(true))
    }

    /// Replaces the whole retry policy, that of the action included.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, RetryPolicy};
    ///
    /// #[action(retry = 5, jitter)]
    /// fn load() {}
    ///
    /// let policy = RetryPolicy::new().attempts(3);
    /// let workflow = DotFlow::new("sales", task(load()).retry_policy(policy));
    /// assert_eq!(workflow.plan().tasks()[0].retry_policy(), &policy);
    /// ```
    pub fn retry_policy(self, policy: RetryPolicy) -> Self {
        self.configure(|settings| settings.retry = policy)
    }

    /// Sets how long one attempt may take, from when its function begins; without a limit by default.
    ///
    /// An attempt that takes longer has failed (kind [`TimedOut`]), and is retried as any other. The
    /// future of async code is dropped then. A plain `fn` can't be stopped: its
    /// [`cancellation`](crate::TaskContext::cancellation) is cancelled, its late result is discarded,
    /// and its next attempt begins only when it has ended, unless it is under
    /// [`may_overlap`](crate::ActionSpec::may_overlap). Until then it holds a thread of the blocking
    /// pool, and does what it does.
    ///
    /// # Panics
    ///
    /// Panics if it is zero, or longer than one year (365 days).
    ///
    /// [`TimedOut`]: crate::TaskErrorKind::TimedOut
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, TaskErrorKind};
    /// use std::time::Duration;
    ///
    /// #[action]
    /// async fn wait() { std::future::pending().await }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let wait = task(wait()).timeout(Duration::from_millis(1));
    /// let run = DotFlow::new("slow", wait).start_blocking()?;
    /// assert_eq!(run.output().unwrap_err().kind(), TaskErrorKind::TimedOut);
    /// # Ok(()) }
    /// ```
    pub fn timeout(self, timeout: Duration) -> Self {
        check_timeout(timeout);
        self.configure(|settings| settings.timeout = Some(timeout))
    }

    /// Keeps the output with the run, so that [`Run::get`](crate::Run::get) finds it. By default only
    /// the outputs of sinks are kept, and others are freed once their last reader has them.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, PreviousContext};
    ///
    /// #[action]
    /// fn extract() -> Vec<u32> { vec![3, 5, 8] }
    ///
    /// #[action]
    /// fn count(rows: PreviousContext<Vec<u32>>) -> usize { rows.len() }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let rows = task(extract()).keep();
    /// let run = DotFlow::new("counts", rows.then(count())).start_blocking()?;
    /// assert_eq!(*run.get(&rows).unwrap()?, [3, 5, 8]);
    /// # Ok(()) }
    /// ```
    pub fn keep(self) -> Self {
        self.configure(|settings| settings.keep = true)
    }

    /// Has the task run again whenever the run is resumed, instead of storing its output.
    ///
    /// It serves outputs that can't be stored, such as a connection, or that cost less to make than
    /// to store. By default an output is stored where its type can be and the workflow has a
    /// [storage](crate::DotFlow::storage).
    ///
    /// ```
    /// use dotflow::{action, storage::MemoryStorage, task, DotFlow};
    ///
    /// #[action]
    /// fn connect() -> u32 { 42 }
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let workflow = DotFlow::new("copy", task(connect()).without_checkpoint())
    ///     .storage(MemoryStorage::new());
    /// workflow.resume_blocking("1")?;
    /// assert!(!workflow.resume_blocking("1")?.tasks()[0].restored());
    /// # Ok(()) }
    /// ```
    pub fn without_checkpoint(self) -> Self {
        self.configure(|settings| settings.checkpoint = CheckpointPolicy::Never)
    }

    /// Makes a task that runs after this one and receives its output.
    ///
    /// It borrows: any number of tasks may follow one task. An action without previous contexts, or
    /// a workflow, may follow any task. If this task fails, the next one is skipped, unless it
    /// takes `Option<PreviousContext<_>>` or `Result<PreviousContext<_>, TaskError>`.
    ///
    /// # Panics
    ///
    /// As [`task`].
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, PreviousContext};
    ///
    /// #[action]
    /// fn extract() -> Vec<u32> { vec![3, 5, 8] }
    ///
    /// #[action]
    /// fn count(rows: PreviousContext<Vec<u32>>) -> usize { rows.len() }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let run = DotFlow::new("counts", task(extract()).then(count())).start_blocking()?;
    /// assert_eq!(*run.output()?, 3);
    /// # Ok(()) }
    /// ```
    pub fn then<S>(&self, step: S) -> Task<S::Output>
    where
        S: Step,
        S::Inputs: AcceptsAll<(T,)>,
    {
        Task::after(step, vec![self.edge()])
    }

    /// Makes a task that runs once per item of this task's list, several items at a time.
    ///
    /// Its output is the list of the outputs, in the order of the items; of an empty list, an empty
    /// one. Each item is a sub-task with a span, attempts and a report of its own. At most as many
    /// run at once as the [concurrency](crate::DotFlow::concurrency) of the workflow allows. A
    /// workflow made by [`with_input`](crate::DotFlow::with_input) takes the item as its input.
    ///
    /// If an item fails, the task has failed, and no further item is started. All of them are
    /// started where the workflow is to [keep going](crate::DotFlow::keep_going), or where a task
    /// that follows takes the list as `Result<PreviousContext<_>, TaskError>` or as
    /// `Option<PreviousContext<_>>`.
    ///
    /// # Panics
    ///
    /// As [`task`].
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, PreviousContext};
    ///
    /// #[action]
    /// fn words() -> Vec<String> { vec!["to".into(), "trust".into()] }
    ///
    /// #[action]
    /// async fn length(word: PreviousContext<String>) -> usize { word.len() }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let run = DotFlow::new("lengths", task(words()).each(length())).start().await?;
    /// assert_eq!(*run.output()?, [2, 5]);
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn each<S>(&self, step: S) -> Task<Vec<S::Output>>
    where
        T: Items,
        S: Step,
        S::Inputs: TakesItem + AcceptsAll<(T::Item,)>,
    {
        Task::over_items(step, self.edge(), each_fns::<T, S>(), None)
    }

    /// Makes a task that runs once per item of this task's list, as [`each`](Self::each) does, and
    /// tries every item: its output has the error of each one that failed in its place.
    ///
    /// So no item that fails makes the task or the run fail, and none stops the others. Failed items
    /// are counted and reported as such. With a [storage](crate::DotFlow::storage) they are tried
    /// again when the run is resumed, and what follows the list is stored once all of them have
    /// succeeded.
    ///
    /// # Errors
    ///
    /// The output has the error of each item that failed in the place of its output.
    ///
    /// # Panics
    ///
    /// As [`task`].
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, PreviousContext, TaskError};
    ///
    /// #[action]
    /// fn texts() -> Vec<String> { vec!["3".into(), "five".into(), "8".into()] }
    ///
    /// #[action]
    /// fn parse(text: PreviousContext<String>) -> Result<u32, std::num::ParseIntError> { text.parse() }
    ///
    /// #[action]
    /// fn sum(numbers: PreviousContext<Vec<Result<u32, TaskError>>>) -> u32 {
    ///     numbers.iter().flatten().sum()
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let sum = task(texts()).each_settled(parse()).then(sum());
    /// let run = DotFlow::new("sum", sum).start().await?;
    /// assert!(run.succeeded());
    /// assert_eq!(*run.output()?, 11);
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn each_settled<S>(&self, step: S) -> Task<Vec<Result<S::Output, TaskError>>>
    where
        T: Items,
        S: Step,
        S::Inputs: TakesItem + AcceptsAll<(T::Item,)>,
    {
        Task::over_items(step, self.edge(), settled_fns::<T, S>(), None)
    }

    /// Gives each item of this task's list a label, by which people know it in traces and reports: its
    /// URL, its file, its customer. [`each`](Labelled::each) or [`each_settled`](Labelled::each_settled)
    /// follows. By default an item is known by its index.
    ///
    /// A label is cut after 512 bytes. Don't use secrets.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, PreviousContext};
    ///
    /// #[action]
    /// fn files() -> Vec<String> { vec!["a.csv".into(), "b.csv".into()] }
    ///
    /// #[action]
    /// fn load(file: PreviousContext<String>) -> usize { file.len() }
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let loaded = task(files()).item_labels(|file| file.clone()).each(load());
    /// let run = DotFlow::new("load", loaded).start_blocking()?;
    /// assert_eq!(run.tasks()[2].item_label(), Some("b.csv"));
    /// assert!(run.to_string().contains("load[b.csv]"));
    /// # Ok(()) }
    /// ```
    pub fn item_labels(
        &self,
        label: impl Fn(&T::Item) -> String + Send + Sync + 'static,
    ) -> Labelled<T>
    where
        T: Items,
    {
        let label: ItemLabel = Arc::new(move |item| match item.downcast_ref() {
            Some(item) => label(item),
            None => unreachable!("the items of a list have one type"),
        });
        Labelled {
            task: self.clone(),
            label,
        }
    }

    fn over_items<S: Step>(step: S, list: Edge, each: EachFns, label: Option<ItemLabel>) -> Self {
        Self::from_node(Node::with_items(step, vec![list], Some(each), label))
    }

    pub(crate) fn after<S: Step<Output = T>>(step: S, edges: Vec<Edge>) -> Self {
        Self::from_node(Node::new(step, edges))
    }

    pub(crate) fn edge(&self) -> Edge {
        Edge::One(Arc::clone(&self.node))
    }
}

impl<T> Clone for Task<T> {
    fn clone(&self) -> Self {
        Self::from_node(Arc::clone(&self.node))
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Task")
            .field("settings", &*self.node.settings())
            .finish_non_exhaustive()
    }
}

/// A task whose list has labels for its items; made by [`Task::item_labels`].
#[must_use = "labels are of use to `each` or `each_settled`"]
pub struct Labelled<T> {
    task: Task<T>,
    label: ItemLabel,
}

impl<T: Items> Labelled<T> {
    /// As [`Task::each`].
    ///
    /// # Panics
    ///
    /// As [`task`].
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, PreviousContext};
    ///
    /// #[action]
    /// fn names() -> Vec<String> { vec!["Ada".into()] }
    ///
    /// #[action]
    /// fn greet(name: PreviousContext<String>) -> String { format!("Hello, {}!", *name) }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let greeted = task(names()).item_labels(|name| name.clone()).each(greet());
    /// let run = DotFlow::new("greet", greeted).start_blocking()?;
    /// assert_eq!(*run.output()?, ["Hello, Ada!"]);
    /// # Ok(()) }
    /// ```
    pub fn each<S>(&self, step: S) -> Task<Vec<S::Output>>
    where
        S: Step,
        S::Inputs: TakesItem + AcceptsAll<(T::Item,)>,
    {
        let label = Some(Arc::clone(&self.label));
        Task::over_items(step, self.task.edge(), each_fns::<T, S>(), label)
    }

    /// As [`Task::each_settled`].
    ///
    /// # Errors
    ///
    /// The output has the error of each item that failed in the place of its output.
    ///
    /// # Panics
    ///
    /// As [`task`].
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, PreviousContext};
    ///
    /// #[action]
    /// fn texts() -> Vec<String> { vec!["3".into(), "five".into()] }
    ///
    /// #[action]
    /// fn parse(text: PreviousContext<String>) -> Result<u32, std::num::ParseIntError> { text.parse() }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let parsed = task(texts()).item_labels(|text| text.clone()).each_settled(parse());
    /// let run = DotFlow::new("parse", parsed).start_blocking()?;
    /// assert_eq!(run.output()?.iter().flatten().count(), 1);
    /// # Ok(()) }
    /// ```
    pub fn each_settled<S>(&self, step: S) -> Task<Vec<Result<S::Output, TaskError>>>
    where
        S: Step,
        S::Inputs: TakesItem + AcceptsAll<(T::Item,)>,
    {
        let label = Some(Arc::clone(&self.label));
        Task::over_items(step, self.task.edge(), settled_fns::<T, S>(), label)
    }
}

impl<T> fmt::Debug for Labelled<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Labelled").field(&self.task).finish()
    }
}

fn each_fns<T: Items, S: Step>() -> EachFns {
    EachFns {
        split: T::split,
        collect: collect::<S::Output>,
        settles: false,
    }
}

fn settled_fns<T: Items, S: Step>() -> EachFns {
    EachFns {
        split: T::split,
        collect: collect_settled::<S::Output>,
        settles: true,
    }
}

/// A list that [`each`](Task::each) can take apart: a `Vec` of items that can be cloned.
#[diagnostic::on_unimplemented(
    message = "`each` needs a task that returns a `Vec` of items that can be cloned",
    label = "this task returns `{Self}`",
    note = "an item is cloned only where other tasks read the list too"
)]
pub trait Items: Send + Sync + 'static {
    /// What the list holds.
    type Item: Send + Sync + 'static;

    #[doc(hidden)]
    fn split(list: Value) -> Box<dyn ExactSizeIterator<Item = Value> + Send>;
}

impl<I: Clone + Send + Sync + 'static> Items for Vec<I> {
    type Item = I;

    fn split(list: Value) -> Box<dyn ExactSizeIterator<Item = Value> + Send> {
        match Arc::try_unwrap(list.downcast::<Self>()) {
            Ok(items) => Box::new(items.into_iter().map(Value::new)),
            Err(shared) => {
                Box::new((0..shared.len()).map(move |index| Value::new(shared[index].clone())))
            }
        }
    }
}

fn collect<T: Send + Sync + 'static>(
    results: Vec<Result<Value, TaskError>>,
) -> Result<Value, TaskError> {
    let mut list: Vec<T> = Vec::with_capacity(results.len());
    for (index, result) in results.into_iter().enumerate() {
        match result.and_then(|output| owned(output, index)) {
            Ok(output) => list.push(output),
            Err(error) => {
                drop_catching(list);
                return Err(error);
            }
        }
    }
    Ok(Value::new(list))
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "it stands where `collect` may stand"
)]
fn collect_settled<T: Send + Sync + 'static>(
    results: Vec<Result<Value, TaskError>>,
) -> Result<Value, TaskError> {
    let results = results.into_iter().enumerate();
    let list: Vec<Result<T, TaskError>> = results
        .map(|(index, result)| result.and_then(|output| owned(output, index)))
        .collect();
    Ok(Value::new(list))
}

fn owned<T: Send + Sync + 'static>(output: Value, index: usize) -> Result<T, TaskError> {
    // Only a nested workflow's output can have another owner: a callback that kept it.
    Arc::into_inner(output.downcast::<T>()).ok_or_else(|| {
        TaskError::failed(format!(
            "the output of item {index} is still held elsewhere"
        ))
    })
}
