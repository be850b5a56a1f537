//! How the input of a run gets into the record of the run, and out of it again.

use std::any::Any;

use serde_json::value::RawValue;

use crate::{
    action::{
        codec::{CheckpointPolicy, Codec, StorableInput},
        value::Value,
    },
    checkpoint::Fingerprint,
    unwind::catch,
};

/// The directions between an input and its JSON, made where its type is known.
#[derive(Debug)]
pub(crate) struct InputCodec {
    codec: &'static Codec,
    fingerprint: fn(&(dyn Any + Send + Sync)) -> serde_json::Result<Fingerprint>,
}

/// An input as the record of its run has it.
pub(super) struct Written {
    pub(super) type_name: &'static str,
    pub(super) json: Box<RawValue>,
    pub(super) fingerprint: Fingerprint,
}

impl InputCodec {
    pub(super) const fn of<In: StorableInput>() -> &'static Self {
        const {
            let CheckpointPolicy::Stored(codec) = CheckpointPolicy::of::<In>() else {
                unreachable!()
            };
            &Self {
                codec,
                fingerprint: fingerprint::<In>,
            }
        }
    }

    /// Writes an input, and says why that can't be done.
    pub(super) fn write(&self, input: &Value) -> Result<Written, String> {
        flat(|| {
            Ok(Written {
                type_name: self.codec.type_name(),
                json: self.codec.encode(&**input)?,
                fingerprint: (self.fingerprint)(&**input)?,
            })
        })
    }

    pub(super) fn read(&self, json: &str) -> Result<Value, String> {
        let read = flat(|| self.codec.decode(json));
        read.map_err(|problem| format!("`{}`: {problem}", self.codec.type_name()))
    }
}

/// Calls a `Serialize` or a `Deserialize`, which may panic.
fn flat<R>(call: impl FnOnce() -> serde_json::Result<R>) -> Result<R, String> {
    match catch(call) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(message) => Err(format!("it panicked: {message}")),
    }
}

fn fingerprint<In: StorableInput>(
    input: &(dyn Any + Send + Sync),
) -> serde_json::Result<Fingerprint> {
    let input: &In = input
        .downcast_ref()
        .expect("the codec of an input is made for the type that the workflow takes");
    Fingerprint::of(input)
}
