//! Checkpoints as files: a folder per workflow, and in it one JSON file per task.
//!
//! A file appears under its name only when it is complete and on the disk: it is written to a
//! temporary file, synced, published by an operation that never replaces a file, and the folder is
//! synced as well. So a crash leaves whole checkpoints, and at worst a temporary file that nobody
//! reads.

#[cfg(test)]
mod faults;
mod folders;
mod operations;
#[cfg(test)]
#[cfg(unix)]
mod power;
mod regular;
#[cfg(test)]
#[cfg(unix)]
mod swapped;

use std::{fmt, path::Path, sync::Arc};

use self::{
    folders::Folders,
    operations::{Disk, Operations},
};
use super::{Storage, StorageError, StorageFuture};
use crate::offload;

/// Keeps checkpoints in a folder: one readable JSON file per task, in one folder per workflow.
///
/// It needs nothing but a file system, and works for any number of processes at once. With
/// `put_new` done, a checkpoint outlives a crash of the program and of the machine. All file
/// operations run on tokio's blocking pool. On Unix, only their owner can read the files and list
/// the folders that this makes.
///
/// What is in the place of a checkpoint or of a workflow's folder, and is not a regular file or a
/// folder, is an error: a symbolic link, a named pipe, a device. The folder that is opened may be
/// a link.
///
/// A program that is killed may leave hidden files behind: `.….tmp` in the folder of a run, one for
/// each checkpoint that was just being written, and `.removed-…` beside those folders. They are
/// never read. The former go with [`remove_all`](Storage::remove_all); nobody else takes them
/// away, as another process might still be writing them. While no program is at work, both may be
/// deleted.
///
/// ```
/// use dotflow::{action, storage::FileStorage, task, DotFlow};
///
/// #[action]
/// fn extract() -> Vec<u32> { vec![3, 5, 8] }
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path().join(".dotflow");
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let workflow = DotFlow::new("numbers", task(extract())).storage(FileStorage::open(&folder)?);
/// workflow.resume("order-42").await?;
/// let file = std::fs::read_to_string(folder.join("order-42/extract.json"))?;
/// assert!(file.contains(r#""output": [3,5,8]"#));
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct FileStorage {
    folders: Arc<Folders>,
    sync: bool,
}

impl FileStorage {
    /// Opens a folder, and creates it, with those above it, if it is not there.
    ///
    /// # Errors
    ///
    /// When the folder can't be created, or the path is not a folder.
    ///
    /// ```
    /// use dotflow::storage::FileStorage;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let folder = folder.path();
    /// FileStorage::open(folder.join("checkpoints/sales"))?;
    /// assert!(folder.join("checkpoints/sales").is_dir());
    ///
    /// std::fs::write(folder.join("file"), "")?;
    /// assert!(FileStorage::open(folder.join("file")).is_err());
    /// # Ok(()) }
    /// ```
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, StorageError> {
        Self::with_operations(folder.as_ref(), Box::new(Disk))
    }

    fn with_operations(
        folder: &Path,
        operations: Box<dyn Operations>,
    ) -> Result<Self, StorageError> {
        Ok(Self {
            folders: Arc::new(Folders::open(folder, operations)?),
            sync: true,
        })
    }

    /// Sets whether each checkpoint is forced to the disk before its task counts as completed;
    /// `true` by default.
    ///
    /// With `false` a checkpoint costs a fraction of the time and still outlives a crash of the
    /// program, but not a crash of the machine: the last ones may be gone or damaged then. A
    /// damaged one is an error when it is read, never a wrong value.
    ///
    /// ```
    /// use dotflow::{action, storage::FileStorage, task, DotFlow};
    ///
    /// #[action]
    /// fn extract() -> Vec<u32> { vec![3, 5, 8] }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let folder = folder.path();
    /// let storage = FileStorage::open(folder)?.sync(false);
    /// let workflow = DotFlow::new("numbers", task(extract())).storage(storage);
    /// workflow.resume_blocking("1")?;
    /// assert!(workflow.resume_blocking("1")?.tasks()[0].restored());
    /// # Ok(()) }
    /// ```
    pub fn sync(mut self, sync: bool) -> Self {
        self.sync = sync;
        self
    }

    /// Runs file operations where they hold up nobody.
    async fn blocking<R: Send + 'static>(
        &self,
        operation: impl FnOnce(&Folders) -> Result<R, StorageError> + Send + 'static,
    ) -> Result<R, StorageError> {
        let folders = Arc::clone(&self.folders);
        let operation = offload::blocking(None, move || operation(&folders)).await;
        operation.unwrap_or_else(|_| {
            Err(StorageError::new(
                "the runtime was shut down before the checkpoint could be accessed",
            ))
        })
    }
}

impl Storage for FileStorage {
    fn get<'a>(&'a self, workflow_id: &'a str, key: &'a str) -> StorageFuture<'a, Option<String>> {
        let path = self.folders.file(workflow_id, key);
        Box::pin(self.blocking(move |folders| folders.get(&path)))
    }

    fn put_new<'a>(
        &'a self,
        workflow_id: &'a str,
        key: &'a str,
        checkpoint: String,
    ) -> StorageFuture<'a, bool> {
        let path = self.folders.file(workflow_id, key);
        let sync = self.sync;
        Box::pin(self.blocking(move |folders| folders.write(&path, checkpoint.as_bytes(), sync)))
    }

    fn remove_all<'a>(&'a self, workflow_id: &'a str) -> StorageFuture<'a, ()> {
        let folder = self.folders.folder(workflow_id);
        Box::pin(self.blocking(move |folders| folders.remove(&folder)))
    }

    fn list<'a>(&'a self, workflow_id: &'a str) -> StorageFuture<'a, Vec<String>> {
        let folder = self.folders.folder(workflow_id);
        Box::pin(self.blocking(move |folders| folders.keys(&folder)))
    }

    fn locate(&self, workflow_id: &str, key: &str) -> String {
        self.folders.file(workflow_id, key).display().to_string()
    }
}

impl fmt::Debug for FileStorage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FileStorage")
            .field("folder", &self.folders.root())
            .field("sync", &self.sync)
            .finish()
    }
}
