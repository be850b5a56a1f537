//! Which task runs next, and what a task's end means for the others.
//!
//! One loop owns the state of a run; tasks only report to it. A single ready task is run in place,
//! so a chain is one tokio task; several are spawned, up to the workflow's concurrency. There is
//! no recursion over the graph anywhere.

mod attempt;
mod each;
mod settle;

use std::{
    collections::{HashMap, VecDeque},
    future::{Future, poll_fn},
    mem,
    pin::{Pin, pin},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    task::Poll,
    time::{Duration, SystemTime},
};

use futures_util::future::{Either, select};
use tokio::{task::JoinSet, time::Instant};
use tracing::{Dispatch, Span, dispatcher, instrument::WithSubscriber, subscriber::NoSubscriber};

use self::{
    attempt::{Outcome, Record, execute},
    each::Map,
    settle::Progress,
};
use crate::{
    context::RunScope,
    error::{Cause, TaskError, TaskErrorKind},
    inputs::{Slots, Value},
    observer::{Event, Happening, Observers, Place, discard},
    plan::Plan,
    run::TaskReport,
    status::Status,
};

/// After so many tasks in place, the run looks up: was it cancelled, is somebody else waiting for
/// this thread? Looking costs about as much as a trivial task does.
const TASKS_BETWEEN_LOOKS: u32 = 32;

/// How a workflow is to be run.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) concurrency: usize,
    pub(crate) keep_going: bool,
    pub(crate) timeout: Option<Duration>,
}

/// What the tasks of a run share.
pub(crate) struct Shared {
    pub(crate) plan: Arc<Plan>,
    pub(crate) scope: Arc<RunScope>,
    pub(crate) span: Span,
    pub(crate) observers: Observers,
    /// Tasks that were begun and whose outcome nobody waited for.
    interrupted: Mutex<Vec<(Unit, Record)>>,
    timed_out_after: OnceLock<Duration>,
}

impl Shared {
    pub(crate) fn new(
        plan: Arc<Plan>,
        scope: Arc<RunScope>,
        span: Span,
        observers: Observers,
    ) -> Self {
        Self {
            plan,
            scope,
            span,
            observers,
            interrupted: Mutex::new(Vec::new()),
            timed_out_after: OnceLock::new(),
        }
    }

