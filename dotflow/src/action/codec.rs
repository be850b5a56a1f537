//! How the output of an action becomes text that can be stored, and comes back from it.
//!
//! Outputs travel without their types, so the two directions are function pointers, made where
//! the type is still known.

use std::{
    any::{Any, TypeId, type_name},
    fmt,
};

use serde::{Serialize, de::DeserializeOwned, ser::Error as _};
use serde_json::value::RawValue;

use super::value::Value;
use crate::exact;

/// An output that can be stored: it can be written as JSON and read back.
#[diagnostic::on_unimplemented(
    message = "an output of type `{Self}` can't be stored as a checkpoint",
    label = "`checkpoint` needs `serde::Serialize` and `serde::de::DeserializeOwned`",
    note = "derive both for it, return a type that owns all its data, or leave `checkpoint` out"
)]
pub trait Storable: Serialize + DeserializeOwned + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Storable for T {}

/// The input of a run that can be stored: it can be written as JSON and read back.
#[diagnostic::on_unimplemented(
    message = "an input of type `{Self}` can't be stored",
    label = "needs `serde::Serialize` and `serde::de::DeserializeOwned` for the input",
    note = "derive both for `{Self}`; a workflow without a storage, whose input is given by `.with(input)`, does without"
)]
pub trait StorableInput: Serialize + DeserializeOwned + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> StorableInput for T {}

/// Whether and how the output of an action is stored.
#[derive(Clone, Copy)]
pub enum CheckpointPolicy {
    /// It is stored and restored by these functions. Each task of each plan has one of these, so it
    /// is small.
    Stored(&'static Codec),
    /// Its type can't be stored.
    NotStorable {
        /// The name of that type, for messages.
        type_name: fn() -> &'static str,
    },
    /// The action says that it is to be computed anew each time.
    Never,
}

impl CheckpointPolicy {
    /// Stores outputs of this type.
    pub const fn of<T: Storable>() -> Self {
        Self::Stored(
            const {
                &Codec {
                    type_name: type_name::<T>,
                    type_id: TypeId::of::<T>,
                    encode: encode::<T>,
                    decode: decode::<T>,
                }
            },
        )
    }

    /// Whether it fits an action that returns a `T`.
    pub(crate) fn fits<T: 'static>(&self) -> bool {
        match self {
            Self::Stored(codec) => (codec.type_id)() == TypeId::of::<T>(),
            Self::NotStorable { .. } | Self::Never => true,
        }
    }

    /// Says that outputs of this type can't be stored.
    pub const fn not_storable<T>() -> Self {
        Self::NotStorable {
            type_name: type_name::<T>,
        }
    }
}

/// The two directions between an output and its JSON text.
#[derive(Clone, Copy)]
pub struct Codec {
    type_name: fn() -> &'static str,
    type_id: fn() -> TypeId,
    encode: fn(&(dyn Any + Send + Sync)) -> serde_json::Result<Box<RawValue>>,
    decode: fn(&str) -> serde_json::Result<Value>,
}

impl Codec {
    /// The full Rust name of the output's type.
    pub fn type_name(&self) -> &'static str {
        (self.type_name)()
    }

    /// Writes an output as JSON.
    pub fn encode(&self, output: &(dyn Any + Send + Sync)) -> serde_json::Result<Box<RawValue>> {
        (self.encode)(output)
    }

    /// Reads an output back.
    pub fn decode(&self, json: &str) -> serde_json::Result<Value> {
        (self.decode)(json)
    }
}

impl fmt::Debug for CheckpointPolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stored(codec) => formatter
                .debug_tuple("Stored")
                .field(&codec.type_name())
                .finish(),
            Self::NotStorable { type_name } => formatter
                .debug_tuple("NotStorable")
                .field(&type_name())
                .finish(),
            Self::Never => formatter.write_str("Never"),
        }
    }
}

impl fmt::Debug for Codec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("Codec")
            .field(&self.type_name())
            .finish()
    }
}

fn encode<T: Storable>(output: &(dyn Any + Send + Sync)) -> serde_json::Result<Box<RawValue>> {
    let output: &T = output
        .downcast_ref()
        .expect("the codec of an action is made for the type that the action returns");
    exact::check(output).map_err(serde_json::Error::custom)?;
    serde_json::value::to_raw_value(output)
}

fn decode<T: Storable>(json: &str) -> serde_json::Result<Value> {
    let output: T = serde_json::from_str(json)?;
    Ok(Value::new(output))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_survives_the_way_there_and_back() {
        let CheckpointPolicy::Stored(codec) = CheckpointPolicy::of::<Vec<u128>>() else {
            panic!("a list of numbers can be stored");
        };
        let output = Value::new(vec![1, u128::MAX]);
        let json = codec.encode(&*output).unwrap();
        assert_eq!(json.get(), "[1,340282366920938463463374607431768211455]");
        let restored = codec.decode(json.get()).unwrap();
        assert_eq!(*restored.downcast::<Vec<u128>>(), [1, u128::MAX]);
        assert!(codec.decode("[1, -2]").is_err());
        assert!(codec.type_name().contains("u128"));
    }
}
