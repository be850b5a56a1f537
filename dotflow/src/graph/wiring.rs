//! Whether two tasks fit together, decided by the compiler.
//!
//! Nobody names these traits: they appear in the bounds of `then`, `and`, `each` and [`join_all`],
//! and in what the compiler says of a connection that does not fit. They can't be implemented
//! elsewhere, so a connection that compiles is one whose values can be read back.
//!
//! [`join_all`]: crate::join_all

use std::{fmt, marker::PhantomData};

use crate::{
    action::{
        context::PreviousContext,
        inputs::{Input, Inputs},
    },
    error::TaskError,
    tuples::{shorter_tuples, tuples},
};

/// What [`join_all`](crate::join_all) gives to the next task: one previous context per joined task.
pub struct Many<T> {
    _part: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for Many<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Many")
    }
}

/// Traits that can be named nowhere else, so that nobody else implements those that ask for them.
mod sealed {
    pub trait Accepts<T> {}
    pub trait AcceptsAll<U> {}
    pub trait NoInputs {}
    pub trait TakesItem {}
    pub trait Given {}
}

/// Says that a parameter takes the output of a task that returns `T`.
#[diagnostic::on_unimplemented(
    message = "this task does not take what the task before it returns",
    label = "takes `{Self}`, but is given `{T}`"
)]
pub trait Accepts<T>: Input + sealed::Accepts<T> {}

macro_rules! accepts {
    ($($given:ty => $input:ty),* $(,)?) => {
        $(
            impl<T: Send + Sync + 'static> sealed::Accepts<$given> for $input {}
            #[diagnostic::do_not_recommend]
            impl<T: Send + Sync + 'static> Accepts<$given> for $input {}
        )*
    };
}

accepts! {
    T => PreviousContext<T>,
    T => Option<PreviousContext<T>>,
    T => Result<PreviousContext<T>, TaskError>,
    Many<T> => Vec<PreviousContext<T>>,
    Many<T> => Vec<Option<PreviousContext<T>>>,
    Many<T> => Vec<Result<PreviousContext<T>, TaskError>>,
}

/// Says that a task with these previous contexts may follow tasks that return the tuple `U`.
///
/// A task without previous contexts may follow anything.
#[diagnostic::on_unimplemented(
    message = "this task does not take what the tasks before it return",
    label = "takes `{Self}`, but is given `{U}`",
    note = "of lists: `each` gives one `PreviousContext<Vec<T>>`, and `join_all` a `Vec<PreviousContext<T>>`"
)]
pub trait AcceptsAll<U>: Inputs + sealed::AcceptsAll<U> {}

impl<U> sealed::AcceptsAll<U> for () {}
#[diagnostic::do_not_recommend]
impl<U> AcceptsAll<U> for () {}

macro_rules! accepts_all {
    ($(($input:ident, $output:ident)),+) => {
        impl<$($input, $output),+> sealed::AcceptsAll<($($output,)+)> for ($($input,)+)
        where
            $($input: Accepts<$output>,)+
        {
        }

        #[diagnostic::do_not_recommend]
        impl<$($input, $output),+> AcceptsAll<($($output,)+)> for ($($input,)+)
        where
            $($input: Accepts<$output>,)+
        {
        }
    };
}

tuples!(accepts_all);

/// Says that a task may be the first of a workflow: it takes no previous context.
#[diagnostic::on_unimplemented(
    message = "this task takes the output of a task before it, so it can't be the first one",
    label = "takes `{Self}`",
    note = "place it behind another task: `task(first()).then(second())`"
)]
pub trait NoInputs: Inputs + sealed::NoInputs {}

impl sealed::NoInputs for () {}
#[diagnostic::do_not_recommend]
impl NoInputs for () {}

/// Says that a task takes the item that [`each`](crate::Task::each) runs it for.
#[diagnostic::on_unimplemented(
    message = "this step does not take the item that `each` would run it for",
    label = "takes `{Self}`, so all items would be alike",
    note = "an action takes the item as its `PreviousContext<_>`, and a workflow as its input: `DotFlow::with_input`"
)]
pub trait TakesItem: Inputs + sealed::TakesItem {}

macro_rules! takes_item {
    ($(($input:ident, $_output:ident)),+) => {
        impl<$($input),+> sealed::TakesItem for ($($input,)+) {}

        #[diagnostic::do_not_recommend]
        impl<$($input),+> TakesItem for ($($input,)+) where Self: Inputs {}
    };
}

tuples!(takes_item);

/// Says that a workflow has all that its runs take: nothing, or it was given.
#[diagnostic::on_unimplemented(
    message = "this workflow takes an input, and was given none",
    label = "it takes `{Self}`",
    note = "give it by `.with(input)`, which makes a workflow that can be started"
)]
pub trait Given: sealed::Given {}

impl sealed::Given for () {}
#[diagnostic::do_not_recommend]
impl Given for () {}

/// A tuple that can take one more element: up to eight tasks can be joined by `and`.
#[diagnostic::on_unimplemented(
    message = "a task takes at most 8 previous contexts",
    label = "one more can't be joined",
    note = "join tasks of one type by `join_all`, or let a task gather some of the outputs first"
)]
pub trait PushBack<T> {
    /// The tuple with `T` at its end.
    type Longer;
}

macro_rules! push_back {
    ($(($element:ident, $_other:ident)),+) => {
        #[diagnostic::do_not_recommend]
        impl<$($element,)+ Last> PushBack<Last> for ($($element,)+) {
            type Longer = ($($element,)+ Last);
        }
    };
}

shorter_tuples!(push_back);
