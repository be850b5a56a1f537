//! What a workflow depends on, as a fingerprint, so that a resumed run notices that it changed.

use serde::{Deserialize, Serialize};

use super::{Checkpoints, MAX_RACES};
use crate::storage::{StorageError, sha256};

/// The key of the fingerprint. No task has it: the number of a repeated name follows its `#`.
const INPUT_KEY: &str = "#input";

/// The fingerprint of what a workflow depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint(String);

/// What is stored of the input.
#[derive(Serialize, Deserialize)]
struct Input {
    workflow_id: String,
    key: String,
    /// The fingerprint of the input: the SHA-256 of its JSON, with the members of objects sorted.
    sha256: String,
}

/// What a stored fingerprint says of the present input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compared {
    /// It is the same, or nothing was stored, and now it is.
    Same,
    /// It is another one. Or there are checkpoints without any: then nobody knows, and that is as
    /// good as changed.
    Changed,
}

impl Fingerprint {
    pub(crate) fn of<I: Serialize + ?Sized>(input: &I) -> serde_json::Result<Self> {
        let mut value = serde_json::to_value(input)?;
        // They are sorted already, unless another crate asked serde_json to keep their order.
        value.sort_all_objects();
        Ok(Self(sha256(value.to_string().as_bytes())))
    }
}

impl Checkpoints {
    /// Compares the input with the stored one, and stores it where there is nothing at all.
    pub(crate) async fn compare(
        &self,
        fingerprint: &Fingerprint,
    ) -> Result<Compared, StorageError> {
        let key = self.input_key();
        for _ in 0..MAX_RACES {
            if let Some(text) = self.storage.get(&self.workflow_id, &key).await? {
                let input: Input = serde_json::from_str(&text)
                    .map_err(|error| self.refused(&key, &format!("it is damaged ({error})")))?;
                return Ok(if input.sha256 == fingerprint.0 {
                    Compared::Same
                } else {
                    Compared::Changed
                });
            }
            let keys = self.storage.list(&self.workflow_id).await?;
            let is_own = |stored: &String| stored.starts_with(&self.prefix) && *stored != key;
            if keys.iter().any(is_own) {
                // Another run may have stored its input between the two questions.
                if keys.contains(&key) {
                    continue;
                }
                return Ok(Compared::Changed);
            }
            let input = Input {
                workflow_id: (*self.workflow_id).to_owned(),
                key: key.clone(),
                sha256: fingerprint.0.clone(),
            };
            let text = serde_json::to_string_pretty(&input).expect("texts can be written as JSON");
            let put = self.storage.put_new(&self.workflow_id, &key, text + "\n");
            if put.await? {
                return Ok(Compared::Same);
            }
        }
        Err(self.refused(
            &key,
            "it comes and goes: is somebody removing checkpoints of this run?",
        ))
    }

    /// Removes everything that is stored for this run.
    pub(crate) async fn remove_all(&self) -> Result<(), StorageError> {
        self.storage.remove_all(&self.workflow_id).await
    }

    fn input_key(&self) -> String {
        format!("{}{INPUT_KEY}", self.prefix)
    }
}
