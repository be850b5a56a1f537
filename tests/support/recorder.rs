//! A layer that records every span and event, and runtimes whose clock stands still.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    future::Future,
    sync::{Arc, LazyLock, Mutex},
};

use tracing::{
    Dispatch, Subscriber,
    field::{Field, Visit},
    instrument::WithSubscriber,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Registry,
    layer::{Context, Layer, SubscriberExt},
    registry::LookupSpan,
};

/// Runs a future on a runtime of one thread whose clock moves only when everything waits.
///
/// # Panics
///
/// Panics if the runtime can't be built.
pub fn paused<F: Future>(future: F) -> F::Output {
    keep_callsites_awake();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime of one thread can be built")
        .block_on(future)
}

/// Runs a future on a runtime with several threads and the real clock.
///
/// # Panics
///
/// Panics if the runtime can't be built.
pub fn threaded<F>(future: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    keep_callsites_awake();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .expect("a runtime of four threads can be built");
    runtime.block_on(async {
        tokio::spawn(future)
            .await
            .expect("the future does not panic")
    })
}

/// Sees to it that no span or event is taken for one that nobody listens to.
///
/// Tests run side by side, each with its own subscriber. A span that is first opened while another
/// test sets up its subscriber may be left out for both: `tracing` asks who is interested only
/// when a subscriber comes or goes. One that is always there, though it is nobody's, is asked
/// first.
pub fn keep_callsites_awake() {
    static INTERESTED: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Registry::default()));
    LazyLock::force(&INTERESTED);
}

/// Runs a future under a recording subscriber, with a clock that stands still.
pub fn recorded<F: Future>(future: F) -> (F::Output, Recording) {
    let recorder = Recorder::default();
    keep_callsites_awake();
    let output = paused(future.with_subscriber(Registry::default().with(recorder.clone())));
    (output, recorder.recording())
}

/// Runs a future under a recording subscriber, on several threads.
pub fn recorded_threaded<F>(future: F) -> (F::Output, Recording)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let recorder = Recorder::default();
    let subscriber = Registry::default().with(recorder.clone());
    let output = threaded(future.with_subscriber(subscriber));
    (output, recorder.recording())
}

/// A layer that records spans and events as they are.
#[derive(Clone, Default, Debug)]
pub struct Recorder {
    recording: Arc<Mutex<Recording>>,
}

/// What a [`Recorder`] has seen.
#[derive(Clone, Default, Debug)]
pub struct Recording {
    /// In the order in which the spans were opened.
    pub spans: Vec<SpanRecord>,
    /// Events outside any span.
    pub events: Vec<EventRecord>,
}

/// One span.
#[derive(Clone, Debug)]
pub struct SpanRecord {
    id: u64,
    /// The `tracing` name.
    pub name: String,
    /// The index of the parent in [`Recording::spans`].
    pub parent: Option<usize>,
    /// All fields, by name; a field that was recorded twice stands twice.
    pub fields: Vec<(String, Value)>,
    /// The events within the span, in order.
    pub events: Vec<EventRecord>,
    /// How often it was closed.
    pub closed: usize,
}

/// One event.
#[derive(Clone, Debug)]
pub struct EventRecord {
    /// The name of the event.
    pub name: String,
    /// Its level.
    pub level: tracing::Level,
    /// All fields, by name.
    pub fields: BTreeMap<String, Value>,
}

/// The value of a field, with its type.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// An integer of 64 bits with a sign, the only kind that backends take as a number.
    Int(i64),
    /// A float.
    Float(f64),
    /// A bool.
    Bool(bool),
    /// A text.
    Text(String),
    /// Anything else, which backends would get as a text.
    Other(String),
}

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => write!(formatter, "{value}"),
            Self::Float(value) => write!(formatter, "{value:?}"),
            Self::Bool(value) => write!(formatter, "{value}"),
            Self::Text(value) => write!(formatter, "{value:?}"),
            Self::Other(value) => write!(formatter, "other({value})"),
        }
    }
}

impl SpanRecord {
    /// The value of a field; of the first one, should there be several.
    pub fn field(&self, name: &str) -> Option<&Value> {
        let mut fields = self.fields.iter();
        fields.find(|field| field.0 == name).map(|field| &field.1)
    }

    /// A field that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.field(name)? {
            Value::Text(text) | Value::Other(text) => Some(text),
            _ => None,
        }
    }

    /// A field that is an integer.
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.field(name)? {
            Value::Int(value) => Some(*value),
            _ => None,
        }
    }
}

