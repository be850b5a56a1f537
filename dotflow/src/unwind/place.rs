//! Where a panic happened: its file and line, which only the panic hook is told.
//!
//! So dotflow puts one hook of its own before that of the program, once, when the first run begins. It
//! notes the place for the thread, and hands the panic on to the hook that was there: what that prints
//! or reports stays as it was. A hook that the program sets later takes its place; then places are not
//! known, and nothing else changes. There is no other way: a panic that was caught has its message
//! only, and its stack is gone.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    panic::{self, PanicHookInfo},
    sync::Once,
    thread,
};

use crate::spans::cut;

/// How much of a message tells one panic from another.
const MESSAGE: usize = 128;

thread_local! {
    /// The last panic of this thread that nobody has asked for yet.
    static LAST: RefCell<Option<Noted>> = const { RefCell::new(None) };
    /// Whether panics of this thread are answers, and not to be told.
    static IS_SILENT: Cell<bool> = const { Cell::new(false) };
}

/// What is noted of a panic.
#[derive(Debug)]
pub(super) struct Noted {
    message: String,
    place: String,
}

/// Puts the hook before that of the program, unless it is there.
#[inline]
pub(crate) fn note_places() {
    static INSTALLED: Once = Once::new();
    // Where a panic ends the process there is nobody to tell of it.
    if cfg!(panic = "abort") || INSTALLED.is_completed() {
        return;
    }
    // A thread that unwinds must not touch the hook. The next run will.
    if !thread::panicking() {
        INSTALLED.call_once(install);
    }
}

#[cold]
fn install() {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !IS_SILENT.try_with(Cell::get).unwrap_or(false) {
            note(panic);
            previous(panic);
        }
    }));
}

fn note(panic: &PanicHookInfo<'_>) {
    let Some(place) = panic.location() else {
        return;
    };
    let noted = Noted {
        message: known_by(panic.payload()).to_owned(),
        place: place.to_string(),
    };
    // A thread that ends has no such place any more.
    let _ = LAST.try_with(|last| last.replace(Some(noted)));
}

/// What one panic is told from another by: one that went another way than through the hook, as one
/// that was caught on another thread, must not be given a place that is not its own.
fn known_by(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    cut(text.unwrap_or_default(), MESSAGE)
}

/// What was noted of a panic that was caught on this thread.
pub(super) fn noted(payload: &(dyn Any + Send)) -> Option<Noted> {
    let last = LAST.try_with(RefCell::take).ok().flatten()?;
    (last.message == known_by(payload)).then_some(last)
}

impl Noted {
    /// Notes the same for a panic that goes on on this thread.
    pub(super) fn carry_over(self) {
        let _ = LAST.try_with(|last| last.replace(Some(self)));
    }

    pub(super) fn into_place(self) -> String {
        self.place
    }
}

/// Has panics of this thread pass by the hook of the program, and so go unsaid, while a function is
/// called.
pub(super) fn silent<R>(call: impl FnOnce() -> R) -> R {
    struct Reset(bool);
    impl Drop for Reset {
        fn drop(&mut self) {
            IS_SILENT.set(self.0);
        }
    }
    note_places();
    let _reset = Reset(IS_SILENT.replace(true));
    call()
}
