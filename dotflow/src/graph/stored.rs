//! A plan as the checkpoints of its runs see it, and whether its outputs can be stored at all.

use super::plan::{Plan, PlannedTask};
use crate::{action::codec::CheckpointPolicy, checkpoint::Tasks};

impl Plan {
    /// What keeps the outputs of tasks from being stored, in words.
    pub(crate) fn not_storable(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (number, task) in self.tasks.iter().enumerate() {
            let name = task.name();
            if let Some(nested) = task.nested() {
                let inner = nested.not_storable().into_iter();
                problems.extend(inner.map(|problem| format!("in `{name}`, {problem}")));
            } else if let CheckpointPolicy::NotStorable { type_name } = task.settings.checkpoint {
                let type_name = type_name();
                problems.push(format!("task:{number} `{name}` returns `{type_name}`"));
            }
            if task.each.is_some()
                && (task.nested().is_some()
                    || matches!(task.settings.checkpoint, CheckpointPolicy::Stored(_)))
                && let Some(list) = task.after().next()
                && !is_repeatable(&self.tasks[list as usize])
            {
                problems.push(format!(
                    "task:{number} `{name}` runs once per item of `{}`, whose list is not stored, \
                     so nobody knows which item a stored output belongs to",
                    self.tasks[list as usize].name()
                ));
            }
        }
        problems
    }
}

/// Whether a resumed run gets the very same output from this task again.
fn is_repeatable(task: &PlannedTask) -> bool {
    match task.nested() {
        Some(nested) => {
            let mut sinks = nested.sinks.iter();
            sinks.all(|sink| is_repeatable(&nested.tasks[*sink as usize]))
        }
        None => matches!(task.settings.checkpoint, CheckpointPolicy::Stored(_)),
    }
}

impl Tasks for Plan {
    fn workflow(&self) -> &str {
        &self.name
    }

    fn count(&self) -> u32 {
        u32::try_from(self.tasks.len()).expect("task numbers are 32 bits wide")
    }

    fn name(&self, task: u32) -> &str {
        self.tasks[task as usize].name()
    }

    fn version(&self, task: u32) -> u32 {
        self.tasks[task as usize].settings.version
    }

    fn after(&self, task: u32) -> Vec<u32> {
        self.tasks[task as usize].after().collect()
    }

    fn is_stored(&self, task: u32) -> bool {
        let checkpoint = &self.tasks[task as usize].settings.checkpoint;
        matches!(checkpoint, CheckpointPolicy::Stored(_))
    }

    fn nested(&self, task: u32) -> Option<&dyn Tasks> {
        let nested = self.tasks[task as usize].nested();
        nested.map(|nested| nested as &dyn Tasks)
    }

    fn sinks(&self) -> &[u32] {
        &self.sinks
    }
}
