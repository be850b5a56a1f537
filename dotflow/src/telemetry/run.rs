//! The span of a run, and through which each transition of a run or a task reaches its span and the
//! observers.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;
use tracing::{Span, field::Empty, info_span};

use super::fields::{self, Blame, Totals, count, end_task, end_workflow, failed, retried};
use crate::{
    error::TaskError,
    graph::plan::PlannedTask,
    report::{
        event::{Event, EventKind, TaskRef, WaitReason},
        id::TaskId,
        recorded::{Progress, Recorded},
        status::Status,
    },
    spans,
    unwind::{HeldSpan, bystander},
};

pub(crate) type Observer = dyn Fn(&Event) + Send + Sync;

/// The observers of a workflow. A panic in one is caught and reported, and hurts nobody else.
#[derive(Clone, Default)]
pub(crate) struct Observers(Vec<Arc<Observer>>);

impl Observers {
    pub(crate) fn add(&mut self, observer: impl Fn(&Event) + Send + Sync + 'static) {
        self.0.push(Arc::new(observer));
    }

    /// These, and who watches the run around.
    pub(crate) fn and(mut self, outer: Option<Arc<Observer>>) -> Self {
        self.0.extend(outer);
        self
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Observers({})", self.0.len())
    }
}

/// One step in the life of a run or of a task. Everything that is told of a run is one of these.
pub(super) enum Transition<'told> {
    WorkflowStarted,
    WorkflowEnded(Status, Option<&'told Blame<'told>>),
    TaskStarted,
    TaskRestored(Duration),
    ItemsAdded(usize),
    TaskRetried(&'told TaskError, Duration),
    /// The task was begun, and ends with so many further attempts behind it.
    TaskEnded(Status, Option<&'told TaskError>, u32, Duration),
    /// The task will never be begun, or had no items to begin.
    TaskSettled(Status),
    /// The task waits for others of its group, or for its rate.
    TaskWaiting(WaitReason),
    /// The task has said something of itself.
    TaskRecorded(&'told str, &'told Recorded),
    TaskProgressed(Progress),
}

/// The task that a transition is about.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'plan> {
    pub(crate) id: TaskId,
    /// Asked for its name and its group only where somebody listens.
    pub(crate) task: &'plan PlannedTask,
}

/// What people know items by.
type Labels = BTreeMap<TaskId, Arc<str>>;

/// The span of a run, from its start to its end, and all who want to know of it.
pub(crate) struct RunSpan {
    pub(super) span: HeldSpan,
    observers: Observers,
    pub(super) workflow_id: Arc<str>,
    workflow: Arc<str>,
    tasks: usize,
    totals: Totals,
    /// What people know items by, where they were told.
    labels: OnceLock<Box<Mutex<Labels>>>,
    /// Whether nobody follows the run: neither its span nor an observer.
    pub(super) is_silent: bool,
    pub(crate) started: Instant,
    pub(crate) started_at: SystemTime,
}

impl RunSpan {
    /// Opens the span of a run, below whatever span the caller is in.
    pub(crate) fn open(
        workflow_id: Arc<str>,
        workflow: Arc<str>,
        tasks: usize,
        trigger: Option<&str>,
        observers: Observers,
    ) -> Self {
        let span = info_span!(
            target: spans::TARGET,
            "workflow",
            { spans::OTEL_NAME } = %format_args!("workflow:{workflow}"),
            { spans::WORKFLOW_ID } = &*workflow_id,
            { spans::WORKFLOW_NAME } = &*workflow,
            { spans::TASKS_COUNT } = to_i64(tasks),
            { spans::RUN_TRIGGER } = trigger,
            { spans::WORKFLOW_STATUS } = Empty,
            { spans::WORKFLOW_DURATION } = Empty,
            { spans::TASKS_FAILED } = Empty,
            { spans::TASKS_SKIPPED } = Empty,
            { spans::TASKS_RESTORED } = Empty,
            { spans::ERROR_TYPE } = Empty,
            { spans::OTEL_STATUS_CODE } = Empty,
            { spans::OTEL_STATUS_DESCRIPTION } = Empty,
        );
        let run = Self {
            is_silent: span.is_disabled() && observers.0.is_empty(),
            span: HeldSpan::new(span),
            observers,
            workflow_id,
            workflow,
            tasks,
            totals: Totals::default(),
            labels: OnceLock::new(),
            started: Instant::now(),
            started_at: SystemTime::now(),
        };
        run.emit(
            None,
            &run.span,
            Duration::ZERO,
            &Transition::WorkflowStarted,
        );
        run
    }

