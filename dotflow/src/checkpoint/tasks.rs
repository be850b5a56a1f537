//! What checkpoints have to know: of a workflow, of the task whose output is stored, and of how that
//! came about. No graph and no run is known here.

use std::{
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use super::keys::Keys;

/// What the checkpoints of a workflow have to know of it.
pub(crate) trait Tasks: Send + Sync {
    /// The name of the workflow.
    fn workflow(&self) -> &str;

    /// How many tasks there are; their numbers are those below.
    fn count(&self) -> u32;

    fn name(&self, task: u32) -> &str;

    /// The version of the task's action.
    fn version(&self, task: u32) -> u32;

    /// The numbers of the tasks that it comes after.
    fn after(&self, task: u32) -> Vec<u32>;

    /// Whether its output is stored, so that it is looked at before it is restored.
    fn is_stored(&self, task: u32) -> bool;

    /// The tasks of the workflow that it is, if it is one.
    fn nested(&self, task: u32) -> Option<&dyn Tasks>;

    /// The numbers of the tasks whose outputs the workflow returns; one beyond them is its input.
    fn sinks(&self) -> &[u32];

    /// Where the keys of the tasks are kept, once they are made.
    fn keys(&self) -> &OnceLock<Keys>;
}

/// Which task a checkpoint is about, and what the task is to return.
#[derive(Clone, Copy)]
pub(crate) struct Identity {
    pub(crate) task: u32,
    pub(crate) item: Option<u32>,
    pub(crate) output_type: &'static str,
}

/// What is stored besides the output, for people.
#[derive(Clone, Copy)]
pub(crate) struct Metadata {
    pub(crate) attempts: u32,
    pub(crate) started_at: SystemTime,
    pub(crate) duration: Duration,
}
