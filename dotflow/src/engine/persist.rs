//! How the output of one task is restored from its checkpoint, or stored in one.

use std::time::{Duration, SystemTime};

use serde_json::value::RawValue;

use super::{call, context::RunContext};
use crate::{
    action::{
        codec::{CheckpointPolicy, Codec},
        value::Value,
    },
    checkpoint::{Checkpoints, Identity, Metadata, Stored},
    error::TaskError,
    report::id::TaskId,
    storage::StorageError,
    telemetry::TaskSpan,
};

/// How many bytes of JSON an output may take before an event says that it is large.
const LARGE_OUTPUT: usize = 1024 * 1024;

/// The checkpoint of one task.
pub(super) struct Persist<'run> {
    checkpoints: &'run Checkpoints,
    codec: &'static Codec,
    name: &'run str,
    identity: Identity,
}

impl<'run> Persist<'run> {
    /// The checkpoint of a task, if it is to have one.
    pub(super) fn of(context: &'run RunContext, id: TaskId, follows_failure: bool) -> Option<Self> {
        let checkpoints = context.checkpoints.as_deref()?;
        let task = context.task(id);
        let CheckpointPolicy::Stored(codec) = task.settings.checkpoint else {
            return None;
        };
        // What a failure fed belongs to that failure: it is neither stored nor restored, whatever
        // the task did in an earlier run.
        if follows_failure {
            return None;
        }
        Some(Self {
            checkpoints,
            codec,
            name: task.name(),
            identity: Identity {
                task: id.number,
                item: id.item,
                output_type: codec.type_name(),
            },
        })
    }

    /// The stored output, if there is one.
    pub(super) async fn restore(&self) -> Result<Option<Value>, StorageError> {
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
        started_at: SystemTime,
        duration: Duration,
        span: &TaskSpan,
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
        let metadata = Metadata {
            attempts,
            started_at,
            duration,
        };
        let stored = self.checkpoints.store(&self.identity, metadata, &json);
        match stored.await.map_err(lost)? {
            Stored::New => Ok(read_back),
            Stored::LostRace(json) => {
                span.superseded();
                self.read(&json).map_err(TaskError::storage)
            }
        }
    }

    /// Writes an output as JSON.
    fn write(&self, output: Value, span: &TaskSpan) -> Result<Box<RawValue>, StorageError> {
        let output_type = self.codec.type_name();
        let json = serde(|| self.codec.encode(&*output)).map_err(|problem| {
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
            span.large_output(self.name, length);
        }
        Ok(json)
    }

    /// Reads an output back from what it was just written as: now, and not when it is needed.
    fn read_back(&self, json: &str) -> Result<Value, StorageError> {
        serde(|| self.codec.decode(json)).map_err(|problem| {
            let output_type = self.codec.type_name();
            let message =
                format!("its `{output_type}` can't be read back from the JSON it is written as");
            StorageError::new(message).caused_by(problem)
        })
    }

    fn read(&self, json: &str) -> Result<Value, StorageError> {
        serde(|| self.codec.decode(json)).map_err(|problem| {
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

/// Calls a `Serialize` or a `Deserialize`.
fn serde<R>(call: impl FnOnce() -> serde_json::Result<R>) -> Result<R, String> {
    match call::function(call) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(message) => Err(format!("it panicked: {message}")),
    }
}
