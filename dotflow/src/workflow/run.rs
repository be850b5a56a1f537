//! One execution of a workflow: its report, and the outputs that were asked for.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use serde::{Serialize, Serializer};

use super::{definition::Ended, outputs::KeptOutputs};
use crate::{
    action::value::Value,
    error::{Error, ErrorKind, TaskError},
    graph::{sinks::sealed::Outputs, task::Task},
    report::{Report, TaskReport, status::Status},
};

/// One execution of a workflow: what happened, and its outputs.
///
/// `T` is what the workflow returns. `Display` draws the tree of tasks; `Serialize` gives the
/// [`report`](Self::report).
///
/// ```
/// use dotflow::{action, task, DotFlow};
///
/// #[action]
/// fn extract() -> Vec<u32> { vec![3, 5, 8] }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let run = DotFlow::new("numbers", task(extract())).start_blocking()?;
/// assert!(run.succeeded());
/// assert_eq!(*run.output()?, [3, 5, 8]);
/// assert!(run.to_string().contains("extract"));
/// # Ok(()) }
/// ```
#[must_use = "a run may have failed: ask `succeeded()`, `output()` or `ok()`"]
pub struct Run<T> {
    ended: Ended,
    output: Result<Arc<T>, TaskError>,
    kept: KeptOutputs,
    /// Made when it is asked for, and in a box, since a run is moved around.
    report: OnceLock<Box<Report>>,
}

