//! How tasks are wired: which previous contexts a task takes, and what may be given to it.
//!
//! The compiler checks a connection by [`FedBy`]: the tuple of a task's previous contexts against
//! the tuple of what the tasks before it return. At run time the values travel without their
//! types; reading them back can't fail, because only checked connections are ever built.

use std::{fmt, marker::PhantomData, mem, vec};

use crate::{context::PreviousContext, error::TaskError, value::Value};

/// What [`join_all`](crate::join_all) gives to the next task: one previous context per joined task.
pub struct All<T> {
    _part: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for All<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("All")
    }
}

/// What arrives at one parameter.
#[derive(Clone)]
#[doc(hidden)]
pub enum Slot {
    Value(Value),
    Missing(TaskError),
    All(Vec<Slot>),
}

impl fmt::Debug for Slot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Value(_) => "Value",
            Self::Missing(_) => "Missing",
            Self::All(_) => "All",
        })
    }
}

/// What arrives at all parameters of one task, in order. One is so common that it costs no
/// allocation.
#[derive(Clone, Debug, Default)]
#[doc(hidden)]
pub enum Slots {
    #[default]
    None,
    One(Slot),
    Many(vec::IntoIter<Slot>),
}

/// What a parameter does when the task before it has no output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(hidden)]
pub enum OnMissing {
    /// The task can't run without it.
    Skip,
    /// The task runs all the same; the failure stays a failure of the run.
    Run,
    /// The task runs, sees the error, and has thereby handled it.
    Handle,
}

/// A parameter that takes what a task before returned: `PreviousContext<T>`, also as `Option`, as
/// `Result<_, TaskError>`, or in a `Vec` after [`join_all`](crate::join_all).
pub trait Input: Clone + Send + 'static {
    #[doc(hidden)]
    const ON_MISSING: OnMissing;
    #[doc(hidden)]
    fn from_slot(slot: Slot) -> Self;
}

/// Says that a parameter takes the output of a task that returns `T`.
#[diagnostic::on_unimplemented(
    message = "this task does not take what the task before it returns",
    label = "takes `{Self}`, but is given `{T}`"
)]
pub trait Takes<T>: Input {}

impl<T: Send + Sync + 'static> Input for PreviousContext<T> {
    const ON_MISSING: OnMissing = OnMissing::Skip;

    fn from_slot(slot: Slot) -> Self {
        match slot {
            Slot::Value(value) => value.downcast::<T>().into(),
            Slot::Missing(_) | Slot::All(_) => {
                unreachable!("a task with a required input missing is skipped")
            }
        }
    }
}

impl<T: Send + Sync + 'static> Input for Option<PreviousContext<T>> {
    const ON_MISSING: OnMissing = OnMissing::Run;

    fn from_slot(slot: Slot) -> Self {
        match slot {
            Slot::Missing(_) => None,
            slot => Some(PreviousContext::from_slot(slot)),
        }
    }
}

impl<T: Send + Sync + 'static> Input for Result<PreviousContext<T>, TaskError> {
    const ON_MISSING: OnMissing = OnMissing::Handle;

    fn from_slot(slot: Slot) -> Self {
        match slot {
            Slot::Missing(error) => Err(error),
            slot => Ok(PreviousContext::from_slot(slot)),
        }
    }
}

fn parts<I: Input>(slot: Slot) -> Vec<I> {
    match slot {
        Slot::All(slots) => slots.into_iter().map(I::from_slot).collect(),
        Slot::Value(_) | Slot::Missing(_) => unreachable!("only `join_all` feeds a `Vec`"),
    }
}

impl<T: Send + Sync + 'static> Input for Vec<PreviousContext<T>> {
    const ON_MISSING: OnMissing = OnMissing::Skip;

    fn from_slot(slot: Slot) -> Self {
        parts(slot)
    }
}

impl<T: Send + Sync + 'static> Input for Vec<Option<PreviousContext<T>>> {
    const ON_MISSING: OnMissing = OnMissing::Run;

    fn from_slot(slot: Slot) -> Self {
        parts(slot)
    }
}

impl<T: Send + Sync + 'static> Input for Vec<Result<PreviousContext<T>, TaskError>> {
    const ON_MISSING: OnMissing = OnMissing::Handle;

    fn from_slot(slot: Slot) -> Self {
        parts(slot)
    }
}

