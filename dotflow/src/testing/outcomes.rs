//! What became of each task of a run, by name.

use std::collections::{BTreeMap, HashMap};

use crate::report::{Report, TaskReport, status::Status};

/// What became of each task of a run, by the name that [`testing`](crate::testing#names) gives it.
///
/// Items of [`each`](crate::Task::each) stand one by one (`fetch[3]`); tasks of a workflow within the
/// workflow below the task that it is (`inner/load`). Of several tasks of one name the first is
/// `load#1`.
///
/// ```
/// use dotflow::{DotFlow, PreviousContext, Status, TaskError, action, task, testing::statuses};
///
/// #[action]
/// fn fetch(from: String) -> String { from }
///
/// #[action]
/// fn store(page: PreviousContext<String>) -> usize { page.len() }
///
/// # fn main() -> Result<(), dotflow::Error> {
/// let stored = |from: &str| task(fetch(from.into())).then(store());
/// let workflow = DotFlow::new("pages", (stored("a"), stored("b")))
///     .fail("fetch#1", .., TaskError::failed("not found"))
///     .keep_going(true);
/// let run = workflow.start_blocking()?;
/// let statuses = statuses(run.report());
/// assert_eq!(statuses["fetch#1"], Status::Failed);
/// assert_eq!(statuses["store#1"], Status::Skipped);
/// assert_eq!(statuses["store#2"], Status::Completed);
/// assert_eq!(statuses.len(), 4);
/// # Ok(()) }
/// ```
pub fn statuses(report: &Report) -> BTreeMap<String, Status> {
    let tasks = report.tasks();
    // Per parent and name, the numbers of the tasks that share it, in their order.
    let mut namesakes: HashMap<(Option<usize>, &str), Vec<usize>> = HashMap::new();
    for task in tasks {
        let ids = namesakes.entry((task.parent(), task.name())).or_default();
        // Items of one task stand side by side.
        if ids.last() != Some(&task.id()) {
            ids.push(task.id());
        }
    }
    let mut names: Vec<String> = Vec::with_capacity(tasks.len());
    for task in tasks {
        // A task of a nested workflow comes after the task that this is.
        let above = task.parent().and_then(|parent| names.get(parent));
        let above = above.map(|above| format!("{above}/")).unwrap_or_default();
        let ids = &namesakes[&(task.parent(), task.name())];
        names.push(format!("{above}{}", own_name(task, ids)));
    }
    let statuses = tasks.iter().map(TaskReport::status);
    names.into_iter().zip(statuses).collect()
}

fn own_name(task: &TaskReport, namesakes: &[usize]) -> String {
    let number = match namesakes {
        [_, _, ..] => namesakes.iter().position(|id| *id == task.id()),
        _ => None,
    };
    let number = number.map(|place| format!("#{}", place + 1));
    let item = task.item().map(|item| format!("[{item}]"));
    let (number, item) = (number.unwrap_or_default(), item.unwrap_or_default());
    format!("{}{number}{item}", task.name())
}
