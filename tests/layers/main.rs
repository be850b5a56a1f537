//! dotflow's spans under layers that know nothing of it: the real crates, as users install them.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use dotflow::{DotFlow, PreviousContext, action, task};
use dotflow_tests::threaded;
use serde_json::Value;
use tracing::instrument::WithSubscriber;
use tracing_chrome::{ChromeLayerBuilder, TraceStyle};
use tracing_subscriber::{
    Registry,
    fmt::{MakeWriter, format::FmtSpan},
    layer::SubscriberExt,
};

/// A place in memory that a layer writes to.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Buffer {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[action]
fn extract() -> Vec<u32> {
    tracing::info!("reading");
    vec![3, 5, 8]
}

#[action]
async fn transform(previous: PreviousContext<Vec<u32>>) -> u32 {
    tokio::task::yield_now().await;
    previous.iter().sum()
}

#[action(retry = 2, retry_delay = 0)]
async fn load(previous: PreviousContext<u32>) -> Result<(), String> {
    Err(format!("no room for {}", *previous))
}

fn sales() -> DotFlow<()> {
    let loaded = task(extract()).then(transform()).then(load());
    DotFlow::new("sales", loaded)
}

#[test]
fn the_fmt_layer_sees_spans_with_fields_and_events_within_them() {
    let buffer = Buffer::default();
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .without_time()
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(buffer.clone());
    let subscriber = Registry::default().with(layer);
    let run = threaded(async { sales().start().await.unwrap() }.with_subscriber(subscriber));
    assert!(!run.succeeded());

    let text = buffer.text();
    let closed = |status: &str| {
        let lines = text.lines();
        lines
            .filter(|line| line.contains("close") && line.contains(status))
            .count()
    };
    assert_eq!(closed(r#"dotflow.task.status="Completed""#), 2, "{text}");
    assert_eq!(closed(r#"dotflow.task.status="Failed""#), 1, "{text}");
    assert_eq!(closed(r#"dotflow.workflow.status="Failed""#), 1, "{text}");
    let line = |part: &str| {
        let mut lines = text.lines().filter(|line| line.contains(part));
        let line = lines.next().unwrap_or_else(|| panic!("{part}: {text}"));
        assert_eq!(lines.next(), None, "{part}: {text}");
        line
    };
    // An event of the user's, from a plain function on the blocking pool.
    let reading = line("reading");
    assert!(reading.contains("otel.name=workflow:sales"), "{text}");
    assert!(reading.contains("otel.name=task:0"), "{text}");
    // They begin with a sentence for people.
    let said = "dotflow: attempt 1 of 2 failed: no room for 16, next in 0ns ";
    assert!(line("WARN").contains(said), "{text}");
    assert!(line("WARN").contains("dotflow.task.attempt=1"), "{text}");
    let said = "dotflow: task:2 `load` failed: no room for 16 ";
    assert!(line("ERROR").contains(said), "{text}");
}

#[test]
fn the_chrome_layer_sees_every_span_begin_and_end() {
    let buffer = Buffer::default();
    let (layer, guard) = ChromeLayerBuilder::new()
        .writer(buffer.clone())
        .trace_style(TraceStyle::Async)
        .include_args(true)
        .build();
    let subscriber = Registry::default().with(layer);
    let run = threaded(async { sales().start().await.unwrap() }.with_subscriber(subscriber));
    assert_eq!(run.tasks().len(), 3);
    drop(guard);

    let entries: Vec<Value> = serde_json::from_str(&buffer.text()).unwrap();
    let count = |phase: &str, name: &str| {
        let mut entries: Vec<&Value> = entries.iter().collect();
        entries.retain(|entry| entry["ph"] == phase && entry["name"] == name);
        entries.len()
    };
    assert_eq!((count("b", "workflow"), count("e", "workflow")), (1, 1));
    assert_eq!((count("b", "task"), count("e", "task")), (3, 3));
    let statuses: Vec<&str> = entries
        .iter()
        .filter(|entry| entry["ph"] == "e" && entry["name"] == "task")
        .filter_map(|entry| entry["args"]["dotflow.task.status"].as_str())
        .collect();
    assert_eq!(statuses.len(), 3, "{entries:#?}");
}
