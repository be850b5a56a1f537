//! What can be placed in a workflow, and how it loses its types there: the engine knows steps only
//! by [`ErasedStep`](super::plan::ErasedStep).

use std::{fmt, sync::Arc};

#[cfg(feature = "testing")]
use super::plan::Signature;
use super::plan::{ErasedStep, StepFuture};
use crate::{
    action::{
        Action, ActionSpec,
        context::TaskContext,
        inputs::{Inputs, Slots},
        value::Value,
    },
    unwind::CatchOnDrop,
};

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
    note = "an action is a function under `#[action]`, called with its own inputs: `load(table)`, not `load`",
    note = "a function without it gives what it returns, and an `async` one a future: is `#[action]` missing on the function?"
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
            step: Arc::new(ActionStep(CatchOnDrop::new(self))),
        }
    }
}

struct ActionStep<A>(CatchOnDrop<A>);

impl<A: Action> ErasedStep for ActionStep<A> {
    fn call(&self, slots: Slots, task: TaskContext) -> StepFuture<'_> {
        Box::pin(async move {
            let inputs = A::Inputs::from_slots(slots);
            let output = self.0.call(inputs, task).await?;
            Ok(Value::new(output))
        })
    }

    #[cfg(feature = "testing")]
    fn signature(&self) -> Option<Signature> {
        Some(Signature::of::<A::Inputs, A::Output>())
    }
}
