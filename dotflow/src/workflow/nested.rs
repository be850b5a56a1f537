//! A workflow as a task of another one.

use std::sync::Arc;

use super::{Definition, DotFlow, new_scope};
use crate::{
    action::{ActionSpec, Name},
    context::TaskContext,
    error::TaskError,
    inputs::Slots,
    task::{Erased, ErasedStep, Step, StepFuture},
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
impl<T, Output> Step for DotFlow<T, Output>
where
    T: Send + Sync + 'static,
    Output: Clone + Send + Sync + 'static,
{
    type Inputs = ();
    type Output = T;

    fn erase(self) -> Erased {
        let mut spec = ActionSpec::new("");
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
    fn call(&self, _slots: Slots, _task: TaskContext) -> StepFuture<'_> {
        Box::pin(async move {
            let run = self.0.run(new_scope()).await.map_err(TaskError::failed)?;
            let run = run.ok().map_err(TaskError::failed)?;
            let output = run.output()?;
            // The run goes first, so that the next task may be the only owner of the output.
            drop(run);
            Ok(Value::shared((self.0.returned)(output)))
        })
    }
}
