//! A workflow as a task of another one.

use std::{
    marker::PhantomData,
    sync::{Arc, atomic::Ordering},
};

use super::{
    DotFlow,
    definition::{Definition, RunGuard, Start},
    shell::Shell,
};
#[cfg(feature = "testing")]
use crate::graph::plan::{Edit, Signature};
use crate::{
    action::{
        ActionSpec, Name,
        codec::CheckpointPolicy,
        context::{PreviousContext, TaskContext},
        inputs::{Inputs, Slot, Slots},
        value::Value,
    },
    checkpoint::Tasks,
    clock::new_id,
    error::{Error, ErrorKind, TaskError},
    graph::{
        plan::{ErasedStep, NestedWorkflow, Plan, StepFuture, Within},
        step::{Erased, Step},
    },
    report::id::TaskId,
};

/// How many runs can be within each other, the outermost one included: as many rounds as a loop can have
/// that is written as a workflow which builds the next one.
const MOST_GROWN: usize = 1_000;

/// A workflow takes no previous context, so it may follow anything. Its run has an id and a span
/// of its own, which nests in the span of the task. It shares the concurrency, the limits and the
/// storage of the outer run, and is cancelled and drained with it; its tasks stand below the task in
/// the report.
///
/// ```
/// use dotflow::{action, task, DotFlow, PreviousContext};
///
/// #[action]
/// fn prepare() {}
///
/// #[action]
/// fn answer() -> u32 { 42 }
///
/// #[action]
/// fn double(previous: PreviousContext<u32>) -> u32 { *previous * 2 }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let inner = DotFlow::new("inner", task(answer()));
/// let outer = DotFlow::new("outer", task(prepare()).then(inner).then(double()));
/// assert_eq!(*outer.start().await?.output()?, 84);
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[diagnostic::do_not_recommend]
impl<T: Send + Sync + 'static> Step for DotFlow<T> {
    type Inputs = ();
    type Output = T;

    fn erase(self) -> Erased {
        self.into_step::<()>()
    }
}

/// A workflow that takes an input gets it from the task before it, or as an item of
/// [`each`](crate::Task::each).
///
/// ```
/// use dotflow::{action, task, DotFlow, PreviousContext};
///
/// #[action]
/// fn answer() -> u32 { 42 }
///
/// #[action]
/// fn double(number: PreviousContext<u32>) -> u32 { *number * 2 }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let double = DotFlow::with_input("double", |number| number.then(double()));
/// let outer = DotFlow::new("outer", task(answer()).then(double));
/// assert_eq!(*outer.start().await?.output()?, 84);
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[diagnostic::do_not_recommend]
impl<T: Send + Sync + 'static, In: Send + Sync + 'static> Step for DotFlow<T, (In,)> {
    type Inputs = (PreviousContext<In>,);
    type Output = T;

    fn erase(self) -> Erased {
        self.into_step::<(PreviousContext<In>,)>()
    }
}

impl<T: Send + Sync + 'static, In> DotFlow<T, In> {
    fn into_step<I: Inputs>(self) -> Erased {
        // Its own tasks are stored instead.
        let mut spec = ActionSpec::new("workflow").with_checkpoint(CheckpointPolicy::Never);
        spec.name = Name::Shared(Arc::clone(&self.definition.plan.name));
        Erased {
            spec,
            step: Arc::new(NestedStep {
                definition: self.definition,
                shell: self.shell,
                bound: self.bound,
                _inputs: PhantomData::<fn(I)>,
            }),
        }
    }
}

struct NestedStep<T, I> {
    definition: Arc<Definition>,
    shell: Arc<Shell<T>>,
    /// The input that the workflow was given when it was placed here, if it was.
    bound: Option<Value>,
    _inputs: PhantomData<fn(I)>,
}

impl<T: Send + Sync + 'static, I: Inputs> ErasedStep for NestedStep<T, I> {
    fn nested(&self) -> Option<&dyn NestedWorkflow> {
        Some(self)
    }

    fn call(&self, _slots: Slots, _task: TaskContext) -> StepFuture<'_> {
        unreachable!("a nested workflow is run, not called")
    }

    #[cfg(feature = "testing")]
    fn signature(&self) -> Option<Signature> {
        Some(Signature::of::<I, T>())
    }
}

