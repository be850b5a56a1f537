//! What became of the tasks of a run, as far as its report needs to know.

use std::collections::BTreeMap;

use super::ends::Ends;
use crate::{
    graph::plan::Plan,
    report::{id::TaskId, record::Record},
};

/// What became of each task, by number; for a task made by `each`, of each of its items instead.
#[derive(Default)]
pub(crate) struct Records {
    pub(crate) tasks: Vec<Record>,
    pub(crate) items: BTreeMap<u32, Vec<Record>>,
}

impl Records {
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
        let Some(item) = id.item else {
            self.tasks[id.number as usize] = record;
            return;
        };
        if let Some(items) = self.items.get_mut(&id.number) {
            items[item as usize] = record;
        }
    }
}
