//! What a run came to: its status, its cause, its reports and its outputs.

use std::{mem, sync::PoisonError};

use super::{Engine, Finished, Unit};
use crate::{
    error::{Cause, TaskError},
    observer::Happening,
    run::{Kept, TaskReport},
    status::Status,
    value::Value,
};

impl Engine<'_> {
    pub(super) fn finish(mut self, was_halted: bool) -> Finished {
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
        let sinks = self.shared.plan.sinks.iter();
        let outputs: Vec<_> = sinks.map(|sink| self.output(*sink)).collect();
        let kept = self.kept(&outputs);
        let (status, cause) = self.verdict(was_halted, &outputs);
        let shared = self.shared;
        let reports = self.all_reports();
        for report in &reports {
            if report.status == Status::NotStarted {
                let place = shared.place(Unit {
                    task: report.id,
                    item: report.item,
                });
                shared.notify(Happening::TaskEnded(place, Status::NotStarted, None));
            }
        }
        Finished {
            status,
            reports,
            cause,
            outputs,
            kept,
        }
    }

    /// The status of a run with these outputs of its sinks, and why it is not a success.
    fn verdict(
        &self,
        was_halted: bool,
        outputs: &[Result<Value, TaskError>],
    ) -> (Status, Option<Cause>) {
        let was_cut_short = was_halted
            && self
                .reports
                .iter()
                .any(|report| matches!(report.status, Status::NotStarted | Status::Cancelled));
        if was_cut_short {
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
            let mut sinks = self.shared.plan.sinks.iter().zip(outputs);
            sinks.find_map(|(sink, output)| Some((*sink, output.as_ref().err()?.clone())))
        };
        match unhandled.or_else(missing_sink) {
            Some((task, error)) => {
                let task = Some(self.describe(task));
                (Status::Failed, Some(Cause { task, error }))
            }
            None => (Status::Completed, None),
        }
    }

    /// The outputs of tasks marked to be kept, and these of the sinks.
    fn kept(&self, outputs: &[Result<Value, TaskError>]) -> Kept {
        let tasks = &self.shared.plan.tasks;
        let marked = (0u32..)
            .zip(tasks)
            .filter(|(_, task)| task.settings.keep)
            .map(|(number, task)| (task.node, self.output(number)));
        let sinks = self.shared.plan.sinks.iter().zip(outputs);
        let sinks = sinks.map(|(sink, output)| (tasks[*sink as usize].node, output.clone()));
        marked.chain(sinks).collect()
    }

    fn output(&self, task: u32) -> Result<Value, TaskError> {
        let output = self.progress[task as usize].output.clone();
        output.ok_or_else(|| self.why_missing(task))
    }

    /// The reports by number; where a task had items, theirs instead of its own.
    fn all_reports(&mut self) -> Vec<TaskReport> {
        let reports = mem::take(&mut self.reports);
        if self.item_reports.is_empty() {
            return reports;
        }
        let mut all = Vec::new();
        for report in reports {
            match self.item_reports.remove(&report.id) {
                Some(items) => all.extend(items),
                None => all.push(report),
            }
        }
        all
    }
}
