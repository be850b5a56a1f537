//! What the expansion of `#[action]` calls. Hidden, not part of the public interface, and free to
//! change with every release: the macro crate is pinned to the very same version.

use std::{error::Error, marker::PhantomData, sync::Arc};

#[path = "private/own.rs"]
mod own;

pub use self::own::{Cloned, Keeping, KeepingFallback, Keeps, NotKept, Shared, cloned, shared};
pub use crate::action::codec::CheckpointPolicy as Checkpoint;
use crate::{
    action::{codec::Storable, context::TaskContext},
    error::{TaskError, TaskErrorKind},
    offload::{self, Attempt},
};

/// An error type that an action may return.
#[diagnostic::on_unimplemented(
    message = "an action can't return errors of type `{Self}`",
    label = "can't be turned into a `Box<dyn Error + Send + Sync>`",
    note = "return `Box<dyn Error + Send + Sync>`, as for `Box<dyn Error>`, or `anyhow::Error`, `String`, `std::io::Error`, or a type of your own that implements `std::error::Error`"
)]
pub trait ActionError {
    fn into_task_error(self) -> TaskError;
}

#[diagnostic::do_not_recommend]
impl<E: Into<Box<dyn Error + Send + Sync>>> ActionError for E {
    fn into_task_error(self) -> TaskError {
        TaskError::failed(self).returned()
    }
}

/// A return type that is a `Result`, whatever name it goes by, as `std::io::Result<T>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` goes by the name of `Result`, but is not a `Result`",
    label = "`#[action]` takes this for a `Result`, by its name",
    note = "rename the type, or return `Result<T, E>`"
)]
pub trait Fallible {
    type Output;
    type Error;
}

#[diagnostic::do_not_recommend]
impl<T, E> Fallible for Result<T, E> {
    type Output = T;
    type Error = E;
}

/// Asks questions of a type that is only known where the expansion is compiled, by autoref
/// specialization: a constant of the `impl`s below is found where its bound holds, that of
/// [`ProbeFallback`] elsewhere.
#[derive(Debug)]
pub struct Probe<T>(PhantomData<T>);

pub trait ProbeFallback<T> {
    const CHECKPOINT: Checkpoint = Checkpoint::not_storable::<T>();
    const RETURNED: PlainOutput = PlainOutput;
    const KEEP: Keep<T> = None;
}

impl<T> ProbeFallback<T> for Probe<T> {}

impl<T: Storable> Probe<T> {
    pub const CHECKPOINT: Checkpoint = Checkpoint::of::<T>();
}

/// An error as anyhow's, which gives the error within by reference.
impl<E> Probe<E>
where
    E: AsRef<dyn Error + Send + Sync> + Send + Sync + 'static,
{
    pub const KEEP: Keep<E> = Some(|error| TaskError::kept(error).returned());
}

impl<T, E> Probe<Result<T, E>> {
    pub const RETURNED: RenamedResult = RenamedResult;
}

#[derive(Debug)]
pub struct PlainOutput;

#[derive(Debug)]
pub struct RenamedResult;

/// Compiles for the outputs of functions that return no `Result`.
pub fn is_output<T: IsOutput>(_returned: T) {}

#[diagnostic::on_unimplemented(
    message = "this action returns a `Result` under another name",
    label = "an alias of `Result`, which `#[action]` knows by its name only",
    note = "write `Result<T, E>` or name the alias `Result`: its errors would pass for outputs"
)]
pub trait IsOutput {}

impl IsOutput for PlainOutput {}

/// Turns an error into what the engine wants, where it has an error within whose type its box would
/// hide.
pub type Keep<E> = Option<fn(E) -> TaskError>;

/// Turns the result of the annotated function into what the engine wants.
pub fn outcome<T, E: ActionError>(result: Result<T, E>, keep: Keep<E>) -> Result<T, TaskError> {
    result.map_err(keep.unwrap_or(E::into_task_error))
}

/// As [`outcome`], for an action with `retry_if`: where it says no, no further attempt follows.
pub fn outcome_if<T, E: ActionError>(
    result: Result<T, E>,
    keep: Keep<E>,
    retry_if: &Condition<E>,
) -> Result<T, TaskError> {
    result.map_err(|error| {
        let retry = (retry_if.0)(&error);
        let error = keep.unwrap_or(E::into_task_error)(error);
        if retry { error } else { error.without_retry() }
    })
}

/// Takes the function behind `retry_if`.
pub fn retry_if<A: ?Sized>(condition: fn(&A) -> bool) -> Condition<A> {
    Condition(condition)
}

/// The function behind `retry_if`, which takes `&A`.
#[derive(Debug)]
pub struct Condition<A: ?Sized>(fn(&A) -> bool);

impl<A: ?Sized> Condition<A> {
    /// The same, if it is about the error that the action fails with.
    ///
    /// It is a step of its own: in one with the first, the compiler would go by this bound before it
    /// looks at the function, and speak of function pointers.
    pub fn of<E: FailsWith<A>>(self) -> Condition<E> {
        E::condition(self)
    }
}

/// An error that is the one that a condition takes.
#[diagnostic::on_unimplemented(
    message = "`retry_if` takes `&{A}`, but this action fails with `{Self}`",
    label = "takes another error than `{Self}`",
    note = "write a function that takes `&{Self}` and returns a `bool`"
)]
pub trait FailsWith<A: ?Sized>: Sized {
    fn condition(of_another: Condition<A>) -> Condition<Self>;
}

#[diagnostic::do_not_recommend]
impl<E> FailsWith<E> for E {
    fn condition(of_this: Condition<E>) -> Condition<E> {
        of_this
    }
}

/// Stands, under their names, for the variables of the expansion: of functions alone a pattern takes
/// no notice.
pub fn variable() {}

/// What the engine wants to know of a plain function.
pub fn offloaded(task: &TaskContext) -> Option<Arc<Attempt>> {
    task.shared()
}

/// Runs a plain function on the blocking pool, so that it does not hold up async tasks.
pub async fn blocking<T: Send + 'static>(
    attempt: Option<Arc<Attempt>>,
    function: impl FnOnce() -> Result<T, TaskError> + Send + 'static,
) -> Result<T, TaskError> {
    let running = offload::blocking(attempt, function);
    running.await.unwrap_or_else(|_| {
        Err(TaskError::of_kind(
            TaskErrorKind::Cancelled,
            "the runtime was shut down before the function could run",
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Unstorable;

    #[test]
    fn what_can_be_stored_is_detected() {
        let Checkpoint::NotStorable { type_name } = <Probe<Unstorable>>::CHECKPOINT else {
            panic!("it implements nothing");
        };
        assert!(type_name().ends_with("Unstorable"));
        let storable = <Probe<Option<String>>>::CHECKPOINT;
        assert!(matches!(storable, Checkpoint::Stored(_)));
    }
}
