//! The outputs of sinks and of tasks to be kept, by the handle that asks for them.

use crate::{action::value::Value, error::TaskError};

/// The outputs of sinks and of tasks to be kept, or why they are missing.
pub(super) struct KeptOutputs {
    /// By the id of the task's node, in the order of these ids.
    outputs: Vec<(u64, Result<Value, TaskError>)>,
}

impl KeptOutputs {
    pub(super) fn new(mut outputs: Vec<(u64, Result<Value, TaskError>)>) -> Self {
        outputs.sort_unstable_by_key(|(node, _)| *node);
        // A sink may be marked to be kept as well, or be given twice.
        outputs.dedup_by_key(|(node, _)| *node);
        Self { outputs }
    }

    pub(super) fn get(&self, node: u64) -> Option<&Result<Value, TaskError>> {
        let found = self.outputs.binary_search_by_key(&node, |(node, _)| *node);
        found.ok().map(|index| &self.outputs[index].1)
    }
}
