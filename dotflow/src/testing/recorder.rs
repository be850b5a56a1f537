//! A subscriber that keeps what it is told, and draws it.

use std::{
    cell::RefCell,
    fmt::{self, Write as _},
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
    subscriber::Interest,
};
use tracing_core::span::Current;

use crate::{
    spans,
    tree::{Line, Tree},
};

/// A subscriber that keeps what it is told. Clones share it.
#[derive(Clone)]
pub(super) struct Recorder {
    /// Tells this one from others on the same thread.
    number: u64,
    seen: Arc<Mutex<Vec<Node>>>,
}

/// A span, or an event, which has no id and nothing below it.
struct Node {
    metadata: &'static Metadata<'static>,
    /// Its place in the list; `None` for what stands at the top.
    parent: Option<usize>,
    fields: Vec<(&'static str, Value)>,
}

enum Value {
    Int(i64),
    Float(f64),
    Text(String),
    /// Anything else, as its `Debug` has it.
    Other(String),
}

thread_local! {
    /// The spans that this thread is in: of which recorder, and which one.
    static ENTERED: RefCell<Vec<(u64, Id)>> = const { RefCell::new(Vec::new()) };
}

impl Recorder {
    pub(super) fn new() -> Self {
        // Whether anybody listens to a span or an event is asked when it is met first and when a
        // subscriber comes or goes, and remembered. Tests run side by side: one that listens to nothing
        // could be asked for all. One that is always there, though it is nobody's, is asked as well.
        static AWAKE: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Recorder::numbered(0)));
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        LazyLock::force(&AWAKE);
        Self::numbered(NUMBER.fetch_add(1, Ordering::Relaxed))
    }

    fn numbered(number: u64) -> Self {
        Self {
            number,
            seen: Arc::default(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Vec<Node>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> Option<Id> {
        ENTERED.with_borrow(|entered| {
            let mut entered = entered.iter().rev();
            let (_, id) = entered.find(|(of, _)| *of == self.number)?;
            Some(id.clone())
        })
    }

    /// Keeps a node; its parent is the given one, or the current span where it is to be found out.
    fn keep(
        &self,
        metadata: &'static Metadata<'static>,
        parent: Option<&Id>,
        is_contextual: bool,
        fields: Fields,
    ) -> usize {
        let current = is_contextual.then(|| self.current()).flatten();
        let mut seen = self.seen();
        let parent = parent.or(current.as_ref()).map(place);
        // One of another subscriber means nothing here.
        let parent = parent.filter(|parent| *parent < seen.len());
        seen.push(Node {
            metadata,
            parent,
            fields: fields.0,
        });
        seen.len() - 1
    }

    /// All of it as a text tree.
    pub(super) fn text(&self) -> String {
        let seen = self.seen();
        let mut below: Vec<Vec<usize>> = seen.iter().map(|_| Vec::new()).collect();
        let mut tops = Vec::new();
        for (place, node) in seen.iter().enumerate() {
            match node.parent {
                Some(parent) => below[parent].push(place),
                None => tops.push(place),
            }
        }
        let mut tree = Tree::new();
        tops.reverse();
        // A stack of our own, since runs may be deep.
        let mut open: Vec<(usize, usize)> = tops.into_iter().map(|place| (0, place)).collect();
        while let Some((depth, place)) = open.pop() {
            tree.push(depth, seen[place].line());
            let mut children = std::mem::take(&mut below[place]);
            children.sort_by_key(|child| seen[*child].task());
            open.extend(children.into_iter().rev().map(|child| (depth + 1, child)));
        }
        tree.to_string()
    }
}

/// The place of a span in the list.
fn place(id: &Id) -> usize {
    usize::try_from(id.into_u64() - 1).expect("an id is made from a place")
}

impl Subscriber for Recorder {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) {
            // Not `always`: where nobody listens, a span is to be none.
            Interest::sometimes()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields::default();
        span.record(&mut fields);
        let place = self.keep(span.metadata(), span.parent(), span.is_contextual(), fields);
        Id::from_u64(place as u64 + 1)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        if let Some(node) = self.seen().get_mut(place(span)) {
            node.fields.append(&mut fields.0);
        }
    }

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.keep(
            event.metadata(),
            event.parent(),
            event.is_contextual(),
            fields,
        );
    }

    fn enter(&self, span: &Id) {
        ENTERED.with_borrow_mut(|entered| entered.push((self.number, span.clone())));
    }

    fn exit(&self, span: &Id) {
        ENTERED.with_borrow_mut(|entered| {
            let is_it = |(of, id): &(u64, Id)| *of == self.number && id == span;
            if let Some(last) = entered.iter().rposition(is_it) {
                entered.remove(last);
            }
        });
    }

    fn current_span(&self) -> Current {
        let Some(id) = self.current() else {
            return Current::none();
        };
        let metadata = self.seen().get(place(&id)).map(|node| node.metadata);
        metadata.map_or_else(Current::none, |metadata| Current::new(id, metadata))
    }
}

