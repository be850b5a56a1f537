//! A workflow without its types: what a run needs to know of it, and how a run is started, driven
//! to its end and reported.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    ending::{OnEnd, conclude},
    options::RunOptions,
    restore::{Basis, Restore},
};
use crate::{
    action::{surroundings::RunIdentity, value::Value},
    checkpoint::Checkpoints,
    clock::new_id,
    engine::{Engine, Finished, Limits, context::RunContext, ends::Ends},
    error::{Cause, Error, ErrorKind, TIMEOUT},
    graph::{
        flatten::MAX_DEPTH,
        plan::{NestedRun, NestedRuns, Plan, Within},
    },
    limits::Admission,
    offload::has_timer,
    report::{
        AttemptReport, Report, TaskReport,
        id::TaskId,
        record::{Failures, Record},
        status::Status,
    },
    spans::MAX_STATUS_TEXT,
    telemetry::{Blame, Observers, RunSpan},
    unwind::{in_drop, note_places},
};

/// All that a run needs to know of its workflow.
#[derive(Clone)]
pub(crate) struct Definition {
    pub(crate) plan: Arc<Plan>,
    pub(crate) limits: Limits,
    pub(crate) timeout: Option<Duration>,
    pub(crate) observers: Observers,
    pub(crate) restore: Restore,
    /// What cancels all runs of the workflow.
    pub(crate) cancellation: Option<CancellationToken>,
    pub(crate) on_end: Vec<OnEnd>,
}

/// What a run is given before it begins.
pub(crate) struct Start {
    pub(crate) identity: Arc<RunIdentity>,
    pub(crate) trigger: Option<Box<str>>,
    pub(crate) resume: bool,
    /// Whether the id was made for this run.
    is_new_id: bool,
    /// What the run was given, where its workflow takes something.
    input: Option<Value>,
}

impl Start {
    /// A run within a task of another one.
    pub(crate) fn nested(identity: RunIdentity, input: Option<Value>, is_new_id: bool) -> Self {
        Self {
            identity: Arc::new(identity),
            trigger: None,
            resume: true,
            is_new_id,
            input,
        }
    }
}

impl Definition {
    /// Settles what these options leave open.
    #[inline]
    pub(crate) fn start(&self, options: &RunOptions, input: Option<Value>) -> Start {
        let said = options.said.as_deref();
        let id = said.and_then(|said| said.id.as_deref());
        let is_new_id = id.is_none();
        Start {
            identity: Arc::new(RunIdentity::new(
                id.map_or_else(new_id, Arc::from),
                Arc::clone(&self.plan.name),
                said.and_then(|said| said.scheduled_for),
                match &self.cancellation {
                    Some(all) => all.child_token(),
                    None => CancellationToken::new(),
                },
            )),
            trigger: said.and_then(|said| Some(said.trigger.as_deref()?.into())),
            resume: is_new_id || said.is_some_and(|said| said.resume),
            is_new_id,
            input,
        }
    }

    /// Begins a run of its own, if there is all that it needs: from here on it has a span.
    #[inline]
    pub(crate) fn begin(&self, start: Start) -> Result<RunGuard, Error> {
        self.begin_in(start, None)
    }

    /// Begins a run with a storage of its own or none, within a task of another run or not.
    #[inline]
    pub(super) fn begin_in(
        &self,
        mut start: Start,
        within: Option<&Within<'_>>,
    ) -> Result<RunGuard, Error> {
        let id = &start.identity.workflow_id;
        if !start.is_new_id {
            self.restore.check_id(id, start.resume)?;
        }
        let is_new = start.is_new_id;
        let checkpoints = self.restore.checkpoints(id, is_new, &self.plan);
        self.check(checkpoints.is_some())?;
        let basis = match &checkpoints {
            Some(_) => Some(self.restore.basis(&self.plan, &mut start.input)?),
            None => None,
        };
        Ok(self.open(start, checkpoints, basis, within))
    }

    /// Makes sure that a run can begin here.
    pub(crate) fn check(&self, has_storage: bool) -> Result<(), Error> {
        if self.plan.depth > MAX_DEPTH {
            return Err(ErrorKind::TooDeep {
                depth: self.plan.depth,
                most: MAX_DEPTH,
            }
            .into());
        }
        let Ok(runtime) = Handle::try_current() else {
            return Err(ErrorKind::NoRuntime.into());
        };
        let needs_timer = self.timeout.is_some()
            || self.plan.needs_timer
            || self.limits.groups.need_timer()
            || !self.on_end.is_empty();
        if needs_timer && !has_timer(&runtime) {
            return Err(ErrorKind::NoTimer.into());
        }
        if has_storage {
            self.restore.check(&self.plan)?;
        }
        Ok(())
    }

