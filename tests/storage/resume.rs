//! What is restored, what is run again, and what the run, the report and the trace say of it.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, SystemTime},
};

use dotflow::{
    DotFlow, PreviousContext, Run, Status, TaskError, TaskErrorKind, action,
    action::from_fn,
    join_all,
    report::EventKind,
    storage::{FileStorage, MemoryStorage, Storage},
    task,
};
use dotflow_tests::{paused, recorded};
use serde::{Deserialize, Serialize};

use crate::calls::Calls;

fn flags<T>(run: &Run<T>) -> Vec<bool> {
    run.tasks()
        .iter()
        .map(dotflow::TaskReport::restored)
        .collect()
}

#[test]
fn a_resumed_run_does_only_what_is_missing() {
    let calls = Calls::default();
    let broken = Arc::new(AtomicBool::new(true));
    let storage = MemoryStorage::new();
    let extract = task(calls.giving("extract", vec![3u32, 5, 8]));
    let transform = extract.then(calls.mapping("transform", |rows: &Vec<u32>| rows.len() as u32));
    let load = transform.then(
        from_fn("load", {
            let (calls, broken) = (calls.clone(), Arc::clone(&broken));
            move |count: PreviousContext<u32>| {
                calls.count("load");
                let broken = broken.load(Ordering::Relaxed);
                async move {
                    match broken {
                        true => Err(TaskError::failed("the table is locked")),
                        false => Ok(*count * 10),
                    }
                }
            }
        })
        .checkpointed(),
    );
    let workflow = DotFlow::new("sales", load).storage(storage.clone());

    let (run, _) = recorded(async { workflow.resume("order-42").await.unwrap() });
    assert_eq!(
        (run.status(), flags(&run)),
        (Status::Failed, vec![false; 3])
    );
    assert_eq!(run.workflow_id(), "order-42");

    broken.store(false, Ordering::Relaxed);
    let (run, recording) = recorded(async { workflow.resume("order-42").await.unwrap() });
    assert_eq!(*run.output().unwrap(), 30);
    assert_eq!(flags(&run), [true, true, false]);
    assert_eq!(calls.all(), [("extract", 1), ("load", 2), ("transform", 1)]);
    for (span, restored) in [("task:0", true), ("task:1", true), ("task:2", false)] {
        let span = recording.otel(span);
        let field = span.field("dotflow.task.restored");
        let expected = restored.then_some(&dotflow_tests::Value::Bool(true));
        assert_eq!(field, expected);
        assert_eq!(span.text("dotflow.task.status"), Some("Completed"));
        assert_eq!(span.int("dotflow.task.retry_count"), Some(0));
        assert_eq!(span.text("dotflow.workflow_id"), Some("order-42"));
    }
    let tree = run.to_string();
    assert!(
        tree.contains("extract 0µs OK — Completed, restored\n"),
        "{tree}"
    );
    assert!(tree.contains("load 0µs OK — Completed\n"), "{tree}");
    let report = serde_json::to_value(&run).unwrap();
    assert_eq!(report["tasks"][0]["restored"], true);
    assert_eq!(report["tasks"][2]["restored"], false);

    // And once all is done, nothing is run any more.
    let run = paused(workflow.resume("order-42")).unwrap();
    assert_eq!((*run.output().unwrap(), flags(&run)), (30, vec![true; 3]));
    assert_eq!(calls.all(), [("extract", 1), ("load", 2), ("transform", 1)]);
}

