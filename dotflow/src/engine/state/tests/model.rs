//! Random graphs, and what must come of each when all that can run does.

use std::sync::{Arc, OnceLock};

use proptest::{collection::vec, prelude::*};

use crate::{
    action::{
        Name,
        codec::CheckpointPolicy,
        context::TaskContext,
        inputs::{OnMissing, Slots},
        retry::RetryPolicy,
    },
    graph::{
        flatten::successors,
        plan::{EachFns, ErasedStep, Plan, PlannedTask, Settings, Source, StepFuture},
    },
    report::status::Status,
};

/// What a task does.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Once {
        succeeds: bool,
    },
    /// One run per item, each of which succeeds or not.
    Each(Vec<bool>),
    /// The same, and failures of items are handed on.
    Settled(Vec<bool>),
}

/// A parameter: what it does without an output, and the tasks that it reads.
#[derive(Debug, Clone)]
pub(super) struct Parameter {
    on_missing: OnMissing,
    is_list: bool,
    before: Vec<u32>,
}

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) kind: Kind,
    parameters: Vec<Parameter>,
    is_kept: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
}

/// What must come of a graph.
pub(super) struct Model {
    pub(super) statuses: Vec<Status>,
    /// The failures that nobody handles.
    pub(super) unhandled: Vec<u32>,
    /// Whether a failure is left that nobody handles, or an output of the workflow is missing.
    pub(super) has_failed: bool,
}

impl Node {
    /// Whether the task succeeds, or one of its items.
    pub(super) fn succeeds(&self, item: Option<u32>) -> bool {
        match (&self.kind, item) {
            (Kind::Once { succeeds }, None) => *succeeds,
            (Kind::Each(items), None) => items.iter().all(|succeeds| *succeeds),
            (Kind::Settled(_), None) => true,
            (Kind::Each(items) | Kind::Settled(items), Some(item)) => items[item as usize],
            (Kind::Once { .. }, Some(_)) => panic!("this task has no items"),
        }
    }
}

impl Node {
    /// The items, for a task that has some.
    pub(super) fn items(&self) -> &[bool] {
        match &self.kind {
            Kind::Each(items) | Kind::Settled(items) => items,
            Kind::Once { .. } => panic!("this task has no items"),
        }
    }
}

impl Graph {
    /// The tasks that no other one follows.
    fn sinks(&self) -> Vec<u32> {
        let parameters = || self.nodes.iter().flat_map(|node| &node.parameters);
        let is_read = |task: &u32| parameters().any(|one| one.before.contains(task));
        let tasks = 0..u32::try_from(self.nodes.len()).unwrap();
        tasks.filter(|task| !is_read(task)).collect()
    }

    pub(super) fn plan(&self) -> Plan {
        let tasks: Vec<PlannedTask> = self.nodes.iter().map(planned).collect();
        let (starts, successors) = successors(&tasks);
        Plan {
            name: "random".into(),
            tasks,
            sinks: self.sinks(),
            input: None,
            needs_timer: false,
            depth: 1,
            has_workflows: false,
            successors,
            starts,
            keys: OnceLock::new(),
        }
    }

    pub(super) fn model(&self) -> Model {
        let mut statuses: Vec<Status> = Vec::new();
        let mut handled = vec![false; self.nodes.len()];
        for node in &self.nodes {
            let is_missing = |before: &&u32| statuses[**before as usize] != Status::Completed;
            let can_run = node.parameters.iter().all(|parameter| {
                parameter.on_missing != OnMissing::Skip
                    || !parameter.before.iter().any(|before| is_missing(&before))
            });
            if can_run {
                let handling = node.parameters.iter();
                let handling = handling.filter(|one| one.on_missing == OnMissing::Handle);
                let missing = handling.flat_map(|one| &one.before).filter(is_missing);
                let mut missing: Vec<u32> = missing.copied().collect();
                while let Some(task) = missing.pop() {
                    handled[task as usize] = true;
                    if statuses[task as usize] == Status::Skipped {
                        let parameters = self.nodes[task as usize].parameters.iter();
                        let before = parameters.flat_map(|one| &one.before);
                        missing.extend(before.filter(is_missing));
                    }
                }
            }
            statuses.push(match (can_run, node.succeeds(None)) {
                (false, _) => Status::Skipped,
                (true, true) => Status::Completed,
                (true, false) => Status::Failed,
            });
        }
        let failures = (0u32..).zip(statuses.iter().zip(handled));
        let unhandled =
            failures.filter(|(_, (status, handled))| **status == Status::Failed && !handled);
        let unhandled: Vec<u32> = unhandled.map(|(task, _)| task).collect();
        let mut sinks = self.sinks().into_iter();
        let is_missing = sinks.any(|sink| statuses[sink as usize] != Status::Completed);
        Model {
            has_failed: !unhandled.is_empty() || is_missing,
            statuses,
            unhandled,
        }
    }
}

