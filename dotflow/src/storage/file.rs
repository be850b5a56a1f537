//! Checkpoints as files: a folder per workflow, and in it one JSON file per task.
//!
//! A file appears under its name only when it is complete and on the disk: it is written to a
//! temporary file, synced, published by an operation that never replaces a file, and the folder is
//! synced as well. So a crash leaves whole checkpoints, and at worst a temporary file that nobody
//! reads.

#[cfg(test)]
mod faults;
mod operations;

use std::{
    fmt, fs, io,
    panic::resume_unwind,
    path::{self, Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::runtime::Handle;

use self::operations::{Disk, Operations};
use super::{
    Storage, StorageError, StorageFuture,
    names::{Decoded, decode, encode},
};

/// The characters of keys that are harmless in the name of a file, besides letters and digits.
const PLAIN: &str = "#[]";
const EXTENSION: &str = ".json";

/// Keeps checkpoints in a folder: one readable JSON file per task, in one folder per workflow.
///
/// It needs nothing but a file system, and works for any number of processes at once. With
/// `put_new` done, a checkpoint outlives a crash of the program and of the machine. All file
/// operations run on tokio's blocking pool. Files are readable by their owner only.
///
/// A program that is killed may leave a hidden `.….tmp` file behind, which is never read and goes
/// with [`remove_all`](Storage::remove_all).
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

/// The folder with the folders of all workflows.
struct Folders {
    root: PathBuf,
    operations: Box<dyn Operations>,
    /// The folder of a workflow whose name is known to be on the disk: the last one that was used.
    known: Mutex<PathBuf>,
}

impl FileStorage {
    /// Opens a folder, and makes it if it is not there.
    ///
    /// # Errors
    ///
    /// When the folder can't be made, or the path is no folder.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, StorageError> {
        Self::with_operations(folder.as_ref(), Box::new(Disk))
    }

    fn with_operations(
        folder: &Path,
        operations: Box<dyn Operations>,
    ) -> Result<Self, StorageError> {
        let failed = |error| {
            let folder = folder.display();
            StorageError::new(format!("can't open the folder {folder} for checkpoints"))
                .caused_by(error)
        };
        // The program may go to another folder later on; its checkpoints stay.
        let root = path::absolute(folder).map_err(failed)?;
        if !root.is_dir() {
            fs::create_dir_all(&root).map_err(failed)?;
            if let Some(parent) = root.parent() {
                operations.sync_folder(parent).map_err(failed)?;
            }
        }
        Ok(Self {
            folders: Arc::new(Folders {
                root,
                operations,
                known: Mutex::default(),
            }),
            sync: true,
        })
    }

    /// Sets whether each checkpoint is forced to the disk before its task counts as completed;
    /// `true` unless said otherwise.
    ///
    /// With `false` a checkpoint costs a fraction of the time and still outlives a crash of the
    /// program, but not a crash of the machine: the last ones may be gone or damaged then. A
    /// damaged one is an error when it is read, never a wrong value.
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
        let Ok(runtime) = Handle::try_current() else {
            return operation(&folders);
        };
        match runtime.spawn_blocking(move || operation(&folders)).await {
            Ok(result) => result,
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            Err(_) => Err(StorageError::new(
                "the runtime was shut down before the checkpoint could be accessed",
            )),
        }
    }
}

impl Storage for FileStorage {
    fn get<'a>(&'a self, workflow_id: &'a str, key: &'a str) -> StorageFuture<'a, Option<String>> {
        let path = self.folders.file(workflow_id, key);
        Box::pin(self.blocking(move |folders| folders.read(&path)))
    }

    fn put_new<'a>(
        &'a self,
        workflow_id: &'a str,
        key: &'a str,
        checkpoint: String,
    ) -> StorageFuture<'a, bool> {
        let path = self.folders.file(workflow_id, key);
        let sync = self.sync;
        Box::pin(self.blocking(move |folders| {
            let written = folders.write(&path, checkpoint.as_bytes(), sync);
            written.map_err(|error| {
                let path = path.display();
                StorageError::new(format!("can't write the checkpoint {path}")).caused_by(error)
            })
        }))
    }

    fn remove_all<'a>(&'a self, workflow_id: &'a str) -> StorageFuture<'a, ()> {
        let folder = self.folders.folder(workflow_id);
        Box::pin(self.blocking(move |folders| {
            folders.remove(&folder).map_err(|error| {
                let folder = folder.display();
                StorageError::new(format!("can't remove the checkpoints in {folder}"))
                    .caused_by(error)
            })
        }))
    }

    fn list<'a>(&'a self, workflow_id: &'a str) -> StorageFuture<'a, Vec<String>> {
        let folder = self.folders.folder(workflow_id);
        Box::pin(self.blocking(move |folders| folders.keys(&folder)))
    }

    fn locate(&self, workflow_id: &str, key: &str) -> String {
        self.folders.file(workflow_id, key).display().to_string()
    }
}

