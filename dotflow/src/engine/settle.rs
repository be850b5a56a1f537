//! The state of a run between two tasks: who is ready, who must be skipped, whose output nobody
//! needs any more, and what it all came to.

use std::{collections::HashSet, mem, time::Duration};

use super::{
    Engine, Unit,
    attempt::{Outcome, Record},
};
use crate::{
    error::TaskError,
    inputs::{OnMissing, Slot, Slots},
    observer::Happening,
    plan::{Plan, Source},
    run::TaskReport,
    status::Status,
    value::Value,
};

/// Where one task of a run stands.
#[derive(Default)]
pub(super) struct Progress {
    /// How many inputs have not been settled yet.
    waiting: u32,
    /// How many readers the output still has; the run itself counts as one where it is kept.
    readers: u32,
    pub(super) output: Option<Value>,
    /// Why there is no output, once the task has failed.
    pub(super) error: Option<TaskError>,
    /// Whether somebody took the failure as a `Result`.
    pub(super) handled: bool,
}

impl Progress {
    pub(super) fn of(plan: &Plan) -> Vec<Self> {
        let mut progress: Vec<Self> = (0u32..)
            .zip(&plan.tasks)
            .map(|(number, task)| Self {
                waiting: length(task.predecessors().count()),
                readers: length(plan.successors(number).len()) + u32::from(task.settings.keep),
                ..Self::default()
            })
            .collect();
        for sink in &plan.sinks {
            progress[*sink as usize].readers += 1;
        }
        progress
    }
}

fn length(count: usize) -> u32 {
    u32::try_from(count).expect("the plan counts in 32 bits")
}

/// One report per task, before anything has happened.
pub(super) fn reports(plan: &Plan) -> Vec<TaskReport> {
    (0u32..)
        .zip(&plan.tasks)
        .map(|(id, task)| TaskReport {
            id,
            item: None,
            name: task.settings.name.clone(),
            group: task.settings.group.clone(),
            status: Status::NotStarted,
            started_at: None,
            duration: Duration::ZERO,
            attempts: 0,
            errors: Vec::new(),
            restored: false,
        })
        .collect()
}

impl Engine<'_> {
    /// Makes ready what waits for nothing.
    pub(super) fn begin(&mut self) {
        for task in 0..length(self.progress.len()) {
            if self.progress[task as usize].waiting == 0 {
                self.ready.push_back(task);
            }
        }
    }

    /// The next thing to run, with its inputs.
    pub(super) fn next_unit(&mut self) -> Option<(Unit, Slots)> {
        loop {
            let task = self.ready.pop_front()?;
            if self.maps.contains_key(&task) {
                if let Some(next) = self.next_item(task) {
                    return Some(next);
                }
                continue;
            }
            let shared = self.shared;
            let planned = &shared.plan.tasks[task as usize];
            if self.stopped_by.is_some() && !planned.is_clean_up() {
                self.release_inputs(task);
                self.propagate(task);
                continue;
            }
            let slots = self.gather(task);
            if planned.mapping.is_some() {
                self.begin_map(task, slots);
                continue;
            }
            return Some((Unit { task, item: None }, slots));
        }
    }

    /// The inputs of a task. An output leaves the run with its last reader.
    fn gather(&mut self, task: u32) -> Slots {
        let shared = self.shared;
        let planned = &shared.plan.tasks[task as usize];
        // One input is what most tasks have.
        if let [Source::One(before)] = *planned.sources {
            let handles = planned.on_missing(0) == OnMissing::Handle;
            return Slots::One(self.take(before, handles));
        }
        let sources = planned.sources.iter().enumerate();
        sources
            .map(|(parameter, source)| {
                let handles = planned.on_missing(parameter) == OnMissing::Handle;
                match source {
                    Source::One(before) => self.take(*before, handles),
                    Source::All(all) => Slot::All(
                        all.iter()
                            .map(|before| self.take(*before, handles))
                            .collect(),
                    ),
                }
            })
            .collect()
    }

    fn take(&mut self, before: u32, handles: bool) -> Slot {
        let progress = &mut self.progress[before as usize];
        progress.readers -= 1;
        let output = if progress.readers == 0 {
            progress.output.take()
        } else {
            progress.output.clone()
        };
        if let Some(value) = output {
            return Slot::Value(value);
        }
        if handles {
            self.mark_handled(before);
        }
        Slot::Missing(self.why_missing(before))
    }

    /// Gives up the inputs of a task that won't be run. An output goes with its last reader.
    fn release_inputs(&mut self, task: u32) {
        let shared = self.shared;
        for before in shared.plan.tasks[task as usize].predecessors() {
            let progress = &mut self.progress[before as usize];
            progress.readers -= 1;
            if progress.readers == 0 {
                progress.output = None;
            }
        }
    }

    /// Takes in what came of a task or an item.
    pub(super) fn settle(&mut self, outcome: Outcome) {
        let Outcome {
            unit,
            result,
            record,
        } = outcome;
        let status = match &result {
            Ok(_) => Status::Completed,
            Err(_) => Status::Failed,
        };
        self.record(unit, status, record);
        match unit.item {
            None => self.settle_task(unit.task, result),
            Some(item) => self.settle_item(unit.task, item, result),
        }
    }

    pub(super) fn record(&mut self, unit: Unit, status: Status, record: Record) {
        let report = match unit.item {
            None => &mut self.reports[unit.task as usize],
            Some(item) => {
                let items = self.item_reports.get_mut(&unit.task);
                &mut items.expect("a task has reports of its items before they run")[item as usize]
            }
        };
        let after = record
            .started
            .saturating_duration_since(self.shared.started);
        report.status = status;
        report.started_at = Some(self.shared.started_at + after);
        report.duration = record.duration;
        report.attempts = record.attempts;
        report.restored = record.restored;
        report.errors = record.errors;
    }

    pub(super) fn settle_task(&mut self, task: u32, result: Result<Value, TaskError>) {
        let progress = &mut self.progress[task as usize];
        let mut failed = false;
        match result {
            Ok(value) => progress.output = Some(value).filter(|_| progress.readers > 0),
            Err(error) => {
                progress.error = Some(error);
                self.has_failures = true;
                failed = true;
            }
        }
        self.propagate(task);
        if failed {
            self.stop_unless_handled(task);
        }
    }

    /// Tells the tasks after a settled one; those that can't run any more are settled as well.
    pub(super) fn propagate(&mut self, settled: u32) {
        let shared = self.shared;
        let mut skipped = Vec::new();
        let mut next = Some(settled);
        let mut lost_a_handler = false;
        while let Some(before) = next {
            for &task in shared.plan.successors(before) {
                let progress = &mut self.progress[task as usize];
                progress.waiting -= 1;
                if progress.waiting > 0 {
                    continue;
                }
                if !self.has_failures || self.can_run(task) {
                    self.ready.push_back(task);
                } else {
                    self.skip(task);
                    skipped.push(task);
                    lost_a_handler |= shared.plan.tasks[task as usize].handles_failures();
                }
            }
            next = skipped.pop();
        }
        // Failures that a task was to handle which is skipped now are handled by nobody.
        if lost_a_handler && !self.limits.keep_going && self.stopped_by.is_none() {
            for task in 0..length(self.progress.len()) {
                if self.progress[task as usize].error.is_some() {
                    self.stop_unless_handled(task);
                }
            }
        }
    }

    fn can_run(&self, task: u32) -> bool {
        let planned = &self.shared.plan.tasks[task as usize];
        planned
            .sources
            .iter()
            .enumerate()
            .all(|(parameter, source)| {
                planned.on_missing(parameter) != OnMissing::Skip
                    || source.tasks().iter().all(|before| self.has_output(*before))
            })
    }

    fn has_output(&self, task: u32) -> bool {
        self.progress[task as usize].output.is_some()
    }

    /// Gives up a task whose input is missing: for a failure, or since the run stopped before.
    fn skip(&mut self, task: u32) {
        self.release_inputs(task);
        let shared = self.shared;
        let mut before = shared.plan.tasks[task as usize].predecessors();
        if !before.any(|before| self.is_missing(before)) {
            return;
        }
        self.reports[task as usize].status = Status::Skipped;
        let place = self.shared.place(Unit { task, item: None });
        self.shared
            .notify(Happening::TaskEnded(place, Status::Skipped, None));
    }
}