impl Recording {
    /// The spans of one name.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a SpanRecord> {
        self.spans.iter().filter(move |span| span.name == name)
    }

    /// The only span of a name with this value of `otel.name`, as `task:1`.
    ///
    /// # Panics
    ///
    /// Panics if there is none, or more than one.
    pub fn otel(&self, otel_name: &str) -> &SpanRecord {
        let mut found = self
            .spans
            .iter()
            .filter(|span| span.text("otel.name") == Some(otel_name));
        match (found.next(), found.next()) {
            (Some(span), None) => span,
            (None, _) => panic!("no span {otel_name} in\n{}", self.tree()),
            (Some(_), Some(_)) => panic!("several spans {otel_name} in\n{}", self.tree()),
        }
    }

    /// All spans and events as a text tree: names, parents, status and retries; no ids, no times.
    pub fn tree(&self) -> String {
        let mut text = String::new();
        for index in 0..self.spans.len() {
            if self.spans[index].parent.is_none() {
                self.draw(index, 0, &mut text);
            }
        }
        for event in &self.events {
            let _ = writeln!(text, "! {}", event.name);
        }
        text
    }

    fn draw(&self, index: usize, depth: usize, text: &mut String) {
        let span = &self.spans[index];
        let indent = "  ".repeat(depth);
        let _ = write!(
            text,
            "{indent}{}",
            span.text("otel.name").unwrap_or(&span.name)
        );
        for (key, value) in [
            ("name", span.field("dotflow.task.name")),
            ("item", span.field("dotflow.task.item")),
            ("status", span.field("dotflow.task.status")),
            ("status", span.field("dotflow.workflow.status")),
            ("retries", span.field("dotflow.task.retry_count")),
            ("code", span.field("otel.status_code")),
            ("error", span.field("otel.status_description")),
        ] {
            if let Some(value) = value {
                let _ = write!(text, " {key}={value}");
            }
        }
        match span.closed {
            1 => text.push('\n'),
            times => {
                let _ = writeln!(text, " CLOSED {times} TIMES");
            }
        }
        for event in &span.events {
            let _ = writeln!(text, "{indent}  ! {}", event.name);
        }
        for child in 0..self.spans.len() {
            if self.spans[child].parent == Some(index) {
                self.draw(child, depth + 1, text);
            }
        }
    }
}

impl Recorder {
    /// What was seen up to now.
    ///
    /// # Panics
    ///
    /// Panics if the recorder itself has panicked before.
    pub fn recording(&self) -> Recording {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Recording> {
        self.recording.lock().expect("the recorder does not panic")
    }

    fn with_span(&self, id: &Id, change: impl FnOnce(&mut SpanRecord)) {
        let mut recording = self.lock();
        // The registry uses ids again, so the last span of this id is the living one.
        let mut spans = recording.spans.iter_mut().rev();
        if let Some(span) = spans.find(|span| span.id == id.into_u64()) {
            change(span);
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorder {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let parent = context
            .span(id)
            .and_then(|span| span.parent())
            .map(|parent| parent.id().into_u64());
        let mut recording = self.lock();
        let parent =
            parent.and_then(|parent| recording.spans.iter().rposition(|span| span.id == parent));
        recording.spans.push(SpanRecord {
            id: id.into_u64(),
            name: attributes.metadata().name().to_owned(),
            parent,
            fields: fields.0,
            events: Vec::new(),
            closed: 0,
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _context: Context<'_, S>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        self.with_span(id, |span| span.fields.append(&mut fields.0));
    }

    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let record = EventRecord {
            name: event.metadata().name().to_owned(),
            level: *event.metadata().level(),
            fields: fields.0.into_iter().collect(),
        };
        match context.event_span(event) {
            Some(span) => self.with_span(&span.id(), |span| span.events.push(record)),
            None => self.lock().events.push(record),
        }
    }

    fn on_close(&self, id: Id, _context: Context<'_, S>) {
        self.with_span(&id, |span| span.closed += 1);
    }
}

#[derive(Default)]
struct Fields(Vec<(String, Value)>);

impl Fields {
    fn push(&mut self, field: &Field, value: Value) {
        self.0.push((field.name().to_owned(), value));
    }
}

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, Value::Int(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field, Value::Float(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, Value::Bool(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, Value::Text(value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push(field, Value::Other(format!("{value:?}")));
    }
}
