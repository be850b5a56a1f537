//! Tasks and how they are put together: [`task`], `then` and `each`.
//!
//! A [`Task`] is a handle on a node of a graph that grows only forwards: a node names the nodes
//! before it, so a cycle can't be written. Nothing runs here.

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use super::{
    node::{Edge, Node},
    plan::{EachFns, Settings},
    step::Step,
    wiring::{AcceptsAll, NoInputs},
};
use crate::{
    action::{Name, codec::CheckpointPolicy, retry::RetryPolicy, value::Value},
    error::TaskError,
    unwind::drop_catching,
};

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
    S::Inputs: NoInputs,
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

    /// Sets how many times the task is attempted in total; 1 unless said otherwise.
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
        self.configure(|settings| settings.checkpoint = CheckpointPolicy::Never)
    }

    /// Makes a task that runs after this one and receives its output.
    ///
    /// It borrows: any number of tasks may follow one task.
    pub fn then<S>(&self, step: S) -> Task<S::Output>
    where
        S: Step,
        S::Inputs: AcceptsAll<(T,)>,
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
        T: Items,
        S: Step,
        S::Inputs: AcceptsAll<(T::Item,)>,
    {
        let each = EachFns {
            split: T::split,
            collect: collect::<S::Output>,
        };
        Task::from_node(Node::new(step, vec![self.edge()], Some(each)))
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

fn collect<T: Send + Sync + 'static>(outputs: Vec<Value>) -> Result<Value, TaskError> {
    let mut list: Vec<T> = Vec::with_capacity(outputs.len());
    for (index, output) in outputs.into_iter().enumerate() {
        // Only a nested workflow's output can have another owner: a callback that kept it.
        let Some(output) = Arc::into_inner(output.downcast::<T>()) else {
            drop_catching(list);
            let message = format!("the output of item {index} is still held elsewhere");
            return Err(TaskError::failed(message));
        };
        list.push(output);
    }
    Ok(Value::new(list))
}
