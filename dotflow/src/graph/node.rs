//! A node of the graph: a step with its settings and the nodes before it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use super::{
    plan::{EachFns, ErasedStep, Settings},
    step::{Erased, Step},
};
use crate::action::{
    codec::CheckpointPolicy,
    inputs::{Inputs, OnMissing},
};

/// Where one parameter of a task comes from.
pub(crate) enum Edge {
    One(Arc<Node>),
    All(Vec<Arc<Node>>),
}

impl Edge {
    pub(crate) fn nodes(&self) -> &[Arc<Node>] {
        match self {
            Self::One(node) => std::slice::from_ref(node),
            Self::All(nodes) => nodes,
        }
    }
}

impl Clone for Edge {
    fn clone(&self) -> Self {
        match self {
            Self::One(node) => Self::One(Arc::clone(node)),
            Self::All(nodes) => Self::All(nodes.clone()),
        }
    }
}

/// A task in the graph, with the tasks before it.
pub(crate) struct Node {
    pub(crate) id: u64,
    pub(crate) step: Arc<dyn ErasedStep>,
    pub(crate) edges: Vec<Edge>,
    pub(crate) on_missing: &'static [OnMissing],
    pub(crate) each: Option<EachFns>,
    settings: Mutex<Settings>,
}

impl Node {
    pub(crate) fn new<S: Step>(step: S, edges: Vec<Edge>, each: Option<EachFns>) -> Arc<Self> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        let Erased { step, spec } = step.erase();
        assert!(
            spec.checkpoint
                .is_none_or(|checkpoint| checkpoint.fits::<S::Output>()),
            "the specification of the action `{}` says `checkpointed` with another type than it \
             returns",
            spec.name()
        );
        Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            step,
            edges,
            // Without a list there are no items, whatever an item's task could do without.
            on_missing: match each {
                Some(_) => &[],
                None => S::Inputs::ON_MISSING,
            },
            each,
            settings: Mutex::new(Settings {
                name: spec.name,
                group: None,
                retry: spec.retry,
                timeout: spec.timeout,
                keep: false,
                checkpoint: match spec.checkpoint {
                    Some(checkpoint) => checkpoint,
                    None => CheckpointPolicy::not_storable::<S::Output>(),
                },
                version: spec.version,
                may_overlap: spec.may_overlap,
                blocks: spec.blocks,
            }),
        })
    }

    pub(crate) fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Node {
    // A chain of a million tasks must not be a million nested drops: the nodes that die with this
    // one are taken apart in a loop.
    fn drop(&mut self) {
        let mut dying: Vec<Edge> = std::mem::take(&mut self.edges);
        while let Some(edge) = dying.pop() {
            let nodes = match edge {
                Edge::One(node) => vec![node],
                Edge::All(nodes) => nodes,
            };
            for node in nodes {
                if let Some(mut node) = Arc::into_inner(node) {
                    dying.append(&mut node.edges);
                }
            }
        }
    }
}
