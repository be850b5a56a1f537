//! Steps of a plan exchanged for others: which ones a name means, and whether their types allow it.

use std::{
    any::TypeId,
    collections::HashMap,
    fmt::Write as _,
    future::ready,
    ops::{Bound, RangeBounds},
    sync::{Arc, OnceLock},
};

use crate::{
    action::{Action, context::TaskContext, inputs::Slots},
    error::TaskError,
    graph::{
        plan::{Edit, ErasedStep, NestedWorkflow, Plan, PlannedTask, Signature, StepFuture},
        step::{Erased, Step},
    },
};

/// How many tasks are named where one is not found.
const MOST_NAMES: usize = 20;

/// What becomes of a task.
#[derive(Clone)]
pub(super) enum Change {
    Replace {
        step: Arc<dyn ErasedStep>,
        signature: Signature,
        /// Whether it runs on the blocking pool.
        blocks: bool,
        may_overlap: bool,
    },
    Fail(Faults),
}

/// Which attempts fail, and with what.
#[derive(Clone)]
pub(super) struct Faults {
    pub(super) attempts: (Bound<u32>, Bound<u32>),
    pub(super) error: TaskError,
}

impl Change {
    pub(super) fn replace<A: Action>(action: A) -> Self {
        let Erased { step, spec } = action.erase();
        Self::Replace {
            step,
            signature: Signature::of::<A::Inputs, A::Output>(),
            blocks: spec.blocks,
            may_overlap: spec.may_overlap,
        }
    }

    /// This change, for all that a path names.
    pub(super) fn edit(self, path: &str) -> Arc<Edit> {
        let path = path.to_owned();
        Arc::new(move |plan| edit(plan, &path, &self))
    }

    /// The changed task; of one item, where an index is given.
    fn apply(&self, task: &PlannedTask, item: Option<u32>) -> Result<PlannedTask, String> {
        let name = task.name();
        match self {
            Self::Replace {
                step,
                signature,
                blocks,
                may_overlap,
            } => {
                let Some(own) = task.step.signature() else {
                    return Err(format!("the task `{name}` can't be exchanged"));
                };
                let takes_nothing = signature.inputs.0 == TypeId::of::<()>();
                let fits = takes_nothing || signature.inputs.0 == own.inputs.0;
                if !fits || signature.output.0 != own.output.0 {
                    return Err(format!(
                        "the task `{name}` takes `{}` and returns `{}`, but what is to replace it \
                         takes `{}` and returns `{}`",
                        own.inputs.1, own.output.1, signature.inputs.1, signature.output.1
                    ));
                }
                let stand_in = task.step.exchanged(Arc::new(StandIn {
                    step: Arc::clone(step),
                    signature: own,
                }));
                let mut task = with_step(task, stand_in);
                task.settings.blocks = *blocks;
                task.settings.may_overlap = *may_overlap;
                Ok(task)
            }
            Self::Fail(_) if task.is_workflow() => Err(format!(
                "the task `{name}` is a workflow, whose attempts are those of its tasks: name one of \
                 these, as `{name}/load`"
            )),
            Self::Fail(faults) => Ok(with_step(
                task,
                Arc::new(Failing {
                    step: Arc::clone(&task.step),
                    faults: faults.clone(),
                    item,
                }),
            )),
        }
    }
}

fn edit(plan: &Plan, path: &str, change: &Change) -> Result<Option<Plan>, String> {
    let mut changed = Vec::new();
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    for (index, task) in plan.tasks.iter().enumerate() {
        let number = numbers.entry(task.name()).or_default();
        *number += 1;
        let numbered = format!("{}#{number}", task.name());
        for name in [task.name(), &numbered] {
            if let Some(task) = named(task, name, path, change)? {
                changed.push((index, task));
                break;
            }
        }
    }
    Ok((!changed.is_empty()).then(|| with_tasks(plan, changed)))
}

