//! Checkpoints in an object store: S3, Google Cloud Storage, Azure, and whatever else the crate
//! `object_store` reaches.

use std::{fmt, sync::Arc};

use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::{ObjectStore, ObjectStoreExt, PutMode, path::Path};

use super::{
    Storage, StorageError, StorageFuture,
    names::{Decoded, decode, encode},
};

/// Letters, digits, `-`, `_` and `.` are all that object stores and their tools agree on.
const PLAIN: &str = "";
const EXTENSION: &str = ".json";

/// Keeps checkpoints in an object store: one JSON object per task.
///
/// The store must be able to create an object only where there is none yet (`PutMode::Create`).
/// All stores of the crate `object_store` are; with S3 it is the default there, and needs a server
/// that knows conditional writes. It must be allowed to read, create and list objects below the
/// path, and to delete them for [`remove_all`](Storage::remove_all).
///
/// The features `aws`, `azure` and `gcp` bring the clients of those clouds. Their cryptography
/// takes a C compiler. Another store of the crate `object_store` needs only the feature
/// `object-storage`, and the very version of that crate that is re-exported as
/// [`storage::object_store`](super::object_store).
///
/// ```
/// use dotflow::{action, task, DotFlow};
/// use dotflow::storage::{ObjectStorage, object_store::memory::InMemory};
///
/// #[action]
/// fn extract() -> Vec<u32> { vec![3, 5, 8] }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let storage = ObjectStorage::new(InMemory::new(), "dotflow/checkpoints");
/// let workflow = DotFlow::new("numbers", task(extract())).storage(storage);
/// workflow.resume("order-42").await?;
/// assert!(workflow.resume("order-42").await?.tasks()[0].restored());
/// # Ok::<(), dotflow::Error>(()) }).unwrap();
/// ```
///
/// In S3, with the feature `aws`, and the keys and the region that the environment has in
/// `AWS_ACCESS_KEY_ID` and its like:
///
/// ```
/// # #[cfg(feature = "aws")]
/// # mod example {
/// use dotflow::storage::{ObjectStorage, object_store::{self, aws::AmazonS3Builder}};
///
/// fn storage() -> Result<ObjectStorage, object_store::Error> {
///     let bucket = AmazonS3Builder::from_env().with_bucket_name("my-bucket").build()?;
///     Ok(ObjectStorage::new(bucket, "dotflow/checkpoints"))
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct ObjectStorage {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

impl ObjectStorage {
    /// Keeps checkpoints below a path of a store; the path may be empty. The store is not asked for
    /// anything yet.
    ///
    /// ```
    /// use dotflow::storage::{ObjectStorage, Storage, object_store::memory::InMemory};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let storage = ObjectStorage::new(InMemory::new(), "checkpoints");
    /// assert!(storage.put_new("order-42", "extract", "[3, 5, 8]".into()).await?);
    /// assert!(storage.locate("order-42", "extract").starts_with("checkpoints/order-42/"));
    /// # Ok::<(), dotflow::storage::StorageError>(()) }).unwrap();
    /// ```
    pub fn new(store: impl ObjectStore, path: impl Into<Path>) -> Self {
        Self {
            store: Arc::new(store),
            prefix: path.into(),
        }
    }

    fn folder(&self, workflow_id: &str) -> Path {
        self.prefix.clone().join(encode(workflow_id, PLAIN))
    }

    fn object(&self, workflow_id: &str, key: &str) -> Path {
        let name = encode(key, PLAIN) + EXTENSION;
        self.folder(workflow_id).join(name)
    }

    fn shown(&self, path: &Path) -> String {
        format!("{path} in {}", self.store)
    }

    fn failed(&self, what: &str, path: &Path, error: object_store::Error) -> StorageError {
        let place = self.shown(path);
        StorageError::new(format!("can't {what} {place}")).caused_by(error)
    }

    async fn read(&self, path: &Path) -> Result<Option<String>, StorageError> {
        let failed = |error| self.failed("read the checkpoint", path, error);
        let content = match self.store.get(path).await {
            Ok(found) => found.bytes().await.map_err(failed)?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        match String::from_utf8(content.into()) {
            Ok(content) => Ok(Some(content)),
            Err(error) => {
                let place = self.shown(path);
                Err(StorageError::new(format!(
                    "the checkpoint {place} is damaged, or not from dotflow; put back a good \
                     copy, or remove it to have its task run again"
                ))
                .caused_by(error.utf8_error()))
            }
        }
    }

    /// The objects of a workflow, and of no other whose id only starts like its id.
    async fn objects(&self, folder: &Path) -> Result<Vec<Path>, StorageError> {
        let objects = self
            .store
            .list(Some(folder))
            .map_ok(|object| object.location);
        let objects: Result<Vec<Path>, _> = objects.try_collect().await;
        objects.map_err(|error| self.failed("list the checkpoints", folder, error))
    }

    /// When an object is removed. That may be cut off half way, and then nothing may be left that no
    /// record says anything of.
    async fn stage(&self, path: &Path) -> usize {
        // What is too damaged to say its own key is no record that anybody could read.
        let key = self.key(path).await.ok().flatten().unwrap_or_default();
        match key.rsplit('/').next() {
            _ if key == "#run" => 2,
            Some(last) if last.starts_with('#') => 1,
            _ => 0,
        }
    }

    async fn delete(&self, folder: &Path, objects: Vec<Path>) -> Result<(), StorageError> {
        let objects = stream::iter(objects).map(Ok).boxed();
        let mut removed = self.store.delete_stream(objects);
        while let Some(result) = removed.next().await {
            match result {
                // Another process was faster.
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(self.failed("remove the checkpoints", folder, error)),
            }
        }
        Ok(())
    }

    async fn key(&self, path: &Path) -> Result<Option<String>, StorageError> {
        let name = path
            .filename()
            .and_then(|name| name.strip_suffix(EXTENSION));
        let Some(name) = name else {
            return Ok(None);
        };
        match decode(name, PLAIN) {
            Decoded::Text(key) => Ok(Some(key)),
            Decoded::Foreign => Ok(None),
            Decoded::Hashed => {
                let Some(checkpoint) = self.read(path).await? else {
                    return Ok(None);
                };
                let key = super::key_inside(&checkpoint);
                match key.filter(|key| encode(key, PLAIN) == name) {
                    Some(key) => Ok(Some(key)),
                    None => Err(StorageError::new(format!(
                        "the checkpoint {} is damaged, or not from dotflow: it does not say its \
                         own key",
                        self.shown(path)
                    ))),
                }
            }
        }
    }
}

/// Names the store as the store names itself. Its `Debug` may show the credentials it was made with.
impl fmt::Debug for ObjectStorage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ObjectStorage")
            .field("store", &format_args!("{}", self.store))
            .field("prefix", &format_args!("{}", self.prefix))
            .finish()
    }
}

