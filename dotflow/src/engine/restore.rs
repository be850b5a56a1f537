//! A task of a run with a storage: restored where its output is stored, else run and stored.

use std::{
    ops::Deref,
    panic::{AssertUnwindSafe, catch_unwind},
};

use serde_json::value::RawValue;
use tokio::time::Instant;
use tracing::Span;

use super::{
    Shared, Unit,
    attempt::{Outcome, fail, perform, restored},
};
use crate::{
    checkpoint::{Checkpoints, Identity, Metadata, Stored},
    codec::{Checkpoint, Codec},
    error::TaskError,
    inputs::Slots,
    plan::Planned,
    shield::{discard, panic_message},
    spans,
    storage::StorageError,
    value::Value,
};

/// How many bytes of JSON an output may take before an event says that it is large.
const LARGE_OUTPUT: usize = 1024 * 1024;

/// Brings a task to its end: from its checkpoint, if there is one.
pub(super) async fn execute(
    shared: impl Deref<Target = Shared>,
    unit: Unit,
    slots: Slots,
) -> Outcome {
    let shared = &*shared;
    let checkpoints = shared.scope.checkpoints.as_ref();
    let checkpoints = checkpoints.expect("only tasks of a run with a storage get here");
    let task = &shared.plan.tasks[unit.task as usize];
    mark(checkpoints, task, unit.task, slots.has_missing());
    let Checkpoint::Stored(codec) = task.settings.checkpoint else {
        return perform(shared, unit, slots, None).await;
    };
    // What a failure fed belongs to that failure: it is neither stored nor restored, whatever the
    // task did in an earlier run.
    if checkpoints.has_provisional_input(unit.task) {
        return perform(shared, unit, slots, None).await;
    }
    let saving = Saving {
        shared,
        checkpoints,
        codec,
        name: task.name().as_str(),
        identity: Identity {
            task: unit.task,
            item: unit.item,
            output_type: codec.type_name(),
        },
    };
    match saving.restore().await {
        Ok(Some(output)) => restored(shared, unit, output),
        Ok(None) => perform(shared, unit, slots, Some(&saving)).await,
        Err(error) => fail(shared, unit, TaskError::storage(error)),
    }
}

/// Notes that a task follows from a failure: its own input is missing, or that of a task before it
/// was.
pub(super) fn mark(checkpoints: &Checkpoints, planned: &Planned, task: u32, has_missing: bool) {
    let mut before = planned.predecessors();
    if has_missing || before.any(|before| checkpoints.has_provisional_output(before)) {
        checkpoints.mark_input_provisional(task);
    }
}

/// How the output of one task is stored.
pub(super) struct Saving<'run> {
    shared: &'run Shared,
    checkpoints: &'run Checkpoints,
    codec: &'static Codec,
    name: &'run str,
    identity: Identity,
}

impl Saving<'_> {
    async fn restore(&self) -> Result<Option<Value>, StorageError> {
        let Some(output) = self.checkpoints.restore(&self.identity).await? else {
            return Ok(None);
        };
        self.read(&output).map(Some)
    }

    /// Stores an output, and gives back the one to go on with: what a resumed run would read.
    pub(super) async fn save(
        &self,
        output: Value,
        attempts: u32,
        started: Instant,
        span: &Span,
    ) -> Result<Value, TaskError> {
        let lost = |error: StorageError| {
            let name = self.name;
            TaskError::storage(
                StorageError::new(format!(
                    "`{name}` did its work, but its output could not be stored, so a resumed run \
                     does it again"
                ))
                .caused_by(error),
            )
        };
        let json = self.write(output, span).map_err(lost)?;
        let read_back = self.read_back(json.get()).map_err(lost)?;
        let after = started.saturating_duration_since(self.shared.started);
        let metadata = Metadata {
            attempts,
            started_at: self.shared.started_at + after,
            duration: started.elapsed(),
        };
        let stored = self
            .checkpoints
            .store(&self.identity, metadata, &json)
            .await;
        match stored.map_err(lost)? {
            Stored::New => Ok(read_back),
            Stored::LostRace(json) => {
                spans::superseded(span);
                self.read(&json).map_err(TaskError::storage)
            }
        }
    }

    /// Writes an output as JSON.
    fn write(&self, output: Value, span: &Span) -> Result<Box<RawValue>, StorageError> {
        let output_type = self.codec.type_name();
        let json = caught(|| self.codec.encode(&*output)).map_err(|problem| {
            let message = format!("its `{output_type}` can't be written as JSON");
            StorageError::new(message).caused_by(problem)
        })?;
        // A large output is not kept twice.
        drop(output);
        let (length, most) = (json.get().len(), self.checkpoints.max_output());
        if length > most {
            return Err(StorageError::new(format!(
                "its `{output_type}` takes {length} bytes as JSON, and at most {most} are stored: \
                 store the data where it belongs and return a reference to it, such as a path or \
                 a key, or raise the limit by .max_output(bytes)"
            )));
        }
        if length > LARGE_OUTPUT {
            spans::large_output(span, self.name, length);
        }
        Ok(json)
    }

    /// Reads an output back from what it was just written as: now, and not when it is needed.
    fn read_back(&self, json: &str) -> Result<Value, StorageError> {
        caught(|| self.codec.decode(json)).map_err(|problem| {
            let output_type = self.codec.type_name();
            let message =
                format!("its `{output_type}` can't be read back from the JSON it is written as");
            StorageError::new(message).caused_by(problem)
        })
    }

    fn read(&self, json: &str) -> Result<Value, StorageError> {
        caught(|| self.codec.decode(json)).map_err(|problem| {
            let key = self.checkpoints.key(self.identity.task, self.identity.item);
            let output_type = self.codec.type_name();
            self.checkpoints.refused(
                &key,
                &format!(
                    "its output is not what `{output_type}` is read from now ({problem}); resume \
                     with the code that stored it, give the task another name to have it run \
                     again, or start under another id"
                ),
            )
        })
    }
}

/// Calls `Serialize` or `Deserialize` of the user's, whose panics are errors.
fn caught<R>(call: impl FnOnce() -> serde_json::Result<R>) -> Result<R, String> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(panic) => {
            let message = panic_message(&*panic);
            discard(panic);
            Err(format!("it panicked: {message}"))
        }
    }
}
