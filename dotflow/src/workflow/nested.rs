//! A workflow as a task of another one.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Definition, DotFlow, storable};
use crate::{
    action::{ActionSpec, Name},
    codec::Checkpoint,
    context::{RunScope, TaskContext},
    error::TaskError,
    inputs::Slots,
    task::{Erased, ErasedStep, Nested, Step, StepFuture},
    value::Value,
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
impl<T, Output> Step for DotFlow<T, Output>
where
    T: Send + Sync + 'static,
    Output: Clone + Send + Sync + 'static,
{
    type Inputs = ();
    type Output = T;

    fn erase(self) -> Erased {
        // Its own tasks are stored instead.
        let mut spec = ActionSpec::new("").with_checkpoint(Checkpoint::Never);
        spec.name = Name::Shared(Arc::clone(&self.definition.plan.name));
        Erased {
            spec,
            step: Arc::new(NestedWorkflow(self.definition)),
        }
    }
}

struct NestedWorkflow<T, Output>(Arc<Definition<T, Output>>);

impl<T, Output> ErasedStep for NestedWorkflow<T, Output>
where
    T: Send + Sync + 'static,
    Output: Clone + Send + Sync + 'static,
{
    fn nested(&self) -> Option<Nested> {
        Some(Nested {
            not_storable: storable::not_storable(&self.0.plan),
            is_repeatable: storable::is_repeatable(&self.0.plan),
        })
    }

    fn call(&self, _slots: Slots, task: TaskContext) -> StepFuture<'_> {
        Box::pin(async move {
            let run = self
                .0
                .run(self.0.scope_within(&task))
                .await
                .map_err(TaskError::failed)?;
            let run = run.ok().map_err(TaskError::failed)?;
            let output = run.output()?;
            if run.is_provisional
                && let Some((outer, number, _)) = task.checkpoints()
            {
                outer.mark_output_provisional(number);
            }
            // The run goes first, so that the next task may be the only owner of the output.
            drop(run);
            Ok(Value::shared((self.0.returned)(output)))
        })
    }
}

impl<T, Output> Definition<T, Output> {
    /// What a run has for itself that is nested in a task: within a run with checkpoints, its
    /// tasks are checkpoints of that run, so that they are restored with it.
    fn scope_within(&self, task: &TaskContext) -> Arc<RunScope> {
        let Some((outer, number, item)) = task.checkpoints() else {
            return self.scope(None);
        };
        let own_key = outer.own_key(number, item);
        let checkpoints = outer.nested(number, item, Arc::clone(&self.plan) as _);
        if self.restoring.has_no_input() {
            checkpoints.inherit_input(outer);
        }
        Arc::new(RunScope {
            workflow_id: format!("{}/{own_key}", task.workflow_id()).into(),
            cancellation: CancellationToken::new(),
            checkpoints: Some(checkpoints),
        })
    }
}
