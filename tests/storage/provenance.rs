//! What follows from a failure is neither stored nor restored, however the failure came.

use std::sync::atomic::{AtomicBool, Ordering};

use dotflow::{
    DotFlow, PreviousContext, Status, Task, TaskError, action,
    storage::{MemoryStorage, Storage},
    task,
};
use dotflow_tests::paused;
use std::sync::Arc;

/// Whether the host can be reached, as the test says.
#[derive(Clone, Default)]
struct Host(Arc<AtomicBool>);

impl Host {
    fn set_up(&self, up: bool) {
        self.0.store(up, Ordering::SeqCst);
    }
}

#[action]
async fn connect(host: Host) -> Result<u32, String> {
    match host.0.load(Ordering::SeqCst) {
        true => Ok(1),
        false => Err("down".into()),
    }
}

#[action]
async fn list(connection: Result<PreviousContext<u32>, TaskError>) -> Vec<u64> {
    connection.map_or_else(|_| vec![], |_| vec![3, 5, 8])
}

#[action]
async fn list_or_cached(connection: Result<PreviousContext<u32>, TaskError>) -> Vec<String> {
    let name = connection.map_or("cached", |_| "eu");
    vec![name.to_owned()]
}

#[action]
async fn fetch(number: PreviousContext<u64>) -> u64 {
    *number * 10
}

#[action]
async fn rows(name: PreviousContext<String>) -> String {
    format!("rows of {}", *name)
}

#[action]
async fn total(rows: PreviousContext<Vec<u64>>) -> u64 {
    rows.iter().sum()
}

#[action]
async fn rate(connection: Result<PreviousContext<u32>, TaskError>) -> u64 {
    connection.map_or(0, |_| 160)
}

#[action]
async fn bill(rate: PreviousContext<u64>) -> u64 {
    *rate * 10
}

#[test]
fn an_empty_list_that_a_failure_gave_is_forgotten_with_it() {
    let host = Host::default();
    let total = task(connect(host.clone()))
        .then(list())
        .each(fetch())
        .then(total());
    let workflow = DotFlow::new("sums", total).storage(MemoryStorage::new());
    paused(async {
        assert_eq!(*workflow.resume("1").await.unwrap().output().unwrap(), 0);
        host.set_up(true);
        assert_eq!(*workflow.resume("1").await.unwrap().output().unwrap(), 160);
        let run = workflow.resume("1").await.unwrap();
        assert_eq!(*run.output().unwrap(), 160);
        assert!(run.tasks().iter().all(dotflow::TaskReport::restored));
    });
}

#[test]
fn a_failure_that_a_nested_workflow_handled_is_known_outside() {
    let host = Host::default();
    let inner = DotFlow::new("inner", task(connect(host.clone())).then(rate()));
    let storage = MemoryStorage::new();
    let workflow = DotFlow::new("outer", task(inner).then(bill())).storage(storage.clone());
    paused(async {
        assert_eq!(*workflow.resume("1").await.unwrap().output().unwrap(), 0);
        assert_eq!(storage.list("1").await.unwrap(), ["#run"]);
        host.set_up(true);
        assert_eq!(*workflow.resume("1").await.unwrap().output().unwrap(), 1600);
    });
}

/// One item handles a failure within its workflow; the others are stored all the same.
#[test]
fn an_item_that_handled_a_failure_leaves_the_others_theirs() {
    #[action]
    async fn hosts() -> Vec<u64> {
        vec![0, 1, 2]
    }
    let host = Host::default();
    let inner = DotFlow::with_input("inner", |_: &Task<u64>| {
        task(connect(host.clone())).then(rate())
    });
    let twice = DotFlow::new("twice", task(hosts()).each(inner).then(total())).concurrency(1);
    let storage = MemoryStorage::new();
    let workflow = twice.storage(storage.clone());
    paused(async {
        assert_eq!(*workflow.resume("1").await.unwrap().output().unwrap(), 0);
        assert_eq!(storage.list("1").await.unwrap(), ["#run", "hosts"]);
        host.set_up(true);
        assert_eq!(*workflow.resume("1").await.unwrap().output().unwrap(), 480);
        let keys = storage.list("1").await.unwrap();
        assert!(keys.contains(&"inner[0]/rate".to_owned()), "{keys:?}");
        assert!(keys.contains(&"total".to_owned()), "{keys:?}");
    });
}

/// The other way round: what was stored is not restored where it follows from a failure now.
#[test]
fn what_follows_a_failure_is_not_restored() {
    let host = Host::default();
    host.set_up(true);
    let connect = task(connect(host.clone())).without_checkpoint();
    let rows = connect.then(list_or_cached()).each(rows());
    let workflow = DotFlow::new("rows", rows).storage(MemoryStorage::new());
    paused(async {
        let first = workflow.resume("1").await.unwrap();
        assert_eq!(*first.output().unwrap(), ["rows of eu"]);
        host.set_up(false);
        let second = workflow.resume("1").await.unwrap();
        assert_eq!(second.status(), Status::Completed);
        assert_eq!(*second.output().unwrap(), ["rows of cached"]);
        host.set_up(true);
        let third = workflow.resume("1").await.unwrap();
        assert_eq!(*third.output().unwrap(), ["rows of eu"]);
    });
}

#[test]
fn neither_is_what_follows_a_checkpoint_that_is_damaged() {
    let host = Host::default();
    host.set_up(true);
    let storage = MemoryStorage::new();
    let bill = task(connect(host.clone())).then(rate()).then(bill());
    let workflow = DotFlow::new("bill", bill).storage(storage.clone());
    paused(async {
        assert_eq!(*workflow.resume("1").await.unwrap().output().unwrap(), 1600);
        let stored = storage.get("1", "connect").await.unwrap().unwrap();
        let others = ["#run", "rate", "bill"];
        let mut kept = Vec::new();
        for key in others {
            kept.push((key, storage.get("1", key).await.unwrap().unwrap()));
        }
        storage.remove_all("1").await.unwrap();
        kept.push(("connect", stored.replace("\"output\": 1", "\"output\": 2")));
        for (key, text) in kept {
            assert!(storage.put_new("1", key, text).await.unwrap());
        }
        let run = workflow.resume("1").await.unwrap();
        let restored: Vec<bool> = run
            .tasks()
            .iter()
            .map(dotflow::TaskReport::restored)
            .collect();
        assert_eq!(restored, [false, false, false]);
        assert_eq!(*run.output().unwrap(), 0, "as for a task that failed");
    });
}
