//! The items of a list in the course of a run: which is begun next, whether others go on after one has
//! failed, and when the task that they belong to is over.

use std::ops::Deref;

use super::{
    Change, Collect, State, Work,
    each::{EachEnd, EachState},
    failures,
};
use crate::{action::inputs::OnMissing, graph::plan::Plan, report::id::TaskId};

impl<P, V> State<P, V>
where
    P: Deref<Target = Plan> + Clone,
    V: Clone,
{
    /// Takes in how many items a list has.
    pub(crate) fn split(&mut self, task: u32, count: u32) -> Option<Collect<V>> {
        let follows_failure = self.tasks[task as usize].follows_failure;
        if count == 0 {
            let results = Vec::new();
            return Some(Collect { task, results });
        }
        let each = self.plan.tasks[task as usize].each;
        let settles = each.is_some_and(|each| each.settles);
        self.each
            .insert(task, EachState::new(count, settles, follows_failure));
        self.ready.push_back(task);
        None
    }

    pub(super) fn next_item(&mut self, task: u32) -> Option<Work<V>> {
        if self.failures.have_stopped() {
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

    /// Whether the task that an item belongs to goes on after a failure: what comes after it takes
    /// the failure, as it would take those of tasks joined by `join_all`.
    pub(super) fn is_item_handled(&mut self, task: u32) -> bool {
        let known = self.each.get(&task).and_then(|each| each.is_handled);
        known.unwrap_or_else(|| {
            let mut after = self.plan.successors(task).iter();
            let is_handled = after
                .any(|after| self.plan.tasks[*after as usize].without(task) != OnMissing::Skip)
                || failures::will_be_handled(&self.plan, &self.tasks, task);
            if let Some(each) = self.each.get_mut(&task) {
                each.is_handled = Some(is_handled);
            }
            is_handled
        })
    }

    /// Begins no further item of this task.
    pub(super) fn abandon_items(&mut self, task: u32) {
        self.has_abandoned = true;
        self.ready.retain(|ready| *ready != task);
        if let Some(each) = self.each.get_mut(&task) {
            each.abandon();
        }
        self.changes.push(Change::ItemsOver(task));
    }

    /// Settles the task once none of its items runs, or will.
    pub(super) fn end_items(&mut self, task: u32) -> Option<Collect<V>> {
        let each = self.each.get_mut(&task)?;
        if !each.is_over() {
            return None;
        }
        self.changes.push(Change::ItemsOver(task));
        match each.end() {
            EachEnd::Results(results) => return Some(Collect { task, results }),
            EachEnd::Failed(error) => self.settle_task(task, Err(error)),
            EachEnd::CutShort => self.propagate(task),
        }
        None
    }
}
