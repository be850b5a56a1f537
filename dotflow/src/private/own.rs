//! The own inputs of an action: whether they can be kept and, where one can't, something of another
//! type in its place, so that the compiler says what is wrong with the input and nothing else.

use std::{
    future::{Future, Pending, pending},
    marker::PhantomData,
    sync::Arc,
};

use super::blocking;
use crate::{error::TaskError, offload::Attempt};

/// An input that is cloned for each attempt.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be an input of an action, since it is not `Clone`",
    label = "cloned for each attempt",
    note = "derive `Clone` for it, or take it as `Arc<{Self}>`"
)]
pub trait Cloned: Clone {}

#[diagnostic::do_not_recommend]
impl<T: Clone> Cloned for T {}

/// Compiles for it.
#[inline]
pub fn cloned<T: Cloned>() {}

/// An input that may be used by any thread.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be an input of an action, whose attempts run on any thread",
    label = "bound to one thread: not `Send`, or not `Sync`",
    note = "take `Arc<dyn Trait + Send + Sync>` for `Arc<dyn Trait>`, `Arc` for `Rc`, `Mutex` or `RwLock` for `RefCell`"
)]
pub trait Shared: Send + Sync {}

#[diagnostic::do_not_recommend]
impl<T: Send + Sync> Shared for T {}

/// Compiles for it.
#[inline]
pub fn shared<T: Shared>() {}

/// Holds an own input of type `T` for all attempts.
pub trait Keeps<T>: Send + Sync + 'static {
    /// The input of one attempt.
    fn own(&self) -> T;
}

impl<T: Clone + Send + Sync + 'static> Keeps<T> for T {
    #[inline]
    fn own(&self) -> T {
        self.clone()
    }
}

/// Stands for an input that can't be kept. The program it is in does not compile.
#[derive(Debug)]
pub struct NotKept<T>(PhantomData<fn() -> T>);

impl<T: 'static> Keeps<T> for NotKept<T> {
    fn own(&self) -> T {
        unreachable!("a program with such an input does not compile")
    }
}

/// Does what it can with own inputs of type `T`, by autoref specialization: the functions of the
/// `impl`s below are found where their bounds hold, those of [`KeepingFallback`] elsewhere.
#[derive(Debug)]
pub struct Keeping<T>(T);

impl<T> Keeping<T> {
    #[inline]
    pub fn of(input: T) -> Self {
        Self(input)
    }
}

impl<T: Clone + Send + Sync + 'static> Keeping<T> {
    /// The input, as it is kept.
    #[inline]
    pub fn keep(self) -> T {
        self.0
    }
}

impl<T: Send + Sync> Keeping<T> {
    /// One attempt on the worker.
    #[inline]
    pub fn attempt<F: Future>(future: F) -> F {
        future
    }

    /// One attempt on the blocking pool.
    #[inline]
    pub fn blocking<R: Send + 'static>(
        attempt: Option<Arc<Attempt>>,
        function: impl FnOnce() -> Result<R, TaskError> + Send + 'static,
    ) -> impl Future<Output = Result<R, TaskError>> {
        blocking(attempt, function)
    }
}

pub trait KeepingFallback<T>: Sized {
    fn keep(self) -> NotKept<T> {
        NotKept(PhantomData)
    }

    fn attempt<F: Future>(_future: F) -> Pending<F::Output> {
        pending()
    }

    fn blocking<R>(
        _attempt: Option<Arc<Attempt>>,
        _function: impl FnOnce() -> Result<R, TaskError>,
    ) -> Pending<Result<R, TaskError>> {
        pending()
    }
}

impl<T> KeepingFallback<T> for Keeping<T> {}
