//! The previous contexts of an action as types, and the slots in which their values arrive without
//! them.
//!
//! Reading a slot back can't fail, because only connections that were checked are ever built.

use std::{fmt, mem, vec};

use super::{context::PreviousContext, value::Value};
use crate::{error::TaskError, tuples::tuples};

/// What arrives at one parameter.
#[derive(Clone)]
#[doc(hidden)]
pub enum Slot<V = Value> {
    Value(V),
    Missing(TaskError),
    All(Vec<Slot<V>>),
}

impl<V> Slot<V> {
    fn missing(&self) -> Option<&TaskError> {
        match self {
            Self::Value(_) => None,
            Self::Missing(error) => Some(error),
            Self::All(slots) => slots.iter().find_map(Self::missing),
        }
    }

    /// What arrives at a parameter that can't do without.
    pub(crate) fn into_value(self) -> V {
        match self {
            Self::Value(value) => value,
            Self::Missing(_) | Self::All(_) => {
                unreachable!("a task with a required input missing is skipped")
            }
        }
    }
}

impl<V> fmt::Debug for Slot<V> {
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
pub enum Slots<V = Value> {
    #[default]
    None,
    One(Slot<V>),
    Many(vec::IntoIter<Slot<V>>),
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

impl<T: Send + Sync + 'static> Input for PreviousContext<T> {
    const ON_MISSING: OnMissing = OnMissing::Skip;

    fn from_slot(slot: Slot) -> Self {
        slot.into_value().downcast::<T>().into()
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

impl Inputs for () {
    const ON_MISSING: &'static [OnMissing] = &[];

    fn from_slots(_slots: Slots) -> Self {}
}

macro_rules! inputs {
    ($(($input:ident, $_output:ident)),+) => {
        impl<$($input: Input),+> Inputs for ($($input,)+) {
            const ON_MISSING: &'static [OnMissing] = &[$($input::ON_MISSING),+];

            fn from_slots(mut slots: Slots) -> Self {
                ($({
                    let slot = slots.next().expect("one slot per previous context");
                    $input::from_slot(slot)
                },)+)
            }
        }
    };
}

tuples!(inputs);

impl<V> Slots<V> {
    /// Why the first input that is missing is missing, if one is.
    pub(crate) fn missing(&self) -> Option<&TaskError> {
        let slots = match self {
            Self::None => &[],
            Self::One(slot) => std::slice::from_ref(slot),
            Self::Many(slots) => slots.as_slice(),
        };
        slots.iter().find_map(Slot::missing)
    }
}

impl<V> FromIterator<Slot<V>> for Slots<V> {
    fn from_iter<I: IntoIterator<Item = Slot<V>>>(slots: I) -> Self {
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

impl<V> Iterator for Slots<V> {
    type Item = Slot<V>;

    fn next(&mut self) -> Option<Slot<V>> {
        if let Self::Many(slots) = self {
            return slots.next();
        }
        match mem::take(self) {
            Self::One(slot) => Some(slot),
            _ => None,
        }
    }
}
