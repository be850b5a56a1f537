//! What is stored for a task: its output, wrapped in all that is needed to refuse it where it does
//! not belong, and to tell a person what it is.

use std::{mem, time::SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Making;
use crate::storage::sha256;

/// The version of the format, which stands first in each checkpoint.
const FORMAT: u32 = 1;

/// What a checkpoint must say of itself to be taken for the one of a task.
pub(super) struct Identity<'run> {
    pub(super) workflow_id: &'run str,
    pub(super) key: String,
    pub(super) task: String,
    pub(super) output_type: &'static str,
    pub(super) after: Vec<String>,
    pub(super) namesakes: u32,
}

/// A checkpoint. The order of the members is that of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Envelope {
    /// The version of the format.
    dotflow: u32,
    workflow_id: String,
    key: String,
    task: String,
    /// The keys of the tasks that it came after.
    after: Vec<String>,
    /// How many tasks of the workflow had its name.
    namesakes: u32,
    attempts: u32,
    started_at: String,
    finished_at: String,
    /// In seconds.
    duration: f64,
    /// The Rust type of the output.
    output_type: String,
    output: Box<RawValue>,
    /// The hash of all the rest, without white space.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    sha256: String,
}

/// What every version of the format has.
#[derive(Deserialize)]
struct Header {
    dotflow: u32,
}

impl Envelope {
    /// Wraps an output that was written by `serde_json`.
    pub(super) fn close(identity: &Identity<'_>, making: Making, output: &str) -> String {
        let output = RawValue::from_string(output.to_owned());
        let mut envelope = Self {
            dotflow: FORMAT,
            workflow_id: identity.workflow_id.to_owned(),
            key: identity.key.clone(),
            task: identity.task.clone(),
            after: identity.after.clone(),
            namesakes: identity.namesakes,
            attempts: making.attempts,
            started_at: utc(making.started_at),
            finished_at: utc(making.started_at + making.duration),
            duration: making.duration.as_secs_f64(),
            output_type: identity.output_type.to_owned(),
            output: output.expect("the output was written as JSON"),
            sha256: String::new(),
        };
        envelope.sha256 = envelope.digest();
        let text = serde_json::to_string_pretty(&envelope);
        text.expect("texts and numbers can be written as JSON") + "\n"
    }

    /// Gives the output back, if the envelope is whole and is the one that is looked for; else
    /// says what is wrong and what to do.
    pub(super) fn open(text: &str, identity: &Identity<'_>) -> Result<String, String> {
        let damaged = |problem: String| {
            format!(
                "it is damaged, or not from dotflow ({problem}); put back a good copy, or remove \
                 it to have its task run again"
            )
        };
        let header: Header =
            serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
        if header.dotflow != FORMAT {
            return Err(format!(
                "it has format {}, and this version of dotflow reads format {FORMAT}; resume with \
                 the version that wrote it, or under another id",
                header.dotflow
            ));
        }
        let mut envelope: Self =
            serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
        let sha256 = mem::take(&mut envelope.sha256);
        if sha256 != envelope.digest() {
            return Err(damaged("its content does not match its sha256".to_owned()));
        }
        envelope.check(identity)?;
        Ok(Box::<str>::from(envelope.output).into())
    }

    fn check(&self, identity: &Identity<'_>) -> Result<(), String> {
        if (&*self.workflow_id, &self.key) != (identity.workflow_id, &identity.key) {
            return Err(format!(
                "it belongs to {:?} of workflow {:?}, so it was moved or copied here; move it back",
                short(&self.key),
                short(&self.workflow_id)
            ));
        }
        let changed = |what: String| {
            Err(format!(
                "{what}, so the stored output may not be what the task would return now; resume \
                 with the code that stored it, give the task another name to have it run again, \
                 or start under another id"
            ))
        };
        if self.output_type != identity.output_type {
            return changed(format!(
                "task `{}` returned {} when it was stored, and now returns {}",
                identity.task, self.output_type, identity.output_type
            ));
        }
        if self.after != identity.after {
            return changed(format!(
                "task `{}` came after {} when it was stored, and now comes after {}",
                identity.task,
                listed(&self.after),
                listed(&identity.after)
            ));
        }
        if self.namesakes != identity.namesakes {
            return changed(format!(
                "the workflow had {} of the name `{}` when it was stored, and now has {}, so it \
                 is unclear which one is which; give each a name of its own by `named`",
                tasks(self.namesakes),
                identity.task,
                identity.namesakes
            ));
        }
        Ok(())
    }

    fn digest(&self) -> String {
        let text = serde_json::to_vec(self);
        sha256(&text.expect("texts and numbers can be written as JSON"))
    }
}

fn tasks(count: u32) -> String {
    match count {
        1 => "1 task".to_owned(),
        _ => format!("{count} tasks"),
    }
}

fn listed(keys: &[String]) -> String {
    match keys {
        [] => "no other task".to_owned(),
        [only] => format!("`{}`", short(only)),
        [first, .., last] if keys.len() > 4 => {
            format!(
                "`{}` … `{}` ({} tasks)",
                short(first),
                short(last),
                keys.len()
            )
        }
        _ => {
            let keys: Vec<String> = keys.iter().map(|key| format!("`{}`", short(key))).collect();
            keys.join(", ")
        }
    }
}

/// As much of a name as fits into a message.
fn short(name: &str) -> String {
    match name.char_indices().nth(100) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

/// A time as RFC 3339 text in UTC, to the microsecond.
fn utc(time: SystemTime) -> String {
    humantime::format_rfc3339_micros(time).to_string()
}
