//! Stores the outputs of tasks, and gives back those that are stored already.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::value::RawValue;

use super::{
    envelope::{self, Expected, Level},
    grown::Grown,
    keys::Keys,
    naming::escaped,
    tasks::{Identity, Metadata, Tasks},
};
use crate::storage::{Storage, StorageError};

/// How many times a checkpoint is looked for again that vanished just after it had been in the way.
/// That takes somebody who removes checkpoints at this very moment.
pub(super) const MAX_RACES: u32 = 8;

/// The checkpoints of one workflow of a run: where they lie, and the key of each task.
pub(crate) struct Checkpoints {
    pub(super) storage: Arc<dyn Storage>,
    /// The id that everything is stored under: for a nested workflow, that of the outermost run.
    pub(super) workflow_id: Arc<str>,
    pub(super) plan: Arc<dyn Tasks>,
    /// The tasks that the workflow is nested in, the outermost first.
    outer: Vec<Level>,
    /// What the keys of a nested workflow begin with: the keys of the tasks that it is nested in.
    pub(super) prefix: String,
    /// Whether the id was made for this run.
    pub(super) is_new_id: bool,
    /// The largest output that is stored, in bytes of its JSON.
    max_output: usize,
    /// The fingerprint of the input that the run was begun with, once its record is known.
    input: Mutex<Option<Arc<str>>>,
    /// What has become known of the workflow only while it runs.
    grown: Mutex<Grown>,
}

/// What became of an output that was to be stored.
pub(crate) enum Stored {
    /// It is stored.
    New,
    /// Another run of the same id was faster; this is the output that it has stored.
    LostRace(String),
}

impl Checkpoints {
    /// The checkpoints of a run of its own, under an id that may have been made for it.
    pub(crate) fn new(
        storage: Arc<dyn Storage>,
        workflow_id: Arc<str>,
        is_new_id: bool,
        plan: Arc<dyn Tasks>,
        max_output: usize,
    ) -> Self {
        Self {
            storage,
            workflow_id,
            outer: Vec::new(),
            prefix: String::new(),
            is_new_id,
            plan,
            max_output,
            input: Mutex::default(),
            grown: Mutex::default(),
        }
    }

    /// The checkpoints of a workflow that is nested in a task of this run. One that was built when the
    /// task was run is told apart from others that could have been, by its name.
    pub(crate) fn nested(
        &self,
        task: u32,
        item: Option<u32>,
        plan: Arc<dyn Tasks>,
        is_built: bool,
    ) -> Self {
        let mut prefix = format!("{}/", self.key(task, item));
        if is_built {
            prefix.push_str(&escaped(plan.workflow()));
            prefix.push('/');
        }
        Self {
            storage: Arc::clone(&self.storage),
            workflow_id: Arc::clone(&self.workflow_id),
            outer: self.path(task),
            prefix,
            // The task may be attempted once more.
            is_new_id: false,
            plan,
            max_output: self.max_output,
            // Unless the workflow has an input of its own.
            input: Mutex::new(self.input()),
            grown: Mutex::default(),
        }
    }

    /// The key of a task, or of one of its items.
    pub(crate) fn key(&self, task: u32, item: Option<u32>) -> String {
        self.text(&self.prefix, task, item)
    }

    /// The key of a task within its own workflow, however deep that is nested.
    pub(crate) fn own_key(&self, task: u32, item: Option<u32>) -> String {
        self.text("", task, item)
    }

    fn text(&self, prefix: &str, task: u32, item: Option<u32>) -> String {
        match self.grown().before(&*self.plan, task) {
            None => self.keys().text(prefix, task, item),
            Some(grown) => self.keys().text_after(prefix, task, &grown, item),
        }
    }

    fn keys(&self) -> &Keys {
        Keys::of(&*self.plan)
    }

    /// Takes in which workflow a task, or an item, has turned out to be: what comes after it is stored
    /// and restored as what comes after that one.
    pub(crate) fn grew(&self, task: u32, item: Option<u32>, shape: String) {
        self.grown().add(task, item, shape);
    }

