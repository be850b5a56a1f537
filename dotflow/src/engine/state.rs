//! What is to be done next in a run, and what the end of a task means for the others: which are
//! ready, which are skipped, whose failure is handled, whose output nobody needs any more.
//!
//! It only decides. There is no clock in here, no tokio, no span, no observer and no user code, and
//! the same outcomes in the same order always lead to the same work. Outputs are whatever the
//! executor takes for one.

#[cfg(test)]
mod tests;
mod waiting;
mod items;
mod failures;
mod work;
mod task;
mod each;

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Deref,
};

pub(crate) use self::work::{Change, Collect, Work};
use self::{each::EachState, failures::Failures, task::TaskState};
use crate::{
    action::inputs::{OnMissing, Slot, Slots},
    error::{TaskError, TaskErrorKind},
    graph::plan::{INPUT, Plan, Source},
    report::{id::TaskId, status::Status},
};

/// The state of a run.
pub(crate) struct State<P, V> {
    plan: P,
    /// Whether all of the run follows from a failure outside.
    follows_failure: bool,
    input: Option<V>,
    /// How many readers the input still has.
    input_readers: u32,
    tasks: Vec<TaskState<V>>,
    each: BTreeMap<u32, EachState<V>>,
    /// What can be begun. A task made by `each` stands here as long as it has further items.
    ready: VecDeque<u32>,
    /// What has happened and was not told yet; reused, so that telling costs nothing.
    changes: Vec<Change>,
    failures: Failures,
    /// Whether items of some list are not to be begun any more.
    has_abandoned: bool,
}

fn length(count: usize) -> u32 {
    u32::try_from(count).expect("the plan counts in 32 bits")
}

