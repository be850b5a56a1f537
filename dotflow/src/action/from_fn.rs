//! Actions made from closures.

use std::{fmt, future::Future, marker::PhantomData};

use super::{
    Action, ActionSpec,
    codec::{CheckpointPolicy, Storable},
    context::TaskContext,
    inputs::{Input, Inputs},
};
use crate::{error::TaskError, tuples::tuples};

/// Makes an action of this name from a closure that takes previous contexts and returns a future.
///
/// The closure takes none to eight previous contexts, and a [`TaskContext`] behind them if it wants
/// one, and returns a future of `Result<T, TaskError>`. It is called once per attempt. The action has one attempt and no timeout,
/// until its [`Task`](crate::Task) says otherwise, and its output is not stored, unless it is
/// [`checkpointed`](FromFn::checkpointed).
///
/// # Panics
///
/// Panics if the name is empty, or nothing but white space.
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
    I: 'static,
{
    FromFn {
        spec: ActionSpec::new(name).with_checkpoint(CheckpointPolicy::not_storable::<F::Output>()),
        function,
        _inputs: PhantomData,
    }
}

/// An action made from a closure by [`from_fn`].
pub struct FromFn<F, I> {
    spec: ActionSpec,
    function: F,
    _inputs: PhantomData<fn(I)>,
}

impl<F, I> FromFn<F, I>
where
    F: ActionFn<I>,
    I: 'static,
{
    /// Has the output stored, where the workflow has a storage.
    ///
    /// A closure whose output can be stored is not recognized by itself, as a function under
    /// `#[action]` is.
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
        self.spec = self.spec.checkpointed::<F::Output>();
        self
    }
}

impl<F, I> fmt::Debug for FromFn<F, I> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FromFn")
            .field("name", &self.spec.name())
            .finish_non_exhaustive()
    }
}

/// A closure that [`from_fn`] takes: from the previous contexts, and a [`TaskContext`] or none, to a
/// future of a `Result`.
#[diagnostic::on_unimplemented(
    message = "this closure can't be an action",
    label = "expected a closure from previous contexts to a future of `Result<T, TaskError>`",
    note = "write it as `|previous: PreviousContext<Rows>| async move {{ Ok::<_, TaskError>(…) }}`"
)]
pub trait ActionFn<I>: Send + Sync + 'static {
    /// What the closure returns when it succeeds.
    type Output: Send + Sync + 'static;

    /// The previous contexts that it takes.
    type Inputs: Inputs;

    /// Calls the closure.
    ///
    /// # Errors
    ///
    /// What the closure fails with.
    fn call(
        &self,
        inputs: Self::Inputs,
        task: TaskContext,
    ) -> impl Future<Output = Result<Self::Output, TaskError>> + Send;
}

macro_rules! action_fn {
    ($(($input:ident, $_other:ident)),*) => {
        impl<Function, Returned, T, $($input),*> ActionFn<($($input,)*)> for Function
        where
            Function: Fn($($input),*) -> Returned + Send + Sync + 'static,
            Returned: Future<Output = Result<T, TaskError>> + Send,
            T: Send + Sync + 'static,
            $($input: Input,)*
        {
            type Output = T;
            type Inputs = ($($input,)*);

            #[allow(non_snake_case, reason = "one name serves for a type and its value")]
            fn call(
                &self,
                ($($input,)*): ($($input,)*),
                _task: TaskContext,
            ) -> impl Future<Output = Result<T, TaskError>> + Send {
                self($($input),*)
            }
        }

        impl<Function, Returned, T, $($input),*> ActionFn<($($input,)* TaskContext,)> for Function
        where
            Function: Fn($($input,)* TaskContext) -> Returned + Send + Sync + 'static,
            Returned: Future<Output = Result<T, TaskError>> + Send,
            T: Send + Sync + 'static,
            $($input: Input,)*
        {
            type Output = T;
            type Inputs = ($($input,)*);

            #[allow(non_snake_case, reason = "one name serves for a type and its value")]
            fn call(
                &self,
                ($($input,)*): ($($input,)*),
                task: TaskContext,
            ) -> impl Future<Output = Result<T, TaskError>> + Send {
                self($($input,)* task)
            }
        }
    };
}

action_fn!();
tuples!(action_fn);

impl<F, I> Action for FromFn<F, I>
where
    F: ActionFn<I>,
    I: 'static,
{
    type Inputs = F::Inputs;
    type Output = F::Output;

    fn spec(&self) -> ActionSpec {
        self.spec.clone()
    }

    fn call(
        &self,
        inputs: F::Inputs,
        task: TaskContext,
    ) -> impl Future<Output = Result<F::Output, TaskError>> + Send {
        self.function.call(inputs, task)
    }
}