impl Folders {
    fn folder(&self, workflow_id: &str) -> PathBuf {
        self.root.join(encode(workflow_id, PLAIN))
    }

    fn file(&self, workflow_id: &str, key: &str) -> PathBuf {
        let name = encode(key, PLAIN) + EXTENSION;
        self.folder(workflow_id).join(name)
    }

    fn read(&self, path: &Path) -> Result<Option<String>, StorageError> {
        let failed = |error| {
            let path = path.display();
            StorageError::new(format!("can't read the checkpoint {path}")).caused_by(error)
        };
        let content = match self.operations.read(path) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.check_root().map_err(failed)?;
                return Ok(None);
            }
            Err(error) => return Err(failed(error)),
        };
        match String::from_utf8(content) {
            Ok(content) => Ok(Some(content)),
            Err(error) => Err(StorageError::new(format!(
                "the checkpoint {} is damaged, or not from dotflow; restore it from a backup, or \
                 remove it to have its task run again",
                path.display()
            ))
            .caused_by(error.utf8_error())),
        }
    }

    /// A folder that is gone is not the same as a folder without checkpoints.
    fn check_root(&self) -> io::Result<()> {
        if self.root.is_dir() {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("the folder {} was removed meanwhile", self.root.display()),
        ))
    }

    fn write(&self, path: &Path, content: &[u8], sync: bool) -> io::Result<bool> {
        let folder = path
            .parent()
            .expect("a file lies in the folder of its workflow");
        self.make_folder(folder, sync)?;
        let mut file = self.operations.create_temporary(folder)?;
        self.operations.write(file.as_file_mut(), content)?;
        if sync {
            self.operations.sync(file.as_file())?;
        }
        let is_new = self.operations.publish(file, path)?;
        // Where another process was first, it may not have come to this step yet.
        if sync {
            self.operations.sync_folder(folder)?;
        }
        Ok(is_new)
    }

    fn make_folder(&self, folder: &Path, sync: bool) -> io::Result<()> {
        match self.operations.create_folder(folder) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if *self.known.lock().unwrap_or_else(PoisonError::into_inner) == *folder {
                    return Ok(());
                }
            }
            Err(error) => {
                self.check_root()?;
                return Err(error);
            }
        }
        if sync {
            self.operations.sync_folder(&self.root)?;
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            folder.clone_into(&mut known);
        }
        Ok(())
    }

    /// All checkpoints go at once, by renaming their folder: a crash can't leave some of them.
    fn remove(&self, folder: &Path) -> io::Result<()> {
        if !folder.try_exists()? {
            return self.check_root();
        }
        let trash = tempfile::Builder::new()
            .prefix(".removed-")
            .tempdir_in(&self.root)?;
        match self
            .operations
            .rename(folder, &trash.path().join("checkpoints"))
        {
            Ok(()) => {}
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.operations.sync_folder(&self.root)?;
        trash.close()
    }

    fn keys(&self, folder: &Path) -> Result<Vec<String>, StorageError> {
        let failed = |error| {
            let folder = folder.display();
            StorageError::new(format!("can't list the checkpoints in {folder}")).caused_by(error)
        };
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.check_root().map_err(failed)?;
                return Ok(Vec::new());
            }
            Err(error) => return Err(failed(error)),
        };
        let mut keys = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            let Some(name) = name.to_str().and_then(|name| name.strip_suffix(EXTENSION)) else {
                continue;
            };
            match decode(name, PLAIN) {
                Decoded::Text(key) => keys.push(key),
                Decoded::Hashed => {
                    let path = folder.join(format!("{name}{EXTENSION}"));
                    let checkpoint = self.read(&path)?;
                    keys.extend(
                        checkpoint
                            .map(|text| key_inside(&text, name, &path))
                            .transpose()?,
                    );
                }
                // Temporary files, and files that somebody else put there.
                Decoded::Foreign => {}
            }
        }
        Ok(keys)
    }
}

/// The key of a checkpoint whose file name is too short to hold it.
fn key_inside(checkpoint: &str, name: &str, path: &Path) -> Result<String, StorageError> {
    super::key_inside(checkpoint)
        .filter(|key| encode(key, PLAIN) == name)
        .ok_or_else(|| {
            let path = path.display();
            StorageError::new(format!(
                "the checkpoint {path} is damaged, or not from dotflow: it does not say its own key"
            ))
        })
}

impl fmt::Debug for FileStorage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FileStorage")
            .field("folder", &self.folders.root)
            .field("sync", &self.sync)
            .finish()
    }
}
