//! Tasks and how they are put together: [`task`], `then` and `each`.
//!
//! A [`Task`] is a handle on a node of a graph that grows only forwards: a node names the nodes
//! before it, so a cycle can't be written. Nothing runs here.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    action::{Action, ActionSpec, Name},
    codec::Checkpoint,
    context::TaskContext,
    error::TaskError,
    inputs::{FedBy, First, Inputs, OnMissing, Slots},
    retry::RetryPolicy,
    shield::{Shielded, discard},
    value::Value,
};

pub(crate) type StepFuture<'step> =
    Pin<Box<dyn Future<Output = Result<Value, TaskError>> + Send + 'step>>;

/// A step without its types: what the engine calls.
pub(crate) trait ErasedStep: Send + Sync {
    fn call(&self, slots: Slots, task: TaskContext) -> StepFuture<'_>;

    /// What is to be known of a workflow in place of an action, when outputs are to be stored.
    fn nested(&self) -> Option<Nested> {
        None
    }
}

/// A nested workflow, as its storing sees it: its own tasks are stored instead of its output.
pub(crate) struct Nested {
    /// Its tasks whose outputs can't be stored, in words.
    pub(crate) not_storable: Vec<String>,
    /// Whether a resumed run gets the very same output again.
    pub(crate) is_repeatable: bool,
}

/// A step that has lost its types.
#[doc(hidden)]
pub struct Erased {
    pub(crate) step: Arc<dyn ErasedStep>,
    pub(crate) spec: ActionSpec,
}

impl fmt::Debug for Erased {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Erased").field(&self.spec).finish()
    }
}

/// What can be placed in a workflow: an [`Action`], or another workflow.
///
/// It is implemented for those and can't be implemented elsewhere; implement [`Action`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be placed in a workflow",
    label = "expected an action or a workflow",
    note = "an action is a function under `#[action]`, called with its own inputs: `load(table)`, not `load`"
)]
pub trait Step: Send + Sync + 'static {
    /// The previous contexts that it takes.
    type Inputs: Inputs;
    /// What it returns when it succeeds.
    type Output: Send + Sync + 'static;

    #[doc(hidden)]
    fn erase(self) -> Erased;
}

#[diagnostic::do_not_recommend]
impl<A: Action> Step for A {
    type Inputs = A::Inputs;
    type Output = A::Output;

    fn erase(self) -> Erased {
        Erased {
            spec: self.spec(),
            step: Arc::new(ActionStep(Shielded::new(self))),
        }
    }
}

struct ActionStep<A>(Shielded<A>);

impl<A: Action> ErasedStep for ActionStep<A> {
    fn call(&self, slots: Slots, task: TaskContext) -> StepFuture<'_> {
        Box::pin(async move {
            let inputs = A::Inputs::from_slots(slots);
            let output = self.0.call(inputs, task).await?;
            Ok(Value::new(output))
        })
    }
}

/// What a task is called and how it is run; changed until the workflow is made.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) name: Name,
    pub(crate) group: Option<Arc<str>>,
    pub(crate) retry: RetryPolicy,
    pub(crate) timeout: Option<Duration>,
    pub(crate) keep: bool,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) version: u32,
    pub(crate) may_overlap: bool,
}

/// What `each` needs to know of the types: how to take a list apart and put another together.
#[derive(Clone, Copy)]
pub(crate) struct Mapping {
    pub(crate) split: fn(Value) -> Box<dyn ExactSizeIterator<Item = Value> + Send>,
    pub(crate) collect: fn(Vec<Value>) -> Result<Value, TaskError>,
}

/// Where one parameter of a task comes from.
pub(crate) enum Edge {
    One(Arc<Node>),
    All(Vec<Arc<Node>>),
}

impl Edge {
    pub(crate) fn nodes(&self) -> &[Arc<Node>] {
        match self {
            Self::One(node) => std::slice::from_ref(node),
            Self::All(nodes) => nodes,
        }
    }
}

