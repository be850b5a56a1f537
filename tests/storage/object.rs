//! Checkpoints in object stores.

use std::sync::Arc;

use dotflow::{
    DotFlow,
    storage::{ObjectStorage, Storage as _, check, object_store},
    task,
};
use dotflow_tests::threaded;
use object_store::{local::LocalFileSystem, memory::InMemory};

use crate::calls::Calls;

#[test]
fn a_store_in_memory_keeps_the_contract() {
    for path in ["", "some/path"] {
        let storage = ObjectStorage::new(InMemory::new(), path);
        threaded(async move { check(&storage).await.unwrap() });
    }
}

#[test]
fn a_store_in_a_folder_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
    let storage = ObjectStorage::new(store, "checkpoints");
    threaded(async move { check(&storage).await.unwrap() });
}

#[test]
fn a_run_is_resumed_from_an_object_store() {
    let calls = Calls::default();
    let store = Arc::new(InMemory::new());
    let one = task(calls.giving("One", 1u32));
    let workflow = DotFlow::new("w", one.then(calls.mapping("two", |one: &u32| one + 1)))
        .storage(ObjectStorage::new(Arc::clone(&store), "dotflow"));
    for _ in 0..2 {
        let workflow = workflow.clone();
        let run = threaded(async move { workflow.resume("order 42").await.unwrap() });
        assert_eq!(*run.output().unwrap(), 2);
    }
    assert_eq!(calls.all(), [("One", 1), ("two", 1)]);
}

#[test]
fn what_a_store_holds_is_not_in_the_debug_text() {
    // The `Debug` of a store may have its credentials; that of this one has what it stores.
    let store = Arc::new(InMemory::new());
    let storage = ObjectStorage::new(Arc::clone(&store), "some/path");
    let stored = storage.clone();
    let put = threaded(async move { stored.put_new("1", "a", "secret".into()).await });
    assert!(put.unwrap());
    assert!(format!("{store:?}").contains("secret"));
    assert_eq!(
        format!("{storage:?}"),
        "ObjectStorage { store: InMemory, prefix: some/path }"
    );
}

/// Against the bucket of `AWS_BUCKET`, with what else of `AWS_*` the crate `object_store` reads:
/// `AWS_ENDPOINT`, `AWS_ALLOW_HTTP`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`.
/// `CONTRIBUTING.md` has the commands for a local server.
#[cfg(feature = "s3")]
#[test]
#[ignore = "needs an S3 server that the environment names"]
fn s3_keeps_the_contract() {
    use object_store::aws::AmazonS3Builder;

    let bucket = std::env::var("AWS_BUCKET").expect("AWS_BUCKET names the bucket");
    let store = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .build()
        .unwrap();
    let storage = ObjectStorage::new(store, "dotflow");
    threaded(async move { check(&storage).await.unwrap() });
}
