//! A storage that fails in the middle of a run: the task has failed, what was stored stays, and
//! the run can be resumed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use dotflow::{
    DotFlow, Status, TaskError, TaskErrorKind,
    storage::{FileStorage, MemoryStorage, Storage, StorageError, StorageFuture},
    task,
};
use dotflow_tests::{paused, recorded};

use crate::calls::Calls;

/// Fails for one key, as long as it is told to, or takes its time for it.
#[derive(Clone)]
struct Failing {
    inner: MemoryStorage,
    key: &'static str,
    when_reading: bool,
    is_broken: Arc<AtomicBool>,
    takes: Duration,
}

impl Failing {
    fn new(key: &'static str, when_reading: bool) -> Self {
        Self {
            inner: MemoryStorage::new(),
            key,
            when_reading,
            is_broken: Arc::new(AtomicBool::new(true)),
            takes: Duration::ZERO,
        }
    }

    /// Takes so long to read one key, and then has it.
    fn slow(key: &'static str, takes: Duration) -> Self {
        Self {
            is_broken: Arc::default(),
            takes,
            ..Self::new(key, true)
        }
    }

    async fn check(&self, key: &str, reading: bool) -> Result<(), StorageError> {
        if key != self.key || reading != self.when_reading {
            return Ok(());
        }
        if !self.takes.is_zero() {
            tokio::time::sleep(self.takes).await;
        }
        if self.is_broken.load(Ordering::Relaxed) {
            let error = std::io::Error::from(std::io::ErrorKind::StorageFull);
            return Err(StorageError::new("can't reach the disk").caused_by(error));
        }
        Ok(())
    }
}

impl Storage for Failing {
    fn get<'a>(&'a self, workflow_id: &'a str, key: &'a str) -> StorageFuture<'a, Option<String>> {
        Box::pin(async move {
            self.check(key, true).await?;
            self.inner.get(workflow_id, key).await
        })
    }

    fn put_new<'a>(
        &'a self,
        workflow_id: &'a str,
        key: &'a str,
        checkpoint: String,
    ) -> StorageFuture<'a, bool> {
        Box::pin(async move {
            self.check(key, false).await?;
            self.inner.put_new(workflow_id, key, checkpoint).await
        })
    }

    fn remove_all<'a>(&'a self, workflow_id: &'a str) -> StorageFuture<'a, ()> {
        self.inner.remove_all(workflow_id)
    }

    fn list<'a>(&'a self, workflow_id: &'a str) -> StorageFuture<'a, Vec<String>> {
        self.inner.list(workflow_id)
    }
}

fn chain(calls: &Calls, storage: impl Storage) -> DotFlow<u32> {
    let second = task(calls.giving("first", 1u32))
        .then(calls.mapping("second", |number: &u32| number + 10))
        .retry(5);
    DotFlow::new(
        "w",
        second.then(calls.mapping("third", |number: &u32| number + 100)),
    )
    .storage(storage)
}

#[test]
fn an_output_that_could_not_be_stored_fails_its_task() {
    let calls = Calls::default();
    let storage = Failing::new("second", false);
    let workflow = chain(&calls, storage.clone());
    let (run, recording) = recorded(async { workflow.resume("1").await.unwrap() });
    assert_eq!(run.status(), Status::Failed);
    let statuses: Vec<Status> = run
        .tasks()
        .iter()
        .map(dotflow::TaskReport::status)
        .collect();
    assert_eq!(
        statuses,
        [Status::Completed, Status::Failed, Status::Skipped]
    );
    let [error] = run.tasks()[1].errors() else {
        panic!("a failing storage is no reason to do the work again")
    };
    assert_eq!(error.kind(), TaskErrorKind::Storage);
    assert!(error.get_ref().unwrap().is::<StorageError>());
    let text = error.to_string();
    assert!(
        text.contains("`second` did its work, but its output could not be stored"),
        "{text}"
    );
    assert!(text.contains("can't reach the disk"), "{text}");
    let span = recording.otel("task:1");
    assert_eq!(
        span.text("error.type"),
        Some("dotflow::TaskErrorKind::Storage")
    );
    assert_eq!(calls.all(), [("first", 1), ("second", 1)]);

    storage.is_broken.store(false, Ordering::Relaxed);
    let run = paused(workflow.resume("1")).unwrap();
    assert_eq!(*run.output().unwrap(), 111);
    assert_eq!(calls.all(), [("first", 1), ("second", 2), ("third", 1)]);
}

#[test]
fn a_checkpoint_that_could_not_be_read_is_not_taken_for_missing() {
    let calls = Calls::default();
    let storage = Failing::new("second", true);
    let workflow = chain(&calls, storage.clone());
    let run = paused(workflow.resume("1")).unwrap();
    assert_eq!(run.tasks()[1].errors()[0].kind(), TaskErrorKind::Storage);
    assert_eq!(calls.all(), [("first", 1)]);
    storage.is_broken.store(false, Ordering::Relaxed);
    assert_eq!(
        *paused(workflow.resume("1")).unwrap().output().unwrap(),
        111
    );
    assert_eq!(calls.all(), [("first", 1), ("second", 1), ("third", 1)]);
}

#[test]
fn a_run_whose_folder_is_removed_under_it_fails_and_says_so() {
    let calls = Calls::default();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoints");
    let storage = FileStorage::open(&path).unwrap();
    let removing = task(calls.giving("first", 1u32)).then(calls.mapping("second", {
        let path = path.clone();
        move |number: &u32| {
            std::fs::remove_dir_all(&path).unwrap();
            *number
        }
    }));
    let workflow = DotFlow::new("w", removing).storage(storage);
    let run = paused(workflow.resume("1")).unwrap();
    let error = run.output().unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::Storage);
    assert!(error.to_string().contains("has been removed"), "{error}");
    assert!(
        !path.exists(),
        "the folder was made anew behind the user's back"
    );
}

#[test]
fn a_file_in_the_place_of_a_folder_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, "").unwrap();
    let error = FileStorage::open(&path).unwrap_err().to_string();
    assert!(
        error.contains("can't open the folder") && error.contains("file"),
        "{error}"
    );
    let storage = FileStorage::open(folder.path()).unwrap();
    std::fs::write(folder.path().join("1"), "").unwrap();
    let error = paused(chain(&Calls::default(), storage).resume("1")).unwrap_err();
    assert!(error.is_storage(), "{error}");
}

#[test]
fn what_is_looked_up_when_a_failure_stops_the_run_is_not_begun() {
    let calls = Calls::default();
    let failing = dotflow::action::from_fn("failing", || async {
        Err::<u32, _>(TaskError::failed("no"))
    });
    let slow = task(calls.giving("slow", 1u32)).group("db");
    let workflow = DotFlow::new("w", (slow, task(failing.checkpointed())))
        .storage(Failing::slow("slow", Duration::from_secs(1)))
        .limit("db", 1);
    let run = paused(workflow.resume("1")).unwrap();
    let statuses: Vec<Status> = run
        .tasks()
        .iter()
        .map(dotflow::TaskReport::status)
        .collect();
    assert_eq!(statuses, [Status::NotStarted, Status::Failed]);
    assert_eq!(calls.all(), []);
}