#[test]
fn observers_are_told_of_restored_tasks_as_such() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&told);
    let calls = Calls::default();
    let one = task(calls.giving("one", 1u32));
    let workflow = DotFlow::new("observed", one)
        .storage(MemoryStorage::new())
        .observe(move |event| {
            seen.lock().unwrap().push(match &event.kind {
                EventKind::WorkflowStarted { .. } => "run",
                EventKind::TaskStarted { .. } => "task",
                EventKind::TaskRestored { .. } => "restored",
                EventKind::TaskEnded { .. } => "task ended",
                EventKind::WorkflowEnded { .. } => "run ended",
                _ => "?",
            });
        });
    paused(async {
        assert!(workflow.resume("1").await.unwrap().succeeded());
        assert!(workflow.resume("1").await.unwrap().succeeded());
    });
    let told = told.lock().unwrap();
    let (first, second) = told.split_at(4);
    assert_eq!(first, ["run", "task", "task ended", "run ended"]);
    assert_eq!(second, ["run", "restored", "run ended"]);
}

#[test]
fn a_started_run_is_stored_under_its_own_id() {
    let calls = Calls::default();
    let workflow = DotFlow::new("w", task(calls.giving("one", 1u32))).storage(MemoryStorage::new());
    paused(async {
        let first = workflow.start().await.unwrap();
        let second = workflow.start().await.unwrap();
        assert_eq!(calls.all(), [("one", 2)]);
        assert_ne!(first.workflow_id(), second.workflow_id());
        let third = workflow.spawn().await.unwrap();
        for run in [first, second, third] {
            let resumed = workflow.resume(run.workflow_id()).await.unwrap();
            assert_eq!(flags(&resumed), [true]);
        }
        assert_eq!(calls.all(), [("one", 3)]);
    });
}

#[test]
fn ids_keep_runs_apart() {
    let calls = Calls::default();
    let workflow = DotFlow::new("w", task(calls.giving("one", 1u32))).storage(MemoryStorage::new());
    for (id, expected) in [("", 1), ("a", 2), ("A", 3), ("../a", 4), ("a", 4), ("", 4)] {
        let run = paused(workflow.resume(id)).unwrap();
        assert_eq!(run.workflow_id(), id);
        assert_eq!(calls.all(), [("one", expected)]);
    }
}

#[test]
fn a_program_without_a_runtime_resumes() {
    let calls = Calls::default();
    let workflow = DotFlow::new("w", task(calls.giving("one", 1u32))).storage(MemoryStorage::new());
    assert_eq!(flags(&workflow.resume_blocking("1").unwrap()), [false]);
    assert_eq!(flags(&workflow.resume_blocking("1").unwrap()), [true]);
}

#[test]
fn without_a_storage_there_is_nothing_to_resume() {
    let calls = Calls::default();
    let workflow = DotFlow::new("w", task(calls.giving("one", 1u32)));
    let error = paused(workflow.resume("1")).unwrap_err();
    assert!(error.to_string().contains(".storage("), "{error}");
    assert!(calls.all().is_empty());
}

#[test]
fn each_item_is_a_checkpoint_of_its_own() {
    let calls = Calls::default();
    let poison = Arc::new(AtomicU32::new(5));
    let list = task(calls.giving("list", (0..10u32).collect::<Vec<_>>()));
    let work = list.each(
        from_fn("work", {
            let (calls, poison) = (calls.clone(), Arc::clone(&poison));
            move |item: PreviousContext<u32>| {
                calls.count(&format!("work[{item}]", item = *item));
                let fails = *item == poison.load(Ordering::Relaxed);
                async move {
                    match fails {
                        true => Err(TaskError::failed("poison")),
                        false => Ok(*item * 2),
                    }
                }
            }
        })
        .checkpointed(),
    );
    let workflow = DotFlow::new("map", work)
        .storage(MemoryStorage::new())
        .keep_going(true);
    let run = paused(workflow.resume("1")).unwrap();
    assert_eq!(run.status(), Status::Failed);
    poison.store(99, Ordering::Relaxed);
    let run = paused(workflow.resume("1")).unwrap();
    assert_eq!(
        *run.output().unwrap(),
        (0..10).map(|item| item * 2).collect::<Vec<_>>()
    );
    let again = run.tasks().iter().filter(|task| !task.restored());
    assert_eq!(
        again.map(dotflow::TaskReport::item).collect::<Vec<_>>(),
        [Some(5)]
    );
    for (task, count) in calls.all() {
        assert_eq!(count, if task == "work[5]" { 2 } else { 1 }, "{task}");
    }
}