impl Node {
    fn is_ours(&self, name: &str) -> bool {
        self.metadata.target() == spans::TARGET && self.metadata.name() == name
    }

    fn field(&self, key: &str) -> Option<&Value> {
        let mut fields = self.fields.iter();
        fields
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value)
    }

    fn text(&self, key: &str) -> &str {
        match self.field(key) {
            Some(Value::Text(text) | Value::Other(text)) => text,
            _ => "",
        }
    }

    fn int(&self, key: &str) -> Option<i64> {
        match self.field(key) {
            Some(Value::Int(number)) => Some(*number),
            _ => None,
        }
    }

    /// The number and the item of a task: by these it stands among its siblings.
    fn task(&self) -> Option<(i64, i64)> {
        let number = self.is_ours(spans::TASK).then(|| self.int(spans::TASK_ID));
        Some((number.flatten()?, self.int(spans::TASK_ITEM).unwrap_or(-1)))
    }

    fn line(&self) -> Line {
        if self.is_ours(spans::WORKFLOW) {
            let line = Line::trace("…", self.text(spans::WORKFLOW_NAME));
            return self.ended(line, spans::WORKFLOW_STATUS);
        }
        if let Some((number, item)) = self.task() {
            let number = usize::try_from(number).unwrap_or_default();
            let name = self.text(spans::TASK_NAME);
            let line = match self.text(spans::TASK_ITEM_LABEL) {
                "" => Line::task(number, name, usize::try_from(item).ok()),
                label => Line::task(number, &format!("{name}[{label}]"), None),
            };
            let line = self.ended(line, spans::TASK_STATUS);
            return match self.field(spans::TASK_RESTORED) {
                Some(_) => line.restored(),
                None => line,
            };
        }
        if self.metadata.is_span() {
            return Line::span(self.metadata.name(), self.other_fields(""));
        }
        if self.metadata.target() == spans::TARGET {
            return self.own_event();
        }
        let level = self.metadata.level().as_str().to_lowercase();
        Line::event(level, self.other_fields(self.text("message")))
    }

    fn ended(&self, line: Line, status: &str) -> Line {
        let ok = match self.field(spans::OTEL_STATUS_DESCRIPTION) {
            Some(_) => Some(false),
            None => self.field(spans::OTEL_STATUS_CODE).map(|_| true),
        };
        match self.text(status) {
            "" => line.without_duration(None, "In progress"),
            status => line.without_duration(ok, status),
        }
    }

    fn own_event(&self) -> Line {
        let (kind, message) = (
            self.text(spans::EXCEPTION_TYPE),
            self.text(spans::EXCEPTION_MESSAGE),
        );
        match self.metadata.name() {
            spans::RETRY => {
                let attempt = self.int(spans::ATTEMPT).unwrap_or_default();
                let delay = match self.field(spans::DELAY) {
                    Some(Value::Float(seconds)) => Duration::try_from_secs_f64(*seconds).ok(),
                    _ => None,
                };
                Line::retry(
                    u32::try_from(attempt).unwrap_or_default(),
                    kind,
                    message,
                    delay.unwrap_or_default(),
                )
            }
            spans::EXCEPTION => Line::exception(kind, message),
            spans::RECORD => {
                let value = self.field(spans::RECORD_VALUE).map(ToString::to_string);
                let key = self.text(spans::RECORD_KEY);
                Line::event(
                    spans::RECORD,
                    format!("{key}={}", value.unwrap_or_default()),
                )
            }
            name => Line::event(name, self.other_fields(self.text("message"))),
        }
    }

    /// A text, and behind it all fields but the message.
    fn other_fields(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let fields = self.fields.iter();
        for (name, value) in fields.filter(|(name, _)| *name != "message") {
            let space = if text.is_empty() { "" } else { " " };
            // Writing to a string can't fail.
            let _ = write!(text, "{space}{name}={value}");
        }
        text
    }
}

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => write!(formatter, "{number}"),
            Self::Float(number) => write!(formatter, "{number}"),
            Self::Text(text) => write!(formatter, "{text:?}"),
            Self::Other(text) => formatter.write_str(text),
        }
    }
}

#[derive(Default)]
struct Fields(Vec<(&'static str, Value)>);

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.push((field.name(), Value::Int(value)));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        let value = i64::try_from(value).map_or(Value::Other(value.to_string()), Value::Int);
        self.0.push((field.name(), value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.push((field.name(), Value::Float(value)));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), Value::Text(value.to_owned())));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0
            .push((field.name(), Value::Other(format!("{value:?}"))));
    }
}