#[diagnostic::do_not_recommend]
impl<T: Send + Sync + 'static> Takes<T> for PreviousContext<T> {}
#[diagnostic::do_not_recommend]
impl<T: Send + Sync + 'static> Takes<T> for Option<PreviousContext<T>> {}
#[diagnostic::do_not_recommend]
impl<T: Send + Sync + 'static> Takes<T> for Result<PreviousContext<T>, TaskError> {}
#[diagnostic::do_not_recommend]
impl<T: Send + Sync + 'static> Takes<All<T>> for Vec<PreviousContext<T>> {}
#[diagnostic::do_not_recommend]
impl<T: Send + Sync + 'static> Takes<All<T>> for Vec<Option<PreviousContext<T>>> {}
#[diagnostic::do_not_recommend]
impl<T: Send + Sync + 'static> Takes<All<T>> for Vec<Result<PreviousContext<T>, TaskError>> {}

/// The previous contexts of an action: a tuple of none to eight [`Input`]s.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a tuple of previous contexts",
    label = "expected `()`, `(PreviousContext<A>,)`, `(PreviousContext<A>, PreviousContext<B>)` …",
    note = "a task takes at most 8 previous contexts"
)]
pub trait Inputs: Clone + Send + 'static {
    #[doc(hidden)]
    const ON_MISSING: &'static [OnMissing];
    #[doc(hidden)]
    fn from_slots(slots: Slots) -> Self;
}

/// Says that a task with these previous contexts may follow tasks that return the tuple `U`.
///
/// A task without previous contexts may follow anything.
#[diagnostic::on_unimplemented(
    message = "this task does not take what the tasks before it return",
    label = "takes `{Self}`, but is given `{U}`"
)]
pub trait FedBy<U>: Inputs {}

/// Says that a task may be the first of a workflow: it takes no previous context.
#[diagnostic::on_unimplemented(
    message = "this task takes the output of a task before it, so it can't be the first one",
    label = "takes `{Self}`",
    note = "place it behind another task: `task(first()).then(second())`"
)]
pub trait First: Inputs {}

impl Inputs for () {
    const ON_MISSING: &'static [OnMissing] = &[];

    fn from_slots(_slots: Slots) -> Self {}
}

#[diagnostic::do_not_recommend]
impl<U> FedBy<U> for () {}
#[diagnostic::do_not_recommend]
impl First for () {}

macro_rules! tuple {
    ($(($input:ident, $output:ident)),+) => {
        impl<$($input: Input),+> Inputs for ($($input,)+) {
            const ON_MISSING: &'static [OnMissing] = &[$($input::ON_MISSING),+];

            fn from_slots(mut slots: Slots) -> Self {
                ($({
                    let slot = slots.next().expect("one slot per previous context");
                    $input::from_slot(slot)
                },)+)
            }
        }

        #[diagnostic::do_not_recommend]
        impl<$($input, $output),+> FedBy<($($output,)+)> for ($($input,)+)
        where
            $($input: Takes<$output>,)+
        {
        }
    };
}

tuple!((P1, T1));
tuple!((P1, T1), (P2, T2));
tuple!((P1, T1), (P2, T2), (P3, T3));
tuple!((P1, T1), (P2, T2), (P3, T3), (P4, T4));
tuple!((P1, T1), (P2, T2), (P3, T3), (P4, T4), (P5, T5));
tuple!((P1, T1), (P2, T2), (P3, T3), (P4, T4), (P5, T5), (P6, T6));
tuple!(
    (P1, T1),
    (P2, T2),
    (P3, T3),
    (P4, T4),
    (P5, T5),
    (P6, T6),
    (P7, T7)
);
tuple!(
    (P1, T1),
    (P2, T2),
    (P3, T3),
    (P4, T4),
    (P5, T5),
    (P6, T6),
    (P7, T7),
    (P8, T8)
);

impl Slots {
    /// Whether something that was to arrive is missing.
    pub(crate) fn has_missing(&self) -> bool {
        match self {
            Self::None => false,
            Self::One(slot) => slot.has_missing(),
            Self::Many(slots) => slots.as_slice().iter().any(Slot::has_missing),
        }
    }
}

impl Slot {
    fn has_missing(&self) -> bool {
        match self {
            Self::Value(_) => false,
            Self::Missing(_) => true,
            Self::All(slots) => slots.iter().any(Self::has_missing),
        }
    }
}

impl FromIterator<Slot> for Slots {
    fn from_iter<I: IntoIterator<Item = Slot>>(slots: I) -> Self {
        let mut slots = slots.into_iter();
        let Some(first) = slots.next() else {
            return Self::None;
        };
        let Some(second) = slots.next() else {
            return Self::One(first);
        };
        let mut all = Vec::with_capacity(2 + slots.size_hint().0);
        all.extend([first, second]);
        all.extend(slots);
        Self::Many(all.into_iter())
    }
}

impl Iterator for Slots {
    type Item = Slot;

    fn next(&mut self) -> Option<Slot> {
        if let Self::Many(slots) = self {
            return slots.next();
        }
        match mem::take(self) {
            Self::One(slot) => Some(slot),
            _ => None,
        }
    }
}
