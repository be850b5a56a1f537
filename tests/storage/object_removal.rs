//! An object store that stops deleting half way: what is left is still a run of its workflow and its
//! input, which can be resumed and removed.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use dotflow::{
    DotFlow, Error, OnInputChange, Run,
    storage::{
        ObjectStorage,
        object_store::{
            self, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
            ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, memory::InMemory,
            path::Path,
        },
    },
    task,
};
use dotflow_tests::paused;
use futures_util::stream::{BoxStream, StreamExt as _};

use crate::calls::Calls;

type Answer<'a, T> = Pin<Box<dyn Future<Output = object_store::Result<T>> + Send + 'a>>;

/// Deletes as many objects as it is told to, one by one, and fails from then on.
#[derive(Debug)]
struct FailsToDelete {
    inner: Arc<InMemory>,
    left: Arc<AtomicUsize>,
}

impl fmt::Display for FailsToDelete {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.inner)
    }
}

impl ObjectStore for FailsToDelete {
    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        let (inner, left) = (Arc::clone(&self.inner), Arc::clone(&self.left));
        let deleted = locations.then(move |location| {
            let (inner, left) = (Arc::clone(&inner), Arc::clone(&left));
            async move {
                let count = left.load(Ordering::Relaxed);
                if count == 0 {
                    return Err(object_store::Error::NotImplemented {
                        operation: "injected".to_owned(),
                        implementer: "test".to_owned(),
                    });
                }
                left.store(count - 1, Ordering::Relaxed);
                let one = futures_util::stream::iter([location]).boxed();
                inner.delete_stream(one).next().await.expect("one for one")
            }
        });
        deleted.boxed()
    }

    fn put_opts<'a, 'b, 'c>(
        &'a self,
        location: &'b Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Answer<'c, PutResult>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.inner.put_opts(location, payload, options)
    }

    fn put_multipart_opts<'a, 'b, 'c>(
        &'a self,
        location: &'b Path,
        options: PutMultipartOptions,
    ) -> Answer<'c, Box<dyn MultipartUpload>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.inner.put_multipart_opts(location, options)
    }

    fn get_opts<'a, 'b, 'c>(
        &'a self,
        location: &'b Path,
        options: GetOptions,
    ) -> Answer<'c, GetResult>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.inner.get_opts(location, options)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_delimiter<'a, 'b, 'c>(&'a self, prefix: Option<&'b Path>) -> Answer<'c, ListResult>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.inner.list_with_delimiter(prefix)
    }

    fn copy_opts<'a, 'b, 'd, 'c>(
        &'a self,
        from: &'b Path,
        to: &'d Path,
        options: CopyOptions,
    ) -> Answer<'c, ()>
    where
        'a: 'c,
        'b: 'c,
        'd: 'c,
        Self: 'c,
    {
        self.inner.copy_opts(from, to, options)
    }
}

/// Ten times the input and one more, by way of a nested workflow that has an input of its own, and
/// a name that is too long for an object.
fn workflow(store: impl ObjectStore, calls: &Calls, input: u32) -> DotFlow<u32> {
    let times = calls.giving("times", 10 * input);
    let long = "a nested workflow ".repeat(20);
    let inner = DotFlow::new(
        long,
        task(times).then(calls.mapping("more", |n: &u32| n + 1)),
    );
    let inner = inner.input("the input of the nested one");
    let last = calls.mapping("last", |previous: &u32| *previous);
    DotFlow::new("outer", task(inner).then(last))
        .storage(ObjectStorage::new(store, "checkpoints"))
        .input(&input)
}

fn resume(workflow: &DotFlow<u32>) -> Result<u32, Error> {
    let run: Run<u32> = paused(workflow.resume("1"))?;
    run.ok()?;
    Ok(*run.output().expect("it succeeded"))
}

#[test]
fn what_a_removal_leaves_is_resumed_or_removed() {
    let calls = Calls::default();
    for deletions in 0.. {
        let store = Arc::new(InMemory::new());
        assert_eq!(
            resume(&workflow(Arc::clone(&store), &calls, 1)).unwrap(),
            11
        );
        let failing = FailsToDelete {
            inner: Arc::clone(&store),
            left: Arc::new(AtomicUsize::new(deletions)),
        };
        let other = workflow(failing, &calls, 2).on_input_change(OnInputChange::Reset);
        match resume(&other) {
            Err(error) => assert!(error.is_storage(), "{deletions}: {error}"),
            Ok(output) => {
                // All of its five objects could be deleted.
                assert_eq!((output, deletions), (21, 5));
                return;
            }
        }
        // The run of the first input is resumed, as far as it is left.
        let copy = Arc::new(store.fork());
        let resumed = resume(&workflow(copy, &Calls::default(), 1));
        assert_eq!(resumed.expect("it can be resumed"), 11, "{deletions}");
        // Or removed by the next one that wants to.
        let reset = workflow(Arc::new(store.fork()), &Calls::default(), 2);
        let reset = reset.on_input_change(OnInputChange::Reset);
        assert_eq!(resume(&reset).unwrap(), 21, "{deletions}");
    }
}
