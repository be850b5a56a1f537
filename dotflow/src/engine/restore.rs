//! A task of a run with a storage: restored where its output is stored, else run and stored.

use std::{
    ops::Deref,
    panic::{AssertUnwindSafe, catch_unwind},
};

use tokio::time::Instant;
use tracing::Span;

use super::{
    Shared, Unit,
    attempt::{Outcome, fail, perform, restored},
};
use crate::{
    checkpoint::{Checkpoints, Making, Place, Stored},
    codec::{Checkpoint, Codec},
    error::TaskError,
    inputs::Slots,
    plan::Planned,
    shield::{discard, panic_message},
    spans,
    storage::StorageError,
    value::Value,
};

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
    let has_missing = slots.has_missing();
    if has_missing || depends_on_failure(checkpoints, task) {
        checkpoints.mark_provisional(unit.task);
    }
    let Checkpoint::Stored(codec) = task.settings.checkpoint else {
        return perform(shared, unit, slots, None).await;
    };
    let after: Vec<u32> = task.predecessors().collect();
    let saving = Saving {
        shared,
        checkpoints,
        codec,
        place: Place {
            task: unit.task,
            item: unit.item,
            name: task.name().as_str(),
            output_type: codec.type_name(),
            after: &after,
        },
    };
    // A task that is told of a failure has to see to it, whatever it did in an earlier run.
    if !has_missing {
        match saving.restore().await {
            Ok(Some(output)) => return restored(shared, unit, output),
            Ok(None) => {}
            Err(error) => return fail(shared, unit, TaskError::storage(error)),
        }
    }
    let is_final = !checkpoints.is_provisional(unit.task);
    perform(shared, unit, slots, is_final.then_some(&saving)).await
}

fn depends_on_failure(checkpoints: &Checkpoints, task: &Planned) -> bool {
    let mut before = task.predecessors();
    before.any(|before| checkpoints.is_provisional(before))
}

/// How the output of one task is stored.
pub(super) struct Saving<'run> {
    shared: &'run Shared,
    checkpoints: &'run Checkpoints,
    codec: &'static Codec,
    place: Place<'run>,
}

impl Saving<'_> {
    async fn restore(&self) -> Result<Option<Value>, StorageError> {
        let Some(output) = self.checkpoints.restore(&self.place).await? else {
            return Ok(None);
        };
        self.read(&output).map(Some)
    }

    /// Stores an output, and gives back the one to go on with.
    pub(super) async fn save(
        &self,
        output: Value,
        attempts: u32,
        started: Instant,
        span: &Span,
    ) -> Result<Value, TaskError> {
        let lost = |error: StorageError| {
            let name = self.place.name;
            TaskError::storage(
                StorageError::new(format!(
                    "`{name}` did its work, but its output could not be stored, so a resumed run \
                     does it again"
                ))
                .caused_by(error),
            )
        };
        let json = self.write(&output).map_err(lost)?;
        let after = started.saturating_duration_since(self.shared.started);
        let making = Making {
            attempts,
            started_at: self.shared.started_at + after,
            duration: started.elapsed(),
        };
        let stored = self.checkpoints.store(&self.place, making, &json).await;
        match stored.map_err(lost)? {
            Stored::New => Ok(output),
            Stored::Another(json) => {
                spans::superseded(span);
                self.read(&json).map_err(TaskError::storage)
            }
        }
    }

    /// Writes an output as JSON, and makes sure that it can be read back: now, and not when it is
    /// needed.
    fn write(&self, output: &Value) -> Result<String, StorageError> {
        let output_type = self.codec.type_name();
        let json = caught(|| self.codec.encode(&**output)).map_err(|problem| {
            let message = format!("its `{output_type}` can't be written as JSON");
            StorageError::new(message).caused_by(problem)
        })?;
        match caught(|| self.codec.decode(&json)) {
            Ok(_) => Ok(json),
            Err(problem) => {
                let message = format!(
                    "its `{output_type}` can't be read back from the JSON it is written as"
                );
                Err(StorageError::new(message).caused_by(problem))
            }
        }
    }

    fn read(&self, json: &str) -> Result<Value, StorageError> {
        caught(|| self.codec.decode(json)).map_err(|problem| {
            let key = self.checkpoints.key(self.place.task, self.place.item);
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
