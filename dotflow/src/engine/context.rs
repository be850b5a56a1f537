//! What all tasks of a run share.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use futures_util::future::select;
use tokio::time::Instant;

use crate::{
    action::surroundings::{RunIdentity, Surroundings},
    checkpoint::{Checkpoints, Keys},
    error::{TaskError, TaskErrorKind},
    graph::plan::{NestedRun, NestedRuns, Plan, PlannedTask},
    limits::Admission,
    report::{
        event::WaitReason,
        id::TaskId,
        record::Record,
        recorded::{Progress, Recorded, Said},
    },
    telemetry::{RunSpan, Subject},
};

/// What all tasks of a run share.
pub(crate) struct RunContext {
    pub(crate) plan: Arc<Plan>,
    pub(crate) identity: Arc<RunIdentity>,
    /// There are none without a storage.
    pub(crate) checkpoints: Option<Box<Checkpoints>>,
    pub(crate) telemetry: RunSpan,
    /// Whether all of the run follows from a failure outside.
    pub(crate) follows_failure: bool,
    /// The slots and limits that its tasks share with those of nested workflows; `None` where all that
    /// there is to share are slots, and no workflow to share them with.
    pub(crate) admission: Option<Arc<Admission>>,
    /// What is noted of a few tasks, once there is something.
    notes: OnceLock<Box<Mutex<Notes>>>,
}

/// What is noted of some tasks, and of most there is nothing to note.
#[derive(Default)]
pub(crate) struct Notes {
    /// Tasks that were begun and whose outcome nobody waited for.
    pub(crate) interrupted: Vec<(TaskId, Record)>,
    /// What became of the workflows within its tasks.
    pub(crate) nested: NestedRuns,
    /// What tasks waited for before they began, besides a slot.
    pub(crate) waited_for: BTreeMap<TaskId, WaitReason>,
    /// What tasks have said of themselves.
    pub(crate) said: BTreeMap<TaskId, Said>,
    /// What people know items by.
    pub(crate) labels: BTreeMap<TaskId, Arc<str>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RunContext {
    pub(crate) fn new(
        plan: Arc<Plan>,
        identity: Arc<RunIdentity>,
        checkpoints: Option<Box<Checkpoints>>,
        telemetry: RunSpan,
        timeout: Option<Duration>,
        follows_failure: bool,
        admission: Option<Arc<Admission>>,
    ) -> Self {
        if let Some(timeout) = timeout {
            identity.limit(timeout, telemetry.started);
        }
        Self {
            plan,
            identity,
            checkpoints,
            telemetry,
            follows_failure,
            admission,
            notes: OnceLock::new(),
        }
    }

    pub(crate) fn task(&self, id: TaskId) -> &PlannedTask {
        &self.plan.tasks[id.number as usize]
    }

    /// A task, as telemetry tells of it.
    pub(crate) fn subject(&self, id: TaskId) -> Subject<'_> {
        Subject {
            id,
            task: self.task(id),
        }
    }

    /// Why tasks are given up that have not ended.
    pub(crate) fn why_cancelled(&self) -> TaskError {
        let message = match self.identity.timed_out_after() {
            Some(timeout) => &*format!("the run was cancelled, as it took longer than {timeout:?}"),
            None if self.is_cancelled() || !self.is_draining() => "the run was cancelled",
            None => "the run was drained: what was running has ended, and nothing new was begun",
        };
        TaskError::of_kind(TaskErrorKind::Cancelled, message)
    }

    pub(crate) fn has_timed_out(&self) -> bool {
        self.identity.has_timed_out()
    }

    #[inline]
    pub(crate) fn is_cancelled(&self) -> bool {
        self.identity.cancellation.is_cancelled()
    }

    /// Whether nothing new is to be begun.
    #[inline]
    pub(crate) fn is_draining(&self) -> bool {
        self.identity.is_draining()
    }

    /// Whether the run was cancelled, or has taken too long.
    #[inline]
    pub(crate) fn is_halted(&self) -> bool {
        self.identity.time_out() || self.is_cancelled()
    }

    /// Ends when [`is_halted`](Self::is_halted) becomes true.
    pub(crate) async fn halted(&self) {
        let cancelled = self.identity.cancellation.cancelled();
        let Some(instant) = self.identity.own_deadline() else {
            return cancelled.await;
        };
        select(pin!(cancelled), pin!(tokio::time::sleep_until(instant))).await;
        self.is_halted();
    }

    /// Notes what became of a task whose outcome nobody waits for.
    pub(crate) fn interrupt(&self, id: TaskId, record: Record) {
        self.notes().interrupted.push((id, record));
    }

    /// Notes what became of the workflow within a task, at its last attempt.
    pub(crate) fn note_nested(&self, id: TaskId, run: Box<dyn NestedRun>) {
        self.notes().nested.insert(id, run);
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        locked(self.notes.get_or_init(Box::default))
    }

    /// What was noted, if anything was.
    #[inline]
    pub(crate) fn take_notes(&self) -> Option<Box<Notes>> {
        let labels = self.telemetry.take_labels();
        let noted = self
            .notes
            .get()
            .map(|notes| std::mem::take(&mut *locked(notes)));
        if noted.is_none() && labels.is_none() {
            return None;
        }
        Some(Box::new(Notes {
            labels: labels.unwrap_or_default(),
            ..noted.unwrap_or_default()
        }))
    }

    /// Notes what a task waits for before it begins, or before its next attempt, and tells of it.
    pub(crate) fn waits(&self, id: TaskId, reason: WaitReason) {
        self.telemetry.waits(self.subject(id), reason);
        self.notes().waited_for.insert(id, reason);
    }
}

impl Surroundings for RunContext {
    fn identity(&self) -> &Arc<RunIdentity> {
        &self.identity
    }

    fn name(&self, task: TaskId) -> &str {
        self.task(task).name()
    }

    fn key(&self, task: TaskId) -> String {
        Keys::name(&*self.plan, task.number, task.item)
    }

    fn most_attempts(&self, task: TaskId) -> u32 {
        self.task(task).settings.retry.max_attempts()
    }

    fn deadline(&self) -> Option<Instant> {
        self.identity.deadline()
    }

    fn record(&self, task: TaskId, key: &str, value: Recorded) {
        self.telemetry.recorded(self.subject(task), key, &value);
        self.notes()
            .said
            .entry(task)
            .or_default()
            .record(key, value);
    }

    fn progress(&self, task: TaskId, progress: Progress) {
        self.telemetry.progressed(self.subject(task), progress);
        self.notes().said.entry(task).or_default().progress = Some(progress);
    }
}