    /// Whether somebody listens to the span.
    pub(crate) fn is_told(&self) -> bool {
        !self.span.is_disabled()
    }

    /// Ends the span. Its end is the end of this call, however long children live on.
    pub(crate) fn end(&self, status: Status, blame: Option<&Blame<'_>>) -> Duration {
        let duration = self.started.elapsed();
        let ended = Transition::WorkflowEnded(status, blame);
        self.emit(None, &self.span, duration, &ended);
        duration
    }

    /// Says that something that was to be done at the end of the run was not.
    pub(crate) fn not_concluded(&self, problem: &str) {
        fields::not_concluded(&self.span, problem);
    }

    /// The span itself, for what may outlive the run.
    pub(crate) fn span(&self) -> &HeldSpan {
        &self.span
    }

    /// Tells that a task will never be begun, or had no items to begin.
    pub(crate) fn settled(&self, task: Subject<'_>, status: Status) {
        let settled = Transition::TaskSettled(status);
        self.emit(
            Some(task),
            &HeldSpan::new(Span::none()),
            Duration::ZERO,
            &settled,
        );
    }

    /// Takes in what people know an item by.
    pub(crate) fn label(&self, id: TaskId, label: &str) {
        let label = spans::cut(label, spans::MAX_STATUS_TEXT).into();
        self.labels().insert(id, label);
    }

    pub(crate) fn label_of(&self, task: Subject<'_>) -> Option<Arc<str>> {
        // Most tasks have none, and pay for nothing.
        task.id.item?;
        task.task.item_label.as_ref()?;
        self.labels().get(&task.id).cloned()
    }

    fn labels(&self) -> MutexGuard<'_, Labels> {
        let labels = self.labels.get_or_init(Box::default);
        labels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    pub(crate) fn take_labels(&self) -> Option<Labels> {
        self.labels.get()?;
        Some(std::mem::take(&mut *self.labels()))
    }

    /// Tells what a task has recorded of itself, within whatever span it is in.
    pub(crate) fn recorded(&self, task: Subject<'_>, key: &str, value: &Recorded) {
        fields::recorded(key, value);
        let recorded = Transition::TaskRecorded(key, value);
        self.emit(
            Some(task),
            &HeldSpan::new(Span::none()),
            Duration::ZERO,
            &recorded,
        );
    }

    /// Tells how far a task has come, within whatever span it is in.
    pub(crate) fn progressed(&self, task: Subject<'_>, progress: Progress) {
        fields::progressed(progress);
        let progressed = Transition::TaskProgressed(progress);
        self.emit(
            Some(task),
            &HeldSpan::new(Span::none()),
            Duration::ZERO,
            &progressed,
        );
    }

    /// Tells what a task waits for, though it is ready.
    pub(crate) fn waits(&self, task: Subject<'_>, reason: WaitReason) {
        let waiting = Transition::TaskWaiting(reason);
        self.emit(
            Some(task),
            &HeldSpan::new(Span::none()),
            Duration::ZERO,
            &waiting,
        );
    }

    /// Who is to be told of what happens in the run within a task: the observers of this run, if any.
    pub(crate) fn observer_within(&self, task: TaskId) -> Option<Arc<Observer>> {
        if self.observers.0.is_empty() {
            return None;
        }
        let observers = self.observers.clone();
        Some(Arc::new(move |event| {
            let mut event = event.clone();
            event.path.insert(0, task);
            for observer in &observers.0 {
                bystander("an observer", || observer(&event));
            }
        }))
    }

    /// Tells how many items a task has.
    pub(crate) fn items_added(&self, task: Subject<'_>, count: usize) {
        let added = Transition::ItemsAdded(count);
        self.emit(
            Some(task),
            &HeldSpan::new(Span::none()),
            Duration::ZERO,
            &added,
        );
    }