impl Storage for ObjectStorage {
    fn get<'a>(&'a self, workflow_id: &'a str, key: &'a str) -> StorageFuture<'a, Option<String>> {
        Box::pin(async move { self.read(&self.object(workflow_id, key)).await })
    }

    fn put_new<'a>(
        &'a self,
        workflow_id: &'a str,
        key: &'a str,
        checkpoint: String,
    ) -> StorageFuture<'a, bool> {
        Box::pin(async move {
            let path = self.object(workflow_id, key);
            let mode = PutMode::Create.into();
            match self.store.put_opts(&path, checkpoint.into(), mode).await {
                Ok(_) => Ok(true),
                Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
                Err(error) => Err(self.failed("write the checkpoint", &path, error)),
            }
        })
    }

    fn remove_all<'a>(&'a self, workflow_id: &'a str) -> StorageFuture<'a, ()> {
        Box::pin(async move {
            let folder = self.folder(workflow_id);
            let objects = self.objects(&folder).await?;
            let mut stages: [Vec<Path>; 3] = Default::default();
            for object in objects {
                stages[self.stage(&object).await].push(object);
            }
            for objects in stages {
                self.delete(&folder, objects).await?;
            }
            Ok(())
        })
    }

    fn list<'a>(&'a self, workflow_id: &'a str) -> StorageFuture<'a, Vec<String>> {
        Box::pin(async move {
            let objects = self.objects(&self.folder(workflow_id)).await?;
            let mut keys = Vec::with_capacity(objects.len());
            for object in objects {
                keys.extend(self.key(&object).await?);
            }
            Ok(keys)
        })
    }

    fn locate(&self, workflow_id: &str, key: &str) -> String {
        self.shown(&self.object(workflow_id, key))
    }
}