impl Clone for Edge {
    fn clone(&self) -> Self {
        match self {
            Self::One(node) => Self::One(Arc::clone(node)),
            Self::All(nodes) => Self::All(nodes.clone()),
        }
    }
}

/// A task in the graph, with the tasks before it.
pub(crate) struct Node {
    pub(crate) id: u64,
    pub(crate) step: Arc<dyn ErasedStep>,
    pub(crate) edges: Vec<Edge>,
    pub(crate) on_missing: &'static [OnMissing],
    pub(crate) mapping: Option<Mapping>,
    settings: Mutex<Settings>,
}

impl Node {
    fn new<S: Step>(step: S, edges: Vec<Edge>, mapping: Option<Mapping>) -> Arc<Self> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        let Erased { step, spec } = step.erase();
        assert!(
            spec.checkpoint
                .is_none_or(|checkpoint| checkpoint.fits::<S::Output>()),
            "the specification of the action `{}` says `checkpointed` with another type than it \
             returns",
            spec.name()
        );
        Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            step,
            edges,
            // Without a list there are no items, whatever an item's task could do without.
            on_missing: match mapping {
                Some(_) => &[],
                None => S::Inputs::ON_MISSING,
            },
            mapping,
            settings: Mutex::new(Settings {
                name: spec.name,
                group: None,
                retry: spec.retry,
                timeout: spec.timeout,
                keep: false,
                checkpoint: match spec.checkpoint {
                    Some(checkpoint) => checkpoint,
                    None => Checkpoint::not_storable::<S::Output>(),
                },
                version: spec.version,
                may_overlap: spec.may_overlap,
            }),
        })
    }

    pub(crate) fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Node {
    // A chain of a million tasks must not be a million nested drops: the nodes that die with this
    // one are taken apart in a loop.
    fn drop(&mut self) {
        let mut dying: Vec<Edge> = std::mem::take(&mut self.edges);
        while let Some(edge) = dying.pop() {
            let nodes = match edge {
                Edge::One(node) => vec![node],
                Edge::All(nodes) => nodes,
            };
            for node in nodes {
                if let Some(mut node) = Arc::into_inner(node) {
                    dying.append(&mut node.edges);
                }
            }
        }
    }
}

/// An action placed in a workflow, together with the tasks it depends on. `T` is what it returns.
///
/// It is a handle: clones mean the same task, and a task that several others follow runs once.
/// The methods that configure it change that one task, for every handle on it, until
/// [`DotFlow::new`](crate::DotFlow::new) makes the workflow.
#[must_use = "a task runs only as part of a workflow: pass it on to `DotFlow::new`"]
pub struct Task<T> {
    pub(crate) node: Arc<Node>,
    _output: PhantomData<fn() -> T>,
}

/// Makes the first task of a chain.
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
    S::Inputs: First,
{
    Task::from_node(Node::new(step, Vec::new(), None))
}

impl<T> Task<T> {
    fn from_node(node: Arc<Node>) -> Self {
        Self {
            node,
            _output: PhantomData,
        }
    }

