//! What a failure means for the other tasks of a run: which of them can do without the output, who is
//! to blame for those that can't, and whether somebody takes the failure as a `Result`.

use std::{collections::HashSet, mem};

use super::task::TaskState;
use crate::{
    action::inputs::OnMissing,
    error::{TaskError, TaskErrorKind},
    graph::plan::{INPUT, Plan},
    report::status::Status,
};

/// What the failures of a run mean for the whole of it.
pub(super) struct Failures {
    pub(super) keep_going: bool,
    /// Whether a task has failed, within it too: before that nothing can be missing, or follow from
    /// a failure.
    pub(super) has_any: bool,
    /// The first failure that nobody handles, once nothing new is to start.
    stopped_by: Option<u32>,
    /// Why the run was ended before its time, where it was.
    halted: Option<TaskError>,
}

impl Failures {
    pub(super) fn new(keep_going: bool) -> Self {
        Self {
            keep_going,
            has_any: false,
            stopped_by: None,
            halted: None,
        }
    }

    pub(super) fn halt(&mut self, reason: TaskError) {
        self.halted = Some(reason);
    }

    /// Whether nothing new is to start, since a task has failed.
    pub(super) fn have_stopped(&self) -> bool {
        self.stopped_by.is_some()
    }

    /// Lets nothing new start, as a task has ended the run.
    pub(super) fn end_early(&mut self, task: u32) {
        self.stopped_by.get_or_insert(task);
    }

    /// Whether a task has no output only because one has ended the run.
    pub(super) fn is_ended_early<V>(&self, tasks: &[TaskState<V>], task: u32) -> bool {
        let state = &tasks[task as usize];
        let cause = match (&state.error, state.cause) {
            (Some(_), _) => Some(task),
            (None, Some(cause)) => Some(cause),
            (None, None) => self.stopped_by,
        };
        cause.is_some_and(|cause| tasks[cause as usize].has_ended_early())
    }

    /// Whether a failure that nobody handles is to stop the run.
    fn may_stop(&self) -> bool {
        !self.keep_going && self.stopped_by.is_none()
    }

    /// Lets nothing new start after a failure that nobody will handle.
    pub(super) fn stop_unless_handled<V>(
        &mut self,
        plan: &Plan,
        tasks: &[TaskState<V>],
        failed: u32,
    ) {
        if self.may_stop()
            && !tasks[failed as usize].handled
            && !will_be_handled(plan, tasks, failed)
        {
            self.stopped_by = Some(failed);
        }
    }

    /// The same for all failures so far: a task that was to handle some of them won't be run.
    pub(super) fn stop_unless_all_handled<V>(&mut self, plan: &Plan, tasks: &[TaskState<V>]) {
        if !self.may_stop() {
            return;
        }
        for (task, state) in (0u32..).zip(tasks) {
            if state.failure().is_some() {
                self.stop_unless_handled(plan, tasks, task);
            }
        }
    }

    /// Why a settled task has no output, as it is told to those who wanted it.
    pub(super) fn why_missing<V>(
        &self,
        plan: &Plan,
        tasks: &[TaskState<V>],
        task: u32,
    ) -> TaskError {
        let state = &tasks[task as usize];
        if let Some(error) = &state.error {
            return error.clone();
        }
        let has_ended = |task: u32| tasks[task as usize].has_ended_early();
        let (cause, reason) = match (state.cause, self.stopped_by) {
            (Some(cause), _) => {
                let what = if has_ended(cause) {
                    "has ended the run"
                } else {
                    "failed"
                };
                (cause, format!("{} {what}", plan.describe(cause)))
            }
            (None, Some(ended)) if has_ended(ended) => {
                (ended, format!("{} has ended the run", plan.describe(ended)))
            }
            (None, Some(failed)) => {
                let failed_task = plan.describe(failed);
                (failed, format!("the run stopped when {failed_task} failed"))
            }
            (None, None) => return self.why_halted(),
        };
        match &tasks[cause as usize].error {
            Some(error) => TaskError::skipped(&reason, error),
            None => self.why_halted(),
        }
    }

    fn why_halted(&self) -> TaskError {
        let cancelled = || TaskError::of_kind(TaskErrorKind::Cancelled, "the run was cancelled");
        self.halted.clone().unwrap_or_else(cancelled)
    }
}

/// Whether a task can run on what the tasks before it have come to, now that all are settled.
pub(super) fn can_run<V>(plan: &Plan, tasks: &[TaskState<V>], task: u32) -> bool {
    let planned = &plan.tasks[task as usize];
    let has_output = |before: &u32| *before == INPUT || tasks[*before as usize].output.is_some();
    let mut sources = planned.sources.iter().enumerate();
    sources.all(|(parameter, source)| {
        planned.on_missing(parameter) != OnMissing::Skip || source.tasks().iter().all(has_output)
    })
}

/// The failed task because of which another one can't run. There is none where the run stopped
/// before the tasks that it reads.
pub(super) fn cause<V>(plan: &Plan, tasks: &[TaskState<V>], skipped: u32) -> Option<u32> {
    let mut before = plan.tasks[skipped as usize].after();
    let before = before.find(|before| tasks[*before as usize].has_nothing())?;
    Some(tasks[before as usize].cause.unwrap_or(before))
}

/// Whether a task after a failed one takes the failure as a `Result`: directly, or as the reason why
/// a task in between is skipped, or will be once its other inputs are settled.
pub(super) fn will_be_handled<V>(plan: &Plan, tasks: &[TaskState<V>], failed: u32) -> bool {
    let mut missing = vec![failed];
    let mut seen = HashSet::from([failed]);
    while let Some(before) = missing.pop() {
        for &task in plan.successors(before) {
            let is_skipped = tasks[task as usize].status == Status::Skipped;
            match plan.tasks[task as usize].without(before) {
                OnMissing::Handle if !is_skipped => return true,
                OnMissing::Run if !is_skipped => {}
                _ => {
                    if seen.insert(task) {
                        missing.push(task);
                    }
                }
            }
        }
    }
    false
}

/// Marks the failures behind a missing output as handled.
pub(super) fn mark_handled<V>(plan: &Plan, tasks: &mut [TaskState<V>], missing: u32) {
    let mut missing = vec![missing];
    while let Some(task) = missing.pop() {
        let state = &mut tasks[task as usize];
        if mem::replace(&mut state.handled, true) {
            continue;
        }
        if state.status == Status::Skipped {
            let before = plan.tasks[task as usize].after();
            missing.extend(before.filter(|before| tasks[*before as usize].has_nothing()));
        }
    }
}

/// The first failure that nobody has handled.
pub(super) fn first_unhandled<V>(tasks: &[TaskState<V>]) -> Option<(u32, TaskError)> {
    (0u32..).zip(tasks).find_map(|(number, task)| {
        let error = task.failure().filter(|_| !task.handled)?.clone();
        Some((number, error))
    })
}