    /// The time of day at which something happened in this run.
    pub(crate) fn time_of(&self, instant: Instant) -> SystemTime {
        self.started_at + instant.saturating_duration_since(self.started)
    }

    /// Tells of a transition: to the span of its subject, and to the observers.
    ///
    /// Inlined, as each caller tells of one kind only, and a run that nobody listens to is to pay for
    /// nothing.
    #[allow(clippy::inline_always, reason = "measured: a hint is not enough")]
    #[inline(always)]
    pub(super) fn emit(
        &self,
        task: Option<Subject<'_>>,
        span: &HeldSpan,
        duration: Duration,
        transition: &Transition<'_>,
    ) {
        match *transition {
            Transition::WorkflowEnded(status, blame) => {
                let _entered = span.enter();
                end_workflow(span, status, duration, &self.totals, blame);
                if !self.observers.0.is_empty() {
                    self.observe(task, duration, transition);
                }
                return;
            }
            Transition::TaskRetried(error, delay) => {
                if let Some(Subject { task, .. }) = task {
                    let _entered = span.enter();
                    retried(span, task, error, delay);
                }
            }
            Transition::TaskEnded(status, error, retry_count, wait) => {
                if let (Some(error), Some(Subject { id, task })) = (error, task)
                    && status == Status::Failed
                {
                    count(&self.totals.failed);
                    let _entered = span.enter();
                    failed(span, id, task, error);
                }
                end_task(span, status, duration, wait, retry_count, error);
            }
            Transition::TaskRestored(wait) => {
                count(&self.totals.restored);
                end_task(span, Status::Completed, duration, wait, 0, None);
            }
            Transition::TaskSettled(Status::Skipped) => count(&self.totals.skipped),
            Transition::WorkflowStarted
            | Transition::TaskStarted
            | Transition::ItemsAdded(_)
            | Transition::TaskSettled(_)
            | Transition::TaskWaiting(_)
            | Transition::TaskRecorded(..)
            | Transition::TaskProgressed(_) => {}
        }
        if !self.observers.0.is_empty() {
            let _entered = span.enter();
            self.observe(task, duration, transition);
        }
    }

    #[cold]
    fn observe(&self, task: Option<Subject<'_>>, duration: Duration, transition: &Transition<'_>) {
        let task = task.map(|task| {
            let label = self.label_of(task);
            TaskRef::new(task.id, task.task.name(), label)
        });
        let kind = match (transition, task) {
            (Transition::WorkflowStarted, _) => EventKind::WorkflowStarted { tasks: self.tasks },
            (Transition::WorkflowEnded(status, _), _) => EventKind::WorkflowEnded {
                status: *status,
                duration,
            },
            (_, None) => return,
            (Transition::TaskStarted, Some(task)) => EventKind::TaskStarted { task },
            (Transition::TaskRestored(_), Some(task)) => EventKind::TaskRestored { task },
            (Transition::ItemsAdded(count), Some(task)) => EventKind::ItemsAdded {
                task,
                count: *count,
            },
            (Transition::TaskRetried(error, delay), Some(task)) => EventKind::TaskRetried {
                task,
                error: (*error).clone(),
                delay: *delay,
            },
            (Transition::TaskEnded(status, error, ..), Some(task)) => EventKind::TaskEnded {
                task,
                status: *status,
                error: error.cloned(),
                duration,
            },
            (Transition::TaskWaiting(reason), Some(task)) => EventKind::TaskWaiting {
                task,
                reason: *reason,
            },
            (Transition::TaskRecorded(key, value), Some(task)) => EventKind::TaskRecorded {
                task,
                key: (*key).into(),
                value: (*value).clone(),
            },
            (Transition::TaskProgressed(progress), Some(task)) => EventKind::TaskProgressed {
                task,
                progress: *progress,
            },
            (Transition::TaskSettled(status), Some(task)) => EventKind::TaskEnded {
                task,
                status: *status,
                error: None,
                duration,
            },
        };
        let (id, workflow) = (Arc::clone(&self.workflow_id), Arc::clone(&self.workflow));
        let event = Event::new(id, workflow, kind);
        for observer in &self.observers.0 {
            bystander("an observer", || observer(&event));
        }
    }
}

/// OpenTelemetry has signed integers only, and the bridge writes all others as strings.
fn to_i64(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