impl<P, V> State<P, V>
where
    P: Deref<Target = Plan> + Clone,
    V: Clone,
{
    /// The state before anything has happened; `keep_going` says whether tasks that don't depend on
    /// a failed one are still begun.
    pub(crate) fn new(plan: P, input: Option<V>, keep_going: bool, follows_failure: bool) -> Self {
        let numbered = (0u32..).zip(&plan.tasks);
        let mut tasks: Vec<TaskState<V>> = numbered
            .map(|(number, task)| {
                let readers = length(plan.successors(number).len());
                let kept = u32::from(task.settings.keep);
                TaskState::new(length(task.after().count()), readers + kept)
            })
            .collect();
        for sink in plan.sinks() {
            tasks[sink as usize].readers += 1;
        }
        let numbered = (0u32..).zip(&tasks);
        let ready = numbered.filter(|(_, task)| task.waiting == 0);
        Self {
            ready: ready.map(|(number, _)| number).collect(),
            follows_failure,
            input,
            input_readers: plan.input.as_ref().map_or(0, |input| input.readers),
            tasks,
            each: BTreeMap::new(),
            changes: Vec::new(),
            failures: Failures::new(keep_going),
            has_abandoned: false,
            plan,
        }
    }

    /// Whether nothing further is ready, so that what was just given out is alone.
    pub(crate) fn is_idle(&self) -> bool {
        self.ready.is_empty()
    }

    /// Whether something has happened since that was last asked.
    pub(crate) fn has_changed(&self) -> bool {
        !self.changes.is_empty()
    }

    /// What has happened since this was last asked, in order.
    pub(crate) fn changes(&mut self) -> impl Iterator<Item = Change> {
        self.changes.drain(..)
    }

    /// The next thing to do. Nothing: what runs has to be settled first, or the run is over.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Work<V>> {
        loop {
            let task = self.ready.pop_front()?;
            if self.each.contains_key(&task) {
                if let Some(item) = self.next_item(task) {
                    return Some(item);
                }
                continue;
            }
            let plan = self.plan.clone();
            let planned = &plan.tasks[task as usize];
            if self.failures.have_stopped() && !planned.is_clean_up() {
                self.release_inputs(task);
                self.propagate(task);
                continue;
            }
            let slots = self.gather(task);
            let follows_failure = self.tasks[task as usize].follows_failure;
            if planned.each.is_none() {
                return Some(Work::Run {
                    id: TaskId::task(task),
                    slots,
                    follows_failure,
                });
            }
            let Slots::One(Slot::Value(list)) = slots else {
                unreachable!("a task made by `each` is skipped without its list")
            };
            return Some(Work::Split { task, list });
        }
    }

    /// Takes in what came of a task or an item, and whether its output follows from a failure that
    /// was handled within it.
    #[inline]
    pub(crate) fn settle(
        &mut self,
        id: TaskId,
        result: Result<V, TaskError>,
        follows_failure: bool,
    ) -> Option<Collect<V>> {
        if follows_failure {
            self.tasks[id.number as usize].follows_failure = true;
            self.failures.has_any = true;
        }
        let Some(item) = id.item else {
            self.settle_task(id.number, result);
            return None;
        };
        let has_failed = result.is_err();
        let Some(each) = self.each.get_mut(&id.number) else {
            unreachable!("a task made by `each` is not over before its items are")
        };
        if let Err(reason) = &result
            && reason.kind() == TaskErrorKind::Stopped
        {
            each.end_early(item, reason.clone());
            self.abandon_items(id.number);
            return self.end_items(id.number);
        }
        each.settle(item, result);
        if has_failed && each.settles() {
            // The failure is handed on: what follows is that of this run only.
            self.tasks[id.number as usize].follows_failure = true;
            self.failures.has_any = true;
        } else if has_failed && !self.failures.keep_going && !self.is_item_handled(id.number) {
            self.abandon_items(id.number);
        }
        self.end_items(id.number)
    }

    /// Takes in that a task or an item was begun, and given up.
    pub(crate) fn interrupt(&mut self, id: TaskId) {
        match (id.item, self.each.get_mut(&id.number)) {
            (Some(item), Some(each)) => each.interrupt(item),
            _ => self.tasks[id.number as usize].status = Status::Cancelled,
        }
    }

    /// Takes in that nothing more will be done, and why.
    pub(crate) fn halt(&mut self, reason: TaskError) {
        self.failures.halt(reason);
    }

    #[inline]
    fn settle_task(&mut self, task: u32, result: Result<V, TaskError>) {
        let state = &mut self.tasks[task as usize];
        match result {
            Ok(value) => {
                state.status = Status::Completed;
                state.output = Some(value).filter(|_| state.readers > 0);
                self.propagate(task);
            }
            Err(error) if error.kind() == TaskErrorKind::Stopped => self.end_early(task, error),
            Err(error) => {
                state.status = Status::Failed;
                state.error = Some(error);
                self.failures.has_any = true;
                self.propagate(task);
                self.failures
                    .stop_unless_handled(&self.plan, &self.tasks, task);
            }
        }
    }

    /// Takes in that a task has ended the run: it is done, has no output, and nothing new is begun. A
    /// nested workflow that was ended so ends nothing else.
    fn end_early(&mut self, task: u32, reason: TaskError) {
        let state = &mut self.tasks[task as usize];
        state.status = Status::Completed;
        state.error = Some(reason);
        // Nothing is stored of it, and another time it may say otherwise.
        state.follows_failure = true;
        self.failures.has_any = true;
        self.propagate(task);
        if !self.plan.tasks[task as usize].is_workflow() {
            self.failures.end_early(task);
        }
    }

    /// The inputs of a task. An output leaves the run with its last reader.
    fn gather(&mut self, task: u32) -> Slots<V> {
        let plan = self.plan.clone();
        let planned = &plan.tasks[task as usize];
        // One input is what most tasks have.
        let slots = if let [Source::One(before)] = *planned.sources {
            let handles = planned.on_missing(0) == OnMissing::Handle;
            Slots::One(self.take(before, handles))
        } else {
            let sources = planned.sources.iter().enumerate();
            sources
                .map(|(parameter, source)| {
                    let handles = planned.on_missing(parameter) == OnMissing::Handle;
                    match source {
                        Source::One(before) => self.take(*before, handles),
                        Source::All(all) => {
                            let all = all.iter().map(|before| self.take(*before, handles));
                            Slot::All(all.collect())
                        }
                    }
                })
                .collect()
        };
        // Nothing can follow from a failure before there was one.
        self.tasks[task as usize].follows_failure = self.follows_failure
            || self.failures.has_any
                && planned.after().any(|before| {
                    let before = &self.tasks[before as usize];
                    before.follows_failure || before.status != Status::Completed
                });
        slots
    }

    #[inline]
    fn take(&mut self, before: u32, handles: bool) -> Slot<V> {
        if before == INPUT {
            return Slot::Value(self.read_input());
        }
        if let Some(value) = self.tasks[before as usize].read() {
            return Slot::Value(value);
        }
        if handles {
            failures::mark_handled(&self.plan, &mut self.tasks, before);
        }
        let reason = self.failures.why_missing(&self.plan, &self.tasks, before);
        Slot::Missing(reason)
    }

    /// Gives the input of the run to one reader. It leaves the run with the last one.
    #[cold]
    fn read_input(&mut self) -> V {
        self.input_readers -= 1;
        let input = match self.input_readers {
            0 => self.input.take(),
            _ => self.input.clone(),
        };
        input.expect("a run whose tasks read an input is given one")
    }

    /// Gives up the inputs of a task that won't be run. An output goes with its last reader.
    fn release_inputs(&mut self, task: u32) {
        let plan = self.plan.clone();
        for before in plan.tasks[task as usize].after() {
            self.tasks[before as usize].release();
        }
    }

    /// Tells the tasks after a settled one; those that can't run any more are settled as well.
    fn propagate(&mut self, settled: u32) {
        let plan = self.plan.clone();
        let mut skipped = Vec::new();
        let mut next = Some(settled);
        let mut lost_a_handler = false;
        while let Some(before) = next {
            for &task in plan.successors(before) {
                let state = &mut self.tasks[task as usize];
                state.waiting -= 1;
                if state.waiting > 0 {
                    continue;
                }
                if !self.failures.has_any || failures::can_run(&plan, &self.tasks, task) {
                    self.ready.push_back(task);
                } else {
                    self.skip(task);
                    skipped.push(task);
                    lost_a_handler |= plan.tasks[task as usize].handles_failures();
                }
            }
            next = skipped.pop();
        }
        // Failures that a task was to handle which is skipped now are handled by nobody.
        if lost_a_handler {
            self.failures
                .stop_unless_all_handled(&self.plan, &self.tasks);
        }
    }

    /// Gives up a task whose input is missing: for a failure, or since the run stopped before.
    fn skip(&mut self, task: u32) {
        self.release_inputs(task);
        let Some(cause) = failures::cause(&self.plan, &self.tasks, task) else {
            return;
        };
        let state = &mut self.tasks[task as usize];
        state.status = Status::Skipped;
        state.cause = Some(cause);
        self.changes.push(Change::Skipped(task));
    }

    /// The output of a task that nobody has taken away, or why there is none.
    #[inline]
    pub(crate) fn output(&self, task: u32) -> Result<V, TaskError> {
        if task == INPUT {
            return Ok(self
                .input
                .clone()
                .expect("the run itself reads its input last"));
        }
        let output = self.tasks[task as usize].output.clone();
        output.ok_or_else(|| self.failures.why_missing(&self.plan, &self.tasks, task))
    }

    /// Whether an output of the workflow follows from a failure.
    pub(crate) fn output_follows_failure(&self) -> bool {
        let mut sinks = self.plan.sinks();
        self.follows_failure || sinks.any(|sink| self.tasks[sink as usize].follows_failure)
    }

    /// The first failure that nobody has handled; else why a sink has no output.
    pub(crate) fn failure(&self) -> Option<(u32, TaskError)> {
        failures::first_unhandled(&self.tasks).or_else(|| {
            let mut sinks = self.plan.sinks();
            sinks.find_map(|sink| {
                let error = self.output(sink).err()?;
                let is_wanted = !self.failures.is_ended_early(&self.tasks, sink);
                is_wanted.then_some((sink, error))
            })
        })
    }

    /// How a task stands.
    pub(crate) fn status(&self, task: u32) -> Status {
        self.tasks[task as usize].status
    }

    /// Whether some task or item has not come to its own end.
    pub(crate) fn is_unfinished(&self) -> bool {
        let open = |status| matches!(status, Status::NotStarted | Status::Cancelled);
        (0u32..)
            .zip(&self.tasks)
            .any(|(number, task)| match self.each.get(&number) {
                Some(items) => items.statuses().any(open),
                None => open(task.status),
            })
    }
}
