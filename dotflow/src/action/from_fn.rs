//! Actions made from closures.

use std::{fmt, future::Future, marker::PhantomData};

use super::{
    Action, ActionSpec,
    codec::{CheckpointPolicy, Storable},
    context::TaskContext,
    inputs::Inputs,
};
use crate::{error::TaskError, tuples::tuples};

/// Makes an action from a closure that takes previous contexts and returns a future.
///
/// The closure takes none to eight previous contexts and returns a future of
/// `Result<T, TaskError>`.
///
/// ```
/// use dotflow::{action, Action, PreviousContext, TaskError};
///
/// let double = action::from_fn("double", |previous: PreviousContext<u32>| async move {
///     Ok::<_, TaskError>(*previous * 2)
/// });
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// assert_eq!(double.run((21.into(),)).await?, 42);
/// # Ok::<(), TaskError>(()) }).unwrap();
/// ```
pub fn from_fn<F, I>(name: &'static str, function: F) -> FromFn<F, I>
where
    F: ActionFn<I>,
    I: Inputs,
{
    FromFn {
        name,
        function,
        checkpoint: CheckpointPolicy::not_storable::<F::Output>(),
        _inputs: PhantomData,
    }
}

/// An action made from a closure by [`from_fn`].
pub struct FromFn<F, I> {
    name: &'static str,
    function: F,
    checkpoint: CheckpointPolicy,
    _inputs: PhantomData<fn(I)>,
}

impl<F, I> FromFn<F, I>
where
    F: ActionFn<I>,
    I: Inputs,
{
    /// Stores the output, where the workflow has a storage.
    ///
    /// ```
    /// use dotflow::{action, storage::MemoryStorage, task, DotFlow, TaskError};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let answer = action::from_fn("answer", || async { Ok::<u32, TaskError>(42) });
    /// let workflow = DotFlow::new("life", task(answer.checkpointed())).storage(MemoryStorage::new());
    /// workflow.resume("1").await?;
    /// assert!(workflow.resume("1").await?.tasks()[0].restored());
    /// # Ok::<(), dotflow::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn checkpointed(mut self) -> Self
    where
        F::Output: Storable,
    {
        self.checkpoint = CheckpointPolicy::of::<F::Output>();
        self
    }
}

impl<F, I> fmt::Debug for FromFn<F, I> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FromFn")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A closure that [`from_fn`] takes: from the previous contexts `I` to a future of a `Result`.
#[diagnostic::on_unimplemented(
    message = "this closure can't be an action",
    label = "expected a closure from previous contexts to a future of `Result<T, TaskError>`",
    note = "write it as `|previous: PreviousContext<Rows>| async move {{ Ok::<_, TaskError>(…) }}`"
)]
pub trait ActionFn<I>: Send + Sync + 'static {
    /// What the closure returns when it succeeds.
    type Output: Send + Sync + 'static;

    /// Calls the closure.
    fn call(&self, inputs: I) -> impl Future<Output = Result<Self::Output, TaskError>> + Send;
}

macro_rules! action_fn {
    ($(($input:ident, $_other:ident)),*) => {
        impl<Function, Returned, T, $($input),*> ActionFn<($($input,)*)> for Function
        where
            Function: Fn($($input),*) -> Returned + Send + Sync + 'static,
            Returned: Future<Output = Result<T, TaskError>> + Send,
            T: Send + Sync + 'static,
        {
            type Output = T;

            #[allow(non_snake_case, reason = "one name serves for a type and its value")]
            fn call(
                &self,
                ($($input,)*): ($($input,)*),
            ) -> impl Future<Output = Result<T, TaskError>> + Send {
                self($($input),*)
            }
        }
    };
}

action_fn!();
tuples!(action_fn);

impl<F, I> Action for FromFn<F, I>
where
    F: ActionFn<I>,
    I: Inputs,
{
    type Inputs = I;
    type Output = F::Output;

    fn spec(&self) -> ActionSpec {
        ActionSpec::new(self.name).with_checkpoint(self.checkpoint)
    }

    fn call(
        &self,
        inputs: I,
        _task: TaskContext,
    ) -> impl Future<Output = Result<F::Output, TaskError>> + Send {
        self.function.call(inputs)
    }
}
