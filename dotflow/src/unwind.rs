//! Where panics end that must not go any further: the one place that catches them.

mod place;

use std::{
    any::Any,
    mem,
    ops::{Deref, DerefMut},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use tracing::{Level, Span, event, span::Entered};

pub(crate) use self::place::note_places;
use crate::spans;

/// Calls a function, and turns a panic into its message.
pub(crate) fn catch<R>(call: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| told(panic).message)
}

/// Calls a function that panics where the answer is no, and says nothing of that.
///
/// Where panics can't be caught nothing is asked, and the answer is yes.
pub(crate) fn does_not_panic(call: impl FnOnce()) -> bool {
    cfg!(panic = "abort") || place::silent(|| catch(call).is_ok())
}

/// A panic that was caught, in words; its value is dropped.
pub(crate) struct Told {
    pub(crate) message: String,
    /// Its file, line and column, where they are known.
    pub(crate) place: Option<String>,
}

/// Puts a panic that was caught on this thread into words.
pub(crate) fn told(panic: Box<dyn Any + Send>) -> Told {
    let place = place::noted(&*panic).map(place::Noted::into_place);
    let message = panic_message(&*panic);
    drop_catching(panic);
    Told { message, place }
}

/// A panic on its way from one thread to another.
pub(crate) struct Carried {
    panic: Box<dyn Any + Send>,
    noted: Option<place::Noted>,
}

/// Calls a function for another thread, on which its panic is to go on.
pub(crate) fn for_another_thread<R>(call: impl FnOnce() -> R) -> Result<R, Carried> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| Carried {
        noted: place::noted(&*panic),
        panic,
    })
}

impl Carried {
    /// Has the panic go on.
    pub(crate) fn go_on(self) -> ! {
        if let Some(noted) = self.noted {
            noted.carry_over();
        }
        resume_unwind(self.panic)
    }
}

/// Calls user code that has no say in the run, as an observer: a panic in it is only reported.
pub(crate) fn bystander(who: &str, call: impl FnOnce()) {
    if let Err(message) = catch(call) {
        report(who, &message);
    }
}

/// Does what a guard does when it is dropped, which must not panic: the thread may be unwinding
/// already, and a second panic would end the process. What can panic there is a subscriber, and
/// the panic hook has told of it by then.
pub(crate) fn in_drop(call: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(call)) {
        // Its own drop might panic as well; a leak does less harm.
        mem::forget(panic);
    }
}

/// Drops a value that user code made; should its `Drop` panic, that ends here.
pub(crate) fn drop_catching<T>(value: T) {
    // Most types that come here have nothing to drop at all times.
    if !mem::needs_drop::<T>() {
        return;
    }
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        let message = panic_message(&*panic);
        // Its own drop might panic as well; a leak does less harm.
        mem::forget(panic);
        report("the drop of a value", &message);
    }
}

/// Says that user code which has no say in the run panicked. That code can be within a drop, so
/// a subscriber that panics in turn is not let through.
#[cold]
fn report(who: &str, message: &str) {
    in_drop(|| {
        event!(
            name: "panic",
            target: spans::TARGET,
            Level::WARN,
            {
                message = %format_args!("{who} panicked; the run goes on"),
                { spans::EXCEPTION_MESSAGE } = spans::cut(message, spans::MAX_ERROR_TEXT),
            }
        );
    });
}

/// A value made by user code, whose drop can't hurt its owner.
///
/// Owners of many such values need it: a second panic while the first one unwinds would end the
/// process.
#[derive(Clone)]
pub(crate) struct CatchOnDrop<T>(Option<T>);

impl<T> CatchOnDrop<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Some(value))
    }

    pub(crate) fn into_inner(mut self) -> T {
        self.0.take().expect("only this and the drop take it out")
    }
}

impl<T> Deref for CatchOnDrop<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("only into_inner takes it out")
    }
}

impl<T> DerefMut for CatchOnDrop<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("only into_inner takes it out")
    }
}

impl<T> Drop for CatchOnDrop<T> {
    fn drop(&mut self) {
        if let Some(value) = self.0.take() {
            drop_catching(value);
        }
    }
}

/// A span that can be left and let go of anywhere: a subscriber that panics at that is not let
/// through, as something may be unwinding already.
#[derive(Debug, Clone)]
pub(crate) struct HeldSpan(Span);

impl HeldSpan {
    #[inline]
    pub(crate) fn new(span: Span) -> Self {
        Self(span)
    }

    /// Enters the span, until what is returned is dropped.
    #[inline]
    pub(crate) fn enter(&self) -> Inside<'_> {
        Inside((!self.0.is_disabled()).then(|| self.0.enter()))
    }
}

impl Deref for HeldSpan {
    type Target = Span;

    #[inline]
    fn deref(&self) -> &Span {
        &self.0
    }
}

impl Drop for HeldSpan {
    #[inline]
    fn drop(&mut self) {
        if !self.0.is_disabled() {
            in_drop(|| drop(mem::replace(&mut self.0, Span::none())));
        }
    }
}

/// A span that is entered, until it is dropped.
pub(crate) struct Inside<'span>(Option<Entered<'span>>);

impl Drop for Inside<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(entered) = self.0.take() {
            in_drop(|| drop(entered));
        }
    }
}

/// The message of a panic, if it has one.
fn panic_message(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "panicked with a value that is not a string".to_owned()
    }
}