/// The step of a task that nobody calls.
struct Nothing;

impl ErasedStep for Nothing {
    fn call(&self, _slots: Slots, _task: TaskContext) -> StepFuture<'_> {
        unreachable!("the state calls nothing")
    }
}

fn planned(node: &Node) -> PlannedTask {
    let sources = node.parameters.iter().map(|parameter| match parameter {
        Parameter {
            is_list: false,
            before,
            ..
        } => Source::One(before[0]),
        Parameter { before, .. } => Source::All(before.clone().into()),
    });
    let settles = matches!(node.kind, Kind::Settled(_));
    let is_each = settles || matches!(node.kind, Kind::Each(_));
    let on_missing = node.parameters.iter().map(|one| one.on_missing);
    let on_missing: Vec<OnMissing> = on_missing.collect();
    PlannedTask {
        node: 0,
        step: Arc::new(Nothing),
        sources: sources.collect(),
        on_missing: if is_each { &[] } else { table(&on_missing) },
        each: is_each.then_some(EachFns {
            split: |_| unreachable!("the state splits nothing"),
            collect: |_| unreachable!("the state collects nothing"),
            settles,
        }),
        item_label: None,
        settings: Settings {
            name: Name::Static("task"),
            group: None,
            retry: RetryPolicy::new(),
            timeout: None,
            keep: node.is_kept,
            checkpoint: CheckpointPolicy::not_storable::<()>(),
            version: 1,
            may_overlap: false,
            blocks: false,
        },
    }
}

/// The same for up to two parameters, as what the types of an action say once and for all.
fn table(on_missing: &[OnMissing]) -> &'static [OnMissing] {
    use OnMissing::{Handle, Run, Skip};
    const PAIRS: [[OnMissing; 2]; 9] = [
        [Skip, Skip],
        [Skip, Run],
        [Skip, Handle],
        [Run, Skip],
        [Run, Run],
        [Run, Handle],
        [Handle, Skip],
        [Handle, Run],
        [Handle, Handle],
    ];
    let pair = PAIRS.iter().find(|pair| pair.starts_with(on_missing));
    &pair.expect("at most two parameters")[..on_missing.len()]
}

prop_compose! {
    fn parameter(task: usize)(
        on_missing in prop_oneof![
            3 => Just(OnMissing::Skip),
            1 => Just(OnMissing::Run),
            1 => Just(OnMissing::Handle),
        ],
        is_list in any::<bool>(),
        // A task may be read twice, and a list may be empty.
        before in vec(0..u32::try_from(task).unwrap().max(1), 0..4),
        one in 0..u32::try_from(task).unwrap().max(1),
    ) -> Parameter {
        let before = if is_list { before } else { vec![one] };
        Parameter { on_missing, is_list, before }
    }
}

prop_compose! {
    fn node(task: usize)(
        parameters in vec(parameter(task), 0..=task.min(2)),
        succeeds in prop::bool::weighted(0.75),
        items in vec(prop::bool::weighted(0.8), 0..5),
        is_each in prop::bool::weighted(0.25),
        settles in any::<bool>(),
        is_kept in prop::bool::weighted(0.1),
    ) -> Node {
        // The list of an `each` is one output.
        let list = parameters.first().filter(|parameter| is_each && !parameter.is_list);
        match list {
            Some(list) => Node {
                kind: if settles { Kind::Settled(items) } else { Kind::Each(items) },
                parameters: vec![Parameter { on_missing: OnMissing::Skip, ..list.clone() }],
                is_kept,
            },
            None => Node { kind: Kind::Once { succeeds }, parameters, is_kept },
        }
    }
}

/// Graphs of up to 14 tasks.
pub(super) fn graphs() -> impl Strategy<Value = Graph> {
    let nodes = (1_usize..15).prop_flat_map(|count| (0..count).map(node).collect::<Vec<_>>());
    nodes.prop_map(|nodes| Graph { nodes })
}
