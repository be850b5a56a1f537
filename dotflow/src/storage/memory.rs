//! Checkpoints in memory, for tests and for programs that only repeat what failed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Storage, StorageFuture};

/// Keeps checkpoints in memory, as long as the program or the last clone of this lives.
///
/// Clones share what is stored.
///
/// ```
/// use dotflow::{action, storage::MemoryStorage, task, DotFlow};
///
/// #[action]
/// fn extract() -> Vec<u32> { vec![3, 5, 8] }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let workflow = DotFlow::new("numbers", task(extract())).storage(MemoryStorage::new());
/// assert!(!workflow.resume("order-42").await?.tasks()[0].restored());
/// assert!(workflow.resume("order-42").await?.tasks()[0].restored());
/// # Ok::<(), dotflow::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, Default)]
pub struct MemoryStorage {
    workflows: Arc<Mutex<Workflows>>,
}

type Workflows = BTreeMap<String, BTreeMap<String, String>>;

impl MemoryStorage {
    /// A storage that holds nothing, and shares nothing with others.
    ///
    /// ```
    /// use dotflow::storage::{MemoryStorage, Storage};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let storage = MemoryStorage::new();
    /// assert!(storage.put_new("order-42", "extract", "[3, 5, 8]".into()).await?);
    /// assert_eq!(storage.clone().list("order-42").await?, ["extract"]);
    /// assert!(MemoryStorage::new().list("order-42").await?.is_empty());
    /// # Ok::<(), dotflow::storage::StorageError>(()) }).unwrap();
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    fn workflows(&self) -> MutexGuard<'_, Workflows> {
        self.workflows
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage for MemoryStorage {
    fn get<'a>(&'a self, workflow_id: &'a str, key: &'a str) -> StorageFuture<'a, Option<String>> {
        Box::pin(async move {
            let workflows = self.workflows();
            let stored = workflows.get(workflow_id).and_then(|keys| keys.get(key));
            Ok(stored.cloned())
        })
    }

    fn put_new<'a>(
        &'a self,
        workflow_id: &'a str,
        key: &'a str,
        checkpoint: String,
    ) -> StorageFuture<'a, bool> {
        Box::pin(async move {
            let mut workflows = self.workflows();
            let keys = workflows.entry(workflow_id.to_owned()).or_default();
            if keys.contains_key(key) {
                return Ok(false);
            }
            keys.insert(key.to_owned(), checkpoint);
            Ok(true)
        })
    }

    fn remove_all<'a>(&'a self, workflow_id: &'a str) -> StorageFuture<'a, ()> {
        Box::pin(async move {
            self.workflows().remove(workflow_id);
            Ok(())
        })
    }

    fn list<'a>(&'a self, workflow_id: &'a str) -> StorageFuture<'a, Vec<String>> {
        Box::pin(async move {
            let workflows = self.workflows();
            let keys = workflows.get(workflow_id).into_iter().flatten();
            Ok(keys.map(|(key, _)| key.clone()).collect())
        })
    }
}