    /// What this workflow has turned out to be, in few characters; `None` for one that is known
    /// beforehand, with all within it.
    pub(crate) fn shape(&self, is_built: bool) -> Option<String> {
        let grown = self.grown().shape();
        (is_built || grown.is_some()).then(|| Keys::shape_of(&*self.plan, grown))
    }

    fn grown(&self) -> MutexGuard<'_, Grown> {
        self.grown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What those after a task know it by, in this run.
    fn origin(&self, task: u32) -> String {
        let origin = self.keys().origin(task);
        match self.grown().before(&*self.plan, task) {
            None => origin.to_owned(),
            Some(grown) => format!("{origin}~{grown}"),
        }
    }

    /// Whether something may be stored already: there is nothing under an id that was made for the run.
    pub(crate) fn may_have_some(&self) -> bool {
        !self.is_new_id
    }

    pub(crate) fn is_nested(&self) -> bool {
        !self.outer.is_empty()
    }

    /// The largest output that is stored, in bytes of its JSON.
    pub(crate) fn max_output(&self) -> usize {
        self.max_output
    }

    pub(super) fn set_input(&self, input: Option<Arc<str>>) {
        *self.input.lock().unwrap_or_else(PoisonError::into_inner) = input;
    }

    fn input(&self) -> Option<Arc<str>> {
        let input = self.input.lock();
        input.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The stored output of a task, as JSON.
    pub(crate) async fn restore(
        &self,
        identity: &Identity,
    ) -> Result<Option<String>, StorageError> {
        let expected = self.expected(identity);
        let Some(text) = self.storage.get(&self.workflow_id, &expected.key).await? else {
            return Ok(None);
        };
        match envelope::open(&text, &expected) {
            Ok(output) => Ok(Some(output.to_owned())),
            Err(problem) => Err(self.refused(&expected.key, &problem)),
        }
    }

    /// Stores the output of a task, given as JSON, unless one is stored already.
    pub(crate) async fn store(
        &self,
        identity: &Identity,
        metadata: Metadata,
        output: &RawValue,
    ) -> Result<Stored, StorageError> {
        let expected = self.expected(identity);
        let key = &expected.key;
        for _ in 0..MAX_RACES {
            let text = envelope::close(&expected, metadata, output);
            if self.storage.put_new(&self.workflow_id, key, text).await? {
                return Ok(Stored::New);
            }
            if let Some(output) = self.restore(identity).await? {
                return Ok(Stored::LostRace(output));
            }
        }
        let place = self.storage.locate(&self.workflow_id, key);
        Err(StorageError::new(format!(
            "the checkpoint {place} is there when it is to be written, and gone when it is to be \
             read: is somebody removing checkpoints of this run?"
        )))
    }

    /// An error that says which checkpoint can't be used, why, and what to do.
    pub(crate) fn refused(&self, key: &str, problem: &str) -> StorageError {
        let place = self.storage.locate(&self.workflow_id, key);
        StorageError::new(format!("the checkpoint {place} can't be used: {problem}"))
    }

    fn expected(&self, identity: &Identity) -> Expected<'_> {
        Expected {
            workflow_id: &self.workflow_id,
            key: self.key(identity.task, identity.item),
            path: self.path(identity.task),
            input: self.input(),
            output_type: identity.output_type,
        }
    }

    /// The place of a task: the tasks that it is nested in, and itself.
    fn path(&self, task: u32) -> Vec<Level> {
        let keys = self.keys();
        let after = self.plan.after(task).into_iter();
        let level = Level {
            workflow: self.plan.workflow().to_owned(),
            task: self.plan.name(task).to_owned(),
            version: self.plan.version(task),
            namesakes: keys.namesakes(task),
            after: after.map(|before| self.origin(before)).collect(),
        };
        self.outer.iter().cloned().chain([level]).collect()
    }
}

impl fmt::Debug for Checkpoints {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Checkpoints")
            .field("workflow_id", &self.workflow_id)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
