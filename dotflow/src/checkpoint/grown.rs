//! What becomes known of a workflow only while it runs: which workflows its tasks have turned out to
//! be. What comes after such a task belongs to that workflow, and to no other one.

use std::collections::BTreeMap;

use super::{naming::short_digest, tasks::Tasks};

/// Which workflows the tasks of a run have turned out to be.
#[derive(Default)]
pub(super) struct Grown {
    /// By task and item, in few characters.
    shapes: BTreeMap<u32, BTreeMap<Option<u32>, String>>,
    /// What the output of each task depends on of that, as far as it was asked for.
    known: Vec<Option<String>>,
}

impl Grown {
    pub(super) fn add(&mut self, task: u32, item: Option<u32>, shape: String) {
        self.shapes.entry(task).or_default().insert(item, shape);
        self.known.clear();
    }

    /// All of it, in few characters; `None` where there is nothing.
    pub(super) fn shape(&self) -> Option<String> {
        (!self.shapes.is_empty()).then(|| short_digest(&self.list()))
    }

    fn list(&self) -> Vec<(u32, Items<'_>)> {
        let tasks = self.shapes.iter();
        tasks.map(|(task, items)| (*task, listed(items))).collect()
    }

    /// What a task depends on of it by the tasks before it; `None` for most tasks: there is nothing.
    pub(super) fn before(&mut self, plan: &dyn Tasks, task: u32) -> Option<String> {
        if self.shapes.is_empty() {
            return None;
        }
        let length = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
        for next in length..task {
            let before = self.of_all(plan, next);
            let own = self.shapes.get(&next).map(listed);
            let known = (before.is_some() || own.is_some()).then(|| short_digest(&(before, own)));
            self.known.push(known);
        }
        self.of_all(plan, task)
    }

    fn of_all(&self, plan: &dyn Tasks, task: u32) -> Option<String> {
        let after = plan.after(task);
        let known = after
            .iter()
            .map(|before| self.known[*before as usize].as_deref());
        let known: Vec<Option<&str>> = known.collect();
        known
            .iter()
            .any(Option::is_some)
            .then(|| short_digest(&known))
    }
}

type Items<'shape> = Vec<(Option<u32>, &'shape str)>;

fn listed(items: &BTreeMap<Option<u32>, String>) -> Items<'_> {
    items
        .iter()
        .map(|(item, shape)| (*item, &**shape))
        .collect()
}
