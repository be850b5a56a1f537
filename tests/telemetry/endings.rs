//! A span of dotflow ends when what it stands for ends, whoever still holds it.

use std::{
    sync::{Arc, Mutex, mpsc},
    time::{Duration, SystemTime},
};

use dotflow::{DotFlow, action, task};
use dotflow_otel::{Guard, OpenTelemetry, Otlp};
use dotflow_tests::collector::{Collector, attribute};
use opentelemetry_proto::tonic::{common::v1::any_value::Value, trace::v1::Span};
use tokio::{
    runtime::{Builder, Runtime},
    sync::Notify,
    task::JoinHandle,
};
use tracing::Instrument as _;
use tracing_subscriber::{Registry, layer::SubscriberExt};

/// How a task ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Completes,
    Fails,
    Panics,
    TimesOut,
    /// Its run is told to.
    Cancelled,
    /// The future of its run is dropped.
    Dropped,
}

/// What keeps the span of the task when it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    Nobody,
    Clone,
    OpenChild,
    SpawnedTask,
}

/// Where the code of the task runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    /// On a worker.
    Async,
    /// On the blocking pool, where nothing can end it from outside.
    Blocking,
}

const CODES: [Code; 2] = [Code::Async, Code::Blocking];
const WAYS: [Way; 6] = [
    Way::Completes,
    Way::Fails,
    Way::Panics,
    Way::TimesOut,
    Way::Cancelled,
    Way::Dropped,
];
const HOLDERS: [Holder; 4] = [
    Holder::Nobody,
    Holder::Clone,
    Holder::OpenChild,
    Holder::SpawnedTask,
];

/// What is held, and the news that the task has begun.
#[derive(Clone, Default)]
struct Held {
    spans: Arc<Mutex<Vec<tracing::Span>>>,
    tasks: Arc<Mutex<Vec<JoinHandle<()>>>>,
    blocked: Arc<Mutex<Vec<mpsc::Sender<()>>>>,
    begun: Arc<Notify>,
}

impl Held {
    fn hold(&self, holder: Holder) {
        match holder {
            Holder::Nobody => {}
            Holder::Clone => self.spans.lock().unwrap().push(tracing::Span::current()),
            Holder::OpenChild => {
                let child = tracing::info_span!("child");
                self.spans.lock().unwrap().push(child);
            }
            Holder::SpawnedTask => {
                let endless = std::future::pending().in_current_span();
                self.tasks.lock().unwrap().push(tokio::spawn(endless));
            }
        }
    }
}

#[action]
async fn work(way: Way, holder: Holder, held: Held) -> Result<(), String> {
    held.hold(holder);
    held.begun.notify_one();
    match way {
        Way::Completes => Ok(()),
        Way::Fails => Err("on purpose".into()),
        Way::Panics => panic!("on purpose"),
        Way::TimesOut | Way::Cancelled | Way::Dropped => std::future::pending().await,
    }
}

/// The same in blocking code, which runs on until the test says so where its task ends before it.
#[action]
fn blocks(way: Way, holder: Holder, held: Held) -> Result<(), String> {
    held.hold(holder);
    let (release, released) = mpsc::channel();
    held.blocked.lock().unwrap().push(release);
    held.begun.notify_one();
    match way {
        Way::Completes => Ok(()),
        Way::Fails => Err("on purpose".into()),
        Way::Panics => panic!("on purpose"),
        Way::TimesOut | Way::Cancelled | Way::Dropped => {
            let _ = released.recv();
            Ok(())
        }
    }
}

struct Setting {
    collector: Collector,
    guard: Guard,
    dispatch: tracing::Dispatch,
    /// `None` once it is shut down.
    runtime: Option<Runtime>,
}

impl Drop for Setting {
    fn drop(&mut self) {
        // A test that fails must not wait for blocking code that nobody ends any more.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Setting {
    fn new() -> Self {
        dotflow_tests::keep_callsites_awake();
        let collector = Collector::start();
        let otlp = Otlp::new().endpoint(collector.endpoint());
        let telemetry = OpenTelemetry::new("shop").with_otlp_to(otlp);
        let (layer, guard) = telemetry.build().unwrap();
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).enable_all().build();
        Self {
            collector,
            guard,
            dispatch: tracing::Dispatch::new(Registry::default().with(layer)),
            runtime: Some(runtime.unwrap()),
        }
    }

