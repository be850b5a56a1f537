//! The console: draws the tree of a trace when its local root ends.
//!
//! The local root is the first span of a trace in this process: a workflow, or what the user's code
//! opened around it. Spans are kept until then, apart for each root, however traces interleave.
//! What is kept is bounded: a root that never ends, or one with a huge number of spans, can't use
//! up the memory.

use std::{
    collections::HashMap,
    fmt,
    io::{self, IsTerminal, Write},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use opentelemetry::{
    Context,
    trace::{Span as _, SpanId, Status, TraceContextExt as _},
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanProcessor},
};

mod draw;

/// How many spans of one tree are drawn.
const SPANS_PER_TREE: usize = 1_000;
/// How many spans of all unfinished trees are kept.
const SPANS_IN_ALL: usize = 10_000;

/// Draws trees of ended spans on a writer.
pub(crate) struct Console {
    state: Mutex<State>,
    colored: bool,
}

struct State {
    writer: Box<dyn Write + Send>,
    /// Of each open span, the root of its tree.
    root_of: HashMap<SpanId, SpanId>,
    /// Of each open root, what ended below it.
    pending: HashMap<SpanId, Pending>,
    kept: usize,
}

/// What ended below a root that is still open.
#[derive(Default)]
struct Pending {
    spans: Vec<SpanData>,
    omitted: usize,
}

impl Console {
    /// The console on standard output; coloured only on a terminal, and never with `NO_COLOR`.
    pub(crate) fn stdout() -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colored = io::stdout().is_terminal() && !no_color;
        Self::new(Box::new(io::stdout()), colored)
    }

    /// A console on any writer, without colours.
    pub(crate) fn plain(writer: Box<dyn Write + Send>) -> Self {
        Self::new(writer, false)
    }

    fn new(writer: Box<dyn Write + Send>, colored: bool) -> Self {
        Self {
            state: Mutex::new(State {
                writer,
                root_of: HashMap::new(),
                pending: HashMap::new(),
                kept: 0,
            }),
            colored,
        }
    }
}

impl SpanProcessor for Console {
    fn on_start(&self, span: &mut Span, cx: &Context) {
        let id = span.span_context().span_id();
        let parent = cx.span().span_context().clone();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let root = if parent.is_valid() && !parent.is_remote() {
            state.root_of.get(&parent.span_id()).copied()
        } else {
            None
        };
        // A parent that ended already, or that is unknown here, has no tree to add to.
        state.root_of.insert(id, root.unwrap_or(id));
    }

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        let id = span.span_context.span_id();
        let mut guard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *guard;
        let root = state.root_of.remove(&id).unwrap_or(id);
        if root == id {
            let Pending { spans, omitted } = state.pending.remove(&root).unwrap_or_default();
            state.kept -= spans.len();
            let tree = draw::tree(span, spans, omitted);
            let text = if self.colored {
                tree.to_colored_string()
            } else {
                tree.to_string()
            };
            // A closed pipe or a full disk must not stop the workflow.
            let _ = state.writer.write_all(text.as_bytes());
            let _ = state.writer.flush();
            return;
        }
        let pending = state.pending.entry(root).or_default();
        // A failed span is what people look for, so room is left for it in a tree that is too long.
        let failed = matches!(span.status, Status::Error { .. });
        let limit = if failed {
            SPANS_PER_TREE
        } else {
            SPANS_PER_TREE / 2
        };
        if pending.spans.len() < limit && state.kept < SPANS_IN_ALL {
            pending.spans.push(span);
            state.kept += 1;
        } else {
            pending.omitted += 1;
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Console").finish_non_exhaustive()
    }
}
