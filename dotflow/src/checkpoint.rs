//! The checkpoints of a run: what is stored of a task, under which key, and how it is made sure
//! that what comes back is just what was stored, for this very task.

mod record;
mod store;
mod envelope;
mod fingerprint;
mod grown;
mod naming;
mod tasks;
mod keys;
mod seal;

/// The SHA-256 of bytes, as hex digits.
pub(crate) fn hex_digest(bytes: &[u8]) -> String {
    crate::storage::hex(&hmac_sha256::Hash::hash(bytes))
}

pub(crate) use self::{
    fingerprint::Fingerprint,
    keys::Keys,
    record::{Compared, InputRecord, StoredInput},
    store::{Checkpoints, Stored},
    tasks::{Identity, Metadata, Tasks},
};
