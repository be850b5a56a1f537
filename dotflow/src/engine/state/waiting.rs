//! What was given out and has to wait before it begins, as the state of a run knows it: nothing comes
//! behind an item that waits, and some is not to be begun any more once it has waited.

use std::ops::Deref;

use super::{Collect, State, each::EachState};
use crate::{graph::plan::Plan, report::id::TaskId};

impl<P, V> State<P, V>
where
    P: Deref<Target = Plan> + Clone,
    V: Clone,
{
    /// Gives out no further item of a list, as one that was given out has to wait.
    pub(crate) fn hold_items(&mut self, id: TaskId) {
        if let Some(each) = self.each.get_mut(&id.number) {
            each.hold();
            self.ready.retain(|ready| *ready != id.number);
        }
    }

    /// Takes in that what had to wait begins.
    pub(crate) fn give_out(&mut self, id: TaskId) {
        if let Some(each) = self.each.get_mut(&id.number)
            && each.release()
            && each.has_further()
        {
            self.ready.push_back(id.number);
        }
    }

    /// Whether a failure may keep something from being begun that was given out.
    pub(crate) fn withdraws(&self) -> bool {
        self.has_abandoned || self.failures.have_stopped()
    }

    /// Whether what was given out is not to be begun any more.
    pub(crate) fn is_withdrawn(&self, id: TaskId) -> bool {
        let is_abandoned = |each: &EachState<V>| each.is_abandoned();
        if self.each.get(&id.number).is_some_and(is_abandoned) {
            return true;
        }
        let task = &self.plan.tasks[id.number as usize];
        self.failures.have_stopped() && (id.item.is_some() || !task.is_clean_up())
    }

    /// Takes in that what was given out will not be begun.
    pub(crate) fn withdraw(&mut self, id: TaskId) -> Option<Collect<V>> {
        let Some(each) = self.each.get_mut(&id.number) else {
            self.propagate(id.number);
            return None;
        };
        each.withdraw();
        self.abandon_items(id.number);
        self.end_items(id.number)
    }
}
