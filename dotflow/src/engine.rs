//! Which task runs next, and what a task's end means for the others.
//!
//! One loop owns the state of a run; tasks only report to it. A single ready task is run in place,
//! so a chain is one tokio task; several are spawned, up to the workflow's concurrency. There is
//! no recursion over the graph anywhere.

mod attempt;
mod each;
mod finish;
mod restore;
mod settle;

use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    panic::resume_unwind,
    pin::{Pin, pin},
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, SystemTime},
};

use futures_util::future::{Either, select};
use tokio::{task::JoinSet, time::Instant};
use tracing::{Dispatch, Span};

use self::{
    attempt::{Outcome, Record, execute},
    each::Map,
    settle::Progress,
};
use crate::{
    context::RunScope,
    error::{Cause, TaskError, TaskErrorKind},
    inputs::Slots,
    observer::{Event, Happening, Observers, Place},
    plan::Plan,
    run::{Kept, TaskReport},
    status::Status,
    subscriber::{self, carried},
    value::Value,
};

/// How a workflow is to be run.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) concurrency: usize,
    /// Whether tasks that don't depend on a failed one are still begun.
    pub(crate) keep_going: bool,
    pub(crate) timeout: Option<Duration>,
}

/// What the tasks of a run share.
pub(crate) struct Shared {
    pub(crate) plan: Arc<Plan>,
    pub(crate) scope: Arc<RunScope>,
    pub(crate) span: Span,
    pub(crate) observers: Observers,
    pub(crate) started: Instant,
    pub(crate) started_at: SystemTime,
    deadline: Option<Deadline>,
    /// Tasks that were begun and whose outcome nobody waited for.
    interrupted: Mutex<Vec<(Unit, Record)>>,
    /// The timeout of the run, once it is over.
    timed_out_after: OnceLock<Duration>,
}

impl Shared {
    pub(crate) fn new(
        plan: Arc<Plan>,
        scope: Arc<RunScope>,
        span: Span,
        observers: Observers,
        timeout: Option<Duration>,
    ) -> Self {
        let started = Instant::now();
        Self {
            plan,
            scope,
            span,
            observers,
            started,
            deadline: timeout.map(|timeout| Deadline {
                timeout,
                // One that lies beyond all time is none.
                instant: started.checked_add(timeout),
            }),
            started_at: SystemTime::now(),
            interrupted: Mutex::new(Vec::new()),
            timed_out_after: OnceLock::new(),
        }
    }

    fn is_observed(&self) -> bool {
        !self.observers.is_empty()
    }

    pub(crate) fn notify(&self, what: Happening<'_>) {
        if self.is_observed() {
            self.observers.notify(&Event {
                workflow_id: &self.scope.workflow_id,
                workflow: &self.plan.name,
                what,
            });
        }
    }

    fn place(&self, unit: Unit) -> Place<'_> {
        Place {
            id: unit.task as usize,
            name: self.plan.tasks[unit.task as usize].name().as_str(),
            item: unit.item.map(|item| item as usize),
        }
    }

    pub(crate) fn why_cancelled(&self) -> TaskError {
        let message = match self.timed_out_after.get() {
            Some(timeout) => &*format!("the run was cancelled, as it took longer than {timeout:?}"),
            None => "the run was cancelled",
        };
        TaskError::of_kind(TaskErrorKind::Cancelled, message)
    }
}

/// What is run at a time: a task, or one item of a task made by `each`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) task: u32,
    pub(crate) item: Option<u32>,
}

/// What a run came to.
pub(crate) struct Finished {
    pub(crate) status: Status,
    pub(crate) reports: Vec<TaskReport>,
    pub(crate) cause: Option<Cause>,
    /// The outputs of the sinks, in their order.
    pub(crate) outputs: Vec<Result<Value, TaskError>>,
    pub(crate) kept: Kept,
}

pub(crate) struct Engine<'run> {
    /// Borrowed, since a task in place is over sooner than two counts of owners.
    shared: &'run Arc<Shared>,
    limits: Limits,
    progress: Vec<Progress>,
    reports: Vec<TaskReport>,
    /// The reports of items, by the number of the task made by `each`.
    item_reports: BTreeMap<u32, Vec<TaskReport>>,
    /// What can be begun. A task made by `each` stands here as long as it has further items.
    ready: VecDeque<u32>,
    maps: BTreeMap<u32, Map>,
    running: JoinSet<Outcome>,
    /// The subscriber of the caller, which spawned tasks are to have as well.
    subscriber: Option<Dispatch>,
    /// Whether a task has failed: before that nothing can be missing.
    has_failures: bool,
    /// The first failure that nobody handles, once nothing new is to start.
    stopped_by: Option<u32>,
}

