//! Where the outputs of tasks are kept, so that a run can be resumed: the [`Storage`] trait and its
//! implementations.
//!
//! A storage knows nothing of workflows or types. It keeps strings under two names, and promises
//! two things: what is stored stays stored, and it is never overwritten.

use std::{error::Error, fmt, future::Future, pin::Pin, sync::Arc};

#[cfg(feature = "object-storage")]
#[doc(no_inline)]
pub use object_store;

pub(crate) use self::names::hex;
#[cfg(feature = "object-storage")]
pub use self::object::ObjectStorage;
pub use self::{
    contract::{ContractError, check},
    file::FileStorage,
    memory::MemoryStorage,
};

mod contract;
mod file;
mod memory;
#[cfg(feature = "object-storage")]
mod object;
mod names;

/// What the methods of a [`Storage`] return: a boxed future, so that storages can be exchanged
/// when the program runs.
pub type StorageFuture<'storage, T> =
    Pin<Box<dyn Future<Output = Result<T, StorageError>> + Send + 'storage>>;

/// Keeps the checkpoints of runs.
///
/// A checkpoint is a string under the id of its workflow and a key within it. Both names may be
/// any string at all: empty, thousands of characters long, with `/`, `..` or NUL inside, or equal to another
/// one but for the case of a letter. An implementation encodes them as it needs, so that they
/// never collide and never lead outside the place that it owns.
///
/// The checkpoint is a JSON object that repeats both names in its members `workflow_id` and `key`, for
/// implementations whose own names are too short to hold them.
///
/// [`storage::check`](check) tests an implementation against this contract.
///
/// ```
/// use dotflow::storage::{Storage, StorageError, StorageFuture};
/// use std::{collections::BTreeMap, sync::Mutex};
///
/// #[derive(Default)]
/// struct Simple(Mutex<BTreeMap<(String, String), String>>);
///
/// impl Storage for Simple {
///     fn get<'a>(&'a self, workflow_id: &'a str, key: &'a str) -> StorageFuture<'a, Option<String>> {
///         Box::pin(async move {
///             let stored = self.0.lock().unwrap();
///             Ok(stored.get(&(workflow_id.into(), key.into())).cloned())
///         })
///     }
///
///     fn put_new<'a>(&'a self, workflow_id: &'a str, key: &'a str, checkpoint: String) -> StorageFuture<'a, bool> {
///         Box::pin(async move {
///             let mut stored = self.0.lock().unwrap();
///             let key = (workflow_id.into(), key.into());
///             let is_new = !stored.contains_key(&key);
///             stored.entry(key).or_insert(checkpoint);
///             Ok(is_new)
///         })
///     }
///
///     fn remove_all<'a>(&'a self, workflow_id: &'a str) -> StorageFuture<'a, ()> {
///         Box::pin(async move {
///             self.0.lock().unwrap().retain(|(id, _), _| id != workflow_id);
///             Ok(())
///         })
///     }
///
///     fn list<'a>(&'a self, workflow_id: &'a str) -> StorageFuture<'a, Vec<String>> {
///         Box::pin(async move {
///             let stored = self.0.lock().unwrap();
///             let keys = stored.keys().filter(|(id, _)| id == workflow_id);
///             Ok(keys.map(|(_, key)| key.clone()).collect())
///         })
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// dotflow::storage::check(&Simple::default()).await?;
/// # Ok::<(), dotflow::storage::ContractError>(()) }).unwrap();
/// ```
pub trait Storage: Send + Sync + 'static {
    /// What is stored under these names, if anything is.
    ///
    /// # Errors
    ///
    /// Anything that prevents the storage from finding out. A storage that could not look never
    /// answers "nothing".
    fn get<'a>(&'a self, workflow_id: &'a str, key: &'a str) -> StorageFuture<'a, Option<String>>;

    /// Stores a checkpoint, unless there is one already: the first writer wins, also among processes.
    ///
    /// Gives `true` if it was stored, and `false` if another one was there and was left as it is.
    /// With `true`, the checkpoint survives a crash.
    ///
    /// # Errors
    ///
    /// Anything that prevents it from being stored. After an error it is stored as a whole or not
    /// at all.
    fn put_new<'a>(
        &'a self,
        workflow_id: &'a str,
        key: &'a str,
        checkpoint: String,
    ) -> StorageFuture<'a, bool>;

    /// Removes everything that is stored for a workflow; if there is nothing, that is fine.
    ///
    /// Where it goes one by one, and may be cut off half way, what says of which run the others are
    /// goes last: first all keys without a `#` right at their start or right behind a `/`, then
    /// those with one, and `#run` as the very last.
    ///
    /// # Errors
    ///
    /// Anything that prevents the storage from doing so. Some of the checkpoints may be gone then.
    fn remove_all<'a>(&'a self, workflow_id: &'a str) -> StorageFuture<'a, ()>;

    /// The keys of all that is stored for a workflow, in any order.
    ///
    /// # Errors
    ///
    /// Anything that prevents the storage from finding out.
    fn list<'a>(&'a self, workflow_id: &'a str) -> StorageFuture<'a, Vec<String>>;

    /// Where a checkpoint lies, for messages to people: a path or an address, where there is one.
    fn locate(&self, workflow_id: &str, key: &str) -> String {
        format!("{key:?} of workflow {workflow_id:?}")
    }
}

