//! A plan as the checkpoints of its runs see it, and whether its outputs can be stored at all.

use std::sync::OnceLock;

use super::plan::{INPUT, Plan, PlannedTask, Source};
use crate::{
    action::codec::CheckpointPolicy,
    checkpoint::{Keys, Tasks},
};

impl Plan {
    /// What keeps the outputs of tasks from being stored, in words.
    pub(crate) fn not_storable(&self) -> Vec<String> {
        // A resumed run has the input that the first one had.
        self.not_storable_with(true)
    }

    /// The same, where the input is the same again whenever the run is resumed, or may not be.
    fn not_storable_with(&self, repeats_input: bool) -> Vec<String> {
        let mut problems = Vec::new();
        for (number, task) in self.tasks.iter().enumerate() {
            let name = task.name();
            if let Some(nested) = task.nested() {
                let inner = nested.not_storable_with(self.repeats_inputs(task, repeats_input));
                let inner = inner.into_iter();
                problems.extend(inner.map(|problem| format!("in `{name}`, {problem}")));
            } else if let CheckpointPolicy::NotStorable { type_name } = task.settings.checkpoint {
                let type_name = type_name();
                problems.push(format!("task:{number} `{name}` returns `{type_name}`"));
            }
            if task.each.is_some()
                && (task.nested().is_some()
                    || matches!(task.settings.checkpoint, CheckpointPolicy::Stored(_)))
                && !self.repeats_inputs(task, repeats_input)
            {
                let list = task.after().next();
                let list = list.map_or("the input", |list| self.tasks[list as usize].name());
                problems.push(format!(
                    "task:{number} `{name}` runs once per item of `{list}`, whose list is not stored, \
                     so nobody knows which item a stored output belongs to"
                ));
            }
        }
        problems
    }

    /// Whether a resumed run gets the very same inputs for this task again.
    fn repeats_inputs(&self, task: &PlannedTask, repeats_input: bool) -> bool {
        let mut sources = task.sources.iter().flat_map(Source::tasks);
        sources.all(|before| self.repeats(*before, repeats_input))
    }

    /// Whether a resumed run gets the very same outputs from this workflow again, for the same input.
    pub(crate) fn repeats_outputs(&self) -> bool {
        let mut sinks = self.sinks.iter();
        sinks.all(|sink| self.repeats(*sink, true))
    }

    /// Whether a resumed run gets the very same output from this task again.
    fn repeats(&self, task: u32, repeats_input: bool) -> bool {
        if task == INPUT {
            return repeats_input;
        }
        let task = &self.tasks[task as usize];
        // One that is built when it is run is looked at then.
        if task.expands() {
            return true;
        }
        match task.nested() {
            Some(nested) => {
                let repeats_input = self.repeats_inputs(task, repeats_input);
                let mut sinks = nested.sinks.iter();
                sinks.all(|sink| nested.repeats(*sink, repeats_input))
            }
            None => matches!(task.settings.checkpoint, CheckpointPolicy::Stored(_)),
        }
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

    fn keys(&self) -> &OnceLock<Keys> {
        &self.keys
    }
}
