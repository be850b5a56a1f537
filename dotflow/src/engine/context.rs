//! What all tasks of a run share.

use std::{
    pin::pin,
    sync::{Arc, Mutex, OnceLock, PoisonError, atomic::Ordering},
    time::Duration,
};

use futures_util::future::select;
use tokio::time::Instant;

use crate::{
    action::context::RunIdentity,
    checkpoint::Checkpoints,
    error::{TaskError, TaskErrorKind},
    graph::plan::{Plan, PlannedTask},
    report::{id::TaskId, record::Record},
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
    /// Tasks that were begun and whose outcome nobody waited for.
    interrupted: Mutex<Vec<(TaskId, Record)>>,
    /// The timeout of the run, once it is over.
    timed_out_after: OnceLock<Duration>,
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
    ) -> Self {
        Self {
            deadline: timeout.map(|timeout| Deadline {
                timeout,
                instant: telemetry.started.checked_add(timeout),
            }),
            plan,
            identity,
            checkpoints,
            telemetry,
            follows_failure,
            interrupted: Mutex::new(Vec::new()),
            timed_out_after: OnceLock::new(),
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
        let message = match self.timed_out_after.get() {
            Some(timeout) => &*format!("the run was cancelled, as it took longer than {timeout:?}"),
            None if self.is_cancelled() || !self.is_draining() => "the run was cancelled",
            None => "the run was drained: what was running has ended, and nothing new was begun",
        };
        TaskError::of_kind(TaskErrorKind::Cancelled, message)
    }

    pub(crate) fn has_timed_out(&self) -> bool {
        self.timed_out_after.get().is_some()
    }

    fn is_cancelled(&self) -> bool {
        self.identity.cancellation.is_cancelled()
    }

    /// Whether nothing new is to be begun.
    pub(crate) fn is_draining(&self) -> bool {
        self.identity.draining.load(Ordering::Relaxed)
    }

    /// Whether the run was cancelled, or has taken too long.
    pub(crate) fn is_halted(&self) -> bool {
        if let Some(deadline) = &self.deadline
            && deadline
                .instant
                .is_some_and(|instant| instant <= Instant::now())
        {
            let _ = self.timed_out_after.set(deadline.timeout);
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
        let interrupted = self.interrupted.lock();
        let mut interrupted = interrupted.unwrap_or_else(PoisonError::into_inner);
        interrupted.push((id, record));
    }

    /// Those tasks.
    pub(crate) fn take_interrupted(&self) -> Vec<(TaskId, Record)> {
        let interrupted = self.interrupted.lock();
        std::mem::take(&mut *interrupted.unwrap_or_else(PoisonError::into_inner))
    }
}
