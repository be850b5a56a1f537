//! What a run was: its status, one report per task, and the outputs that were asked for.

use std::{
    fmt,
    marker::PhantomData,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::{
    action::Name,
    clock::utc,
    error::{Cause, Error, ErrorKind, TaskError},
    status::Status,
    task::Task,
    tree::{Line, Tree},
    value::Value,
};

/// What became of one task, or of one item of a task made by [`each`](Task::each).
#[derive(Debug, Clone)]
pub struct TaskReport {
    pub(crate) id: u32,
    pub(crate) item: Option<u32>,
    pub(crate) name: Name,
    pub(crate) group: Option<Arc<str>>,
    pub(crate) status: Status,
    pub(crate) started_at: Option<SystemTime>,
    pub(crate) duration: Duration,
    pub(crate) attempts: u32,
    pub(crate) errors: Vec<TaskError>,
    pub(crate) restored: bool,
}

impl TaskReport {
    /// The number of the task in its workflow, from 0.
    pub fn id(&self) -> usize {
        self.id as usize
    }

    /// The name of the task.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// The group of the task, where one was given.
    pub fn group(&self) -> Option<&str> {
        self.group.as_deref()
    }

    /// The index of the item, from 0, for a sub-task of [`each`](Task::each).
    pub fn item(&self) -> Option<usize> {
        self.item.map(|item| item as usize)
    }

    /// How the task ended.
    pub fn status(&self) -> Status {
        self.status
    }

    /// When the first attempt began; none for a task that never did.
    pub fn started_at(&self) -> Option<SystemTime> {
        self.started_at
    }

    /// How long the task took, with all attempts and the waits between them.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// How many attempts followed the first one.
    pub fn retry_count(&self) -> u32 {
        self.attempts.saturating_sub(1)
    }

    /// The error of each failed attempt, in order.
    pub fn errors(&self) -> &[TaskError] {
        &self.errors
    }

    /// Whether the output came from a checkpoint, and the task was not run.
    pub fn restored(&self) -> bool {
        self.restored
    }

    fn draw(&self, tree: &mut Tree) {
        let line = Line::task(self.id(), self.name(), self.item());
        let status = self.status.as_str();
        tree.push(
            1,
            match self.status {
                Status::NotStarted | Status::Skipped => line.without_duration(None, status),
                _ => {
                    let line = line.ended(self.duration, self.status.ok(), status);
                    if self.restored { line.restored() } else { line }
                }
            },
        );
        for error in &self.errors {
            let (name, text) = (error.type_name(), error.to_string());
            tree.push(
                2,
                match error.next_attempt_in() {
                    Some(delay) => Line::retry(error.attempt(), name, &text, delay),
                    None => Line::exception(name, &text),
                },
            );
        }
    }
}

impl Serialize for TaskReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut report = serializer.serialize_struct("TaskReport", 10)?;
        report.serialize_field("id", &self.id)?;
        report.serialize_field("name", self.name())?;
        report.serialize_field("group", &self.group())?;
        report.serialize_field("item", &self.item)?;
        report.serialize_field("status", &self.status)?;
        report.serialize_field("started_at", &self.started_at.map(utc))?;
        report.serialize_field("duration", &self.duration.as_secs_f64())?;
        report.serialize_field("retry_count", &self.retry_count())?;
        report.serialize_field("restored", &self.restored)?;
        report.serialize_field("errors", &self.errors)?;
        report.end()
    }
}

/// The outputs of sinks and of tasks to be kept, or why they are missing.
pub(crate) struct Kept {
    /// By node, in the order of these numbers.
    outputs: Vec<(u64, Result<Value, TaskError>)>,
}

impl Kept {
    pub(crate) fn get(&self, node: u64) -> Option<&Result<Value, TaskError>> {
        let found = self.outputs.binary_search_by_key(&node, |(node, _)| *node);
        found.ok().map(|index| &self.outputs[index].1)
    }
}

impl FromIterator<(u64, Result<Value, TaskError>)> for Kept {
    fn from_iter<I: IntoIterator<Item = (u64, Result<Value, TaskError>)>>(outputs: I) -> Self {
        let mut outputs: Vec<_> = outputs.into_iter().collect();
        outputs.sort_unstable_by_key(|(node, _)| *node);
        // A sink may be marked to be kept as well, or be given twice.
        outputs.dedup_by_key(|(node, _)| *node);
        Self { outputs }
    }
}