#[test]
fn joined_tasks_of_one_name_have_a_checkpoint_each() {
    let calls = Calls::default();
    let parts = (0..3u32).map(|part| task(calls.giving("part", part)));
    let sum = join_all(parts).then(
        from_fn("sum", |parts: Vec<PreviousContext<u32>>| async move {
            Ok::<_, TaskError>(parts.iter().map(|part| **part).collect::<Vec<_>>())
        })
        .checkpointed(),
    );
    let storage = MemoryStorage::new();
    let workflow = DotFlow::new("join", sum).storage(storage.clone());
    paused(async {
        for _ in 0..2 {
            let run = workflow.resume("1").await.unwrap();
            assert_eq!(*run.output().unwrap(), [0, 1, 2]);
        }
        assert_eq!(calls.all(), [("part", 3)]);
        let keys = storage.list("1").await.unwrap();
        assert_eq!(keys, ["#run", "part", "part#2", "part#3", "sum"]);
    });
}

#[test]
fn what_depends_on_a_failure_is_done_again() {
    let calls = Calls::default();
    let broken = Arc::new(AtomicBool::new(true));
    let fetch = {
        let (calls, broken) = (calls.clone(), Arc::clone(&broken));
        task(
            from_fn("fetch", move || {
                calls.count("fetch");
                let broken = broken.load(Ordering::Relaxed);
                async move {
                    match broken {
                        true => Err(TaskError::failed("offline")),
                        false => Ok("fresh".to_owned()),
                    }
                }
            })
            .checkpointed(),
        )
    };
    let fall_back = {
        let calls = calls.clone();
        fetch.then(
            from_fn(
                "fall_back",
                move |fetched: Result<PreviousContext<String>, TaskError>| {
                    calls.count("fall_back");
                    async move {
                        Ok::<_, TaskError>(
                            fetched.map_or("stale".to_owned(), PreviousContext::into_inner),
                        )
                    }
                },
            )
            .checkpointed(),
        )
    };
    let report = fall_back.then(calls.mapping("report", |text: &String| format!("<{text}>")));
    let other = task(calls.giving("other", 1u32));
    let workflow = DotFlow::new("w", (report, other)).storage(MemoryStorage::new());

    let run = paused(workflow.resume("1")).unwrap();
    assert_eq!(*run.output().unwrap().0, "<stale>");
    broken.store(false, Ordering::Relaxed);
    let run = paused(workflow.resume("1")).unwrap();
    assert_eq!(*run.output().unwrap().0, "<fresh>");
    let run = paused(workflow.resume("1")).unwrap();
    assert_eq!(flags(&run), [true; 4]);
    assert_eq!(
        calls.all(),
        [("fall_back", 2), ("fetch", 2), ("other", 1), ("report", 2)]
    );
}

#[test]
fn a_task_without_checkpoint_is_run_each_time() {
    let calls = Calls::default();
    let connect = task(calls.giving("connect", 7u32)).without_checkpoint();
    let query = connect.then(calls.mapping("query", |connection: &u32| connection + 1));
    let storage = MemoryStorage::new();
    let workflow = DotFlow::new("w", query).storage(storage.clone());
    paused(async {
        assert!(workflow.resume("1").await.unwrap().succeeded());
        let run = workflow.resume("1").await.unwrap();
        assert_eq!(flags(&run), [false, true]);
        assert_eq!(storage.list("1").await.unwrap(), ["#run", "query"]);
    });
    assert_eq!(calls.all(), [("connect", 2), ("query", 1)]);
}

struct Connection;

#[action]
fn connect() -> Connection {
    Connection
}

#[action(checkpoint = false)]
fn reconnect() -> Connection {
    Connection
}