impl<S: Storage + ?Sized> Storage for Arc<S> {
    fn get<'a>(&'a self, workflow_id: &'a str, key: &'a str) -> StorageFuture<'a, Option<String>> {
        (**self).get(workflow_id, key)
    }

    fn put_new<'a>(
        &'a self,
        workflow_id: &'a str,
        key: &'a str,
        checkpoint: String,
    ) -> StorageFuture<'a, bool> {
        (**self).put_new(workflow_id, key, checkpoint)
    }

    fn remove_all<'a>(&'a self, workflow_id: &'a str) -> StorageFuture<'a, ()> {
        (**self).remove_all(workflow_id)
    }

    fn list<'a>(&'a self, workflow_id: &'a str) -> StorageFuture<'a, Vec<String>> {
        (**self).list(workflow_id)
    }

    fn locate(&self, workflow_id: &str, key: &str) -> String {
        (**self).locate(workflow_id, key)
    }
}

/// Why something could not be stored, or not be read: what was tried, where, and the cause.
///
/// ```
/// use dotflow::storage::StorageError;
/// use std::error::Error;
///
/// let refused = std::io::Error::other("refused");
/// let error = StorageError::new("can't reach the checkpoints at db:5432").caused_by(refused);
/// assert_eq!(error.to_string(), "can't reach the checkpoints at db:5432: refused");
/// assert!(error.source().is_none());
/// assert!(error.get_ref().unwrap().is::<std::io::Error>());
/// ```
#[derive(Debug)]
pub struct StorageError {
    message: String,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl StorageError {
    /// An error that says what could not be done, and where.
    ///
    /// ```
    /// use dotflow::storage::StorageError;
    ///
    /// let error = StorageError::new("can't read the checkpoint at db:5432");
    /// assert_eq!(error.to_string(), "can't read the checkpoint at db:5432");
    /// assert!(error.get_ref().is_none());
    /// ```
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            cause: None,
        }
    }

    /// Adds the cause, whose message follows that of this error.
    ///
    /// ```
    /// use dotflow::storage::StorageError;
    ///
    /// let error = StorageError::new("can't read the checkpoint").caused_by("refused");
    /// assert_eq!(error.to_string(), "can't read the checkpoint: refused");
    /// ```
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The cause, to look into or to downcast; `None` where none was added.
    pub fn get_ref(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.cause.as_deref()
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)?;
        match &self.cause {
            Some(cause) => write!(formatter, ": {cause}"),
            None => Ok(()),
        }
    }
}

impl Error for StorageError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // The message ends with that of the cause, so the chain goes on behind it.
        self.cause.as_deref()?.source()
    }
}

/// The key that a checkpoint itself names, where a storage's own names are too short for it.
fn key_inside(checkpoint: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Named {
        key: String,
    }
    serde_json::from_str(checkpoint)
        .ok()
        .map(|Named { key }| key)
}
