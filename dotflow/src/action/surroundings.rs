//! What tasks know of the run around them: what identifies it, what stops it, and whom they tell what
//! they have to say.

use std::{
    pin::pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    checkpoint::{Keys, Tasks},
    report::{
        id::TaskId,
        recorded::{Progress, Recorded},
    },
};

/// What identifies a run, and stops it: all that its tasks know of it.
pub(crate) struct RunIdentity {
    pub(crate) workflow_id: Arc<str>,
    pub(crate) workflow_name: Arc<str>,
    pub(crate) scheduled_for: Option<SystemTime>,
    pub(crate) cancellation: CancellationToken,
    /// Whether nothing new is to be begun.
    draining: AtomicBool,
    /// Tells those who wait for something before they begin.
    drained: Notify,
    /// The timeout of the run, once it is over.
    timed_out_after: OnceLock<Duration>,
    /// When it has taken too long.
    deadline: OnceLock<Instant>,
    /// The task that it is a run within, if it is.
    outer: Option<Outer>,
}

/// The task of a run that another run is within.
struct Outer {
    run: Arc<RunIdentity>,
    task: TaskId,
    /// The tasks of that run.
    tasks: Arc<dyn Tasks>,
    /// How many runs are around it.
    depth: usize,
}

impl RunIdentity {
    /// A run of its own.
    pub(crate) fn new(
        workflow_id: Arc<str>,
        workflow_name: Arc<str>,
        scheduled_for: Option<SystemTime>,
        cancellation: CancellationToken,
    ) -> Self {
        Self {
            workflow_id,
            workflow_name,
            scheduled_for,
            cancellation,
            draining: AtomicBool::new(false),
            drained: Notify::new(),
            timed_out_after: OnceLock::new(),
            deadline: OnceLock::new(),
            outer: None,
        }
    }

    /// A run within a task of this one.
    pub(crate) fn within(
        self: &Arc<Self>,
        task: TaskId,
        tasks: Arc<dyn Tasks>,
        workflow_id: Arc<str>,
        workflow_name: Arc<str>,
        cancellation: CancellationToken,
    ) -> Self {
        let outer = Outer {
            run: Arc::clone(self),
            task,
            tasks,
            depth: self.depth() + 1,
        };
        Self {
            outer: Some(outer),
            ..Self::new(workflow_id, workflow_name, self.scheduled_for, cancellation)
        }
    }

    /// How many runs are around this one.
    pub(crate) fn depth(&self) -> usize {
        self.outer.as_ref().map_or(0, |outer| outer.depth)
    }

    /// This run and those around it, the outermost last.
    fn levels(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |run| Some(&*run.outer.as_ref()?.run))
    }

    /// Lets nothing new begin, here and in the runs within.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.drained.notify_waiters();
    }

    /// Ends when nothing new is to be begun. Only a run of its own can be drained, and those within it
    /// are drained with it.
    pub(crate) async fn drained(&self) {
        let outermost = self.levels().last().unwrap_or(self);
        let mut drained = pin!(outermost.drained.notified());
        // Before the question, so that no answer in between is missed.
        drained.as_mut().enable();
        if !self.is_draining() {
            drained.await;
        }
    }

    /// Whether nothing new is to be begun.
    pub(crate) fn is_draining(&self) -> bool {
        match &self.outer {
            None => self.draining.load(Ordering::Relaxed),
            Some(_) => self
                .levels()
                .any(|run| run.draining.load(Ordering::Relaxed)),
        }
    }

    /// Notes that the run has taken longer than it may.
    pub(crate) fn time_out(&self, after: Duration) {
        let _ = self.timed_out_after.set(after);
    }

    pub(crate) fn has_timed_out(&self) -> bool {
        self.timed_out_after.get().is_some()
    }

    /// Says when the run has taken too long.
    pub(crate) fn ends_at(&self, deadline: Instant) {
        let _ = self.deadline.set(deadline);
    }

    /// When this run or one around it has taken too long, whichever comes first.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.levels()
            .filter_map(|run| run.deadline.get().copied())
            .min()
    }

    /// The timeout that has cut this run short, be it its own or that of a run around it.
    pub(crate) fn timed_out_after(&self) -> Option<Duration> {
        self.levels()
            .find_map(|run| run.timed_out_after.get().copied())
    }

    /// What identifies the work of a task, whoever does it: the id of the outermost run, and the names
    /// of the tasks on the way, this one last.
    pub(crate) fn key(&self, name: String) -> String {
        let mut names = vec![name];
        for outer in self.levels().filter_map(|run| run.outer.as_ref()) {
            let TaskId { number, item } = outer.task;
            names.push(Keys::name(&*outer.tasks, number, item));
        }
        let outermost = self.levels().last().unwrap_or(self);
        names.push((*outermost.workflow_id).to_owned());
        names.reverse();
        names.join("/")
    }
}

/// What a task asks of the run around it.
pub(crate) trait Surroundings: Send + Sync {
    fn identity(&self) -> &Arc<RunIdentity>;

    /// The name of a task.
    fn name(&self, task: TaskId) -> &str;

    /// What tells a task from all others of its workflow, whatever its number is.
    fn key(&self, task: TaskId) -> String;

    /// How many attempts a task has in total.
    fn attempts(&self, task: TaskId) -> u32;

    /// When the run has taken too long.
    fn deadline(&self) -> Option<Instant>;

    /// Takes in what a task says of itself.
    fn record(&self, task: TaskId, key: &str, value: Recorded);

    /// Takes in how far a task has come.
    fn progress(&self, task: TaskId, progress: Progress);
}
