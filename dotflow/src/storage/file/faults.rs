//! Each file operation fails in turn: the error says what and where, what was stored before stays,
//! nothing half-written is ever found, and once the fault is gone the storage works again.

use std::{
    fmt::Debug,
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use tempfile::NamedTempFile;

use super::{Disk, FileStorage, Operations};
use crate::storage::{Storage, StorageError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    CreateFolder,
    CreateTemporary,
    DiskFull,
    ShortWrite,
    Sync,
    Publish,
    SyncFolder,
    Read,
    Rename,
}

/// What is to fail, until it is taken away.
type Switch = Arc<Mutex<Option<Fault>>>;

struct Faulty(Switch);

impl Faulty {
    fn check(&self, fault: Fault) -> io::Result<()> {
        match *self.0.lock().unwrap() {
            Some(active) if active == fault => Err(match fault {
                Fault::DiskFull => io::ErrorKind::StorageFull.into(),
                Fault::Read | Fault::CreateTemporary => io::ErrorKind::PermissionDenied.into(),
                _ => io::Error::other("injected"),
            }),
            _ => Ok(()),
        }
    }
}

impl Operations for Faulty {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.check(Fault::CreateFolder)?;
        Disk.create_folder(folder)
    }

    fn create_temporary(&self, folder: &Path) -> io::Result<NamedTempFile> {
        self.check(Fault::CreateTemporary)?;
        Disk.create_temporary(folder)
    }

    fn write(&self, file: &mut File, content: &[u8]) -> io::Result<()> {
        if self.check(Fault::ShortWrite).is_err() {
            file.write_all(&content[..content.len() / 2])?;
            return Err(io::ErrorKind::WriteZero.into());
        }
        if let Err(full) = self.check(Fault::DiskFull) {
            file.write_all(&content[..content.len() - 1])?;
            return Err(full);
        }
        Disk.write(file, content)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.check(Fault::Sync)?;
        Disk.sync(file)
    }

    fn publish(&self, file: NamedTempFile, path: &Path) -> io::Result<bool> {
        self.check(Fault::Publish)?;
        Disk.publish(file, path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.check(Fault::SyncFolder)?;
        Disk.sync_folder(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.check(Fault::Rename)?;
        Disk.rename(from, to)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.check(Fault::Read)?;
        Disk.read(path)
    }
}

struct Scene {
    folder: tempfile::TempDir,
    switch: Switch,
    storage: FileStorage,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let switch = Switch::default();
        let operations = Box::new(Faulty(Arc::clone(&switch)));
        let storage = FileStorage::with_operations(folder.path(), operations).unwrap();
        Self {
            folder,
            switch,
            storage,
        }
    }

    fn set(&self, fault: impl Into<Option<Fault>>) {
        *self.switch.lock().unwrap() = fault.into();
    }

    /// Stores a text under a key of the one workflow here.
    async fn put(&self, key: &str) -> Result<bool, StorageError> {
        self.storage
            .put_new("1", key, format!("text of {key}"))
            .await
    }

    /// Whether the text of a key is there. It is never there in part.
    async fn has(&self, key: &str) -> bool {
        match self.storage.get("1", key).await.unwrap() {
            None => false,
            Some(text) => {
                assert_eq!(text, format!("text of {key}"));
                true
            }
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        let folders = std::fs::read_dir(self.folder.path()).unwrap();
        folders
            .flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap())
            .map(|file| file.unwrap().path())
            .collect()
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

/// What is said of an operation that had to fail.
fn complaint<T: Debug>(result: Result<T, StorageError>) -> String {
    let error = result.unwrap_err();
    // The operating system's reason is there for the program too.
    assert!(error.get_ref().unwrap().is::<io::Error>());
    error.to_string()
}

#[test]
fn a_failing_write_leaves_what_was_stored_and_nothing_else() {
    for fault in [
        Fault::CreateTemporary,
        Fault::DiskFull,
        Fault::ShortWrite,
        Fault::Sync,
        Fault::Publish,
    ] {
        let scene = Scene::new();
        block_on(async {
            assert!(scene.put("old").await.unwrap());
            scene.set(fault);
            let text = complaint(scene.put("new").await);
            let path = scene.folder.path().join("1").join("new.json");
            let expected = format!("can't write the checkpoint {}: ", path.display());
            assert!(text.starts_with(&expected), "{fault:?}: {text}");

            assert!(scene.has("old").await && !scene.has("new").await);
            assert_eq!(scene.storage.list("1").await.unwrap(), ["old"]);
            assert_eq!(scene.files().len(), 1, "{fault:?} left {:?}", scene.files());

            scene.set(None);
            assert!(scene.put("new").await.unwrap());
            assert!(scene.has("new").await);
        });
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let scene = Scene::new();
    block_on(async {
        scene.set(Fault::CreateFolder);
        assert!(complaint(scene.put("a").await).contains("injected"));
        assert!(!scene.has("a").await);
        scene.set(None);
        assert!(scene.put("a").await.unwrap());
    });
}

#[test]
fn a_name_that_may_not_be_on_the_disk_is_an_error() {
    let scene = Scene::new();
    block_on(async {
        assert!(scene.put("old").await.unwrap());
        scene.set(Fault::SyncFolder);
        // The task fails. Its checkpoint is whole, should it be there after all.
        assert!(complaint(scene.put("new").await).contains("injected"));
        assert!(scene.has("new").await && scene.has("old").await);
    });
}

#[test]
fn what_cannot_be_read_is_an_error_and_not_nothing() {
    let scene = Scene::new();
    block_on(async {
        assert!(scene.put("a").await.unwrap());
        scene.set(Fault::Read);
        for key in ["a", "b"] {
            let text = complaint(scene.storage.get("1", key).await);
            assert!(text.contains("can't read the checkpoint"), "{text}");
            assert!(text.contains("permission denied"), "{text}");
        }
    });
}

#[test]
fn a_failing_removal_leaves_all_checkpoints() {
    let scene = Scene::new();
    block_on(async {
        for key in ["a", "b"] {
            assert!(scene.put(key).await.unwrap());
        }
        scene.set(Fault::Rename);
        let text = complaint(scene.storage.remove_all("1").await);
        assert!(text.contains("can't remove the checkpoints in"), "{text}");
        assert!(scene.has("a").await && scene.has("b").await);
        scene.set(None);
        scene.storage.remove_all("1").await.unwrap();
        assert!(scene.storage.list("1").await.unwrap().is_empty());
    });
}

#[test]
fn a_folder_that_is_gone_is_not_taken_for_an_empty_one() {
    let scene = Scene::new();
    block_on(async {
        assert!(scene.put("a").await.unwrap());
        std::fs::remove_dir_all(scene.folder.path()).unwrap();
        for text in [
            complaint(scene.storage.get("1", "a").await),
            complaint(scene.put("b").await),
            complaint(scene.storage.list("1").await),
            complaint(scene.storage.remove_all("1").await),
        ] {
            assert!(text.contains("has been removed"), "{text}");
        }
    });
}
