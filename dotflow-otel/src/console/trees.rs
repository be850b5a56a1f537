//! Draws the tree of a trace when its local root ends.
//!
//! The local root is the first span of a trace in this process: a workflow, or what the user's code
//! opened around it. Spans are kept until then, apart for each root, however traces interleave.
//! What is kept is bounded: neither a root that never ends nor one with a huge number of spans can
//! use up the memory.

use std::{
    collections::HashMap,
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

use super::{draw, screen::Screen};
use crate::spans;

/// How many spans of one tree are kept; as many again where they failed.
const SPANS_PER_TREE: usize = 1_000;
/// How many spans of all unfinished trees are kept.
const SPANS_IN_ALL: usize = 20_000;

/// Draws trees of ended spans.
#[derive(Debug)]
pub(crate) struct ConsoleTrees {
    screen: Screen,
    /// Whether trees say under which id a backend has the trace.
    with_trace_ids: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Of each open span, the root of its tree.
    root_of: HashMap<SpanId, SpanId>,
    /// Of each open root, what ended below it.
    pending: HashMap<SpanId, Pending>,
    kept: usize,
}

/// What ended below a root that is still open.
#[derive(Debug, Default)]
struct Pending {
    spans: Vec<SpanData>,
    omitted: usize,
}

impl ConsoleTrees {
    pub(crate) fn new(screen: Screen, with_trace_ids: bool) -> Self {
        Self {
            screen,
            with_trace_ids,
            state: Mutex::default(),
        }
    }
}

impl State {
    /// Takes an ended span; where it is a root, what ended below it comes back.
    fn take(&mut self, span: SpanData) -> Option<(SpanData, Pending)> {
        let id = span.span_context.span_id();
        let root = self.root_of.remove(&id).unwrap_or(id);
        if root == id {
            let pending = self.pending.remove(&root).unwrap_or_default();
            self.kept -= pending.spans.len();
            return Some((span, pending));
        }
        let pending = self.pending.entry(root).or_default();
        // A failed span is what people look for, so there is room for it in a tree that is full.
        let failed = matches!(span.status, Status::Error { .. });
        let limit = if failed {
            2 * SPANS_PER_TREE
        } else {
            SPANS_PER_TREE
        };
        if pending.spans.len() < limit && self.kept < SPANS_IN_ALL {
            pending.spans.push(span);
            self.kept += 1;
        } else {
            pending.omitted += 1;
        }
        None
    }
}

impl SpanProcessor for ConsoleTrees {
    fn on_start(&self, span: &mut Span, context: &Context) {
        if !span.span_context().is_sampled() {
            return;
        }
        let id = span.span_context().span_id();
        let parent = context.span().span_context().clone();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // A parent in another process has no tree here, nor has one that ended already.
        let root = state.root_of.get(&parent.span_id()).copied();
        state.root_of.insert(id, root.unwrap_or(id));
    }

    fn on_end(&self, mut span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        spans::complete(&mut span);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let finished = state.take(span);
        drop(state);
        let Some((root, Pending { spans, omitted })) = finished else {
            return;
        };
        let tree = draw::tree(root, spans, omitted, self.with_trace_ids);
        self.screen.show(&if self.screen.colored {
            tree.to_colored_string()
        } else {
            tree.to_string()
        });
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}
