//! What is known of a span and can't be read off it when it ends: kept beside it until then.

use std::cell::RefCell;

use opentelemetry_sdk::trace::SpanData;

use super::{important::Important, numbers::Numbers, said::Said};

/// What is kept of one span.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) important: Important,
    pub(super) numbers: Numbers,
    pub(super) said: Said,
}

thread_local! {
    /// What is kept of the span that is being ended on this thread.
    static OF_ENDING_SPAN: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

impl Kept {
    /// From here on the span of this ends on this thread.
    pub(super) fn begin_end(self) {
        OF_ENDING_SPAN.set(Some(self));
    }

    /// It has ended.
    pub(super) fn finish_end() {
        OF_ENDING_SPAN.set(None);
    }
}

/// Gives a span that ends on this thread what is kept beside it.
pub(crate) fn complete(span: &mut SpanData) {
    OF_ENDING_SPAN.with_borrow(|kept| {
        if let Some(kept) = kept {
            kept.numbers.apply(&mut span.attributes);
            kept.said.apply(&mut span.attributes);
            kept.important.restore(span);
        }
    });
}
