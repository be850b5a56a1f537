//! The plan of a workflow: its tasks by number, each with the numbers of the tasks before and after
//! it. Immutable, so any number of runs share it.

#[cfg(feature = "testing")]
use std::any::{TypeId, type_name};
use std::{
    any::Any,
    collections::BTreeMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock, atomic::AtomicBool},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{
    action::{
        Name,
        codec::CheckpointPolicy,
        context::TaskContext,
        inputs::{OnMissing, Slots},
        retry::RetryPolicy,
        surroundings::RunIdentity,
        value::Value,
    },
    checkpoint::{Checkpoints, Keys, Tasks},
    error::TaskError,
    limits::Admission,
    report::{TaskReport, event::Event, id::TaskId},
};

/// What a workflow consists of: its tasks, and which of them depends on which.
///
/// Tasks are numbered from 0 in topological order, each after those that it depends on; the number
/// is the one in spans and reports. A workflow that is a task of another one has a plan of its own.
///
/// ```
/// use dotflow::{action, task, DotFlow, PreviousContext};
///
/// #[action(retry = 3)]
/// fn extract() -> Vec<u32> { vec![3, 5, 8] }
///
/// #[action]
/// fn load(rows: PreviousContext<Vec<u32>>) -> usize { rows.len() }
///
/// let workflow = DotFlow::new("sales", task(extract()).group("source").then(load()));
/// let plan = workflow.plan();
/// assert_eq!(plan.name(), "sales");
/// let names: Vec<&str> = plan.tasks().iter().map(|task| task.name()).collect();
/// assert_eq!(names, ["extract", "load"]);
/// assert_eq!(plan.tasks()[0].group(), Some("source"));
/// assert_eq!(plan.tasks()[0].retry_policy().max_attempts(), 3);
/// assert_eq!(plan.edges().collect::<Vec<_>>(), [(0, 1)]);
/// assert_eq!(plan.sinks().collect::<Vec<_>>(), [1]);
/// ```
pub struct Plan {
    pub(crate) name: Arc<str>,
    /// In the order of their numbers: every task comes after the tasks that it depends on.
    pub(crate) tasks: Vec<PlannedTask>,
    pub(crate) sinks: Vec<u32>,
    pub(crate) input: Option<PlannedInput>,
    /// Whether some task has a timeout, or may have to wait for a further attempt.
    pub(crate) needs_timer: bool,
    /// How many workflows are nested in each other here, this one included.
    pub(crate) depth: usize,
    /// Whether some of its tasks are workflows.
    pub(crate) has_workflows: bool,
    /// The numbers of the tasks after each task, all in one list (compressed sparse rows); task `n`
    /// owns the part from `starts[n]` to `starts[n + 1]`.
    pub(crate) successors: Vec<u32>,
    pub(crate) starts: Vec<u32>,
    /// Under which keys the outputs of the tasks are stored, once a run with a storage has asked.
    pub(crate) keys: OnceLock<Keys>,
}

impl Plan {
    /// The name of the workflow.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tasks, in the order of their numbers, which is a topological order.
    pub fn tasks(&self) -> &[PlannedTask] {
        &self.tasks
    }

    /// The numbers of the tasks whose outputs the workflow returns, in their order. The input of the
    /// run may be returned as well, and is no task.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    ///
    /// #[action]
    /// fn one() -> u32 { 1 }
    ///
    /// let workflow = DotFlow::new("two", (task(one()), task(one())));
    /// assert_eq!(workflow.plan().sinks().collect::<Vec<_>>(), [0, 1]);
    /// ```
    pub fn sinks(&self) -> impl Iterator<Item = u32> {
        self.sinks.iter().copied().filter(|sink| *sink != INPUT)
    }

