//! What every stored record has in common: its format, its encoding, and a checksum over all of it.
//!
//! A record that fails one of the three is never read any further, so damage can't pass for a
//! change, and a record of a later version can't pass for damage.

use std::io;

use hmac_sha256::Hash;
use serde::{Deserialize, Serialize};

use crate::storage::hex;

/// The version of the format, which stands first in each record.
pub(super) const FORMAT: u32 = 2;

/// How outputs are written: the one encoding that there is.
pub(super) const ENCODING: &str = "json";

/// A record that says where it belongs, and carries the checksum of all the rest of it.
///
/// It is serialized without the checksum where that is empty.
pub(super) trait Sealed: Serialize {
    fn sha256(&mut self) -> &mut String;

    /// The workflow id and the key that it is stored under.
    fn place(&self) -> (&str, &str);
}

/// What every version of the format has.
#[derive(Deserialize)]
struct Header {
    dotflow: u32,
    #[serde(default)]
    encoding: Option<String>,
}

/// Writes a record as readable JSON, with its checksum.
pub(super) fn seal(mut record: impl Sealed) -> String {
    *record.sha256() = String::new();
    let sha256 = digest(&record);
    *record.sha256() = sha256;
    let text = serde_json::to_string_pretty(&record);
    text.expect("strings and numbers can be written as JSON") + "\n"
}

/// Reads the record of a place back, or says what is wrong with it and what to do.
pub(super) fn open<'text, R: Sealed + Deserialize<'text>>(
    text: &'text str,
    place: (&str, &str),
) -> Result<R, String> {
    let record: R = open_anywhere(text)?;
    let (workflow_id, key) = record.place();
    if (workflow_id, key) == place {
        return Ok(record);
    }
    Err(format!(
        "it belongs to {:?} of workflow id {:?}, so it was moved or copied here; move it back",
        short(key),
        short(workflow_id)
    ))
}

fn open_anywhere<'text, R: Sealed + Deserialize<'text>>(text: &'text str) -> Result<R, String> {
    let header: Header = serde_json::from_str(text).map_err(damaged)?;
    if header.dotflow != FORMAT {
        return Err(format!(
            "it has format {}, and this version of dotflow reads format {FORMAT}; resume with the \
             version that wrote it, or under another id",
            header.dotflow
        ));
    }
    let mut record: R = serde_json::from_str(text).map_err(|error| match &header.encoding {
        Some(encoding) if encoding != ENCODING => unknown_encoding(encoding),
        _ => damaged(error),
    })?;
    let sha256 = std::mem::take(record.sha256());
    if sha256 != digest(&record) {
        return Err(damaged("its content does not match its sha256"));
    }
    // Asked last: a damaged name of an encoding is damage.
    match header.encoding {
        Some(encoding) if encoding != ENCODING => Err(unknown_encoding(&encoding)),
        _ => Ok(record),
    }
}

fn unknown_encoding(encoding: &str) -> String {
    format!(
        "it is encoded as {encoding:?}, and this version of dotflow reads {ENCODING:?}; resume \
         with the version that wrote it, or under another id"
    )
}

fn damaged(problem: impl std::fmt::Display) -> String {
    format!(
        "it is damaged, or not from dotflow ({problem}); put back a good copy, or remove it to \
         have its work done again"
    )
}

/// As much of a name as fits into a message.
pub(super) fn short(name: &str) -> String {
    match name.char_indices().nth(100) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

/// The SHA-256 of a value's JSON, as hex digits.
pub(super) fn digest(value: &impl Serialize) -> String {
    let mut hasher = Hasher(Hash::new());
    serde_json::to_writer(&mut hasher, value).expect("strings and numbers can be written as JSON");
    hex(&hasher.0.finalize())
}

/// Hashes what is written to it, so that a large output is not copied for its checksum.
struct Hasher(Hash);

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Serialize, Deserialize)]
    struct Note {
        dotflow: u32,
        encoding: String,
        key: String,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        sha256: String,
    }

    impl Sealed for Note {
        fn sha256(&mut self) -> &mut String {
            &mut self.sha256
        }

        fn place(&self) -> (&str, &str) {
            ("1", &self.key)
        }
    }

    fn note(encoding: &str) -> String {
        seal(Note {
            dotflow: FORMAT,
            encoding: encoding.to_owned(),
            key: "note".to_owned(),
            sha256: String::new(),
        })
    }

    #[test]
    fn another_encoding_is_told_from_a_damaged_name_of_this_one() {
        let opened = |text: &str| open::<Note>(text, ("1", "note"));
        assert_eq!(opened(&note("json")).unwrap().key, "note");
        let other = opened(&note("cbor")).unwrap_err();
        assert!(other.starts_with("it is encoded as \"cbor\""), "{other}");
        let damaged = opened(&note("json").replace("json", "cbor")).unwrap_err();
        assert!(damaged.starts_with("it is damaged"), "{damaged}");
    }
}
