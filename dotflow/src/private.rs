//! What the expansion of `#[action]` calls. Hidden, not part of the public interface, and free to
//! change with every release: the macro crate is pinned to the very same version.

use std::{error::Error, marker::PhantomData, sync::Arc};

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
    note = "implement `std::error::Error` for it, or return another type, as `anyhow::Error`, `String` or `std::io::Error`"
)]
pub trait ActionError {
    fn into_task_error(self) -> TaskError;
}

#[diagnostic::do_not_recommend]
impl<E: Into<Box<dyn Error + Send + Sync>>> ActionError for E {
    fn into_task_error(self) -> TaskError {
        let error = TaskError::failed(self);
        // A function may return a `TaskError` itself, as with `previous?` or `without_retry`. One
        // of another kind belongs to another task: this task has failed, whatever that one did.
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        match inner {
            Some(inner) if TaskError::kind(inner) == TaskErrorKind::Failed => inner.clone(),
            _ => error,
        }
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

/// Clones an own input for one attempt.
pub fn own<T: OwnInput>(input: &T) -> T {
    input.clone()
}

/// An input that an action keeps.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be an input of an action, since it is not `Clone`",
    label = "cloned for each attempt",
    note = "derive `Clone` for it, or take it as `Arc<{Self}>`"
)]
pub trait OwnInput: Clone {}

#[diagnostic::do_not_recommend]
impl<T: Clone> OwnInput for T {}

/// Asks questions of a type that is only known where the expansion is compiled, by autoref
/// specialization: a constant of the `impl`s below is found where its bound holds, that of
/// [`ProbeFallback`] elsewhere.
#[derive(Debug)]
pub struct Probe<T>(PhantomData<T>);

pub trait ProbeFallback<T> {
    const CHECKPOINT: Checkpoint = Checkpoint::not_storable::<T>();
    const RETURNED: PlainOutput = PlainOutput;
}

impl<T> ProbeFallback<T> for Probe<T> {}

impl<T: Storable> Probe<T> {
    pub const CHECKPOINT: Checkpoint = Checkpoint::of::<T>();
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

/// Turns the result of the annotated function into what the engine wants.
pub fn outcome<T, E: ActionError>(result: Result<T, E>) -> Result<T, TaskError> {
    result.map_err(E::into_task_error)
}

/// As [`outcome`], for an action with `retry_if`: where it says no, no further attempt follows.
pub fn outcome_if<T, E: ActionError>(
    result: Result<T, E>,
    retry_if: fn(&E) -> bool,
) -> Result<T, TaskError> {
    result.map_err(|error| {
        let retry = retry_if(&error);
        let error = error.into_task_error();
        if retry { error } else { error.without_retry() }
    })
}

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
