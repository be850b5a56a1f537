//! The folder with the folders of all workflows: what each operation of a storage does there.

use std::{
    fs, io,
    path::{self, Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::{
    operations::{Operations, private},
    regular::check_folder,
};
use crate::storage::{
    StorageError,
    names::{Decoded, decode, encode},
};

/// The characters of keys that are harmless in the name of a file, besides letters and digits.
const PLAIN: &str = "#[]";
const EXTENSION: &str = ".json";

/// The folder with the folders of all workflows.
pub(super) struct Folders {
    root: PathBuf,
    operations: Box<dyn Operations>,
    /// The folder of a workflow whose name is known to be on the disk: the last one that was used.
    known: Mutex<PathBuf>,
}

impl Folders {
    /// Opens the folder, and creates it if it is not there.
    pub(super) fn open(
        folder: &Path,
        operations: Box<dyn Operations>,
    ) -> Result<Self, StorageError> {
        let failed = failed("open the folder of checkpoints", folder);
        // The program may go to another folder later on; its checkpoints stay.
        let root = path::absolute(folder).map_err(&failed)?;
        if !root.is_dir() {
            private().recursive(true).create(&root).map_err(&failed)?;
            if let Some(parent) = root.parent() {
                operations.sync_folder(parent).map_err(&failed)?;
            }
        }
        Ok(Self {
            root,
            operations,
            known: Mutex::default(),
        })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of a workflow.
    pub(super) fn folder(&self, workflow_id: &str) -> PathBuf {
        self.root.join(encode(workflow_id, PLAIN))
    }

    /// The file of a checkpoint.
    pub(super) fn file(&self, workflow_id: &str, key: &str) -> PathBuf {
        let name = encode(key, PLAIN) + EXTENSION;
        self.folder(workflow_id).join(name)
    }

    /// The checkpoint in a file, if there is one.
    pub(super) fn get(&self, path: &Path) -> Result<Option<String>, StorageError> {
        check_folder(parent(path)).map_err(failed("read the checkpoint", path))?;
        self.read(path)
    }

    fn read(&self, path: &Path) -> Result<Option<String>, StorageError> {
        let failed = failed("read the checkpoint", path);
        let content = match self.operations.read(path) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.check_root().map_err(&failed)?;
                return Ok(None);
            }
            Err(error) => return Err(failed(error)),
        };
        match String::from_utf8(content) {
            Ok(content) => Ok(Some(content)),
            Err(error) => Err(StorageError::new(format!(
                "the checkpoint {} is damaged, or not from dotflow; put back a good copy, or \
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
            format!("the folder {} has been removed", self.root.display()),
        ))
    }

    /// Stores a checkpoint, unless there is one: then it returns `false`.
    pub(super) fn write(
        &self,
        path: &Path,
        content: &[u8],
        sync: bool,
    ) -> Result<bool, StorageError> {
        let written = self.try_write(path, content, sync);
        written.map_err(failed("write the checkpoint", path))
    }

    fn try_write(&self, path: &Path, content: &[u8], sync: bool) -> io::Result<bool> {
        let folder = parent(path);
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
                check_folder(folder)?;
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

    /// Removes all checkpoints of a workflow.
    pub(super) fn remove(&self, folder: &Path) -> Result<(), StorageError> {
        let removed = self.try_remove(folder);
        removed.map_err(failed("remove the checkpoints in", folder))
    }

    /// They go at once, by renaming their folder: a crash can't leave some of them.
    fn try_remove(&self, folder: &Path) -> io::Result<()> {
        check_folder(folder)?;
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

    /// The keys of all checkpoints in the folder of a workflow.
    pub(super) fn keys(&self, folder: &Path) -> Result<Vec<String>, StorageError> {
        let failed = failed("list the checkpoints in", folder);
        check_folder(folder).map_err(&failed)?;
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.check_root().map_err(&failed)?;
                return Ok(Vec::new());
            }
            Err(error) => return Err(failed(error)),
        };
        let mut keys = Vec::new();
        for entry in entries {
            let name = entry.map_err(&failed)?.file_name();
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

fn parent(path: &Path) -> &Path {
    path.parent()
        .expect("a file lies in the folder of its workflow")
}

/// The key of a checkpoint whose file name is too short to hold it.
fn key_inside(checkpoint: &str, name: &str, path: &Path) -> Result<String, StorageError> {
    crate::storage::key_inside(checkpoint)
        .filter(|key| encode(key, PLAIN) == name)
        .ok_or_else(|| {
            let path = path.display();
            StorageError::new(format!(
                "the checkpoint {path} is damaged, or not from dotflow: it does not say its own key"
            ))
        })
}

/// Says what could not be done, and where.
fn failed(what: &str, path: &Path) -> impl Fn(io::Error) -> StorageError {
    move |error| {
        let path = path.display();
        StorageError::new(format!("can't {what} {path}")).caused_by(error)
    }
}