/// What a failure means for the tasks after it, and who has taken care of it.
impl Engine<'_> {
    /// Lets nothing new start after a failure that nobody will handle.
    fn stop_unless_handled(&mut self, failed: u32) {
        if !self.limits.keep_going
            && self.stopped_by.is_none()
            && !self.progress[failed as usize].handled
            && !self.will_be_handled(failed)
        {
            self.stopped_by = Some(failed);
        }
    }

    /// Whether a task after a failed one takes the failure as a `Result`: directly, or as the
    /// reason why a task in between is skipped, or will be once its other inputs are settled.
    fn will_be_handled(&self, failed: u32) -> bool {
        let plan = &self.shared.plan;
        let mut missing = vec![failed];
        let mut seen = HashSet::from([failed]);
        while let Some(before) = missing.pop() {
            for &task in plan.successors(before) {
                let is_skipped = self.reports[task as usize].status == Status::Skipped;
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
    fn mark_handled(&mut self, missing: u32) {
        let shared = self.shared;
        let mut missing = vec![missing];
        while let Some(task) = missing.pop() {
            let progress = &mut self.progress[task as usize];
            if mem::replace(&mut progress.handled, true) {
                continue;
            }
            if self.reports[task as usize].status == Status::Skipped {
                let before = shared.plan.tasks[task as usize].predecessors();
                missing.extend(before.filter(|before| self.is_missing(*before)));
            }
        }
    }

    fn is_missing(&self, task: u32) -> bool {
        matches!(
            self.reports[task as usize].status,
            Status::Failed | Status::Skipped
        )
    }

    /// Why a settled task has no output, as it is told to those who wanted it.
    pub(super) fn why_missing(&self, task: u32) -> TaskError {
        let mut cause = task;
        loop {
            if let Some(error) = &self.progress[cause as usize].error {
                if cause == task {
                    return error.clone();
                }
                return TaskError::skipped(&format!("{} failed", self.describe(cause)), error);
            }
            let planned = &self.shared.plan.tasks[cause as usize];
            let mut before = planned.predecessors();
            match (
                self.reports[cause as usize].status,
                before.find(|before| self.is_missing(*before)),
            ) {
                (Status::Skipped, Some(before)) => cause = before,
                _ => break,
            }
        }
        match self.stopped_by {
            Some(failed) => {
                let error = self.progress[failed as usize].error.clone();
                let error = error.unwrap_or_else(|| self.shared.why_cancelled());
                let reason = format!("the run stopped when {} failed", self.describe(failed));
                TaskError::skipped(&reason, &error)
            }
            None => self.shared.why_cancelled(),
        }
    }

    pub(super) fn describe(&self, task: u32) -> String {
        let name = self.shared.plan.tasks[task as usize].name();
        format!("task:{task} `{}`", name.as_str())
    }
}