/// The task as changed, where the path leads to it or through it by this name.
fn named(
    task: &PlannedTask,
    name: &str,
    path: &str,
    change: &Change,
) -> Result<Option<PlannedTask>, String> {
    let Some(rest) = path.strip_prefix(name) else {
        return Ok(None);
    };
    if rest.is_empty() {
        return change.apply(task, None).map(Some);
    }
    if let Some(below) = rest.strip_prefix('/') {
        let Some(nested) = task.step.nested() else {
            return Ok(None);
        };
        let step = nested.edited(&change.clone().edit(below))?;
        return Ok(step.map(|step| with_step(task, step)));
    }
    let index = rest
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match index.and_then(|index| index.parse().ok()) {
        Some(item) if task.is_each() && matches!(change, Change::Fail(_)) => {
            change.apply(task, Some(item)).map(Some)
        }
        _ => Ok(None),
    }
}

fn with_step(task: &PlannedTask, step: Arc<dyn ErasedStep>) -> PlannedTask {
    PlannedTask {
        node: task.node,
        step,
        sources: task.sources.clone(),
        on_missing: task.on_missing,
        each: task.each,
        item_label: task.item_label.clone(),
        settings: task.settings.clone(),
    }
}

fn with_tasks(plan: &Plan, changed: Vec<(usize, PlannedTask)>) -> Plan {
    let unchanged = plan.tasks.iter();
    let unchanged = unchanged.map(|task| with_step(task, Arc::clone(&task.step)));
    let mut tasks: Vec<PlannedTask> = unchanged.collect();
    for (index, task) in changed {
        tasks[index] = task;
    }
    let nested = tasks.iter().filter_map(PlannedTask::nested);
    Plan {
        name: Arc::clone(&plan.name),
        sinks: plan.sinks.clone(),
        input: plan.input,
        needs_timer: plan.needs_timer,
        depth: 1 + nested.map(|nested| nested.depth).max().unwrap_or(0),
        has_workflows: tasks.iter().any(PlannedTask::is_workflow),
        successors: plan.successors.clone(),
        starts: plan.starts.clone(),
        keys: OnceLock::new(),
        tasks,
    }
}

/// The names of the tasks of a plan and of those nested in it, for a message.
pub(super) fn names(plan: &Plan) -> String {
    let mut names = Vec::new();
    collect(plan, "", &mut names);
    let mut text = String::new();
    for (index, name) in names.iter().take(MOST_NAMES).enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        // Writing to a string can't fail.
        let _ = write!(text, "{comma}`{name}`");
    }
    if names.len() > MOST_NAMES {
        text.push_str(" and more");
    }
    if text.is_empty() {
        text.push_str("none");
    }
    text
}

fn collect(plan: &Plan, above: &str, names: &mut Vec<String>) {
    for task in &plan.tasks {
        if names.len() > MOST_NAMES {
            return;
        }
        let name = format!("{above}{}", task.name());
        if !names.contains(&name) {
            names.push(name.clone());
        }
        if let Some(nested) = task.step.nested().and_then(NestedWorkflow::plan) {
            collect(nested, &format!("{name}/"), names);
        }
    }
}

/// Does the work of another step.
struct StandIn {
    step: Arc<dyn ErasedStep>,
    /// What the step takes and returns in whose place it stands.
    signature: Signature,
}

impl ErasedStep for StandIn {
    fn call(&self, slots: Slots, task: TaskContext) -> StepFuture<'_> {
        self.step.call(slots, task)
    }

    fn signature(&self) -> Option<Signature> {
        Some(self.signature)
    }
}

/// Fails where it is to, and does the work of a step elsewhere.
struct Failing {
    step: Arc<dyn ErasedStep>,
    faults: Faults,
    item: Option<u32>,
}

impl ErasedStep for Failing {
    fn call(&self, slots: Slots, task: TaskContext) -> StepFuture<'_> {
        let is_meant = self
            .item
            .is_none_or(|item| task.item() == Some(item as usize));
        if is_meant && self.faults.attempts.contains(&task.attempt()) {
            return Box::pin(ready(Err(self.faults.error.clone())));
        }
        self.step.call(slots, task)
    }

    fn signature(&self) -> Option<Signature> {
        self.step.signature()
    }

    fn exchanged(&self, with: Arc<dyn ErasedStep>) -> Arc<dyn ErasedStep> {
        Arc::new(Self {
            step: self.step.exchanged(with),
            faults: self.faults.clone(),
            item: self.item,
        })
    }
}
