//! From an error back to the one that all began with: through nested workflows, and from a skipped task
//! to the one that is to blame.

use std::{any::type_name, error, iter};

use super::{
    Cause, Error, ErrorKind, TIMEOUT,
    task::{MAX_CAUSES, Message, TaskError, TaskErrorKind},
};
use crate::spans::cut;

impl Cause {
    /// The failures from this one down through nested workflows, each with the task that it is of.
    fn chain(&self) -> impl Iterator<Item = &Self> {
        iter::successors(Some(self), |cause| cause.error.within())
    }

    /// The error that all began with: through nested workflows, and the reason why a task was skipped.
    pub(crate) fn root(&self) -> &TaskError {
        let last = self.chain().last().unwrap_or(self);
        last.error.blamed()
    }

    /// As much of the way to that error and of its text as fits into so many bytes: the tasks that it
    /// went through, and what it says.
    pub(crate) fn summary(&self, most: usize) -> String {
        let mut text = String::new();
        let mut last = self;
        for cause in self.chain() {
            if let Some(task) = &cause.task {
                text.push_str(task);
                text.push_str(": ");
            }
            last = cause;
        }
        text.push_str(cut(&last.error.message(), most));
        cut(&text, most).to_owned()
    }
}

impl TaskError {
    /// The error that this one is made of: why a task was skipped; else itself.
    fn blamed(&self) -> &Self {
        let mut error = self;
        while let TaskErrorKind::Skipped = error.kind()
            && let Some(cause) = error.get_ref().and_then(|cause| cause.downcast_ref())
        {
            error = cause;
        }
        error
    }

    /// The failure within, where a nested workflow is what has failed.
    pub(super) fn within(&self) -> Option<&Cause> {
        let failed: &Error = self.blamed().get_ref()?.downcast_ref()?;
        match &*failed.inner {
            ErrorKind::FailedRun { cause, .. } => cause.as_ref(),
            _ => None,
        }
    }

    /// The class of the error for telemetry: its type, or that of the failure within a nested
    /// workflow.
    pub(crate) fn class(&self) -> &str {
        let root = self.within().map_or_else(|| self.blamed(), Cause::root);
        match root.kind() {
            TaskErrorKind::TimedOut => TIMEOUT,
            _ => root.type_name(),
        }
    }

    /// That a nested workflow has failed, with what has failed in it.
    pub(crate) fn nested(error: Error) -> Self {
        let message = Message::text(&format!("{error:#}"));
        let type_name = type_name::<Error>();
        Self::new(
            TaskErrorKind::Failed,
            type_name,
            message,
            Some(error.into()),
        )
    }

    /// The error that all began with: of a skipped task, why the one before it has failed; of a nested
    /// workflow, the first failure within.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, PreviousContext};
    ///
    /// #[action]
    /// fn refuse() -> Result<u32, String> { Err("no".into()) }
    ///
    /// #[action]
    /// fn double(number: PreviousContext<u32>) -> u32 { *number * 2 }
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let inner = DotFlow::new("inner", task(refuse()));
    /// let run = DotFlow::new("outer", task(inner).then(double())).start_blocking()?;
    /// assert_eq!(run.output().unwrap_err().root().to_string(), "no");
    /// # Ok(()) }
    /// ```
    pub fn root(&self) -> &Self {
        self.within().map_or_else(|| self.blamed(), Cause::root)
    }

    /// The first error of this type in the chain that begins with the error which the action at the
    /// [`root`](Self::root) has returned.
    ///
    /// An error that was read back from a report has only the words of it left.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, PreviousContext};
    /// use std::io;
    ///
    /// #[action]
    /// fn load() -> Result<u32, io::Error> { Err(io::ErrorKind::PermissionDenied.into()) }
    ///
    /// #[action]
    /// fn double(number: PreviousContext<u32>) -> u32 { *number * 2 }
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let run = DotFlow::new("sales", task(load()).then(double())).start_blocking()?;
    /// let error = run.output().unwrap_err();
    /// let refused = error.downcast_ref::<io::Error>().unwrap();
    /// assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
    /// # Ok(()) }
    /// ```
    pub fn downcast_ref<E: error::Error + 'static>(&self) -> Option<&E> {
        let first: &(dyn error::Error + 'static) = self.root().behind()?;
        // A chain need not have an end.
        let mut chain = iter::successors(Some(first), |error| error.source()).take(MAX_CAUSES);
        chain.find_map(|error| error.downcast_ref())
    }
}