    fn configure(self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.node.settings());
        self
    }

    /// Sets the name, which stands in traces, reports and checkpoints.
    pub fn named(self, name: impl Into<String>) -> Self {
        let name = Name::Shared(name.into().into());
        self.configure(|settings| settings.name = name)
    }

    /// Puts the task into a group: a label for people and dashboards, without effect on its run.
    pub fn group(self, group: impl Into<String>) -> Self {
        let group = group.into().into();
        self.configure(|settings| settings.group = Some(group))
    }

    /// Sets how often the task is attempted in all.
    ///
    /// # Panics
    ///
    /// Panics if it is 0.
    pub fn retry(self, attempts: u32) -> Self {
        self.configure(|settings| settings.retry = settings.retry.attempts(attempts))
    }

    /// Sets the wait before the second attempt.
    pub fn retry_delay(self, delay: Duration) -> Self {
        self.configure(|settings| settings.retry = settings.retry.delay(delay))
    }

    /// Sets the factor on each further wait.
    ///
    /// # Panics
    ///
    /// Panics if it is not a finite number, or below 1.
    pub fn backoff(self, factor: f64) -> Self {
        self.configure(|settings| settings.retry = settings.retry.backoff(factor))
    }

    /// Sets the longest wait between two attempts.
    pub fn max_delay(self, max_delay: Duration) -> Self {
        self.configure(|settings| settings.retry = settings.retry.max_delay(max_delay))
    }

    /// Makes each wait a random part of what it would be.
    pub fn jitter(self) -> Self {
        self.configure(|settings| settings.retry = settings.retry.jitter(true))
    }

    /// Replaces the whole retry policy.
    pub fn retry_policy(self, policy: RetryPolicy) -> Self {
        self.configure(|settings| settings.retry = policy)
    }

    /// Sets how long one attempt may take; an attempt that takes longer has failed.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.configure(|settings| settings.timeout = Some(timeout))
    }

    /// Keeps the output until the run ends, so that [`Run::get`](crate::Run::get) finds it.
    pub fn keep(self) -> Self {
        self.configure(|settings| settings.keep = true)
    }

    /// Has the task run again whenever the run is resumed, instead of storing its output.
    ///
    /// For outputs that can't be stored, as a connection, or that cost less to make than to store.
    pub fn without_checkpoint(self) -> Self {
        self.configure(|settings| settings.checkpoint = Checkpoint::Never)
    }

    /// Makes a task that runs after this one and receives its output.
    ///
    /// It borrows: any number of tasks may follow one task.
    pub fn then<S>(&self, step: S) -> Task<S::Output>
    where
        S: Step,
        S::Inputs: FedBy<(T,)>,
    {
        Task::after(step, vec![self.edge()])
    }

    /// Makes a task that runs once per item of this task's list, several items at a time.
    ///
    /// Its output is the list of the outputs, in the order of the items. Each item is a sub-task
    /// with a span, attempts and a report of its own; if one fails, the task has failed.
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
        T: List,
        S: Step,
        S::Inputs: FedBy<(T::Item,)>,
    {
        let mapping = Mapping {
            split: T::split,
            collect: collect::<S::Output>,
        };
        Task::from_node(Node::new(step, vec![self.edge()], Some(mapping)))
    }

    pub(crate) fn after<S: Step<Output = T>>(step: S, edges: Vec<Edge>) -> Self {
        Self::from_node(Node::new(step, edges, None))
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

/// A list that [`each`](Task::each) can take apart: a `Vec` of items that can be cloned.
#[diagnostic::on_unimplemented(
    message = "`each` needs a task that returns a `Vec` of items that can be cloned",
    label = "this task returns `{Self}`",
    note = "an item is cloned only where other tasks read the list too"
)]
pub trait List: Send + Sync + 'static {
    /// What the list holds.
    type Item: Send + Sync + 'static;

    #[doc(hidden)]
    fn split(list: Value) -> Box<dyn ExactSizeIterator<Item = Value> + Send>;
}

impl<I: Clone + Send + Sync + 'static> List for Vec<I> {
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

fn collect<T: Send + Sync + 'static>(outputs: Vec<Value>) -> Result<Value, TaskError> {
    let mut list: Vec<T> = Vec::with_capacity(outputs.len());
    for (index, output) in outputs.into_iter().enumerate() {
        // Only a nested workflow's output can have another owner: a callback that kept it.
        let Some(output) = Arc::into_inner(output.downcast::<T>()) else {
            discard(list);
            let message = format!("the output of item {index} is still held elsewhere");
            return Err(TaskError::failed(message));
        };
        list.push(output);
    }
    Ok(Value::new(list))
}
