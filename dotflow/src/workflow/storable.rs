//! Which outputs of a workflow can be stored: asked before anything is run.

use crate::{
    codec::Checkpoint,
    plan::{Plan, Planned},
};

/// The tasks whose outputs can't be stored, in words.
pub(super) fn not_storable(plan: &Plan) -> Vec<String> {
    let mut problems = Vec::new();
    for (number, task) in plan.tasks.iter().enumerate() {
        let name = task.name().as_str();
        if let Some(nested) = task.step.nested() {
            let inner = nested.not_storable.into_iter();
            problems.extend(inner.map(|problem| format!("in `{name}`, {problem}")));
        } else if let Checkpoint::NotStorable { type_name } = task.settings.checkpoint {
            let type_name = type_name();
            problems.push(format!("task:{number} `{name}` returns `{type_name}`"));
        }
        if let Some(list) = list_of_items(plan, task)
            && !matches!(task.settings.checkpoint, Checkpoint::Never)
            && task.step.nested().is_none()
            && !is_repeatable_task(list)
        {
            problems.push(format!(
                "task:{number} `{name}` runs once per item of `{}`, whose list is not stored, so \
                 nobody knows which item a stored output belongs to",
                list.name().as_str()
            ));
        }
    }
    problems
}

/// Whether a resumed run returns the very same output again.
pub(super) fn is_repeatable(plan: &Plan) -> bool {
    let mut sinks = plan.sinks.iter();
    sinks.all(|sink| is_repeatable_task(&plan.tasks[*sink as usize]))
}

fn is_repeatable_task(task: &Planned) -> bool {
    match task.step.nested() {
        Some(nested) => nested.is_repeatable,
        None => matches!(task.settings.checkpoint, Checkpoint::Stored(_)),
    }
}

/// The task that gives the list, for one that was made by `each`.
fn list_of_items<'plan>(plan: &'plan Plan, task: &Planned) -> Option<&'plan Planned> {
    task.mapping?;
    let list = task.predecessors().next()?;
    Some(&plan.tasks[list as usize])
}
