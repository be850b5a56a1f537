//! What is stored for a task: its output, wrapped in all that is needed to refuse it where it does
//! not belong, and to tell a person what it is.

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    seal::{self, ENCODING, FORMAT, Sealed, short},
    tasks::Metadata,
};
use crate::clock::utc;

/// One level of a task's place: a workflow, and the task in it. The last level is the task itself,
/// those before it are the tasks that its workflow is nested in, the outermost first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Level {
    pub(super) workflow: String,
    pub(super) task: String,
    /// The version of the action, as `#[action(version = 2)]` gives it.
    pub(super) version: u32,
    /// How many tasks of the workflow have its name.
    pub(super) namesakes: u32,
    /// The keys of the tasks that it comes after, within its workflow.
    pub(super) after: Vec<String>,
}

/// What a checkpoint must say of itself to be taken for the one of a task.
pub(super) struct Expected<'run> {
    pub(super) workflow_id: &'run str,
    pub(super) key: String,
    pub(super) path: Vec<Level>,
    /// The fingerprint of the input that the run was begun with.
    pub(super) input: Option<Arc<str>>,
    pub(super) output_type: &'static str,
}

/// A checkpoint. The order of the members is that of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'text> {
    dotflow: u32,
    encoding: Cow<'text, str>,
    workflow_id: Cow<'text, str>,
    key: Cow<'text, str>,
    path: Vec<Level>,
    input: Option<Cow<'text, str>>,
    attempts: u32,
    started_at: String,
    finished_at: String,
    /// In seconds.
    duration: f64,
    /// The Rust type of the output.
    output_type: Cow<'text, str>,
    #[serde(borrow)]
    output: &'text RawValue,
    /// The hash of all the rest, without white space.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    sha256: String,
}

impl Sealed for Envelope<'_> {
    fn sha256(&mut self) -> &mut String {
        &mut self.sha256
    }

    fn place(&self) -> (&str, &str) {
        (&self.workflow_id, &self.key)
    }
}

/// Wraps an output.
pub(super) fn close(expected: &Expected<'_>, metadata: Metadata, output: &RawValue) -> String {
    seal::seal(Envelope {
        dotflow: FORMAT,
        encoding: ENCODING.into(),
        workflow_id: expected.workflow_id.into(),
        key: (&*expected.key).into(),
        path: expected.path.clone(),
        input: expected.input.as_deref().map(Cow::from),
        attempts: metadata.attempts,
        started_at: utc(metadata.started_at),
        finished_at: utc(metadata.started_at + metadata.duration),
        duration: metadata.duration.as_secs_f64(),
        output_type: expected.output_type.into(),
        output,
        sha256: String::new(),
    })
}

/// Gives the output back, if the envelope is whole and is the one that is looked for; else says
/// what is wrong and what to do.
pub(super) fn open<'text>(text: &'text str, expected: &Expected<'_>) -> Result<&'text str, String> {
    let envelope: Envelope<'text> = seal::open(text, (expected.workflow_id, &expected.key))?;
    envelope.check(expected)?;
    Ok(envelope.output.get())
}

impl Envelope<'_> {
    fn check(&self, expected: &Expected<'_>) -> Result<(), String> {
        if self.path.len() != expected.path.len() {
            return Err(changed(
                "it was stored for a task at another depth of nesting",
            ));
        }
        for (stored, now) in self.path.iter().zip(&expected.path) {
            stored.check(now)?;
        }
        if self.input.as_deref() != expected.input.as_deref() {
            return Err(changed(
                "it was stored by a run of another input than the one that this run was begun with",
            ));
        }
        if self.output_type != expected.output_type {
            let task = expected.path.last().map_or("", |level| &level.task);
            return Err(changed(&format!(
                "task `{task}` returned {} when it was stored, and now returns {}",
                self.output_type, expected.output_type
            )));
        }
        Ok(())
    }
}

impl Level {
    fn check(&self, now: &Self) -> Result<(), String> {
        if self.workflow != now.workflow {
            return Err(changed(&format!(
                "it was stored by workflow `{}`, and this is workflow `{}`",
                short(&self.workflow),
                short(&now.workflow)
            )));
        }
        if self.namesakes != now.namesakes {
            return Err(changed(&format!(
                "the workflow had {} of the name `{}` when it was stored, and now has {}, so it \
                 is unclear which one is which; give each a name of its own by `named`",
                tasks(self.namesakes),
                now.task,
                now.namesakes
            )));
        }
        if self.after != now.after {
            return Err(changed(&format!(
                "task `{}` came after {} when it was stored, and now comes after {}",
                now.task,
                listed(&self.after),
                listed(&now.after)
            )));
        }
        if self != now {
            return Err(changed(&format!(
                "it was stored for version {} of task `{}`, and this is version {} of `{}`",
                self.version,
                short(&self.task),
                now.version,
                short(&now.task)
            )));
        }
        Ok(())
    }
}

fn changed(what: &str) -> String {
    format!(
        "{what}, so the stored output may not be what the task would return now; resume with the \
         code that stored it, give the task another name to have it run again, or start under \
         another id"
    )
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
