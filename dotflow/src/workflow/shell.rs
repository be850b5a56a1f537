//! What a workflow keeps that knows the type of its output.

use std::sync::Arc;

use super::{
    definition::Ended,
    run::{OutputFn, Run},
};
use crate::unwind::bystander;

pub(super) type Callback<T> = Arc<dyn Fn(&Run<T>) + Send + Sync>;

/// What a workflow keeps that knows the type of its output.
pub(super) struct Shell<T> {
    pub(super) output: OutputFn<T>,
    pub(super) on_success: Vec<Callback<T>>,
    pub(super) on_failure: Vec<Callback<T>>,
}

// Derived, it would ask for `T: Clone`.
impl<T> Clone for Shell<T> {
    fn clone(&self) -> Self {
        Self {
            output: self.output,
            on_success: self.on_success.clone(),
            on_failure: self.on_failure.clone(),
        }
    }
}

impl<T> Shell<T> {
    /// Gives a run its types back, and calls who is to know of it.
    pub(super) fn finish(&self, ended: Ended) -> Run<T> {
        let run = Run::new(ended, self.output);
        let callbacks = if run.succeeded() {
            &self.on_success
        } else {
            &self.on_failure
        };
        for callback in callbacks {
            bystander("a callback", || callback(&run));
        }
        run
    }
}