impl<'run> Engine<'run> {
    pub(crate) fn new(shared: &'run Arc<Shared>, limits: Limits) -> Self {
        let plan = &shared.plan;
        let mut engine = Self {
            limits,
            progress: Progress::of(plan),
            reports: settle::reports(plan),
            item_reports: BTreeMap::new(),
            ready: VecDeque::new(),
            maps: BTreeMap::new(),
            running: JoinSet::new(),
            subscriber: subscriber::current(),
            has_failures: false,
            stopped_by: None,
            shared,
        };
        engine.begin();
        engine
    }

    /// Runs everything that can be run, until the run is halted.
    pub(crate) async fn run(mut self) -> Finished {
        let was_halted = self.drive(pin!(self.shared.halted())).await;
        if was_halted {
            self.give_up().await;
        }
        self.finish(was_halted)
    }

    /// Starts tasks and settles them. Returns whether the run was halted before its end.
    async fn drive(&mut self, mut halted: Pin<&mut impl Future<Output = ()>>) -> bool {
        let shared = self.shared;
        loop {
            while self.running.len() < self.limits.concurrency {
                if shared.is_halted() {
                    return true;
                }
                let Some((unit, slots)) = self.next_unit() else {
                    break;
                };
                let alone = self.ready.is_empty() || self.limits.concurrency == 1;
                if !(alone && self.running.is_empty()) {
                    self.spawn(unit, slots);
                    continue;
                }
                let running = pin!(execute(&**shared, unit, slots));
                match select(running, halted.as_mut()).await {
                    Either::Left((outcome, _)) => self.settle(outcome),
                    Either::Right(_) => return true,
                }
                // A chain of tasks that never wait lets others have the thread now and then: as
                // often as tokio wants it, since each time costs as much as many such tasks do.
                tokio::task::consume_budget().await;
            }
            if self.running.is_empty() {
                return false;
            }
            let ended = match select(pin!(self.running.join_next()), halted.as_mut()).await {
                Either::Left((ended, _)) => ended,
                Either::Right(_) => return true,
            };
            match ended {
                Some(Ok(outcome)) => self.settle(outcome),
                // All code of the user's is caught within, so this is a fault of a subscriber, or
                // of ours: it goes where it would go from a task that runs in place.
                Some(Err(error)) if error.is_panic() => resume_unwind(error.into_panic()),
                // Only a runtime that shuts down ends our tasks before they end by themselves.
                Some(Err(_)) => return true,
                None => {}
            }
        }
    }

    fn spawn(&mut self, unit: Unit, slots: Slots) {
        let task = execute(Arc::clone(self.shared), unit, slots);
        match &self.subscriber {
            Some(subscriber) => self.running.spawn(carried(subscriber.clone(), task)),
            None => self.running.spawn(task),
        };
    }

    /// Ends what still runs: futures are dropped, and blocking code sees the token.
    async fn give_up(&mut self) {
        self.shared.scope.cancellation.cancel();
        self.running.abort_all();
        while let Some(ended) = self.running.join_next().await {
            // Some may have ended by themselves a moment before.
            if let Ok(outcome) = ended {
                self.settle(outcome);
            }
        }
    }
}

/// When the run has taken too long.
struct Deadline {
    timeout: Duration,
    instant: Option<Instant>,
}

impl Shared {
    /// Whether the run was cancelled, or has taken too long.
    fn is_halted(&self) -> bool {
        if let Some(deadline) = &self.deadline
            && deadline
                .instant
                .is_some_and(|instant| instant <= Instant::now())
        {
            let _ = self.timed_out_after.set(deadline.timeout);
            return true;
        }
        self.scope.cancellation.is_cancelled()
    }

    /// Ends when [`is_halted`](Self::is_halted) becomes true.
    async fn halted(&self) {
        let cancelled = self.scope.cancellation.cancelled();
        let deadline = self.deadline.as_ref();
        let Some(instant) = deadline.and_then(|deadline| deadline.instant) else {
            return cancelled.await;
        };
        select(pin!(cancelled), pin!(tokio::time::sleep_until(instant))).await;
        self.is_halted();
    }
}
