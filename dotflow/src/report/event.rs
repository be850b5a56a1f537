//! What a program can watch of a run while it goes on, without any telemetry.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    id::TaskId,
    recorded::{Progress, Recorded},
    status::Status,
};
use crate::error::TaskError;

/// Something that happened in a run, as [`observe`](crate::DotFlow::observe) tells it.
///
/// ```
/// use dotflow::report::{Event, EventKind};
///
/// let event: Event = serde_json::from_str(
///     r#"{"workflow_id": "1", "workflow": "sales", "kind": {"WorkflowStarted": {"tasks": 3}}}"#,
/// )?;
/// assert!(matches!(event.kind, EventKind::WorkflowStarted { tasks: 3, .. }));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// The id of the run.
    pub workflow_id: Arc<str>,
    /// The name of the workflow.
    pub workflow: Arc<str>,
    /// The tasks that this workflow is nested in, from the run that is observed on; empty for what
    /// happens in that run itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<TaskId>,
    /// What happened.
    pub kind: EventKind,
}

impl Event {
    pub(crate) fn new(workflow_id: Arc<str>, workflow: Arc<str>, kind: EventKind) -> Self {
        Self {
            workflow_id,
            workflow,
            path: Vec::new(),
            kind,
        }
    }
}

/// What happened to the run or to one of its tasks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub enum EventKind {
    /// The run has started.
    #[non_exhaustive]
    WorkflowStarted {
        /// How many tasks the workflow has.
        tasks: usize,
    },
    /// A task has started.
    #[non_exhaustive]
    TaskStarted {
        /// The task.
        task: TaskRef,
    },
    /// The items of a task made by [`each`](crate::Task::each) are known.
    #[non_exhaustive]
    ItemsAdded {
        /// The task.
        task: TaskRef,
        /// How many items there are.
        count: usize,
    },
    /// A task is ready, and waits for others of its group or for its rate before it is attempted.
    #[non_exhaustive]
    TaskWaiting {
        /// The task.
        task: TaskRef,
        /// What it waits for.
        reason: WaitReason,
    },
    /// A task has recorded something of itself.
    #[non_exhaustive]
    TaskRecorded {
        /// The task.
        task: TaskRef,
        /// What it is about.
        key: Arc<str>,
        /// What it is.
        value: Recorded,
    },
    /// A task has said how far it has come.
    #[non_exhaustive]
    TaskProgressed {
        /// The task.
        task: TaskRef,
        /// How far it has come.
        progress: Progress,
    },
    /// An attempt has failed; another one comes after the delay.
    #[non_exhaustive]
    TaskRetried {
        /// The task.
        task: TaskRef,
        /// Why the attempt failed; it knows the number of the attempt.
        error: TaskError,
        /// How long the task waits before the next attempt.
        delay: Duration,
    },
    /// A task was restored from a checkpoint, and is not run.
    #[non_exhaustive]
    TaskRestored {
        /// The task.
        task: TaskRef,
    },
    /// A task has ended, or will never be started (`Skipped`, `NotStarted`).
    #[non_exhaustive]
    TaskEnded {
        /// The task.
        task: TaskRef,
        /// How it ended.
        status: Status,
        /// Why an attempt failed for good, where one did.
        error: Option<TaskError>,
        /// How long it took, with all attempts and the waits between them; zero for a task that
        /// was never started.
        duration: Duration,
    },
    /// The run has ended.
    #[non_exhaustive]
    WorkflowEnded {
        /// How it ended.
        status: Status,
        /// How long it took.
        duration: Duration,
    },
}

/// What a task that is ready waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum WaitReason {
    /// As many tasks run as the [concurrency](crate::DotFlow::concurrency) of the run allows.
    Slot,
    /// As many tasks run as a [limit](crate::DotFlow::limit) of its group allows.
    Limit,
    /// The last attempt at the [rate](crate::DotFlow::rate) of its group was just now.
    Rate,
}

/// Which task an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskRef {
    /// Its number in its workflow, and the index of the item.
    #[serde(flatten)]
    pub id: TaskId,
    /// The name of the task.
    pub name: Arc<str>,
    /// The label of the item, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Arc<str>>,
}

impl TaskRef {
    pub(crate) fn new(id: TaskId, name: &str, label: Option<Arc<str>>) -> Self {
        Self {
            id,
            name: name.into(),
            label,
        }
    }
}
