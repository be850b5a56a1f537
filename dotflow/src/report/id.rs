//! Which task it is.

use serde::{Deserialize, Serialize};

/// A task in its workflow, or one item of a task made by [`each`](crate::Task::each).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId {
    /// The number of the task in its workflow, from 0.
    #[serde(rename = "id")]
    pub number: u32,
    /// The index of the item, from 0.
    #[serde(default)]
    pub item: Option<u32>,
}

impl TaskId {
    /// A task as a whole.
    pub(crate) fn task(number: u32) -> Self {
        Self { number, item: None }
    }

    /// One item of a task.
    pub(crate) fn item(number: u32, item: u32) -> Self {
        Self {
            number,
            item: Some(item),
        }
    }
}
