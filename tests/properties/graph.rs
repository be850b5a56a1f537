//! Random graphs, and what must come of them.

use std::time::Duration;

use dotflow::{RetryPolicy, Status, Task, join_all};
use proptest::{collection::vec, prelude::*};

use crate::step::{Log, Node};

/// How a node takes what comes before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Required,
    Optional,
    Handling,
}

/// One task: what comes before it, and what it does.
#[derive(Debug, Clone)]
pub(crate) struct NodePlan {
    pub(crate) before: Vec<usize>,
    pub(crate) mode: Mode,
    pub(crate) failures: u32,
    pub(crate) panics: bool,
    pub(crate) policy: RetryPolicy,
    pub(crate) is_jittered: bool,
    pub(crate) millis: u64,
}

impl NodePlan {
    pub(crate) fn succeeds(&self) -> bool {
        self.failures < self.policy.max_attempts()
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<NodePlan>,
    pub(crate) concurrency: usize,
    pub(crate) keep_going: bool,
    /// Whether tasks take their time, on a clock that stands still otherwise.
    pub(crate) sleeps: bool,
}

/// What must come of a node.
pub(crate) struct Expected {
    pub(crate) status: Status,
    pub(crate) attempts: u32,
    pub(crate) value: Option<u64>,
    handled: bool,
}

pub(crate) struct Model {
    pub(crate) nodes: Vec<Expected>,
    pub(crate) status: Status,
}

impl Graph {
    /// The nodes that no other one follows.
    pub(crate) fn sink_nodes(&self) -> Vec<usize> {
        let followed = |node: &usize| self.nodes.iter().any(|other| other.before.contains(node));
        (0..self.nodes.len())
            .filter(|node| !followed(node))
            .collect()
    }

    /// The tasks, each named by the number of its node.
    pub(crate) fn sinks(&self, log: &Log) -> Vec<Task<u64>> {
        let mut tasks: Vec<Task<u64>> = Vec::new();
        for (index, plan) in self.nodes.iter().enumerate() {
            let before = join_all(plan.before.iter().map(|before| tasks[*before].clone()));
            let node = Node::new(index, plan.clone(), self.sleeps, log.clone());
            let task = match plan.mode {
                Mode::Required => before.then(node.required()),
                Mode::Optional => before.then(node.optional()),
                Mode::Handling => before.then(node.handling()),
            };
            tasks.push(task.named(index.to_string()).retry_policy(plan.policy));
        }
        self.sink_nodes()
            .into_iter()
            .map(|sink| tasks[sink].clone())
            .collect()
    }

    /// What must happen when every task that can run does.
    pub(crate) fn model(&self) -> Model {
        let mut nodes: Vec<Expected> = Vec::new();
        for (index, plan) in self.nodes.iter().enumerate() {
            let values = plan.before.iter().filter_map(|before| nodes[*before].value);
            let (present, sum) = (values.clone().count(), values.sum::<u64>());
            let expected = if plan.mode == Mode::Required && present < plan.before.len() {
                Expected {
                    status: Status::Skipped,
                    attempts: 0,
                    value: None,
                    handled: false,
                }
            } else if plan.succeeds() {
                Expected {
                    status: Status::Completed,
                    attempts: plan.failures + 1,
                    value: Some(sum % 1_000_000 + index as u64 + 1),
                    handled: false,
                }
            } else {
                let attempts = plan.policy.max_attempts();
                Expected {
                    status: Status::Failed,
                    attempts,
                    value: None,
                    handled: false,
                }
            };
            if plan.mode == Mode::Handling {
                let mut missing = plan.before.clone();
                while let Some(before) = missing.pop() {
                    if nodes[before].value.is_none() {
                        nodes[before].handled = true;
                        if nodes[before].status == Status::Skipped {
                            missing.extend(&self.nodes[before].before);
                        }
                    }
                }
            }
            nodes.push(expected);
        }
        let unhandled = nodes
            .iter()
            .any(|node| node.status == Status::Failed && !node.handled);
        let missing = self
            .sink_nodes()
            .iter()
            .any(|sink| nodes[*sink].value.is_none());
        let status = if unhandled || missing {
            Status::Failed
        } else {
            Status::Completed
        };
        Model { nodes, status }
    }
}

prop_compose! {
    fn policies()(
        attempts in 1_u32..4,
        delay in 0_u64..5,
        backs_off in any::<bool>(),
        cap in 1_u64..12,
        jitter in any::<bool>(),
    ) -> (RetryPolicy, bool) {
        let policy = RetryPolicy::new()
            .attempts(attempts)
            .delay(Duration::from_millis(delay))
            .backoff(if backs_off { 2.0 } else { 1.0 })
            .max_delay(Duration::from_millis(cap))
            .jitter(jitter);
        (policy, jitter)
    }
}

prop_compose! {
    fn nodes(index: usize)(
        before in vec(0..index.max(1), 0..=index.min(4)),
        mode in prop_oneof![
            3 => Just(Mode::Required),
            1 => Just(Mode::Optional),
            1 => Just(Mode::Handling),
        ],
        failures in prop_oneof![3 => Just(0_u32), 1 => 1_u32..5],
        panics in any::<bool>(),
        (policy, is_jittered) in policies(),
        millis in 0_u64..6,
    ) -> NodePlan {
        NodePlan { before, mode, failures, panics, policy, is_jittered, millis }
    }
}

/// Graphs of up to 20 tasks; without sleeps they suit a clock that really moves.
pub(crate) fn graphs(sleeps: bool) -> impl Strategy<Value = Graph> {
    let nodes = (1_usize..20).prop_flat_map(|count| (0..count).map(nodes).collect::<Vec<_>>());
    (nodes, 1_usize..6, any::<bool>()).prop_map(move |(nodes, concurrency, keep_going)| Graph {
        nodes,
        concurrency,
        keep_going,
        sleeps,
    })
}
