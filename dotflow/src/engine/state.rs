//! What is to be done next in a run, and what the end of a task means for the others: which are
//! ready, which are skipped, whose failure is handled, whose output nobody needs any more.
//!
//! It only decides. There is no clock in here, no tokio, no span, no observer and no user code, and
//! the same outcomes in the same order always lead to the same work. Outputs are whatever the
//! executor takes for one.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    mem,
    ops::Deref,
};

use super::each::{EachEnd, EachState};
use crate::{
    action::inputs::{OnMissing, Slot, Slots},
    error::{TaskError, TaskErrorKind},
    graph::plan::{Plan, Source},
    report::{id::TaskId, status::Status},
};

/// Where one task of a run stands.
struct TaskState<V> {
    status: Status,
    /// How many inputs have not been settled yet.
    waiting: u32,
    /// How many readers the output still has; the run itself counts as one where it is kept.
    readers: u32,
    output: Option<V>,
    /// Why there is no output, once the task has failed.
    error: Option<TaskError>,
    /// For a skipped task, the one whose failure is to blame.
    cause: Option<u32>,
    /// Whether somebody took the failure as a `Result`.
    handled: bool,
    /// Whether the input, or the output, follows from a failure.
    follows_failure: bool,
}

impl<V> TaskState<V> {
    fn has_failed(&self) -> bool {
        matches!(self.status, Status::Failed | Status::Skipped)
    }
}

/// What is to be done next.
pub(crate) enum Work<V> {
    /// Run a task with these inputs.
    Run {
        id: TaskId,
        slots: Slots<V>,
        /// Whether the inputs follow from a failure.
        follows_failure: bool,
    },
    /// Take a list apart, and tell its length by [`State::split`].
    Split { task: u32, list: V },
    /// Run the next item of such a list.
    Item { id: TaskId, follows_failure: bool },
}

/// Put the outputs of all items together, and settle the task with the list.
#[must_use]
pub(crate) struct Collect<V> {
    pub(crate) task: u32,
    pub(crate) outputs: Vec<V>,
}

/// What happened to a task without its doing anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It will not be run, since a task before it has no output.
    Skipped(u32),
    /// The list of a task made by `each` is needed no more: all its items have begun, or no further
    /// one will.
    ItemsOver(u32),
}

/// The state of a run.
pub(crate) struct State<P, V> {
    plan: P,
    keep_going: bool,
    /// Whether all of the run follows from a failure outside.
    follows_failure: bool,
    tasks: Vec<TaskState<V>>,
    each: BTreeMap<u32, EachState<V>>,
    /// What can be begun. A task made by `each` stands here as long as it has further items.
    ready: VecDeque<u32>,
    /// What has happened and was not told yet; reused, so that telling costs nothing.
    changes: Vec<Change>,
    /// Whether a task has failed, within it too: before that nothing can be missing, or follow from
    /// a failure.
    has_failures: bool,
    /// The first failure that nobody handles, once nothing new is to start.
    stopped_by: Option<u32>,
    /// Why the run was ended before its time, where it was.
    halted: Option<TaskError>,
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
    pub(crate) fn new(plan: P, keep_going: bool, follows_failure: bool) -> Self {
        let numbered = (0u32..).zip(&plan.tasks);
        let mut tasks: Vec<TaskState<V>> = numbered
            .map(|(number, task)| TaskState {
                status: Status::NotStarted,
                waiting: length(task.after().count()),
                readers: length(plan.successors(number).len()) + u32::from(task.settings.keep),
                output: None,
                error: None,
                cause: None,
                handled: false,
                follows_failure: false,
            })
            .collect();
        for sink in &plan.sinks {
            tasks[*sink as usize].readers += 1;
        }
        let numbered = (0u32..).zip(&tasks);
        let ready = numbered.filter(|(_, task)| task.waiting == 0);
        Self {
            ready: ready.map(|(number, _)| number).collect(),
            keep_going,
            follows_failure,
            tasks,
            each: BTreeMap::new(),
            changes: Vec::new(),
            has_failures: false,
            stopped_by: None,
            halted: None,
            plan,
        }
    }

    /// Whether nothing further is ready, so that what was just given out is alone.
    pub(crate) fn is_idle(&self) -> bool {
        self.ready.is_empty()
    }

    /// What has happened since this was last asked, in order.
    pub(crate) fn changes(&mut self) -> impl Iterator<Item = Change> {
        self.changes.drain(..)
    }

