//! Each file operation fails in turn: the error says what and where, what was stored before stays,
//! nothing half-written is ever found, and once the fault is gone the storage works again.

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use tempfile::NamedTempFile;

use super::{Disk, FileStorage, Operations};
use crate::storage::Storage;

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
        let storage = &scene.storage;
        block_on(async {
            assert!(storage.put_new("1", "old", "kept".into()).await.unwrap());
            scene.set(fault);
            let error = storage
                .put_new("1", "new", "text".into())
                .await
                .unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains("can't write the checkpoint"),
                "{fault:?}: {text}"
            );
            assert!(text.contains("new.json"), "{fault:?}: {text}");
            // Its operating system's reason is there, for the text and for the program.
            assert!(error.get_ref().unwrap().is::<io::Error>());

            assert_eq!(storage.get("1", "new").await.unwrap(), None);
            assert_eq!(storage.get("1", "old").await.unwrap().unwrap(), "kept");
            assert_eq!(storage.list("1").await.unwrap(), ["old"]);
            assert_eq!(scene.files().len(), 1, "{fault:?} left {:?}", scene.files());

            scene.set(None);
            assert!(storage.put_new("1", "new", "text".into()).await.unwrap());
            assert_eq!(storage.get("1", "new").await.unwrap().unwrap(), "text");
        });
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let scene = Scene::new();
    block_on(async {
        scene.set(Fault::CreateFolder);
        let error = scene.storage.put_new("1", "a", "text".into()).await;
        assert!(error.unwrap_err().to_string().contains("injected"));
        assert_eq!(scene.storage.get("1", "a").await.unwrap(), None);
        scene.set(None);
        assert!(
            scene
                .storage
                .put_new("1", "a", "text".into())
                .await
                .unwrap()
        );
    });
}

#[test]
fn a_name_that_may_not_be_on_the_disk_is_an_error() {
    let scene = Scene::new();
    block_on(async {
        assert!(
            scene
                .storage
                .put_new("1", "old", "kept".into())
                .await
                .unwrap()
        );
        scene.set(Fault::SyncFolder);
        // The task fails. Its checkpoint is whole, should it be there after all.
        let error = scene.storage.put_new("1", "new", "text".into()).await;
        assert!(error.unwrap_err().to_string().contains("injected"));
        assert_eq!(
            scene.storage.get("1", "new").await.unwrap().unwrap(),
            "text"
        );
        assert_eq!(
            scene.storage.get("1", "old").await.unwrap().unwrap(),
            "kept"
        );
    });
}

#[test]
fn what_cannot_be_read_is_an_error_and_not_nothing() {
    let scene = Scene::new();
    block_on(async {
        assert!(
            scene
                .storage
                .put_new("1", "a", "text".into())
                .await
                .unwrap()
        );
        scene.set(Fault::Read);
        for key in ["a", "b"] {
            let text = scene.storage.get("1", key).await.unwrap_err().to_string();
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
            assert!(
                scene
                    .storage
                    .put_new("1", key, "text".into())
                    .await
                    .unwrap()
            );
        }
        scene.set(Fault::Rename);
        assert!(scene.storage.remove_all("1").await.is_err());
        assert_eq!(scene.storage.list("1").await.unwrap().len(), 2);
        scene.set(None);
        scene.storage.remove_all("1").await.unwrap();
        assert!(scene.storage.list("1").await.unwrap().is_empty());
    });
}

#[test]
fn a_folder_that_is_gone_is_not_taken_for_an_empty_one() {
    let scene = Scene::new();
    block_on(async {
        assert!(
            scene
                .storage
                .put_new("1", "a", "text".into())
                .await
                .unwrap()
        );
        std::fs::remove_dir_all(scene.folder.path()).unwrap();
        let errors = [
            scene.storage.get("1", "a").await.unwrap_err(),
            scene
                .storage
                .put_new("1", "b", "text".into())
                .await
                .unwrap_err(),
            scene.storage.list("1").await.unwrap_err(),
            scene.storage.remove_all("1").await.unwrap_err(),
        ];
        for error in errors {
            assert!(
                error.to_string().contains("was removed meanwhile"),
                "{error}"
            );
        }
    });
}
