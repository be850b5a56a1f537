//! Flattens the graph of a workflow into its plan, once.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

#[cfg(feature = "testing")]
use super::plan::Edit;
use super::{
    node::{Edge, Node},
    plan::{
        ErasedStep, INPUT, NestedWorkflow, Plan, PlannedInput, PlannedTask, Source, StepFuture,
        Within,
    },
};
use crate::{
    action::{context::TaskContext, inputs::Slots},
    error::{TaskError, TaskErrorKind},
};

/// How many workflows can be nested in each other, the outermost one included.
///
/// Each level is a part of the plan of the one around it, and is gone through with it.
pub(crate) const MAX_DEPTH: usize = 64;

/// The plan of the workflow that ends with these nodes, and takes this input.
///
/// # Panics
///
/// Panics if a task takes the input of another workflow.
pub(crate) fn plan(name: Arc<str>, sinks: &[Arc<Node>], input: Option<&Node>) -> Plan {
    let mut numbers: HashMap<u64, u32> = HashMap::new();
    numbers.extend(input.map(|input| (input.id, INPUT)));
    let mut tasks: Vec<PlannedTask> = Vec::new();
    for sink in sinks {
        flatten(sink, &mut numbers, &mut tasks);
    }
    let sinks: Vec<u32> = sinks.iter().map(|sink| numbers[&sink.id]).collect();
    let sources = tasks.iter().flat_map(|task| &task.sources);
    let read = sources.flat_map(Source::tasks).chain(&sinks);
    let readers = read.filter(|read| **read == INPUT).count();
    let (starts, successors) = successors(&tasks);
    let nested = tasks.iter().filter_map(PlannedTask::nested);
    Plan {
        name,
        input: input.map(|input| PlannedInput {
            node: input.id,
            readers: u32::try_from(readers).expect("at most 2^32 readers fit in memory"),
        }),
        needs_timer: tasks
            .iter()
            .any(|task| task.settings.timeout.is_some() || task.settings.retry.max_attempts() > 1),
        depth: 1 + nested.map(|nested| nested.depth).max().unwrap_or(0),
        has_workflows: tasks.iter().any(PlannedTask::is_workflow),
        tasks,
        sinks,
        successors,
        starts,
        keys: OnceLock::new(),
    }
}

/// The step of a node; in place of a workflow that is nested too deep to be run, one that only
/// knows how deep. So a workflow that is too deep takes no more stack than one that is not,
/// whatever is done with it: to be dropped, for one.
fn bounded(step: &Arc<dyn ErasedStep>) -> Arc<dyn ErasedStep> {
    let plan = step.nested().and_then(NestedWorkflow::plan);
    match plan {
        Some(plan) if plan.depth >= MAX_DEPTH => Arc::new(TooDeep(Arc::new(Plan {
            name: Arc::clone(&plan.name),
            tasks: Vec::new(),
            sinks: Vec::new(),
            input: None,
            needs_timer: false,
            depth: plan.depth,
            has_workflows: false,
            successors: Vec::new(),
            starts: vec![0],
            keys: OnceLock::new(),
        }))),
        _ => Arc::clone(step),
    }
}

/// Stands for a workflow that is nested too deep.
struct TooDeep(Arc<Plan>);

impl ErasedStep for TooDeep {
    fn call(&self, _slots: Slots, _task: TaskContext) -> StepFuture<'_> {
        Box::pin(async { Err(self.refused()) })
    }

    fn nested(&self) -> Option<&dyn NestedWorkflow> {
        Some(self)
    }
}

impl NestedWorkflow for TooDeep {
    fn plan(&self) -> Option<&Arc<Plan>> {
        Some(&self.0)
    }

    #[cfg(feature = "testing")]
    fn edited(&self, _edit: &Arc<Edit>) -> Result<Option<Arc<dyn ErasedStep>>, String> {
        Ok(None)
    }

    fn run<'run>(&'run self, _slots: Slots, _within: Within<'run>) -> StepFuture<'run> {
        Box::pin(async { Err(self.refused()) })
    }
}

impl TooDeep {
    /// A run is refused before it begins, so this is seen by nobody.
    fn refused(&self) -> TaskError {
        let message = format!("{} workflows are nested in each other", self.0.depth);
        TaskError::of_kind(TaskErrorKind::Failed, &message)
    }
}

/// Numbers a task and all before it that have no number yet, in post-order.
///
/// A loop with a stack of its own: a chain of a million tasks would be as many nested calls.
fn flatten(sink: &Arc<Node>, numbers: &mut HashMap<u64, u32>, tasks: &mut Vec<PlannedTask>) {
    enum Visit<'graph> {
        Enter(&'graph Node),
        Leave(&'graph Node),
    }
    let mut visits = vec![Visit::Enter(sink)];
    while let Some(visit) = visits.pop() {
        match visit {
            Visit::Enter(node) => {
                if numbers.contains_key(&node.id) {
                    continue;
                }
                visits.push(Visit::Leave(node));
                let before = node.edges.iter().flat_map(Edge::nodes);
                visits.extend(before.rev().map(|before| Visit::Enter(before)));
            }
            Visit::Leave(node) => {
                // A node that several others follow may have been entered by each of them.
                if numbers.contains_key(&node.id) {
                    continue;
                }
                assert!(
                    !node.is_input,
                    "a task of this workflow takes the input of another one: an input is there for \
                     the tasks that are made within the closure of its own `with_input`"
                );
                let number = u32::try_from(tasks.len()).expect("at most 2^32 tasks fit in memory");
                numbers.insert(node.id, number);
                tasks.push(PlannedTask {
                    node: node.id,
                    step: bounded(&node.step),
                    sources: node
                        .edges
                        .iter()
                        .map(|edge| source(edge, numbers))
                        .collect(),
                    on_missing: node.on_missing,
                    each: node.each,
                    item_label: node.item_label.clone(),
                    settings: node.settings().clone(),
                });
            }
        }
    }
}

fn source(edge: &Edge, numbers: &HashMap<u64, u32>) -> Source {
    match edge {
        Edge::One(node) => Source::One(numbers[&node.id]),
        Edge::All(nodes) => Source::All(nodes.iter().map(|node| numbers[&node.id]).collect()),
    }
}

/// Turns "comes after" into "comes before": one entry per edge, so that each entry settled is one
/// input less to wait for.
pub(crate) fn successors(tasks: &[PlannedTask]) -> (Vec<u32>, Vec<u32>) {
    let mut starts = vec![0; tasks.len() + 1];
    for before in tasks.iter().flat_map(PlannedTask::after) {
        starts[before as usize + 1] += 1;
    }
    for task in 0..tasks.len() {
        starts[task + 1] += starts[task];
    }
    let mut next = starts.clone();
    let mut successors = vec![0; next[tasks.len()] as usize];
    for (number, task) in tasks.iter().enumerate() {
        for before in task.after() {
            let place = &mut next[before as usize];
            successors[*place as usize] =
                u32::try_from(number).expect("task numbers are 32 bits wide");
            *place += 1;
        }
    }
    (starts, successors)
}
