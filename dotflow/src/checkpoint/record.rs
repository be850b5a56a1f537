//! What is stored of a run itself, before any of its tasks: which workflow it is a run of, and the
//! fingerprint of its input.

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    fingerprint::Fingerprint,
    seal::{self, ENCODING, FORMAT, Sealed, short},
    store::{Checkpoints, MAX_RACES},
};
use crate::storage::StorageError;

/// The key of the record. No task has it: only the number of a repeated name follows a `#`.
const KEY: &str = "#run";

/// The record of a run. The order of the members is that of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record<'text> {
    dotflow: u32,
    encoding: Cow<'text, str>,
    workflow_id: Cow<'text, str>,
    key: Cow<'text, str>,
    workflow: Cow<'text, str>,
    /// The fingerprint of the input, where one was given.
    input: Option<Cow<'text, str>>,
    /// The input itself, where the run was given one; with its Rust type, for people.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    given: Option<Given<'text>>,
    /// The hash of all the rest, without white space.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    sha256: String,
}

impl Sealed for Record<'_> {
    fn sha256(&mut self) -> &mut String {
        &mut self.sha256
    }

    fn place(&self) -> (&str, &str) {
        (&self.workflow_id, &self.key)
    }
}

/// The input that a run was given.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given<'text> {
    r#type: Cow<'text, str>,
    #[serde(borrow)]
    value: &'text RawValue,
}

/// What a run depends on.
#[derive(Clone, Copy, Default)]
pub(crate) struct InputRecord<'run> {
    /// The fingerprint of all that it depends on, where something was said of that.
    pub(crate) fingerprint: Option<&'run Fingerprint>,
    /// The input that it was given, with its Rust type.
    pub(crate) given: Option<(&'static str, &'run RawValue)>,
}

/// The input that a run under this id was given before.
pub(crate) enum StoredInput {
    /// As JSON.
    Given(String),
    /// There is no such run, or it was given none.
    Nothing,
    /// The id belongs to a run of the workflow of this name.
    OtherWorkflow(String),
}

/// What the record says of the present run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Compared {
    /// Nothing was stored, and now it is.
    New,
    /// It is a run of the same workflow with the same input.
    Same,
    /// The input is another one.
    InputChanged,
    /// The id belongs to a run of the workflow of this name.
    OtherWorkflow(String),
}

impl Checkpoints {
    /// Compares this run with what is stored of it, and stores it where there is nothing at all.
    ///
    /// From here on, checkpoints are those of the input that the run was begun with.
    pub(crate) async fn compare(&self, record: InputRecord<'_>) -> Result<Compared, StorageError> {
        let key = format!("{}{KEY}", self.prefix);
        let input = record.fingerprint.map(Fingerprint::as_str);
        // Under an id that was made for this run there is nothing to compare it with.
        if self.is_new_id && self.begin(&key, record).await? {
            return Ok(Compared::New);
        }
        for _ in 0..MAX_RACES {
            if let Some(text) = self.storage.get(&self.workflow_id, &key).await? {
                let record = self.read(&text, &key)?;
                // A workflow that says nothing of its input asks for no comparison.
                let is_same = input.is_none() || record.input.as_deref() == input;
                self.set_input(record.input.as_deref().map(Arc::from));
                return Ok(if record.workflow != self.plan.workflow() {
                    Compared::OtherWorkflow(record.workflow.into_owned())
                } else if is_same {
                    Compared::Same
                } else {
                    Compared::InputChanged
                });
            }
            let keys = self.storage.list(&self.workflow_id).await?;
            let is_own = |stored: &String| stored.starts_with(&self.prefix) && *stored != key;
            if keys.iter().any(is_own) {
                // Another run may have stored its record between the two questions.
                if keys.contains(&key) {
                    continue;
                }
                return self.without_record(&key);
            }
            if self.begin(&key, record).await? {
                return Ok(Compared::New);
            }
        }
        Err(self.refused(
            &key,
            "it comes and goes: is somebody removing checkpoints of this run?",
        ))
    }

    /// Stores the record, unless there is one already: then it returns `false`.
    async fn begin(&self, key: &str, record: InputRecord<'_>) -> Result<bool, StorageError> {
        let input = record.fingerprint.map(Fingerprint::as_str);
        let record = seal::seal(Record {
            dotflow: FORMAT,
            encoding: ENCODING.into(),
            workflow_id: (&*self.workflow_id).into(),
            key: key.into(),
            workflow: self.plan.workflow().into(),
            input: input.map(Cow::from),
            given: record.given.map(|(of_type, value)| Given {
                r#type: of_type.into(),
                value,
            }),
            sha256: String::new(),
        });
        let put = self.storage.put_new(&self.workflow_id, key, record);
        let is_stored = put.await?;
        if is_stored {
            self.set_input(input.map(Arc::from));
        }
        Ok(is_stored)
    }

    /// The input that a run under this id was given before.
    pub(crate) async fn stored_input(&self) -> Result<StoredInput, StorageError> {
        let key = format!("{}{KEY}", self.prefix);
        let Some(text) = self.storage.get(&self.workflow_id, &key).await? else {
            return Ok(StoredInput::Nothing);
        };
        let record = self.read(&text, &key)?;
        if record.workflow != self.plan.workflow() {
            return Ok(StoredInput::OtherWorkflow(record.workflow.into_owned()));
        }
        Ok(record.given.map_or(StoredInput::Nothing, |given| {
            StoredInput::Given(given.value.get().to_owned())
        }))
    }

    /// There are checkpoints, but nothing says what of.
    fn without_record(&self, key: &str) -> Result<Compared, StorageError> {
        if self.is_nested() {
            // Nested workflows have a record only if they have an input.
            return Ok(Compared::InputChanged);
        }
        let place = self.storage.locate(&self.workflow_id, key);
        Err(StorageError::new(format!(
            "there are checkpoints under the id {:?}, but the record {place}, which says of which \
             workflow and input they are, is missing: put it back, remove all checkpoints of this \
             id, or start under another id",
            short(&self.workflow_id)
        )))
    }

    fn read<'text>(&self, text: &'text str, key: &str) -> Result<Record<'text>, StorageError> {
        seal::open(text, (&self.workflow_id, key)).map_err(|problem| self.refused(key, &problem))
    }

    /// Removes everything that is stored for this run.
    pub(crate) async fn remove_all(&self) -> Result<(), StorageError> {
        self.storage.remove_all(&self.workflow_id).await
    }
}
