//! The contract of storages: all implementations keep it, and the check notices those that don't.

use dotflow::storage::{FileStorage, MemoryStorage, Storage, StorageError, StorageFuture, check};
use dotflow_tests::threaded;

#[test]
fn memory_keeps_the_contract() {
    threaded(async { check(&MemoryStorage::new()).await.unwrap() });
}

#[test]
fn files_keep_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    for sync in [false, true] {
        let storage = FileStorage::open(folder.path()).unwrap().sync(sync);
        threaded(async move { check(&storage).await.unwrap() });
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 0, "the check removes what it has stored");
    }
}

#[test]
fn a_storage_may_be_shared() {
    let storage: std::sync::Arc<dyn Storage> = std::sync::Arc::new(MemoryStorage::new());
    threaded(async move { check(&storage).await.unwrap() });
}

/// Breaks one promise on purpose.
struct Broken {
    inner: MemoryStorage,
    how: How,
}

#[derive(Clone, Copy, Debug)]
enum How {
    IgnoresCase,
    CutsKeys,
    TakesSlashesForFolders,
    Overwrites,
    SaysTrueTwice,
    LosesLongTexts,
    ListsOnlyAThousand,
    RemovesByPrefix,
    TrimsTexts,
}

impl Broken {
    fn name(&self, text: &str) -> String {
        match self.how {
            How::IgnoresCase => text.to_lowercase(),
            How::CutsKeys => text.chars().take(255).collect(),
            How::TakesSlashesForFolders => text.replace("//", "/"),
            _ => text.to_owned(),
        }
    }
}

impl Storage for Broken {
    fn get<'a>(&'a self, workflow_id: &'a str, key: &'a str) -> StorageFuture<'a, Option<String>> {
        Box::pin(async move { self.inner.get(workflow_id, &self.name(key)).await })
    }

    fn put_new<'a>(
        &'a self,
        workflow_id: &'a str,
        key: &'a str,
        checkpoint: String,
    ) -> StorageFuture<'a, bool> {
        Box::pin(async move {
            let key = self.name(key);
            let checkpoint = match self.how {
                How::LosesLongTexts if checkpoint.len() > 1 << 16 => String::new(),
                How::TrimsTexts => checkpoint.replace("日本 ", ""),
                _ => checkpoint,
            };
            if let How::Overwrites = self.how {
                let old = self.inner.get(workflow_id, &key).await?;
                let others = self.inner.list(workflow_id).await?;
                if old.is_some() && others.len() == 1 {
                    self.inner.remove_all(workflow_id).await?;
                }
            }
            let is_new = self.inner.put_new(workflow_id, &key, checkpoint).await?;
            Ok(is_new || matches!(self.how, How::SaysTrueTwice))
        })
    }

    fn remove_all<'a>(&'a self, workflow_id: &'a str) -> StorageFuture<'a, ()> {
        Box::pin(async move {
            if matches!(self.how, How::RemovesByPrefix) && workflow_id.ends_with("/a") {
                self.inner.remove_all(&format!("{workflow_id}/b")).await?;
            }
            self.inner.remove_all(workflow_id).await
        })
    }

    fn list<'a>(&'a self, workflow_id: &'a str) -> StorageFuture<'a, Vec<String>> {
        Box::pin(async move {
            let mut keys = self.inner.list(workflow_id).await?;
            if let How::ListsOnlyAThousand = self.how {
                keys.truncate(1000);
            }
            Ok(keys)
        })
    }
}

#[test]
fn the_check_notices_each_broken_promise() {
    for (how, promise) in [
        (How::IgnoresCase, "none is taken for another"),
        (How::CutsKeys, "none is taken for another"),
        (How::TakesSlashesForFolders, "none is taken for another"),
        (How::Overwrites, "the first writer wins"),
        (How::SaysTrueTwice, "the first writer wins"),
        (How::LosesLongTexts, "comes back as it was stored"),
        (How::TrimsTexts, "comes back as it was stored"),
        (How::ListsOnlyAThousand, "names all keys"),
        (How::RemovesByPrefix, "and no other"),
    ] {
        let storage = Broken {
            inner: MemoryStorage::new(),
            how,
        };
        let error = threaded(async move { check(&storage).await.unwrap_err() });
        assert!(error.to_string().contains(promise), "{how:?}: {error}");
    }
}

/// Says no to everything.
struct Unreachable;

impl Storage for Unreachable {
    fn get<'a>(&'a self, _: &'a str, _: &'a str) -> StorageFuture<'a, Option<String>> {
        Box::pin(async { Err(StorageError::new("unreachable")) })
    }

    fn put_new<'a>(&'a self, _: &'a str, _: &'a str, _: String) -> StorageFuture<'a, bool> {
        Box::pin(async { Err(StorageError::new("unreachable")) })
    }

    fn remove_all<'a>(&'a self, _: &'a str) -> StorageFuture<'a, ()> {
        Box::pin(async { Err(StorageError::new("unreachable")) })
    }

    fn list<'a>(&'a self, _: &'a str) -> StorageFuture<'a, Vec<String>> {
        Box::pin(async { Err(StorageError::new("unreachable")) })
    }
}

#[test]
fn the_check_passes_on_why_a_storage_failed() {
    let error = threaded(async { check(&Unreachable).await.unwrap_err() });
    assert!(
        error.to_string().ends_with("get failed: unreachable"),
        "{error}"
    );
}