    /// Whether each run takes an input, as that of a workflow made by
    /// [`with_input`](crate::DotFlow::with_input).
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, PreviousContext};
    ///
    /// #[action]
    /// fn double(number: PreviousContext<u32>) -> u32 { *number * 2 }
    ///
    /// let workflow = DotFlow::with_input("double", |number| number.then(double()));
    /// assert!(workflow.plan().takes_input());
    /// assert_eq!(workflow.plan().tasks().len(), 1); // the input is no task
    /// ```
    pub fn takes_input(&self) -> bool {
        self.input.is_some()
    }

    /// The id of the node of a task, or of the input.
    pub(crate) fn node(&self, task: u32) -> u64 {
        match (task, &self.input) {
            (INPUT, Some(input)) => input.node,
            _ => self.tasks[task as usize].node,
        }
    }

    /// The edges of the graph: from the number of a task to that of a task which depends on it. A
    /// task that takes an output twice has two edges.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, PreviousContext};
    ///
    /// #[action]
    /// fn one() -> u32 { 1 }
    ///
    /// #[action]
    /// fn sum(left: PreviousContext<u32>, right: PreviousContext<u32>) -> u32 { *left + *right }
    ///
    /// let workflow = DotFlow::new("sum", task(one()).and(&task(one())).then(sum()));
    /// assert_eq!(workflow.plan().edges().collect::<Vec<_>>(), [(0, 2), (1, 2)]);
    /// ```
    pub fn edges(&self) -> impl Iterator<Item = (u32, u32)> {
        let numbered = (0u32..).zip(&self.tasks);
        numbered.flat_map(|(number, task)| task.after().map(move |before| (before, number)))
    }

    pub(crate) fn successors(&self, task: u32) -> &[u32] {
        let task = task as usize;
        &self.successors[self.starts[task] as usize..self.starts[task + 1] as usize]
    }

    /// A task in words, for messages.
    pub(crate) fn describe(&self, task: u32) -> String {
        format!("task:{task} `{}`", self.tasks[task as usize].name())
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Plan")
            .field("name", &self.name)
            .field("tasks", &self.tasks)
            .field("sinks", &self.sinks)
            .finish_non_exhaustive()
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
    pub(crate) checkpoint: CheckpointPolicy,
    pub(crate) version: u32,
    pub(crate) may_overlap: bool,
    /// Whether its function runs on the blocking pool.
    pub(crate) blocks: bool,
}

/// What came of an item, or of a list.
pub(crate) type Ended = Result<Value, TaskError>;

/// What `each` needs to know of the types: how to take a list apart and put another together.
#[derive(Clone, Copy)]
pub(crate) struct EachFns {
    pub(crate) split: fn(Value) -> Box<dyn ExactSizeIterator<Item = Value> + Send>,
    pub(crate) collect: fn(Vec<Ended>) -> Ended,
    /// Whether the list has the errors of items that failed.
    pub(crate) settles: bool,
}

/// Stands for the input of the run where a task reads it: it has no number, as it is no task.
pub(crate) const INPUT: u32 = u32::MAX;

/// The input of a run, as the plan knows it.
#[derive(Clone, Copy)]
pub(crate) struct PlannedInput {
    pub(crate) node: u64,
    /// How many parameters and sinks read it.
    pub(crate) readers: u32,
}

/// What people know an item by.
pub(crate) type ItemLabel = Arc<dyn Fn(&(dyn Any + Send + Sync)) -> String + Send + Sync>;

/// Where one parameter of a task comes from: numbers of tasks, or [`INPUT`].
#[derive(Clone)]
pub(crate) enum Source {
    One(u32),
    All(Box<[u32]>),
}

impl Source {
    pub(crate) fn tasks(&self) -> &[u32] {
        match self {
            Self::One(task) => std::slice::from_ref(task),
            Self::All(tasks) => tasks,
        }
    }
}

/// One task of a [`Plan`]: its name, its settings and its place in the graph.
pub struct PlannedTask {
    pub(crate) node: u64,
    pub(crate) step: Arc<dyn ErasedStep>,
    pub(crate) sources: Box<[Source]>,
    pub(crate) on_missing: &'static [OnMissing],
    pub(crate) each: Option<EachFns>,
    /// What people know an item by, where they were told.
    pub(crate) item_label: Option<ItemLabel>,
    pub(crate) settings: Settings,
}

impl PlannedTask {
    /// The name of the task.
    pub fn name(&self) -> &str {
        self.settings.name.as_str()
    }

    /// The group of the task; `None` where it was given none.
    pub fn group(&self) -> Option<&str> {
        self.settings.group.as_deref()
    }

