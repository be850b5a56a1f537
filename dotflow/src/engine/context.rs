//! What all tasks of a run share.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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
    pub(crate) checkpoints: Option<Checkpoints>,
    pub(crate) telemetry: RunSpan,
    /// Whether all of the run follows from a failure outside.
    pub(crate) follows_failure: bool,
    deadline: Option<Deadline>,
    /// The slots and limits that its tasks share with those of nested workflows; `None` where all that
    /// there is to share are slots, and no workflow to share them with.
    pub(crate) admission: Option<Arc<Admission>>,
    /// Tasks that were begun and whose outcome nobody waited for.
    interrupted: Mutex<Vec<(TaskId, Record)>>,
    /// What became of the workflows within its tasks.
    nested: Mutex<NestedRuns>,
    /// What tasks waited for before they began, besides a slot.
    waited_for: Mutex<BTreeMap<TaskId, WaitReason>>,
    /// What tasks have said of themselves.
    said: Mutex<BTreeMap<TaskId, Said>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// When the run has taken too long.
struct Deadline {
    timeout: Duration,
    /// None where it lies beyond all time.
    instant: Option<Instant>,
}

impl RunContext {
    pub(crate) fn new(
        plan: Arc<Plan>,
        identity: Arc<RunIdentity>,
        checkpoints: Option<Checkpoints>,
        telemetry: RunSpan,
        timeout: Option<Duration>,
        follows_failure: bool,
        admission: Option<Arc<Admission>>,
    ) -> Self {
        let deadline = timeout.map(|timeout| Deadline {
            timeout,
            instant: telemetry.started.checked_add(timeout),
        });
        if let Some(instant) = deadline.as_ref().and_then(|deadline| deadline.instant) {
            identity.ends_at(instant);
        }
        Self {
            deadline,
            plan,
            identity,
            checkpoints,
            telemetry,
            follows_failure,
            admission,
            interrupted: Mutex::default(),
            nested: Mutex::default(),
            waited_for: Mutex::default(),
            said: Mutex::default(),
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

    pub(crate) fn is_cancelled(&self) -> bool {
        self.identity.cancellation.is_cancelled()
    }

    /// Whether nothing new is to be begun.
    pub(crate) fn is_draining(&self) -> bool {
        self.identity.is_draining()
    }

    /// Whether the run was cancelled, or has taken too long.
    pub(crate) fn is_halted(&self) -> bool {
        if let Some(deadline) = &self.deadline
            && deadline
                .instant
                .is_some_and(|instant| instant <= Instant::now())
        {
            self.identity.time_out(deadline.timeout);
            return true;
        }
        self.is_cancelled()
    }

    /// Ends when [`is_halted`](Self::is_halted) becomes true.
    pub(crate) async fn halted(&self) {
        let cancelled = self.identity.cancellation.cancelled();
        let deadline = self.deadline.as_ref();
        let Some(instant) = deadline.and_then(|deadline| deadline.instant) else {
            return cancelled.await;
        };
        select(pin!(cancelled), pin!(tokio::time::sleep_until(instant))).await;
        self.is_halted();
    }

    /// Notes what became of a task whose outcome nobody waits for.
    pub(crate) fn interrupt(&self, id: TaskId, record: Record) {
        locked(&self.interrupted).push((id, record));
    }

    /// Those tasks.
    pub(crate) fn take_interrupted(&self) -> Vec<(TaskId, Record)> {
        std::mem::take(&mut *locked(&self.interrupted))
    }

    /// Notes what became of the workflow within a task, at its last attempt.
    pub(crate) fn note_nested(&self, id: TaskId, run: Box<dyn NestedRun>) {
        locked(&self.nested).insert(id, run);
    }

    pub(crate) fn take_nested(&self) -> NestedRuns {
        std::mem::take(&mut *locked(&self.nested))
    }

    /// Notes what a task waits for before it begins, or before its next attempt, and tells of it.
    pub(crate) fn waits(&self, id: TaskId, reason: WaitReason) {
        self.telemetry.waits(self.subject(id), reason);
        locked(&self.waited_for).insert(id, reason);
    }

    pub(crate) fn take_waited_for(&self) -> BTreeMap<TaskId, WaitReason> {
        std::mem::take(&mut *locked(&self.waited_for))
    }

    pub(crate) fn take_said(&self) -> BTreeMap<TaskId, Said> {
        std::mem::take(&mut *locked(&self.said))
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

    fn attempts(&self, task: TaskId) -> u32 {
        self.task(task).settings.retry.max_attempts()
    }

    fn deadline(&self) -> Option<Instant> {
        self.identity.deadline()
    }

    fn record(&self, task: TaskId, key: &str, value: Recorded) {
        self.telemetry.recorded(self.subject(task), key, &value);
        locked(&self.said)
            .entry(task)
            .or_default()
            .record(key, value);
    }

    fn progress(&self, task: TaskId, progress: Progress) {
        self.telemetry.progressed(self.subject(task), progress);
        locked(&self.said).entry(task).or_default().progress = Some(progress);
    }
}