    pub(crate) fn notify(&self, what: Happening<'_>) {
        if !self.observers.is_empty() {
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
    /// The outputs of sinks and of tasks to be kept, by node.
    pub(crate) kept: HashMap<u64, Result<Value, TaskError>>,
}

pub(crate) struct Engine {
    shared: Arc<Shared>,
    limits: Limits,
    started: (Instant, SystemTime),
    progress: Vec<Progress>,
    reports: Vec<TaskReport>,
    item_reports: Vec<TaskReport>,
    ready: VecDeque<u32>,
    maps: HashMap<u32, Map>,
    running: JoinSet<(Unit, Outcome)>,
    /// The subscriber of the caller, which spawned tasks are to have as well.
    dispatch: Option<Dispatch>,
    /// The first failure that nobody handles, once nothing new is to start.
    stopped_by: Option<u32>,
}

impl Engine {
    pub(crate) fn new(shared: Arc<Shared>, limits: Limits) -> Self {
        let plan = &shared.plan;
        let dispatch = dispatcher::get_default(|dispatch| {
            (!dispatch.is::<NoSubscriber>()).then(|| dispatch.clone())
        });
        let mut engine = Self {
            limits,
            started: (Instant::now(), SystemTime::now()),
            progress: Progress::of(plan),
            reports: settle::reports(plan),
            item_reports: Vec::new(),
            ready: VecDeque::new(),
            maps: HashMap::new(),
            running: JoinSet::new(),
            dispatch,
            stopped_by: None,
            shared,
        };
        engine.begin();
        engine
    }

    /// Runs everything that can be run, until the run is halted.
    pub(crate) async fn run(mut self) -> Finished {
        let shared = Arc::clone(&self.shared);
        let mut halted = pin!(halted(&shared, self.limits.timeout));
        let was_halted = self.drive(halted.as_mut()).await;
        if was_halted {
            self.give_up().await;
        }
        self.finish(was_halted)
    }

    /// Starts tasks and settles them. Returns whether the run was halted before its end.
    async fn drive(&mut self, mut halted: Pin<&mut impl Future<Output = ()>>) -> bool {
        let mut until_look = TASKS_BETWEEN_LOOKS;
        loop {
            while self.running.len() < self.limits.concurrency {
                let Some((unit, slots)) = self.next_unit() else {
                    break;
                };
                let alone = self.ready.is_empty() || self.limits.concurrency == 1;
                if !(alone && self.running.is_empty()) {
                    self.spawn(unit, slots);
                    continue;
                }
                let shared = Arc::clone(&self.shared);
                let running = pin!(execute(&shared, unit, slots));
                match select(running, halted.as_mut()).await {
                    Either::Left((outcome, _)) => self.settle(unit, outcome),
                    Either::Right(_) => return true,
                }
                until_look -= 1;
                if until_look == 0 {
                    until_look = TASKS_BETWEEN_LOOKS;
                    tokio::task::yield_now().await;
                    if is_ready(halted.as_mut()).await {
                        return true;
                    }
                }
            }
            if self.running.is_empty() {
                return false;
            }
            let ended = match select(pin!(self.running.join_next()), halted.as_mut()).await {
                Either::Left((ended, _)) => ended,
                Either::Right(_) => return true,
            };
            match ended {
                Some(Ok((unit, outcome))) => self.settle(unit, outcome),
                // Only a runtime that shuts down ends our tasks before they end by themselves.
                Some(Err(_)) => return true,
                None => {}
            }
        }
    }

    fn spawn(&mut self, unit: Unit, slots: Slots) {
        let shared = Arc::clone(&self.shared);
        let task = async move { (unit, execute(&shared, unit, slots).await) };
        match &self.dispatch {
            Some(dispatch) => self.running.spawn(task.with_subscriber(dispatch.clone())),
            None => self.running.spawn(task),
        };
    }

    /// Ends what still runs: futures are dropped, and blocking code sees the token.
    async fn give_up(&mut self) {
        self.shared.scope.cancellation.cancel();
        self.running.abort_all();
        while let Some(ended) = self.running.join_next().await {
            // Some may have ended by themselves a moment before.
            if let Ok((unit, outcome)) = ended {
                self.settle(unit, outcome);
            }
        }
    }
}

/// How it all ended.
impl Engine {
    fn finish(mut self, was_halted: bool) -> Finished {
        let interrupted = mem::take(
            &mut *self
                .shared
                .interrupted
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        for (unit, record) in interrupted {
            self.record(unit, Status::Cancelled, record);
        }
        let (status, cause) = self.verdict(was_halted);
        let kept = self.kept();
        for progress in &mut self.progress {
            discard(progress.output.take());
        }
        Finished {
            status,
            cause,
            kept,
            reports: self.all_reports(),
        }
    }

    fn verdict(&mut self, was_halted: bool) -> (Status, Option<Cause>) {
        let mut unfinished = false;
        for report in &mut self.reports {
            // It was handed to the runtime, but cancelled before it began.
            if report.status == Status::InProgress {
                report.status = Status::NotStarted;
            }
            unfinished |= matches!(report.status, Status::NotStarted | Status::Cancelled);
        }
        if was_halted && unfinished {
            let status = match self.shared.timed_out_after.get() {
                Some(_) => Status::Failed,
                None => Status::Cancelled,
            };
            let cause = Cause {
                task: None,
                error: self.shared.why_cancelled(),
            };
            return (status, Some(cause));
        }
        let unhandled = (0u32..).zip(&self.progress).find_map(|(task, progress)| {
            let error = progress.error.clone().filter(|_| !progress.handled)?;
            Some((task, error))
        });
        let missing_sink = || {
            let mut sinks = self.shared.plan.sinks.iter();
            let sink = sinks.find(|sink| self.progress[**sink as usize].output.is_none())?;
            Some((*sink, self.why_missing(*sink)))
        };
        match unhandled.or_else(missing_sink) {
            Some((task, error)) => {
                let task = Some(self.describe(task));
                (Status::Failed, Some(Cause { task, error }))
            }
            None => (Status::Completed, None),
        }
    }

    fn kept(&mut self) -> HashMap<u64, Result<Value, TaskError>> {
        let shared = Arc::clone(&self.shared);
        let marked = (0u32..)
            .zip(&shared.plan.tasks)
            .filter(|(_, task)| task.settings.keep)
            .map(|(number, _)| number);
        let asked_for: Vec<u32> = marked.chain(shared.plan.sinks.iter().copied()).collect();
        asked_for
            .into_iter()
            .map(|task| {
                let output = self.progress[task as usize].output.clone();
                let node = shared.plan.tasks[task as usize].node;
                (node, output.ok_or_else(|| self.why_missing(task)))
            })
            .collect()
    }

    /// The reports by number; where a task had items, theirs instead of its own.
    fn all_reports(mut self) -> Vec<TaskReport> {
        if self.item_reports.is_empty() {
            return self.reports;
        }
        self.item_reports
            .sort_by_key(|report| (report.id, report.item));
        let mut items = self.item_reports.into_iter().peekable();
        let mut reports = Vec::with_capacity(self.reports.len() + items.len());
        for report in self.reports {
            let before = reports.len();
            while let Some(item) = items.next_if(|item| item.id == report.id) {
                reports.push(item);
            }
            if reports.len() == before {
                reports.push(report);
            }
        }
        reports
    }
}

/// Ends when the run is cancelled, or has taken too long.
async fn halted(shared: &Shared, timeout: Option<Duration>) {
    let cancelled = shared.scope.cancellation.cancelled();
    let Some(timeout) = timeout else {
        return cancelled.await;
    };
    let late = pin!(tokio::time::sleep(timeout));
    if let Either::Right(_) = select(pin!(cancelled), late).await {
        let _ = shared.timed_out_after.set(timeout);
    }
}

async fn is_ready(mut future: Pin<&mut impl Future<Output = ()>>) -> bool {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await
}