/// How the outputs of the sinks become what the workflow returns.
pub(crate) type OutputFn<T> = fn(Outputs<'_>) -> Result<Arc<T>, TaskError>;

impl<T> Run<T> {
    pub(super) fn new(mut ended: Ended, output: OutputFn<T>) -> Self {
        let outputs = std::mem::take(&mut ended.finished.outputs);
        let sinks = outputs.iter().take(ended.plan.sinks.len());
        Self {
            output: output(Outputs(&mut sinks.map(|(_, output)| output.clone()))),
            kept: KeptOutputs::new(outputs),
            ended,
            report: OnceLock::new(),
        }
    }

    /// What became of the run, without what it has returned.
    pub(super) fn into_ended(self) -> Ended {
        self.ended
    }

    /// The output, for the next task of a workflow around this one: once the run is gone, that is its
    /// only owner.
    pub(super) fn output_value(&self) -> Result<Value, TaskError>
    where
        T: Send + Sync + 'static,
    {
        self.output().map(Value::shared)
    }

    /// Why the run did not succeed, as an error without its tree.
    pub(super) fn failed(&self) -> Option<Error> {
        (!self.succeeded()).then(|| self.error(String::new()))
    }

    fn error(&self, tree: String) -> Error {
        ErrorKind::FailedRun {
            tree,
            name: Arc::clone(&self.ended.plan.name),
            status: self.status().as_str(),
            cause: self.ended.cause().cloned(),
        }
        .into()
    }

    /// Whether the output follows from a failure that was handled.
    pub(super) fn follows_failure(&self) -> bool {
        self.ended.finished.follows_failure
    }

    /// The id of this run, as in its traces.
    pub fn workflow_id(&self) -> &str {
        &self.ended.workflow_id
    }

    /// The name of the workflow.
    pub fn name(&self) -> &str {
        self.ended.plan.name()
    }

    /// How the run ended: `Completed`, `Failed` or `Cancelled`.
    pub fn status(&self) -> Status {
        self.ended.finished.status
    }

    /// Whether every output that was asked for is there and no failure was left unhandled.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    ///
    /// #[action]
    /// fn refuse() -> Result<(), String> { Err("no".into()) }
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let run = DotFlow::new("refused", task(refuse())).start_blocking()?;
    /// assert!(!run.succeeded());
    /// # Ok(()) }
    /// ```
    pub fn succeeded(&self) -> bool {
        self.status() == Status::Completed
    }

    /// When the run began, by the clock of the system.
    pub fn started_at(&self) -> SystemTime {
        self.ended.started_at
    }

    /// How long the run took, by a clock that is never set back.
    pub fn duration(&self) -> Duration {
        self.ended.duration
    }

    /// What became of each task, by number; items of one task by their index.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, Status};
    ///
    /// #[action]
    /// fn work() {}
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let run = DotFlow::new("two", task(work()).then(work())).start_blocking()?;
    /// let statuses: Vec<Status> = run.tasks().iter().map(|task| task.status()).collect();
    /// assert_eq!(statuses, [Status::Completed, Status::Completed]);
    /// # Ok(()) }
    /// ```
    pub fn tasks(&self) -> &[TaskReport] {
        self.report().tasks()
    }

    /// All that can be told of the run, as plain data.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    ///
    /// #[action]
    /// fn work() {}
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let run = DotFlow::new("one", task(work())).start_blocking()?;
    /// let report = serde_json::to_value(run.report())?;
    /// assert_eq!(report["name"], "one");
    /// assert_eq!(report["tasks"][0]["status"], "Completed");
    /// # Ok(()) }
    /// ```
    pub fn report(&self) -> &Report {
        self.report.get_or_init(|| Box::new(self.ended.report()))
    }

    /// The output of the workflow: that of its sink, or a tuple or a `Vec` of the shared outputs of
    /// several.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    ///
    /// #[action]
    /// fn answer() -> u32 { 42 }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let one = DotFlow::new("one", task(answer())).start_blocking()?;
    /// assert_eq!(*one.output()?, 42);
    /// let two = DotFlow::new("two", (task(answer()), task(answer()))).start_blocking()?;
    /// let (left, right) = &*two.output()?;
    /// assert_eq!((**left, **right), (42, 42));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Why the sink has no output; with several sinks, the first one that has none.
    // The error comes by value, since `?` can't turn a borrowed one into a `Box<dyn Error>`.
    pub fn output(&self) -> Result<Arc<T>, TaskError> {
        self.output.clone()
    }

    /// The output of one task, if it is a sink or was marked by [`keep`](Task::keep); `None` for
    /// any other task, and for tasks of other workflows.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, PreviousContext};
    ///
    /// #[action]
    /// fn rows() -> Vec<u32> { vec![3, 5, 8] }
    ///
    /// #[action]
    /// fn sum(rows: PreviousContext<Vec<u32>>) -> u32 { rows.iter().sum() }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let rows = task(rows()).keep();
    /// let run = DotFlow::new("sums", rows.then(sum())).start_blocking()?;
    /// assert_eq!(*run.get(&rows).unwrap()?, [3, 5, 8]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Why the task has no output.
    pub fn get<U: Send + Sync + 'static>(
        &self,
        task: &Task<U>,
    ) -> Option<Result<Arc<U>, TaskError>> {
        Some(match self.kept.get(task.node.id)? {
            Ok(value) => Ok(value.clone().downcast()),
            Err(error) => Err(error.clone()),
        })
    }

    /// The output itself, where nobody else has it; else a failure that says so.
    ///
    /// Others have it where the workflow is nested in another one and a callback has kept it, where the
    /// output is the run's input, or where it was cloned out by [`output`](Self::output).
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    ///
    /// #[action]
    /// fn rows() -> Vec<u32> { vec![3, 5, 8] }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let rows: Vec<u32> = DotFlow::new("rows", task(rows())).start_blocking()?.into_output()?;
    /// assert_eq!(rows, [3, 5, 8]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Why the sink has no output, or that it is held elsewhere.
    pub fn into_output(self) -> Result<T, TaskError> {
        let Self { output, kept, .. } = self;
        drop(kept);
        Arc::into_inner(output?)
            .ok_or_else(|| TaskError::failed("the output of the run is still held elsewhere"))
    }

    /// The first failure to blame for a run that did not succeed: the report of its task, and why that
    /// failed. `None` for a run that succeeded, or that was cut short and has no failed task.
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
    /// let run = DotFlow::new("refused", task(refuse()).then(double())).start_blocking()?;
    /// let (task, error) = run.failure().unwrap();
    /// assert_eq!((task.name(), error.to_string()), ("refuse", "no".to_owned()));
    /// # Ok(()) }
    /// ```
    pub fn failure(&self) -> Option<(&TaskReport, &TaskError)> {
        let cause = self.ended.cause()?;
        let number = cause.number?;
        let own = self
            .tasks()
            .iter()
            .take_while(|task| task.parent().is_none());
        let mut of_task = own.filter(|task| task.id() == number as usize);
        let failed = of_task.find(|task| task.status() == Status::Failed)?;
        Some((failed, &cause.error))
    }

    /// The output of the first task of this name, among sinks and tasks marked by
    /// [`keep`](Task::keep); `None` where there is none. For handles that can't get out of the closure
    /// of [`with_input`](crate::DotFlow::with_input), or out of a function.
    ///
    /// ```
    /// use dotflow::{action, DotFlow, PreviousContext};
    ///
    /// #[action]
    /// fn double(number: PreviousContext<u32>) -> u32 { *number * 2 }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let workflow = DotFlow::with_input("eight", |number| number.then(double()).keep().then(double()));
    /// let run = workflow.with(2).start_blocking()?;
    /// assert_eq!(*run.get_named::<u32>("double").unwrap()?, 4);
    /// assert!(run.get_named::<u32>("halve").is_none());
    /// # Ok(()) }
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if the task returns another type.
    ///
    /// # Errors
    ///
    /// Why the task has no output.
    pub fn get_named<U: Send + Sync + 'static>(
        &self,
        name: &str,
    ) -> Option<Result<Arc<U>, TaskError>> {
        let named = self
            .ended
            .plan
            .tasks
            .iter()
            .filter(|task| task.name() == name);
        let output = named
            .into_iter()
            .find_map(|task| self.kept.get(task.node))?;
        Some(match output {
            Ok(value) => {
                assert!(
                    value.is::<U>(),
                    "task `{name}` returns another type than `{}`",
                    std::any::type_name::<U>()
                );
                Ok(value.clone().downcast())
            }
            Err(error) => Err(error.clone()),
        })
    }

    /// Turns a run that did not succeed into an error, for `?`.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    ///
    /// #[action]
    /// fn refuse() -> Result<(), String> { Err("no".into()) }
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let run = DotFlow::new("refused", task(refuse())).start_blocking()?;
    /// let error = run.ok().unwrap_err();
    /// assert!(error.is_failed_run());
    /// assert_eq!(format!("{error:#}"), "workflow `refused`: Failed: task:0 `refuse`: no");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// When the run did not succeed ([`Error::is_failed_run`]): the first failure is its
    /// [`failure`](Error::failure) and its source, `{:#}` says that as well, and `Debug`, which `main`
    /// prints, shows the tree of the run besides.
    pub fn ok(&self) -> Result<(), Error> {
        if self.succeeded() {
            return Ok(());
        }
        Err(self.error(self.to_string()))
    }
}

impl<T> fmt::Debug for Run<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Run")
            .field("report", self.report())
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Display for Run<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.report(), formatter)
    }
}

impl<T> Serialize for Run<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.report().serialize(serializer)
    }
}
