//! The checkpoints of a run: what is stored of a task, under which key, and how it is made sure
//! that what comes back is just what was stored, for this very task.

mod envelope;
mod fingerprint;
mod keys;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

pub(crate) use self::fingerprint::{Compared, Fingerprint};
use self::{
    envelope::{Envelope, Identity},
    keys::Keys,
};
use crate::storage::{Storage, StorageError};

/// How often a checkpoint is looked for again that vanished just after it had been in the way.
/// That takes somebody who removes checkpoints at this very moment.
const MAX_RACES: u32 = 8;

/// The checkpoints of one run: where they lie, and the key of each task.
pub(crate) struct Checkpoints {
    storage: Arc<dyn Storage>,
    /// The id that everything is stored under: for a nested workflow, that of the outermost run.
    workflow_id: Arc<str>,
    /// What the keys of a nested workflow begin with: the keys of the tasks that it is nested in.
    prefix: String,
    keys: Keys,
    /// Tasks whose output depends on a failure, by number. Failures are not stored, so neither is
    /// what follows from them: once the failed task gets another chance, all that must follow.
    provisional: Box<[AtomicBool]>,
}

/// Which task it is about, and what it is to return.
#[derive(Clone, Copy)]
pub(crate) struct Place<'plan> {
    pub(crate) task: u32,
    pub(crate) item: Option<u32>,
    pub(crate) name: &'plan str,
    pub(crate) output_type: &'static str,
    /// The numbers of the tasks that it comes after.
    pub(crate) after: &'plan [u32],
}

/// What is stored besides the output, for people.
#[derive(Clone, Copy)]
pub(crate) struct Making {
    pub(crate) attempts: u32,
    pub(crate) started_at: SystemTime,
    pub(crate) duration: Duration,
}

/// What became of an output that was to be stored.
pub(crate) enum Stored {
    /// It is stored.
    New,
    /// Another run of the same id was faster; this is the output that it has stored.
    Another(String),
}

impl Checkpoints {
    /// The checkpoints of a run of its own, whose tasks have these names.
    pub(crate) fn new<'plan>(
        storage: Arc<dyn Storage>,
        workflow_id: Arc<str>,
        names: impl Iterator<Item = &'plan str> + Clone,
    ) -> Self {
        Self {
            storage,
            workflow_id,
            prefix: String::new(),
            provisional: names.clone().map(|_| AtomicBool::new(false)).collect(),
            keys: Keys::of(names),
        }
    }

    /// The checkpoints of a workflow that is nested in a task of this run.
    pub(crate) fn nested<'plan>(
        &self,
        task: u32,
        item: Option<u32>,
        names: impl Iterator<Item = &'plan str> + Clone,
    ) -> Self {
        let is_provisional = self.is_provisional(task);
        Self {
            storage: Arc::clone(&self.storage),
            workflow_id: Arc::clone(&self.workflow_id),
            prefix: format!("{}/", self.key(task, item)),
            provisional: names
                .clone()
                .map(|_| AtomicBool::new(is_provisional))
                .collect(),
            keys: Keys::of(names),
        }
    }

    /// The key of a task, or of one of its items.
    pub(crate) fn key(&self, task: u32, item: Option<u32>) -> String {
        self.keys.text(&self.prefix, task, item)
    }

    /// The key of a task within its own workflow, however deep that is nested.
    pub(crate) fn own_key(&self, task: u32, item: Option<u32>) -> String {
        self.keys.text("", task, item)
    }

    pub(crate) fn is_nested(&self) -> bool {
        !self.prefix.is_empty()
    }

    /// Notes that the output of a task depends on a failure.
    pub(crate) fn mark_provisional(&self, task: u32) {
        // The tasks after it are begun through the engine, which orders this before them.
        self.provisional[task as usize].store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_provisional(&self, task: u32) -> bool {
        self.provisional[task as usize].load(Ordering::Relaxed)
    }

    /// The stored output of a task, as JSON.
    pub(crate) async fn restore(&self, place: &Place<'_>) -> Result<Option<String>, StorageError> {
        let key = self.key(place.task, place.item);
        let Some(text) = self.storage.get(&self.workflow_id, &key).await? else {
            return Ok(None);
        };
        let output = Envelope::open(&text, &self.identity(place, &key));
        output
            .map(Some)
            .map_err(|problem| self.refused(&key, &problem))
    }

    /// Stores the output of a task, given as JSON, unless one is stored already.
    pub(crate) async fn store(
        &self,
        place: &Place<'_>,
        making: Making,
        output: &str,
    ) -> Result<Stored, StorageError> {
        let key = self.key(place.task, place.item);
        let text = Envelope::close(&self.identity(place, &key), making, output);
        for _ in 0..MAX_RACES {
            let put = self.storage.put_new(&self.workflow_id, &key, text.clone());
            if put.await? {
                return Ok(Stored::New);
            }
            if let Some(output) = self.restore(place).await? {
                return Ok(Stored::Another(output));
            }
        }
        let place = self.storage.locate(&self.workflow_id, &key);
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

    fn identity(&self, place: &Place<'_>, key: &str) -> Identity<'_> {
        Identity {
            workflow_id: &self.workflow_id,
            key: key.to_owned(),
            task: place.name.to_owned(),
            output_type: place.output_type,
            after: place
                .after
                .iter()
                .map(|task| self.key(*task, None))
                .collect(),
            namesakes: self.keys.namesakes(place.task),
        }
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