    /// The numbers of the tasks that it depends on, one per output that it takes. The input of the
    /// run is no task.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, PreviousContext};
    ///
    /// #[action]
    /// fn one() -> u32 { 1 }
    ///
    /// #[action]
    /// fn next(before: PreviousContext<u32>) -> u32 { *before + 1 }
    ///
    /// let workflow = DotFlow::new("two", task(one()).then(next()));
    /// let after: Vec<u32> = workflow.plan().tasks()[1].after().collect();
    /// assert_eq!(after, [0]);
    /// ```
    pub fn after(&self) -> impl Iterator<Item = u32> {
        self.sources
            .iter()
            .flat_map(|source| source.tasks().iter().copied())
            .filter(|before| *before != INPUT)
    }

    /// How many times it is attempted, and the waits in between.
    pub fn retry_policy(&self) -> &RetryPolicy {
        &self.settings.retry
    }

    /// How long one attempt may take; `None` where there is no limit.
    pub fn timeout(&self) -> Option<Duration> {
        self.settings.timeout
    }

    /// The version of its action; 1 by default.
    pub fn version(&self) -> u32 {
        self.settings.version
    }

    /// Whether its output is kept until the run ends, beside the sinks.
    pub fn is_kept(&self) -> bool {
        self.settings.keep
    }

    /// Whether it was made by [`each`](crate::Task::each) or
    /// [`each_settled`](crate::Task::each_settled), and runs once per item of a list.
    pub fn is_each(&self) -> bool {
        self.each.is_some()
    }

    /// The plan of the workflow that this task is; `None` for an action.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    ///
    /// #[action]
    /// fn answer() -> u32 { 42 }
    ///
    /// let inner = DotFlow::new("inner", task(answer()));
    /// let outer = DotFlow::new("outer", task(inner));
    /// let nested = outer.plan().tasks()[0].nested().unwrap();
    /// assert_eq!(nested.name(), "inner");
    /// assert!(nested.tasks()[0].nested().is_none());
    /// ```
    pub fn nested(&self) -> Option<&Plan> {
        Some(&**self.step.nested()?.plan()?)
    }

    /// Whether it is a workflow: one that is known beforehand, or one that is built from its input by
    /// [`expand`](crate::Task::expand).
    pub(crate) fn is_workflow(&self) -> bool {
        self.step.nested().is_some()
    }

    /// Whether it was made by [`expand`](crate::Task::expand): its tasks are known only once it runs.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, PreviousContext};
    ///
    /// #[action]
    /// fn count() -> usize { 3 }
    ///
    /// let grown = task(count()).expand("grown", |_: PreviousContext<usize>| {
    ///     DotFlow::new("inner", task(count()))
    /// });
    /// let workflow = DotFlow::new("outer", grown);
    /// assert!(workflow.plan().tasks()[1].expands());
    /// assert!(workflow.plan().tasks()[1].nested().is_none());
    /// ```
    pub fn expands(&self) -> bool {
        self.step
            .nested()
            .is_some_and(|nested| nested.plan().is_none())
    }

    /// What the task does when the tasks behind a parameter have no output. A task without
    /// previous contexts can't run before what it follows, and so not without it.
    pub(crate) fn on_missing(&self, parameter: usize) -> OnMissing {
        self.on_missing
            .get(parameter)
            .copied()
            .unwrap_or(OnMissing::Skip)
    }

    /// What the task does when that task, which it reads, has no output: the strictest of what its
    /// parameters say.
    pub(crate) fn without(&self, before: u32) -> OnMissing {
        // One parameter is so common, and may read so many tasks, that it is not searched.
        if self.sources.len() == 1 {
            return self.on_missing(0);
        }
        let mut strictest = OnMissing::Run;
        for (parameter, source) in self.sources.iter().enumerate() {
            if source.tasks().contains(&before) {
                match self.on_missing(parameter) {
                    OnMissing::Skip => return OnMissing::Skip,
                    OnMissing::Handle => strictest = OnMissing::Handle,
                    OnMissing::Run => {}
                }
            }
        }
        strictest
    }

    /// Whether some parameter takes failures as a `Result`.
    pub(crate) fn handles_failures(&self) -> bool {
        self.on_missing.contains(&OnMissing::Handle)
    }

    /// Whether some parameter lets the task run when tasks before it have failed.
    pub(crate) fn is_clean_up(&self) -> bool {
        self.on_missing
            .iter()
            .any(|on_missing| *on_missing != OnMissing::Skip)
    }
}

