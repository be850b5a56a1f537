//! What tasks know of the run around them: what identifies it, what stops it, and whom they tell what
//! they have to say.

use std::{
    pin::pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering, fence},
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
    /// Tells those who wait for something before they begin; once there is somebody.
    drained: OnceLock<Box<Notify>>,
    /// How long it may take, if there is a limit.
    time: OnceLock<Box<Time>>,
    /// The task that it is a run within, if it is.
    outer: Option<Box<Outer>>,
}

/// How long a run may take.
struct Time {
    timeout: Duration,
    /// When that is over; `None` where it lies beyond all time.
    deadline: Option<Instant>,
    /// Whether the run was cut short by it.
    is_over: AtomicBool,
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
    #[inline]
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
            drained: OnceLock::new(),
            time: OnceLock::new(),
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
            outer: Some(Box::new(outer)),
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
        // Either this sees who waits, or they see that they need not.
        fence(Ordering::SeqCst);
        if let Some(drained) = self.drained.get() {
            drained.notify_waiters();
        }
    }

    /// Ends when nothing new is to be begun. Only a run of its own can be drained, and those within it
    /// are drained with it.
    pub(crate) async fn drained(&self) {
        let outermost = self.levels().last().unwrap_or(self);
        let drained = outermost.drained.get_or_init(Box::default);
        let mut drained = pin!(drained.notified());
        // Before the question, so that no answer in between is missed.
        drained.as_mut().enable();
        fence(Ordering::SeqCst);
        if !self.is_draining() {
            drained.await;
        }
    }

    /// Whether nothing new is to be begun.
    #[inline]
    pub(crate) fn is_draining(&self) -> bool {
        match &self.outer {
            None => self.draining.load(Ordering::Relaxed),
            Some(_) => self
                .levels()
                .any(|run| run.draining.load(Ordering::Relaxed)),
        }
    }

    /// Says how long the run may take, now that it begins.
    pub(crate) fn limit(&self, timeout: Duration, started: Instant) {
        let _ = self.time.set(Box::new(Time {
            timeout,
            deadline: started.checked_add(timeout),
            is_over: AtomicBool::new(false),
        }));
    }

    /// Notes that the run is cut short, if it has taken longer than it may. Returns whether it has.
    #[inline]
    pub(crate) fn time_out(&self) -> bool {
        let Some(time) = self.time.get() else {
            return false;
        };
        let is_over = time
            .deadline
            .is_some_and(|deadline| deadline <= Instant::now());
        if is_over {
            time.is_over.store(true, Ordering::Relaxed);
        }
        is_over
    }

    #[inline]
    fn own_timeout(&self) -> Option<Duration> {
        let time = self.time.get()?;
        time.is_over.load(Ordering::Relaxed).then_some(time.timeout)
    }

    pub(crate) fn has_timed_out(&self) -> bool {
        self.own_timeout().is_some()
    }

    /// When this run itself has taken too long.
    pub(crate) fn own_deadline(&self) -> Option<Instant> {
        self.time.get()?.deadline
    }

    /// When this run or one around it has taken too long, whichever comes first.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.levels().filter_map(Self::own_deadline).min()
    }

    /// The timeout that has cut this run short, be it its own or that of a run around it.
    pub(crate) fn timed_out_after(&self) -> Option<Duration> {
        self.levels().find_map(Self::own_timeout)
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
    fn most_attempts(&self, task: TaskId) -> u32;

    /// When the run has taken too long.
    fn deadline(&self) -> Option<Instant>;

    /// Takes in what a task says of itself.
    fn record(&self, task: TaskId, key: &str, value: Recorded);

    /// Takes in how far a task has come.
    fn progress(&self, task: TaskId, progress: Progress);
}