#[action]
fn ask(connection: PreviousContext<Connection>) -> u32 {
    let Connection = *connection;
    42
}

#[action]
fn list() -> Vec<u32> {
    vec![1, 2]
}

#[action]
fn double(item: PreviousContext<u32>) -> u32 {
    *item * 2
}

#[test]
fn an_output_that_cannot_be_stored_is_an_error_before_the_run() {
    let calls = Calls::default();
    let first = task(calls.giving("first", 1u32));
    let closure = task(from_fn("closure", || async { Ok::<u8, TaskError>(1) }));
    let query = task(connect()).then(ask());
    let workflow = DotFlow::new("w", (first, query, closure)).storage(MemoryStorage::new());
    for error in [
        paused(workflow.start()).unwrap_err(),
        paused(workflow.resume("1")).unwrap_err(),
        paused(async { workflow.spawn().await }).unwrap_err(),
    ] {
        assert!(error.is_not_storable());
        let text = error.to_string();
        assert!(
            text.contains("task:1 `connect` returns `storage::resume::Connection`"),
            "{text}"
        );
        assert!(text.contains("task:3 `closure` returns `u8`"), "{text}");
        assert!(text.contains("a closure says `.checkpointed()`"), "{text}");
        assert!(text.contains("checkpoint = false"), "{text}");
        assert!(!text.contains("first"), "{text}");
    }
    assert!(calls.all().is_empty(), "something was run");

    let workflow = DotFlow::new("w", task(reconnect()).then(ask())).storage(MemoryStorage::new());
    let run = paused(workflow.resume("1")).unwrap();
    assert_eq!(*run.output().unwrap(), 42);
}

#[test]
fn items_of_a_list_that_is_not_stored_are_an_error_before_the_run() {
    let doubled = task(list()).without_checkpoint().each(double());
    let workflow = DotFlow::new("w", doubled).storage(MemoryStorage::new());
    let error = paused(workflow.resume("1")).unwrap_err();
    assert!(error.is_not_storable());
    assert!(
        error
            .to_string()
            .contains("`double` runs once per item of `list`"),
        "{error}"
    );

    let both = task(list())
        .without_checkpoint()
        .each(double())
        .without_checkpoint();
    let workflow = DotFlow::new("w", both).storage(MemoryStorage::new());
    assert_eq!(
        *paused(workflow.resume("1")).unwrap().output().unwrap(),
        [2, 4]
    );
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Shape {
    Unit,
    Newtype(i128),
    Tuple(u64, f64),
    Struct { name: String, at: Option<char> },
    Time(SystemTime, Duration),
    Set(BTreeSet<String>),
}

#[action]
fn shapes() -> Vec<(Shape, HashMap<u32, Vec<u8>>, Result<(), String>)> {
    sample()
}

fn sample() -> Vec<(Shape, HashMap<u32, Vec<u8>>, Result<(), String>)> {
    let map = HashMap::from([(7, vec![0, 255]), (8, vec![])]);
    vec![
        (Shape::Unit, map.clone(), Ok(())),
        (
            Shape::Newtype(i128::MIN),
            map.clone(),
            Err("ä\0\u{202e}".into()),
        ),
        (Shape::Tuple(u64::MAX, 0.1 + 0.2), HashMap::new(), Ok(())),
        (Shape::Tuple(0, f64::MIN_POSITIVE), HashMap::new(), Ok(())),
        (
            Shape::Time(
                SystemTime::UNIX_EPOCH + Duration::new(1, 999_999_999),
                Duration::MAX,
            ),
            HashMap::new(),
            Ok(()),
        ),
        (
            Shape::Set(["", "a", "ä"].map(str::to_owned).into()),
            HashMap::new(),
            Ok(()),
        ),
        (
            Shape::Tuple(1, 2.225_073_858_507_201e-308),
            HashMap::new(),
            Ok(()),
        ),
        (
            Shape::Struct {
                name: "x".repeat(100_000),
                at: Some('日'),
            },
            map,
            Ok(()),
        ),
    ]
}

#[test]
fn values_come_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let workflow =
        DotFlow::new("w", task(shapes())).storage(FileStorage::open(folder.path()).unwrap());
    assert_eq!(
        *paused(workflow.resume("1")).unwrap().output().unwrap(),
        sample()
    );
    let run = paused(workflow.resume("1")).unwrap();
    assert_eq!(
        (&*run.output().unwrap(), flags(&run)),
        (&sample(), vec![true])
    );
}

