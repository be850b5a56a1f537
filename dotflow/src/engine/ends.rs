//! When tasks ended, and so when those after them were ready: what a task waited for is told apart from
//! what it took.
//!
//! A run that nobody listens to keeps nothing of it; its report finds it out from the records.

use std::time::Duration;

use crate::{
    graph::plan::Plan,
    report::{id::TaskId, record::Record},
};

/// When each task of a run ended, from the start of the run; of a task made by `each`, its last item.
pub(crate) struct Ends(Vec<Option<Duration>>);

impl Ends {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self(vec![None; plan.tasks.len()])
    }

    /// Takes in what became of a task or an item.
    pub(crate) fn note(&mut self, id: TaskId, record: &Record) {
        let end = &mut self.0[id.number as usize];
        *end = (*end).max(record.ended());
    }

    /// When a task could have begun: when the last of those before it had ended. One that was never
    /// begun counts as ended when it could have begun itself.
    pub(crate) fn ready(&mut self, plan: &Plan, task: u32) -> Duration {
        let mut latest = Duration::ZERO;
        for before in plan.tasks[task as usize].after() {
            match self.0[before as usize] {
                Some(end) => latest = latest.max(end),
                None => return self.find_ready(plan, task),
            }
        }
        latest
    }

    #[cold]
    fn find_ready(&mut self, plan: &Plan, task: u32) -> Duration {
        let mut open: Vec<u32> = self.unknown(plan, task).collect();
        while let Some(&before) = open.last() {
            let length = open.len();
            if self.0[before as usize].is_none() {
                open.extend(self.unknown(plan, before));
            }
            if open.len() == length {
                let end = self.0[before as usize].unwrap_or_else(|| self.latest(plan, before));
                self.0[before as usize] = Some(end);
                open.pop();
            }
        }
        self.latest(plan, task)
    }

    /// The tasks before a task of which no end is known.
    fn unknown(&self, plan: &Plan, task: u32) -> impl Iterator<Item = u32> {
        let before = plan.tasks[task as usize].after();
        before.filter(|before| self.0[*before as usize].is_none())
    }

    fn latest(&self, plan: &Plan, task: u32) -> Duration {
        let before = plan.tasks[task as usize].after();
        let ends = before.filter_map(|before| self.0[before as usize]);
        ends.max().unwrap_or_default()
    }
}
