//! What became of the tasks of a run, as far as its report needs to know.

use std::collections::BTreeMap;

use super::ends::Ends;
use crate::{
    graph::plan::Plan,
    report::{
        id::TaskId,
        record::{Ready, Record},
    },
};

/// What became of each task, by number; for a task made by `each`, of each of its items instead.
#[derive(Default)]
pub(crate) struct Records {
    pub(crate) tasks: Vec<Record>,
    pub(crate) items: BTreeMap<u32, Vec<Record>>,
    /// When tasks ended, where somebody may be told how long others waited.
    ends: Option<Ends>,
}

impl Records {
    pub(super) fn new(plan: &Plan, is_told: bool) -> Self {
        Self {
            tasks: plan.tasks.iter().map(|_| Record::default()).collect(),
            items: BTreeMap::new(),
            ends: is_told.then(|| Ends::new(plan)),
        }
    }

    /// When a task could have begun, where somebody may be told.
    #[inline]
    pub(super) fn ready(&mut self, plan: &Plan, id: TaskId) -> Ready {
        match &mut self.ends {
            Some(ends) => ends.ready(plan, id.number).into(),
            None => Ready::UNKNOWN,
        }
    }

    /// When each task ended.
    pub(crate) fn ends(&self, plan: &Plan) -> Ends {
        let mut ends = Ends::new(plan);
        for (number, record) in (0u32..).zip(&self.tasks) {
            ends.note(TaskId::task(number), record);
        }
        for (number, items) in &self.items {
            for record in items {
                ends.note(TaskId::task(*number), record);
            }
        }
        ends
    }

    #[inline]
    pub(super) fn set(&mut self, id: TaskId, record: Record) {
        if let Some(ends) = &mut self.ends {
            ends.note(id, &record);
        }
        let Some(item) = id.item else {
            self.tasks[id.number as usize] = record;
            return;
        };
        if let Some(items) = self.items.get_mut(&id.number) {
            items[item as usize] = record;
        }
    }
}