#[test]
fn a_person_can_read_what_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let storage = FileStorage::open(folder.path()).unwrap();
    let calls = Calls::default();
    let tries = Arc::new(AtomicU32::new(0));
    let flaky = from_fn("flaky", move |_: PreviousContext<u32>| {
        let attempt = tries.fetch_add(1, Ordering::Relaxed);
        async move {
            match attempt {
                0 => Err(TaskError::failed("once")),
                _ => Ok(vec!["a", "b"]
                    .into_iter()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()),
            }
        }
    });
    let last = task(calls.giving("first", 1u32))
        .then(flaky.checkpointed())
        .retry(2);
    let workflow = DotFlow::new("w", last).storage(storage);
    assert!(paused(workflow.resume("Order 42")).unwrap().succeeded());

    let path = folder.path().join("=4frder=2042").join("flaky.json");
    let text = fs::read_to_string(path).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(text.starts_with("{\n  \"dotflow\": 2,\n"), "{text}");
    assert_eq!(json["encoding"], "json");
    assert_eq!(json["workflow_id"], "Order 42");
    assert_eq!(json["key"], "flaky");
    let place = serde_json::json!([
        { "workflow": "w", "task": "flaky", "version": 1, "namesakes": 1, "after": ["first"] }
    ]);
    assert_eq!(json["path"], place);
    assert_eq!(json["attempts"], 2);
    assert_eq!(json["output"], serde_json::json!(["a", "b"]));
    assert_eq!(json["duration"], 1.0);
    let times = ["started_at", "finished_at"].map(|time| json[time].as_str().unwrap().to_owned());
    assert!(times[0] < times[1] && times[1].ends_with('Z'), "{times:?}");
}

#[test]
fn an_output_that_does_not_come_back_fails_its_task() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Lossy {
        #[serde(skip_serializing)]
        _kept: u32,
    }
    let lossy = from_fn("lossy", || async { Ok::<_, TaskError>(Lossy { _kept: 1 }) });
    let storage = MemoryStorage::new();
    let workflow = DotFlow::new("w", task(lossy.checkpointed())).storage(storage.clone());
    let run = paused(workflow.resume("1")).unwrap();
    let error = run.output().unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::Storage);
    assert!(error.to_string().contains("can't be read back"), "{error}");
    assert_eq!(
        paused(async move { storage.list("1").await.unwrap() }),
        ["#run"]
    );
}

/// What JSON would turn into something else is no checkpoint.
#[test]
fn an_output_that_json_cannot_hold_fails_its_task() {
    fn stored<T: crate::calls::Value>(value: T) -> Result<(), TaskError> {
        let calls = Calls::default();
        let workflow =
            DotFlow::new("w", task(calls.giving("one", value))).storage(MemoryStorage::new());
        let run = paused(workflow.resume("1")).unwrap();
        run.output().map(|_| ())
    }
    stored((Some(1), Some(Some(1)), None::<Option<()>>, f64::MAX, ())).unwrap();
    let lossy = [
        stored(f64::NAN),
        stored(vec![Some(f32::INFINITY)]),
        stored(Some(None::<u32>)),
        stored(HashMap::from([("a".to_owned(), Some(()))])),
    ];
    for result in lossy {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), TaskErrorKind::Storage);
        assert!(
            error
                .to_string()
                .contains("can't be written as JSON: JSON "),
            "{error}"
        );
    }
}