    /// Opens the span of a run.
    pub(crate) fn open(
        &self,
        start: Start,
        checkpoints: Option<Box<Checkpoints>>,
        basis: Option<Box<Basis>>,
        within: Option<&Within<'_>>,
    ) -> RunGuard {
        note_places();
        let plan = Arc::clone(&self.plan);
        let telemetry = RunSpan::open(
            Arc::clone(&start.identity.workflow_id),
            Arc::clone(&plan.name),
            plan.tasks.len(),
            start.trigger.as_deref(),
            match within {
                None => self.observers.clone(),
                Some(within) => self.observers.clone().and(within.observer.clone()),
            },
        );
        let shares = within.is_some() || plan.has_workflows || !self.limits.groups.is_empty();
        let admission = shares.then(|| {
            let outer = within.map(|within| within.admission);
            Admission::new(self.limits.concurrency, &self.limits.groups, outer)
        });
        let context = RunContext::new(
            plan,
            start.identity,
            checkpoints,
            telemetry,
            self.timeout,
            within.is_some_and(|within| within.follows_failure),
            admission,
        );
        RunGuard {
            context: Arc::new(context),
            resume: start.resume,
            input: start.input,
            basis,
            ended: false,
        }
    }

    /// Drives a run that has begun to its end.
    pub(crate) async fn drive(&self, mut guard: RunGuard) -> Result<Ended, Error> {
        let context = Arc::clone(&guard.context);
        if let (Some(checkpoints), Some(basis)) = (&context.checkpoints, guard.basis.take()) {
            // In a box, so that a run without a storage is not the larger for it.
            let prepared = self
                .restore
                .prepare(&context, checkpoints, &basis, guard.resume);
            if let Err(error) = Box::pin(prepared).await {
                let blame = Blame {
                    class: "dotflow::Error",
                    text: error.to_string(),
                };
                guard.end(Status::Failed, Some(&blame));
                return Err(error);
            }
        }
        let finished = Engine::new(&context, &self.limits, guard.input.take())
            .run()
            .await;
        let cause = finished.cause.as_deref();
        let cause = cause.filter(|_| context.telemetry.is_told());
        let blame = cause.map(|cause| Blame {
            class: match cause.task {
                None if context.has_timed_out() => TIMEOUT,
                _ => cause.error.class(),
            },
            text: cause.summary(MAX_STATUS_TEXT),
        });
        let duration = guard.end(finished.status, blame.as_ref());
        let ended = |finished| Ended {
            workflow_id: Arc::clone(&context.identity.workflow_id),
            plan: Arc::clone(&self.plan),
            started_at: context.telemetry.started_at,
            duration,
            finished,
        };
        if self.on_end.is_empty() {
            return Ok(ended(finished));
        }
        let ended = Box::new(ended(finished));
        Box::pin(conclude(&self.on_end, &context, ended.report())).await;
        Ok(*ended)
    }
}

/// Watches over a run: however it ends, its span says so.
pub(crate) struct RunGuard {
    context: Arc<RunContext>,
    resume: bool,
    input: Option<Value>,
    /// What the checkpoints of this run are compared by; `None` where they need no comparison.
    basis: Option<Box<Basis>>,
    ended: bool,
}

impl RunGuard {
    pub(super) fn context(&self) -> Arc<RunContext> {
        Arc::clone(&self.context)
    }

    fn end(&mut self, status: Status, blame: Option<&Blame<'_>>) -> Duration {
        self.ended = true;
        self.context.telemetry.end(status, blame)
    }
}

impl Drop for RunGuard {
    fn drop(&mut self) {
        if !self.ended {
            self.context.identity.cancellation.cancel();
            in_drop(|| {
                let error = self.context.why_cancelled();
                let blame = Blame {
                    class: error.class(),
                    text: error.to_string(),
                };
                self.end(Status::Cancelled, Some(&blame));
            });
        }
    }
}

/// What a run was.
pub(crate) struct Ended {
    pub(crate) workflow_id: Arc<str>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) started_at: SystemTime,
    pub(crate) duration: Duration,
    pub(crate) finished: Finished,
}