impl<T: Send + Sync + 'static, I: Inputs> NestedWorkflow for NestedStep<T, I> {
    fn plan(&self) -> Option<&Arc<Plan>> {
        Some(&self.definition.plan)
    }

    #[cfg(feature = "testing")]
    fn edited(&self, edit: &Arc<Edit>) -> Result<Option<Arc<dyn ErasedStep>>, String> {
        Ok(edit(&self.definition.plan)?.map(|plan| {
            let mut definition = Arc::clone(&self.definition);
            Arc::make_mut(&mut definition).plan = Arc::new(plan);
            let step: Arc<dyn ErasedStep> = Arc::new(Self {
                definition,
                shell: Arc::clone(&self.shell),
                bound: self.bound.clone(),
                _inputs: PhantomData,
            });
            step
        }))
    }

    fn run<'run>(&'run self, mut slots: Slots, within: Within<'run>) -> StepFuture<'run> {
        Box::pin(async move {
            // One that takes nothing may come after anything, a join of many above all.
            let passed = match &self.definition.plan.input {
                Some(_) if self.bound.is_none() => slots.next().map(Slot::into_value),
                _ => None,
            };
            let input = self.bound.clone().or(passed);
            let is_bound = self.bound.is_some();
            run_within(&self.definition, &self.shell, input, is_bound, None, within).await
        })
    }
}

/// Runs a workflow within a task, and gives back its output. `built` says that it was made when the
/// task was run.
pub(super) async fn run_within<T: Send + Sync + 'static>(
    definition: &Definition,
    shell: &Shell<T>,
    input: Option<Value>,
    is_bound: bool,
    built: Option<Built>,
    within: Within<'_>,
) -> Result<Value, TaskError> {
    let outer = within.outer;
    let is_built = built.is_some();
    let guard = definition.begin_within(input, is_bound, is_built, &within);
    let guard = guard.map_err(TaskError::failed)?;
    let context = guard.context();
    let run = definition.drive(guard).await.map_err(TaskError::failed)?;
    if let (Some(outer), Some(own)) = (within.checkpoints, &context.checkpoints)
        && let Some(shape) = own.shape(is_built)
    {
        outer.grew(within.task.number, within.task.item, shape);
    }
    let run = shell.finish(run);
    let result = match run.failed() {
        None => {
            let follows_failure = run.follows_failure();
            within
                .output_follows_failure
                .store(follows_failure, Ordering::Relaxed);
            // Only a run that was ended early has succeeded without an output.
            let stopped = |error: TaskError| TaskError::stop(error.root().to_string());
            run.output_value().map_err(stopped)
        }
        // It has ended with the run around it.
        Some(_) if outer.is_draining() || within.cancellation.is_cancelled() => {
            Err(context.why_cancelled())
        }
        Some(error) => Err(TaskError::nested(error)),
    };
    // The run goes first, so that the next task may be the only owner of the output.
    (within.ended)(Box::new(run.into_ended()));
    result
}

/// That a workflow was made when its task was run.
pub(super) struct Built;

impl Definition {
    /// Begins a run within a task of another one. In a run with checkpoints its own are a part of
    /// those, so that its tasks are restored with that run.
    fn begin_within(
        &self,
        mut input: Option<Value>,
        is_bound: bool,
        is_built: bool,
        within: &Within<'_>,
    ) -> Result<RunGuard, Error> {
        let TaskId { number, item } = within.task;
        if within.outer.depth() + 1 >= MOST_GROWN {
            return Err(ErrorKind::TooDeep {
                depth: within.outer.depth() + 2,
                most: MOST_GROWN,
            }
            .into());
        }
        let identity = |id: Arc<str>| {
            let name = Arc::clone(&self.plan.name);
            let cancellation = within.cancellation.clone();
            let tasks = Arc::clone(&within.tasks);
            within
                .outer
                .within(within.task, tasks, id, name, cancellation)
        };
        let Some(outer) = within.checkpoints else {
            let start = Start::nested(identity(new_id()), input, true);
            return self.begin_in(start, Some(within));
        };
        self.check(true)?;
        if is_built && within.must_repeat && !self.plan.repeats_outputs() {
            let task = self.plan.name();
            return Err(ErrorKind::NotStorable(vec![format!(
                "the output of workflow `{task}`, which was built when its task was run, is taken \
                 apart by a later task, and is not the same again when the run is resumed"
            )])
            .into());
        }
        let bound = if is_bound { &mut input } else { &mut None };
        let basis = self.restore.nested_basis(&self.plan, bound)?;
        let plan: Arc<dyn Tasks> = Arc::<Plan>::clone(&self.plan);
        let checkpoints = outer.nested(number, item, plan, is_built);
        let id = format!(
            "{}/{}",
            within.outer.workflow_id,
            outer.own_key(number, item)
        );
        let start = Start::nested(identity(id.into()), input, false);
        Ok(self.open(start, Some(Box::new(checkpoints)), basis, Some(within)))
    }
}