    /// The next thing to do. Nothing: what runs has to be settled first, or the run is over.
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
            if self.stopped_by.is_some() && !planned.is_clean_up() {
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

    /// Takes in how many items a list has.
    pub(crate) fn split(&mut self, task: u32, count: u32) -> Option<Collect<V>> {
        let follows_failure = self.tasks[task as usize].follows_failure;
        if count == 0 {
            let outputs = Vec::new();
            return Some(Collect { task, outputs });
        }
        self.each
            .insert(task, EachState::new(count, follows_failure));
        self.ready.push_back(task);
        None
    }

    fn next_item(&mut self, task: u32) -> Option<Work<V>> {
        if self.stopped_by.is_some() {
            self.abandon_items(task);
            // Nothing is to be put together, since some items have never begun.
            let _ = self.end_items(task);
            return None;
        }
        let each = self.each.get_mut(&task)?;
        let item = each.begin();
        if each.has_further() {
            self.ready.push_back(task);
        }
        Some(Work::Item {
            id: TaskId::item(task, item),
            follows_failure: each.follows_failure,
        })
    }

    /// Takes in what came of a task or an item, and whether its output follows from a failure that
    /// was handled within it.
    pub(crate) fn settle(
        &mut self,
        id: TaskId,
        result: Result<V, TaskError>,
        follows_failure: bool,
    ) -> Option<Collect<V>> {
        if follows_failure {
            self.tasks[id.number as usize].follows_failure = true;
            self.has_failures = true;
        }
        let Some(item) = id.item else {
            self.settle_task(id.number, result);
            return None;
        };
        let has_failed = result.is_err();
        let Some(each) = self.each.get_mut(&id.number) else {
            unreachable!("a task made by `each` is not over before its items are")
        };
        each.settle(item, result);
        if has_failed && !self.keep_going && !self.is_item_handled(id.number) {
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
        self.halted = Some(reason);
    }

    /// Whether the task that an item belongs to goes on after a failure: what comes after it takes
    /// the failure, as it would take those of tasks joined by `join_all`.
    fn is_item_handled(&mut self, task: u32) -> bool {
        let known = self.each.get(&task).and_then(|each| each.is_handled);
        known.unwrap_or_else(|| {
            let is_handled = self.will_be_handled(task);
            if let Some(each) = self.each.get_mut(&task) {
                each.is_handled = Some(is_handled);
            }
            is_handled
        })
    }

    /// Begins no further item of this task.
    fn abandon_items(&mut self, task: u32) {
        self.ready.retain(|ready| *ready != task);
        if let Some(each) = self.each.get_mut(&task) {
            each.abandon();
        }
        self.changes.push(Change::ItemsOver(task));
    }

    /// Settles the task once none of its items runs, or will.
    fn end_items(&mut self, task: u32) -> Option<Collect<V>> {
        let each = self.each.get_mut(&task)?;
        if !each.is_over() {
            return None;
        }
        self.changes.push(Change::ItemsOver(task));
        match each.end() {
            EachEnd::Outputs(outputs) => return Some(Collect { task, outputs }),
            EachEnd::Failed(error) => self.settle_task(task, Err(error)),
            EachEnd::CutShort => self.propagate(task),
        }
        None
    }

    fn settle_task(&mut self, task: u32, result: Result<V, TaskError>) {
        let state = &mut self.tasks[task as usize];
        match result {
            Ok(value) => {
                state.status = Status::Completed;
                state.output = Some(value).filter(|_| state.readers > 0);
                self.propagate(task);
            }
            Err(error) => {
                state.status = Status::Failed;
                state.error = Some(error);
                self.has_failures = true;
                self.propagate(task);
                self.stop_unless_handled(task);
            }
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
            || self.has_failures
                && planned.after().any(|before| {
                    let before = &self.tasks[before as usize];
                    before.follows_failure || before.status != Status::Completed
                });
        slots
    }

    fn take(&mut self, before: u32, handles: bool) -> Slot<V> {
        let state = &mut self.tasks[before as usize];
        state.readers -= 1;
        let output = if state.readers == 0 {
            state.output.take()
        } else {
            state.output.clone()
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
        let plan = self.plan.clone();
        for before in plan.tasks[task as usize].after() {
            let state = &mut self.tasks[before as usize];
            state.readers -= 1;
            if state.readers == 0 {
                state.output = None;
            }
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
                if !self.has_failures || self.can_run(task) {
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
        if lost_a_handler && !self.keep_going && self.stopped_by.is_none() {
            for task in 0..length(self.tasks.len()) {
                if self.tasks[task as usize].error.is_some() {
                    self.stop_unless_handled(task);
                }
            }
        }
    }

    fn can_run(&self, task: u32) -> bool {
        let planned = &self.plan.tasks[task as usize];
        let mut sources = planned.sources.iter().enumerate();
        sources.all(|(parameter, source)| {
            planned.on_missing(parameter) != OnMissing::Skip
                || source.tasks().iter().all(|before| self.has_output(*before))
        })
    }

    fn has_output(&self, task: u32) -> bool {
        self.tasks[task as usize].output.is_some()
    }

    /// Gives up a task whose input is missing: for a failure, or since the run stopped before.
    fn skip(&mut self, task: u32) {
        self.release_inputs(task);
        let mut before = self.plan.tasks[task as usize].after();
        let Some(before) = before.find(|before| self.tasks[*before as usize].has_failed()) else {
            return;
        };
        let cause = self.tasks[before as usize].cause.unwrap_or(before);
        let state = &mut self.tasks[task as usize];
        state.status = Status::Skipped;
        state.cause = Some(cause);
        self.changes.push(Change::Skipped(task));
    }

    /// Lets nothing new start after a failure that nobody will handle.
    fn stop_unless_handled(&mut self, failed: u32) {
        if !self.keep_going
            && self.stopped_by.is_none()
            && !self.tasks[failed as usize].handled
            && !self.will_be_handled(failed)
        {
            self.stopped_by = Some(failed);
        }
    }

    /// Whether a task after a failed one takes the failure as a `Result`: directly, or as the
    /// reason why a task in between is skipped, or will be once its other inputs are settled.
    fn will_be_handled(&self, failed: u32) -> bool {
        let mut missing = vec![failed];
        let mut seen = HashSet::from([failed]);
        while let Some(before) = missing.pop() {
            for &task in self.plan.successors(before) {
                let is_skipped = self.tasks[task as usize].status == Status::Skipped;
                match self.plan.tasks[task as usize].without(before) {
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
        let plan = self.plan.clone();
        let mut missing = vec![missing];
        while let Some(task) = missing.pop() {
            let state = &mut self.tasks[task as usize];
            if mem::replace(&mut state.handled, true) {
                continue;
            }
            if state.status == Status::Skipped {
                let before = plan.tasks[task as usize].after();
                missing.extend(before.filter(|before| self.tasks[*before as usize].has_failed()));
            }
        }
    }

    /// Why a settled task has no output, as it is told to those who wanted it.
    fn why_missing(&self, task: u32) -> TaskError {
        let state = &self.tasks[task as usize];
        if let Some(error) = &state.error {
            return error.clone();
        }
        let (cause, reason) = match (state.cause, self.stopped_by) {
            (Some(cause), _) => (cause, format!("{} failed", self.plan.describe(cause))),
            (None, Some(failed)) => {
                let failed_task = self.plan.describe(failed);
                (failed, format!("the run stopped when {failed_task} failed"))
            }
            (None, None) => return self.why_halted(),
        };
        match &self.tasks[cause as usize].error {
            Some(error) => TaskError::skipped(&reason, error),
            None => self.why_halted(),
        }
    }

    fn why_halted(&self) -> TaskError {
        let cancelled = || TaskError::of_kind(TaskErrorKind::Cancelled, "the run was cancelled");
        self.halted.clone().unwrap_or_else(cancelled)
    }

    /// The output of a task that nobody has taken away, or why there is none.
    pub(crate) fn output(&self, task: u32) -> Result<V, TaskError> {
        let output = self.tasks[task as usize].output.clone();
        output.ok_or_else(|| self.why_missing(task))
    }

    /// Whether an output of the workflow follows from a failure.
    pub(crate) fn output_follows_failure(&self) -> bool {
        let mut sinks = self.plan.sinks.iter();
        sinks.any(|sink| self.tasks[*sink as usize].follows_failure)
    }

    /// The first failure that nobody has handled; else why a sink has no output.
    pub(crate) fn failure(&self) -> Option<(u32, TaskError)> {
        let unhandled = (0u32..).zip(&self.tasks).find_map(|(number, task)| {
            let error = task.error.clone().filter(|_| !task.handled)?;
            Some((number, error))
        });
        unhandled.or_else(|| {
            let mut sinks = self.plan.sinks.iter();
            sinks.find_map(|sink| Some((*sink, self.output(*sink).err()?)))
        })
    }

    /// How a task stands.
    pub(crate) fn status(&self, task: u32) -> Status {
        self.tasks[task as usize].status
    }

    /// How the items of a task stand; none where it is not known how many there are, or there are
    /// none.
    pub(crate) fn item_statuses(&self, task: u32) -> Option<impl ExactSizeIterator<Item = Status>> {
        self.each.get(&task).map(EachState::statuses)
    }

    /// Whether some task or item has not come to its own end.
    pub(crate) fn is_unfinished(&self) -> bool {
        let open = |status| matches!(status, Status::NotStarted | Status::Cancelled);
        (0u32..)
            .zip(&self.tasks)
            .any(|(number, task)| match self.item_statuses(number) {
                Some(mut items) => items.any(open),
                None => open(task.status),
            })
    }
}