/// One execution of a workflow: what happened, and its outputs.
///
/// `T` is what the workflow returns, and `Output` what [`output`](Self::output) gives: `Arc<T>`
/// for a workflow with one sink. `Display` draws the tree of tasks; `Serialize` gives a report of
/// plain values (UTC times, seconds as floats, no outputs).
#[must_use = "a run may have failed: ask `succeeded()`, `output()` or `ok()`"]
pub struct Run<T, Output = Arc<T>> {
    pub(crate) workflow_id: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) status: Status,
    pub(crate) started_at: SystemTime,
    pub(crate) duration: Duration,
    pub(crate) tasks: Vec<TaskReport>,
    pub(crate) cause: Option<Cause>,
    pub(crate) output: Result<Output, TaskError>,
    pub(crate) kept: Kept,
    /// Whether an output follows from a failure that was handled.
    pub(crate) is_provisional: bool,
    pub(crate) returns: PhantomData<fn() -> T>,
}

impl<T, Output> Run<T, Output> {
    /// The id of this run, as in its traces.
    pub fn workflow_id(&self) -> &str {
        &self.workflow_id
    }

    /// The name of the workflow.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How the run ended: `Completed`, `Failed` or `Cancelled`.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Whether every output that was asked for is there and no failure was left unhandled.
    pub fn succeeded(&self) -> bool {
        self.status == Status::Completed
    }

    /// When the run began.
    pub fn started_at(&self) -> SystemTime {
        self.started_at
    }

    /// How long the run took.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// What became of each task, by id; items of one task by their index.
    pub fn tasks(&self) -> &[TaskReport] {
        &self.tasks
    }

    /// The output of the workflow: an `Arc<T>` for one sink, a tuple or a `Vec` of them for
    /// several.
    ///
    /// # Errors
    ///
    /// Why the sink has no output; with several sinks, the first one that has none.
    // The error comes by value, since `?` can't turn a borrowed one into a `Box<dyn Error>`.
    pub fn output(&self) -> Result<Output, TaskError>
    where
        Output: Clone,
    {
        self.output.clone()
    }

    /// The output of one task, if it is a sink or was marked by [`keep`](Task::keep); `None` for
    /// any other task, and for tasks of other workflows.
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

    /// Turns a run that is no success into an error, for `?`.
    ///
    /// # Errors
    ///
    /// An error that shows the tree of the run, with the first failure as its source.
    pub fn ok(self) -> Result<Self, Error> {
        if self.succeeded() {
            return Ok(self);
        }
        Err(ErrorKind::FailedRun {
            tree: self.to_string(),
            name: self.name,
            status: self.status.as_str(),
            cause: self.cause,
        }
        .into())
    }
}

impl<T, Output> fmt::Debug for Run<T, Output> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Run")
            .field("workflow_id", &self.workflow_id)
            .field("name", &self.name)
            .field("status", &self.status)
            .field("duration", &self.duration)
            .field("tasks", &self.tasks)
            .finish_non_exhaustive()
    }
}

impl<T, Output> fmt::Display for Run<T, Output> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tree = Tree::new();
        tree.push(
            0,
            Line::trace(&*self.workflow_id, &*self.name).ended(
                self.duration,
                self.status.ok(),
                self.status.as_str(),
            ),
        );
        for task in &self.tasks {
            task.draw(&mut tree);
        }
        fmt::Display::fmt(&tree, formatter)
    }
}

impl<T, Output> Serialize for Run<T, Output> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut run = serializer.serialize_struct("Run", 7)?;
        run.serialize_field("workflow_id", self.workflow_id())?;
        run.serialize_field("name", self.name())?;
        run.serialize_field("status", &self.status)?;
        run.serialize_field("started_at", &utc(self.started_at))?;
        run.serialize_field("finished_at", &utc(self.started_at + self.duration))?;
        run.serialize_field("duration", &self.duration.as_secs_f64())?;
        run.serialize_field("tasks", &self.tasks)?;
        run.end()
    }
}