impl Ended {
    pub(crate) fn cause(&self) -> Option<&Cause> {
        self.finished.cause.as_deref()
    }

    /// All that can be told of the run without its types. Tasks of nested workflows come after those
    /// of the workflow that they are nested in.
    pub(crate) fn report(&self) -> Report {
        let mut tasks = self.own_tasks();
        let mut open = VecDeque::from([(0, self.nested())]);
        while let Some((first, nested)) = open.pop_front() {
            for (id, run) in nested.into_iter().flatten() {
                let of_run = tasks[first..].iter();
                let Some(place) = of_run.clone().position(|task| task.id == *id) else {
                    continue;
                };
                let (parent, next) = (first + place, tasks.len());
                tasks.extend(run.tasks().into_iter().map(|task| TaskReport {
                    parent: Some(parent),
                    ..task
                }));
                open.push_back((next, run.nested()));
            }
        }
        Report {
            format: Report::FORMAT,
            workflow_id: (*self.workflow_id).to_owned(),
            name: (*self.plan.name).to_owned(),
            status: self.finished.status,
            started_at: self.started_at,
            finished_at: self.started_at + self.duration,
            duration: self.duration,
            cause: self.cause().map(ToString::to_string),
            tasks,
        }
    }

    /// What became of each task of the workflow itself, by number; items of one task by their index.
    fn own_tasks(&self) -> Vec<TaskReport> {
        let records = &self.finished.records;
        let mut ends = records.ends(&self.plan);
        let numbered = (0u32..).zip(&records.tasks);
        let tasks = numbered.flat_map(|(number, record)| {
            let items = records.items.get(&number);
            let own = items.is_none().then(|| (TaskId::task(number), record));
            let items = items.into_iter().flat_map(move |items| {
                let items = (0u32..).zip(items);
                items.map(move |(item, record)| (TaskId::item(number, item), record))
            });
            own.into_iter().chain(items)
        });
        tasks
            .map(|(id, record)| self.task(id, record, &mut ends))
            .collect()
    }

    fn task(&self, id: TaskId, record: &Record, ends: &mut Ends) -> TaskReport {
        let task = &self.plan.tasks[id.number as usize];
        let notes = self.finished.notes.as_ref();
        let said = notes.and_then(|notes| notes.said.get(&id));
        let label = notes.and_then(|notes| notes.labels.get(&id));
        let failures = record.failures.as_deref();
        let errors = failures.into_iter().flat_map(Failures::iter);
        TaskReport {
            id,
            parent: None,
            waited_for: notes.and_then(|notes| notes.waited_for.get(&id).copied()),
            item_label: label.map(|label| (**label).to_owned()),
            recorded: said
                .map(|said| said.recorded.iter().cloned().collect())
                .unwrap_or_default(),
            progress: said.and_then(|said| said.progress),
            name: task.settings.name.to_cow(),
            group: task.group().map(str::to_owned),
            status: record.status,
            after: task.after().collect(),
            started_at: record.started.map(|after| self.started_at + after),
            duration: record.duration,
            wait: record.started.map_or(Duration::ZERO, |started| {
                let ready = ends.ready(&self.plan, id.number);
                started.saturating_sub(ready) + record.waited_between()
            }),
            retry_count: record.attempts.saturating_sub(1),
            attempts: self.attempts(record),
            restored: record.restored,
            errors: errors.map(|failure| failure.error.clone()).collect(),
        }
    }

    fn attempts(&self, record: &Record) -> Vec<AttemptReport> {
        let Some(started) = record.started.filter(|_| !record.restored) else {
            return Vec::new();
        };
        let attempt = |number, (after, duration): (Duration, Duration)| AttemptReport {
            number,
            started_at: self.started_at + started + after,
            duration,
        };
        let Some(failures) = record.failures.as_deref() else {
            return vec![attempt(1, (Duration::ZERO, record.duration))];
        };
        let failed = failures.iter().map(|failure| {
            let number = failure.error.attempt();
            attempt(number, (failure.started, failure.duration))
        });
        let last = failures.followed_by;
        failed
            .chain(last.map(|times| attempt(record.attempts, times)))
            .collect()
    }
}

impl NestedRun for Ended {
    fn tasks(&self) -> Vec<TaskReport> {
        self.own_tasks()
    }

    fn nested(&self) -> Option<&NestedRuns> {
        self.finished.notes.as_ref().map(|notes| &notes.nested)
    }
}
