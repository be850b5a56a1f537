//! Where panics of the user's code end that must not reach the run: in callbacks, in observers,
//! and in the drop of values that only pass through.

use std::{
    any::Any,
    mem,
    ops::{Deref, DerefMut},
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::spans;

/// Calls a function of the user's that has no say in the run: a panic of its is only reported.
pub(crate) fn shielded(who: &'static str, call: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(call)) {
        spans::bystander_panicked(who, &panic_message(&*panic));
        discard(panic);
    }
}

/// Drops a value of the user's; should its `Drop` panic, that ends here.
pub(crate) fn discard<T>(value: T) {
    // Most types that come here have nothing to drop at all times.
    if !mem::needs_drop::<T>() {
        return;
    }
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        spans::bystander_panicked("the drop of a value", &panic_message(&*panic));
        // Its drop might panic as well: a leak is the smaller evil.
        mem::forget(panic);
    }
}

/// A value of the user's whose drop can't hurt whoever owns it.
///
/// Owners of many such values need it as well: a second panic while the first one unwinds would
/// end the process.
#[derive(Clone)]
pub(crate) struct Shielded<T>(Option<T>);

impl<T> Shielded<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Some(value))
    }

    pub(crate) fn into_inner(mut self) -> T {
        self.0.take().expect("only this and the drop take it out")
    }
}

impl<T> Deref for Shielded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("only into_inner takes it out")
    }
}

impl<T> DerefMut for Shielded<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("only into_inner takes it out")
    }
}

impl<T> Drop for Shielded<T> {
    fn drop(&mut self) {
        if let Some(value) = self.0.take() {
            discard(value);
        }
    }
}

/// The text of a panic, as far as it has one.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "panicked with a value that is no text".to_owned()
    }
}
