//! The end of a run: what became of the tasks that were never begun, whether it is a success, and what
//! is left of it.

use super::{Engine, Finished};
use crate::{
    error::Cause,
    report::{id::TaskId, status::Status},
};

impl Engine<'_> {
    #[inline]
    pub(super) fn finish(mut self, was_halted: bool) -> Finished {
        let mut notes = self.context.take_notes();
        let interrupted = notes
            .as_mut()
            .map(|notes| std::mem::take(&mut notes.interrupted));
        for (id, record) in interrupted.into_iter().flatten() {
            self.state.interrupt(id);
            self.records.set(id, record);
        }
        if was_halted {
            self.state.halt(self.context.why_cancelled());
        }
        let plan = &*self.context.plan;
        let kept = (0u32..).zip(&plan.tasks);
        let kept = kept.filter(|(_, task)| task.settings.keep);
        let wanted = plan.sinks.iter().copied();
        let wanted = wanted.chain(kept.map(|(number, _)| number));
        let outputs = wanted.map(|number| (plan.node(number), self.state.output(number)));
        let outputs = outputs.collect();
        let (status, cause) = self.verdict(was_halted);
        self.settle_records();
        Finished {
            status,
            cause: cause.map(Box::new),
            follows_failure: self.state.output_follows_failure(),
            notes,
            records: self.records,
            outputs,
        }
    }

    /// The status of the run, and why it is not a success.
    fn verdict(&self, was_halted: bool) -> (Status, Option<Cause>) {
        if was_halted && self.state.is_unfinished() {
            let status = if self.context.has_timed_out() {
                Status::Failed
            } else {
                Status::Cancelled
            };
            let cause = Cause {
                task: None,
                number: None,
                error: self.context.why_cancelled(),
            };
            return (status, Some(cause));
        }
        match self.state.failure() {
            Some((task, error)) => {
                let cause = Cause {
                    task: Some(self.context.plan.describe(task)),
                    number: Some(task),
                    error,
                };
                (Status::Failed, Some(cause))
            }
            None => (Status::Completed, None),
        }
    }

    /// Completes the records by what the state knows of tasks that were never begun, and tells of
    /// those.
    fn settle_records(&mut self) {
        let context = self.context;
        let not_started = |id| {
            let subject = context.subject(id);
            context.telemetry.settled(subject, Status::NotStarted);
        };
        for (number, record) in (0u32..).zip(&mut self.records.tasks) {
            match self.records.items.get_mut(&number) {
                None => {
                    record.status = self.state.status(number);
                    if record.status == Status::NotStarted {
                        not_started(TaskId::task(number));
                    }
                }
                Some(items) => {
                    for (item, record) in (0u32..).zip(items) {
                        if record.status == Status::NotStarted {
                            not_started(TaskId::item(number, item));
                        }
                    }
                }
            }
        }
    }
}