    /// Runs a workflow to its end, in this way, and checks that its spans arrive with a flush right
    /// after it, ended while it ran. Returns that of the workflow and that of the task.
    fn run(&self, name: &str, workflow: &DotFlow<()>, way: Way, held: &Held) -> [Span; 2] {
        let begun = &held.begun;
        let run = async {
            match way {
                Way::Cancelled => {
                    let handle = workflow.spawn();
                    begun.notified().await;
                    handle.cancel();
                    drop(handle.await);
                }
                Way::Dropped => tokio::select! {
                    biased;
                    _ = workflow.start() => panic!("it has no end of its own"),
                    () = begun.notified() => {}
                },
                _ => drop(workflow.start().await),
            }
        };
        let runtime = self.runtime.as_ref().unwrap();
        tracing::dispatcher::with_default(&self.dispatch, || runtime.block_on(run));
        let ended = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let ended = u64::try_from(ended.unwrap().as_nanos()).unwrap();

        self.guard.flush().unwrap();
        let spans = self.collector.spans();
        let of_workflow: Vec<&Span> = spans
            .iter()
            .filter(|span| span.name == format!("workflow:{name}"))
            .collect();
        assert_eq!(of_workflow.len(), 1, "{name}");
        let workflow = of_workflow[0].clone();
        let below: Vec<&Span> = spans
            .iter()
            .filter(|span| span.name == "task:0" && span.trace_id == workflow.trace_id)
            .collect();
        assert_eq!(below.len(), 1, "{name}");
        let task = below[0].clone();
        assert_eq!(task.parent_span_id, workflow.span_id, "{name}");
        assert!(
            task.end_time_unix_nano <= workflow.end_time_unix_nano,
            "{name}"
        );
        assert!(workflow.end_time_unix_nano <= ended, "{name}");
        // The record that ends the span has reached it before.
        for key in ["dotflow.task.status", "dotflow.task.duration"] {
            assert!(attribute(&task.attributes, key).is_some(), "{name}: {key}");
        }
        assert_eq!(self.guard.dropped(), 0, "{name}");
        [workflow, task]
    }
}

#[test]
fn every_way_to_end_ends_the_span_whoever_holds_it() {
    let mut setting = Setting::new();
    let held = Held::default();
    let all = CODES.iter().flat_map(|code| WAYS.map(|way| (*code, way)));
    let all = all.flat_map(|(code, way)| HOLDERS.map(|holder| (code, way, holder)));
    for (code, way, holder) in all {
        let name = format!("{code:?} {way:?} {holder:?}");
        let held = Held {
            begun: Arc::default(),
            ..held.clone()
        };
        let mut task = match code {
            Code::Async => task(work(way, holder, held.clone())),
            Code::Blocking => task(blocks(way, holder, held.clone())),
        };
        if way == Way::TimesOut {
            task = task.timeout(Duration::from_millis(30));
        }
        let workflow = DotFlow::new(&name, task);
        let [_, task] = setting.run(&name, &workflow, way, &held);
        let status = attribute(&task.attributes, "dotflow.task.status").cloned();
        let expected = match way {
            Way::Completes => "Completed",
            Way::Cancelled | Way::Dropped => "Cancelled",
            Way::Fails | Way::Panics | Way::TimesOut => "Failed",
        };
        assert_eq!(status, Some(Value::StringValue(expected.into())), "{name}");
    }
    // What runs on makes no second span when it ends.
    held.blocked.lock().unwrap().clear();
    // Only the open children are left.
    let children = CODES.len() * WAYS.len();
    assert_eq!(setting.guard.open(), children as u64);
    held.spans.lock().unwrap().clear();
    assert_eq!(setting.guard.open(), 0);
    // Nothing is sent a second time when it is let go.
    let spans = 2 * children * HOLDERS.len() + children;
    drop(setting.runtime.take());
    setting.guard.shutdown().unwrap();
    assert_eq!(setting.collector.spans().len(), spans);
    assert_eq!(setting.guard.exported(), spans as u64);
}

#[test]
fn blocking_code_that_runs_on_does_not_hold_back_the_trace() {
    let setting = Setting::new();
    let held = Held::default();
    let late = task(blocks(Way::TimesOut, Holder::Nobody, held.clone()));
    let late = late.timeout(Duration::from_millis(30));
    let workflow = DotFlow::new("late", late);
    let [_, task] = setting.run("late", &workflow, Way::TimesOut, &held);
    let Some(Value::DoubleValue(seconds)) = attribute(&task.attributes, "dotflow.task.duration")
    else {
        panic!("the duration is a float");
    };
    // And it says so.
    let events = task.events.iter().map(|event| event.name.as_str());
    assert_eq!(events.collect::<Vec<_>>(), ["still running", "exception"]);
    let lasted = Duration::from_nanos(task.end_time_unix_nano - task.start_time_unix_nano);
    // The span lasts as long as its own attribute says, but for what the machine does in between.
    assert!(lasted.as_secs_f64() >= *seconds, "{lasted:?} {seconds}");
    assert!(
        lasted.as_secs_f64() < *seconds + 1.0,
        "{lasted:?} {seconds}"
    );
    held.blocked.lock().unwrap().clear();
}

#[test]
fn what_happens_in_a_span_after_its_end_still_nests_below_it() {
    let setting = Setting::new();
    let held = Held::default();
    let task = task(work(Way::Completes, Holder::Clone, held.clone()));
    let workflow = DotFlow::new("kept", task);
    let [workflow, task] = setting.run("kept", &workflow, Way::Completes, &held);
    let kept = held.spans.lock().unwrap().pop().unwrap();
    tracing::dispatcher::with_default(&setting.dispatch, || {
        kept.in_scope(|| tracing::info_span!("afterwards").in_scope(|| ()));
        drop(kept);
    });
    setting.guard.flush().unwrap();
    let spans = setting.collector.spans();
    assert_eq!(spans.len(), 3);
    let late = spans.iter().find(|span| span.name == "afterwards").unwrap();
    assert_eq!(late.parent_span_id, task.span_id);
    assert_eq!(late.trace_id, workflow.trace_id);
}
