//! From the ended spans of one local root to the lines of its tree.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, SystemTime},
};

use dotflow::{
    spans,
    tree::{Line, Tree},
};
use opentelemetry::{
    KeyValue, Value,
    trace::{Event, SpanId, Status, TraceId},
};
use opentelemetry_sdk::trace::SpanData;

/// The tree of `root` and what ended below it; `omitted` more spans are not there any more. The first
/// line has the id of the trace, where that is wanted.
pub(super) fn tree(
    root: SpanData,
    below: Vec<SpanData>,
    omitted: usize,
    with_trace_id: bool,
) -> Tree {
    let mut trace_id = with_trace_id.then(|| root.span_context.trace_id());
    let root_id = root.span_context.span_id();
    let known: HashSet<SpanId> = below
        .iter()
        .map(|span| span.span_context.span_id())
        .collect();
    let mut children: HashMap<SpanId, Vec<SpanData>> = HashMap::new();
    for span in below {
        // A span whose parent was omitted still belongs to the tree.
        let parent = if known.contains(&span.parent_span_id) {
            span.parent_span_id
        } else {
            root_id
        };
        children.entry(parent).or_default().push(span);
    }

    let mut tree = Tree::new();
    // What is still to be drawn, the next one last. A stack of our own, since traces may be deep.
    let mut stack = vec![(0, Node::Span(Box::new(root)))];
    while let Some((depth, node)) = stack.pop() {
        let span = match node {
            Node::Event(event) => {
                tree.push(depth, event_line(&event));
                continue;
            }
            Node::Span(span) => span,
        };
        tree.push(depth, span_line(&span, trace_id.take()));
        let spans = children.remove(&span.span_context.span_id());
        let events = span.events.events.into_iter().map(Node::Event);
        let mut nodes: Vec<Node> = events
            .chain(
                spans
                    .into_iter()
                    .flatten()
                    .map(|span| Node::Span(Box::new(span))),
            )
            .collect();
        nodes.sort_by_key(|node| std::cmp::Reverse(node.position()));
        stack.extend(nodes.into_iter().map(|node| (depth + 1, node)));
    }
    if omitted > 0 {
        tree.push(1, Line::span("…", format!("{omitted} more, not kept")));
    }
    tree
}

enum Node {
    Span(Box<SpanData>),
    Event(Event),
}

impl Node {
    /// Where it stands among its siblings: tasks by their id, as a run lists them, and everything
    /// else after them by time.
    fn position(&self) -> (i64, i64, SystemTime) {
        match self {
            Self::Span(span) => (
                integer(&span.attributes, spans::TASK_ID).unwrap_or(i64::MAX),
                integer(&span.attributes, spans::TASK_ITEM).unwrap_or(-1),
                span.start_time,
            ),
            Self::Event(event) => (i64::MAX, -1, event.timestamp),
        }
    }
}

fn span_line(span: &SpanData, trace_id: Option<TraceId>) -> Line {
    let attributes = &span.attributes;
    let with_trace_id = |text: String| match trace_id {
        Some(trace_id) => format!("{text} trace_id={trace_id}"),
        None => text,
    };
    let name = |key| text(attributes, key);
    let number = |key| integer(attributes, key).and_then(|number| usize::try_from(number).ok());
    let workflow = name(spans::WORKFLOW_ID).zip(name(spans::WORKFLOW_NAME));
    let task = number(spans::TASK_ID).zip(name(spans::TASK_NAME));
    let (line, seconds, status) = match (workflow, task) {
        (Some((id, name)), _) => (
            Line::trace(with_trace_id(id), name),
            spans::WORKFLOW_DURATION,
            spans::WORKFLOW_STATUS,
        ),
        (None, Some((id, name))) => (
            Line::task(id, &name, number(spans::TASK_ITEM)),
            spans::TASK_DURATION,
            spans::TASK_STATUS,
        ),
        // A span of the user's code.
        (None, None) => {
            let name = with_trace_id(span.name.to_string());
            (Line::span(name, ""), "", "")
        }
    };
    let recorded = seconds_of(attributes, seconds);
    let duration = recorded.unwrap_or_else(|| {
        span.end_time
            .duration_since(span.start_time)
            .unwrap_or_default()
    });
    let ok = match span.status {
        Status::Ok => Some(true),
        Status::Error { .. } => Some(false),
        Status::Unset => None,
    };
    let line = line.ended(duration, ok, text(attributes, status).unwrap_or_default());
    match value(attributes, spans::TASK_RESTORED) {
        Some(Value::Bool(true)) => line.restored(),
        _ => line,
    }
}

fn event_line(event: &Event) -> Line {
    let attributes = &event.attributes;
    let kind = text(attributes, spans::EXCEPTION_TYPE).unwrap_or_default();
    let message = text(attributes, spans::EXCEPTION_MESSAGE);
    let attempt = integer(attributes, spans::ATTEMPT).and_then(|number| u32::try_from(number).ok());
    let delay = seconds_of(attributes, spans::DELAY);
    match (event.name.as_ref(), message, attempt, delay) {
        (spans::RETRY, Some(message), Some(attempt), Some(delay)) => {
            Line::retry(attempt, &kind, &message, delay)
        }
        (spans::EXCEPTION, Some(message), _, _) => Line::exception(&kind, &message),
        (name, message, _, _) => {
            let message = message.or_else(|| text(attributes, "message"));
            Line::event(name, message.unwrap_or_default())
        }
    }
}

fn value<'span>(attributes: &'span [KeyValue], key: &str) -> Option<&'span Value> {
    attributes
        .iter()
        .find(|attribute| attribute.key.as_str() == key)
        .map(|attribute| &attribute.value)
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    value(attributes, key).map(|value| value.as_str().into_owned())
}

fn integer(attributes: &[KeyValue], key: &str) -> Option<i64> {
    match value(attributes, key) {
        Some(Value::I64(integer)) => Some(*integer),
        _ => None,
    }
}

fn seconds_of(attributes: &[KeyValue], key: &str) -> Option<Duration> {
    match value(attributes, key) {
        Some(Value::F64(seconds)) => Duration::try_from_secs_f64(*seconds).ok(),
        _ => None,
    }
}
