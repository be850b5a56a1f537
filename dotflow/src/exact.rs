//! Finds what JSON can't hold, before it is written as something else.
//!
//! `serde_json` writes a float that is no number as `null`, and `Some` of something that is `null`
//! like `None`. Both would come back as another value, without any error.

use std::fmt::{self, Display};

use serde::{
    Serialize,
    ser::{
        Error, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant, Serializer,
    },
};

/// Why a value would not come back from JSON as it is.
#[derive(Debug)]
pub(crate) struct Inexact(String);

impl Display for Inexact {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Inexact {}

impl Error for Inexact {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Looks through a value.
pub(crate) fn check<T: Serialize + ?Sized>(value: &T) -> Result<(), Inexact> {
    value.serialize(Check).map(|_| ())
}

/// Walks through a value and writes nothing. Says of each part whether JSON writes it as `null`.
struct Check;

macro_rules! never_null {
    ($($method:ident: $type:ty),* $(,)?) => {
        $(fn $method(self, _: $type) -> Result<bool, Inexact> {
            Ok(false)
        })*
    };
}

fn finite(number: f64) -> Result<bool, Inexact> {
    if number.is_finite() {
        return Ok(false);
    }
    Err(Inexact(format!("JSON has no {number}")))
}

impl Serializer for Check {
    type Ok = bool;
    type Error = Inexact;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    never_null! {
        serialize_bool: bool, serialize_char: char, serialize_str: &str, serialize_bytes: &[u8],
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_i128: i128, serialize_u128: u128,
    }

    fn serialize_f32(self, number: f32) -> Result<bool, Inexact> {
        finite(number.into())
    }

    fn serialize_f64(self, number: f64) -> Result<bool, Inexact> {
        finite(number)
    }

    fn serialize_none(self) -> Result<bool, Inexact> {
        Ok(true)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<bool, Inexact> {
        if value.serialize(Self)? {
            return Err(Inexact(
                "JSON can't tell `None` from `Some` of nothing, as `Some(None)` or `Some(())`"
                    .to_owned(),
            ));
        }
        Ok(false)
    }

    fn serialize_unit(self) -> Result<bool, Inexact> {
        Ok(true)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<bool, Inexact> {
        Ok(true)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
    ) -> Result<bool, Inexact> {
        Ok(false)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<bool, Inexact> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<bool, Inexact> {
        value.serialize(self).map(|_| false)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Inexact> {
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Inexact> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Inexact> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Inexact> {
        Ok(self)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self, Inexact> {
        Ok(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Inexact> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Inexact> {
        Ok(self)
    }
}

macro_rules! compound {
    ($($part:ident: $method:ident($($key:ty)?)),* $(,)?) => {
        $(impl $part for Check {
            type Ok = bool;
            type Error = Inexact;

            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $(_: $key,)?
                value: &T,
            ) -> Result<(), Inexact> {
                check(value)
            }

            fn end(self) -> Result<bool, Inexact> {
                Ok(false)
            }
        })*
    };
}

compound! {
    SerializeSeq: serialize_element(),
    SerializeTuple: serialize_element(),
    SerializeTupleStruct: serialize_field(),
    SerializeTupleVariant: serialize_field(),
    SerializeStruct: serialize_field(&'static str),
    SerializeStructVariant: serialize_field(&'static str),
}

impl SerializeMap for Check {
    type Ok = bool;
    type Error = Inexact;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Inexact> {
        check(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Inexact> {
        check(value)
    }

    fn end(self) -> Result<bool, Inexact> {
        Ok(false)
    }
}