impl fmt::Debug for PlannedTask {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PlannedTask")
            .field("settings", &self.settings)
            .field("after", &self.after().collect::<Vec<_>>())
            .field("nested", &self.nested())
            .finish_non_exhaustive()
    }
}

pub(crate) type StepFuture<'step> =
    Pin<Box<dyn Future<Output = Result<Value, TaskError>> + Send + 'step>>;

/// A step without its types: what the engine calls.
pub(crate) trait ErasedStep: Send + Sync {
    /// Does the work of an action.
    fn call(&self, slots: Slots, task: TaskContext) -> StepFuture<'_>;

    /// The workflow that this step is, if it is one: it is run instead of called.
    fn nested(&self) -> Option<&dyn NestedWorkflow> {
        None
    }

    /// What it takes and returns; `None` where nothing else can do its work.
    #[cfg(feature = "testing")]
    fn signature(&self) -> Option<Signature> {
        None
    }

    /// What is to be called where another step does its work.
    #[cfg(feature = "testing")]
    fn exchanged(&self, with: Arc<dyn ErasedStep>) -> Arc<dyn ErasedStep> {
        with
    }
}

/// The types of a step: another one with the same can do its work.
#[cfg(feature = "testing")]
#[derive(Clone, Copy)]
pub(crate) struct Signature {
    pub(crate) inputs: (TypeId, &'static str),
    pub(crate) output: (TypeId, &'static str),
}

#[cfg(feature = "testing")]
impl Signature {
    pub(crate) fn of<I: 'static, O: 'static>() -> Self {
        Self {
            inputs: (TypeId::of::<I>(), type_name::<I>()),
            output: (TypeId::of::<O>(), type_name::<O>()),
        }
    }
}

/// A change of a plan: `None` where there is nothing to be changed, a text where it can't be.
#[cfg(feature = "testing")]
pub(crate) type Edit = dyn Fn(&Plan) -> Result<Option<Plan>, String> + Send + Sync;

/// A workflow as a step of another one.
pub(crate) trait NestedWorkflow: Send + Sync {
    /// Its plan; `None` where the workflow is built when it is run.
    fn plan(&self) -> Option<&Arc<Plan>>;

    /// The same workflow with another plan; `None` where nothing of it is to be changed.
    #[cfg(feature = "testing")]
    fn edited(&self, edit: &Arc<Edit>) -> Result<Option<Arc<dyn ErasedStep>>, String>;

    /// Runs the workflow within a task.
    fn run<'run>(&'run self, slots: Slots, within: Within<'run>) -> StepFuture<'run>;
}

/// Who is told of what happens.
pub(crate) type Observer = Arc<dyn Fn(&Event) + Send + Sync>;

/// What a nested workflow has of the run around it.
pub(crate) struct Within<'run> {
    pub(crate) outer: &'run Arc<RunIdentity>,
    /// The task that it is.
    pub(crate) task: TaskId,
    /// The tasks of the run around it.
    pub(crate) tasks: Arc<dyn Tasks>,
    /// What ends it before its time: with the run around it, and after the timeout of its task.
    pub(crate) cancellation: CancellationToken,
    /// The slots and limits that its tasks share with all others.
    pub(crate) admission: &'run Admission,
    /// The checkpoints of the run around it, where there is a storage.
    pub(crate) checkpoints: Option<&'run Checkpoints>,
    /// Whether what it returns must be the same again when the run is resumed.
    pub(crate) must_repeat: bool,
    /// Whether its task follows from a failure: then so does all that it does.
    pub(crate) follows_failure: bool,
    /// To be set where its output follows from a failure that it has handled.
    pub(crate) output_follows_failure: &'run AtomicBool,
    /// Who watches the run around it.
    pub(crate) observer: Option<Observer>,
    /// Takes what became of its tasks.
    pub(crate) ended: &'run (dyn Fn(Box<dyn NestedRun>) + Send + Sync),
}

/// What became of a nested workflow, for the report of the run around it.
pub(crate) trait NestedRun: Send + Sync {
    /// What became of its own tasks.
    fn tasks(&self) -> Vec<TaskReport>;

    /// What became of workflows within its tasks.
    fn nested(&self) -> Option<&NestedRuns>;
}

/// What became of the workflows within the tasks of a run, by task or item.
pub(crate) type NestedRuns = BTreeMap<TaskId, Box<dyn NestedRun>>;
