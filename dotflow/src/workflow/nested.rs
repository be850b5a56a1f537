//! A workflow as a task of another one.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio_util::sync::CancellationToken;

use super::{
    DotFlow,
    definition::{Definition, Start},
    options::RunOptions,
    shell::Shell,
};
use crate::{
    action::{
        ActionSpec, Name,
        codec::CheckpointPolicy,
        context::{PreviousContext, RunIdentity, TaskContext},
        inputs::{Slot, Slots},
        value::Value,
    },
    error::{Error, TaskError},
    graph::{
        plan::{ErasedStep, NestedWorkflow, Plan, StepFuture, Within},
        step::{Erased, Step},
    },
};

/// A workflow takes no previous context, so it may follow anything. Its run has an id and a span
/// of its own, which nests in the span of the task. It is cancelled with the outer run.
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
        self.into_step()
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
        self.into_step()
    }
}

impl<T: Send + Sync + 'static, In> DotFlow<T, In> {
    fn into_step(self) -> Erased {
        // Its own tasks are stored instead.
        let mut spec = ActionSpec::new("workflow").with_checkpoint(CheckpointPolicy::Never);
        spec.name = Name::Shared(Arc::clone(&self.definition.plan.name));
        Erased {
            spec,
            step: Arc::new(NestedStep {
                definition: self.definition,
                shell: self.shell,
                bound: self.bound,
            }),
        }
    }
}

struct NestedStep<T> {
    definition: Arc<Definition>,
    shell: Arc<Shell<T>>,
    /// The input that the workflow was given when it was placed here, if it was.
    bound: Option<Value>,
}

impl<T: Send + Sync + 'static> ErasedStep for NestedStep<T> {
    fn nested(&self) -> Option<&dyn NestedWorkflow> {
        Some(self)
    }

    fn call(&self, _slots: Slots, _task: TaskContext) -> StepFuture<'_> {
        unreachable!("a nested workflow is run, not called")
    }
}

impl<T: Send + Sync + 'static> NestedWorkflow for NestedStep<T> {
    fn plan(&self) -> &Arc<Plan> {
        &self.definition.plan
    }

    fn run<'run>(
        &'run self,
        mut slots: Slots,
        _task: TaskContext,
        within: Within<'run>,
    ) -> StepFuture<'run> {
        Box::pin(async move {
            let output_follows_failure = within.output_follows_failure;
            // One that takes nothing may come after anything, a join of many above all.
            let passed = match &self.definition.plan.input {
                Some(_) if self.bound.is_none() => slots.next().map(Slot::into_value),
                _ => None,
            };
            let run = self
                .run_within(passed, within)
                .await
                .map_err(TaskError::failed)?;
            let run = run.ok().map_err(TaskError::failed)?;
            output_follows_failure.store(run.follows_failure(), Ordering::Relaxed);
            // The run goes first, so that the next task may be the only owner of the output.
            Ok(Value::shared(run.into_shared_output()?))
        })
    }
}

impl<T: Send + Sync + 'static> NestedStep<T> {
    /// Runs the workflow within a task. In a run with checkpoints its own are a part of those, so
    /// that its tasks are restored with that run.
    async fn run_within(
        &self,
        passed: Option<Value>,
        within: Within<'_>,
    ) -> Result<super::run::Run<T>, Error> {
        let definition = &self.definition;
        let follows_failure = within.follows_failure;
        let mut bound = self.bound.clone();
        let guard = match (within.checkpoints, within.workflow_id) {
            (Some(checkpoints), Some(workflow_id)) => {
                definition.check(true)?;
                let basis = definition
                    .restore
                    .nested_basis(&definition.plan, &mut bound)?;
                let identity = RunIdentity {
                    workflow_id: workflow_id.into(),
                    workflow_name: Arc::clone(&definition.plan.name),
                    scheduled_for: None,
                    cancellation: CancellationToken::new(),
                    draining: AtomicBool::new(false),
                };
                let start = Start::nested(identity, bound.or(passed));
                definition.open(start, Some(checkpoints), basis, follows_failure)
            }
            _ => definition.begin(definition.start(RunOptions::new(), bound.or(passed)))?,
        };
        let ended = definition.drive(guard).await?;
        Ok(self.shell.finish(ended))
    }
}
