//! A node of the graph: a step with its settings and the nodes before it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use super::{
    plan::{EachFns, ErasedStep, ItemLabel, Settings, StepFuture},
    step::{Erased, Step},
};
use crate::action::{
    Name,
    codec::CheckpointPolicy,
    context::TaskContext,
    inputs::{Inputs, OnMissing, Slots},
    retry::RetryPolicy,
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
    pub(crate) item_label: Option<ItemLabel>,
    pub(crate) is_input: bool,
    settings: Mutex<Settings>,
}

fn next_id() -> u64 {
    static NEXT_ID: AtomicU64 = AtomicU64::new(0);
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

impl Node {
    pub(crate) fn new<S: Step>(step: S, edges: Vec<Edge>) -> Arc<Self> {
        Self::with_items(step, edges, None, None)
    }

    pub(crate) fn with_items<S: Step>(
        step: S,
        edges: Vec<Edge>,
        each: Option<EachFns>,
        item_label: Option<ItemLabel>,
    ) -> Arc<Self> {
        let Erased { step, spec } = step.erase();
        assert!(
            spec.checkpoint
                .is_none_or(|checkpoint| checkpoint.fits::<S::Output>()),
            "the specification of the action `{}` says `checkpointed` with another type than it \
             returns",
            spec.name()
        );
        Arc::new(Self {
            id: next_id(),
            step,
            edges,
            // Without a list there are no items, whatever an item's task could do without.
            on_missing: match each {
                Some(_) => &[],
                None => S::Inputs::ON_MISSING,
            },
            each,
            item_label,
            is_input: false,
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

    /// What stands for the input of a run: there is nothing to be done for it.
    pub(crate) fn input() -> Arc<Self> {
        Arc::new(Self {
            id: next_id(),
            step: Arc::new(InputStep),
            edges: Vec::new(),
            on_missing: &[],
            each: None,
            item_label: None,
            is_input: true,
            settings: Mutex::new(Settings {
                name: Name::Static("input"),
                group: None,
                retry: RetryPolicy::new(),
                timeout: None,
                keep: false,
                checkpoint: CheckpointPolicy::Never,
                version: 1,
                may_overlap: false,
                blocks: false,
            }),
        })
    }

    pub(crate) fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct InputStep;

impl ErasedStep for InputStep {
    fn call(&self, _slots: Slots, _task: TaskContext) -> StepFuture<'_> {
        unreachable!("the input of a run is given, not made")
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
