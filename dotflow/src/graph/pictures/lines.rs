//! The plan as lines of text: one per task, true for any graph, however wide or deep.

use std::fmt;

use super::{
    parts::{Before, Drawn, Part, Parts},
    words::shortened,
};
use crate::graph::plan::{INPUT, Plan};

/// How wide the first column may become.
const WIDEST: usize = 50;

/// One line per task with its number and name, what it depends on and its settings; the tasks of a
/// workflow within this one are further in.
///
/// ```
/// use dotflow::{action, task, DotFlow, PreviousContext};
///
/// #[action(retry = 3, timeout = "30s")]
/// fn extract() -> Vec<u32> { vec![3, 5, 8] }
///
/// #[action]
/// fn load(rows: PreviousContext<Vec<u32>>) -> usize { rows.len() }
///
/// let workflow = DotFlow::new("sales", task(extract()).then(load()).group("db"));
/// assert_eq!(workflow.plan().to_string(), "\
/// sales
///   task:0 extract  3 attempts, timeout 30s
///   task:1 load     after 0, group db
/// ");
/// ```
impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<(String, String)> = Parts::of(self).filter_map(|part| line(&part)).collect();
        let with_settings = lines.iter().filter(|(_, settings)| !settings.is_empty());
        let widths = with_settings.map(|(name, _)| name.chars().count());
        let width = widths.max().unwrap_or(0).min(WIDEST);
        writeln!(formatter, "{}", shortened(self.name()))?;
        for (name, settings) in &lines {
            if settings.is_empty() {
                writeln!(formatter, "{name}")?;
            } else {
                writeln!(formatter, "{name:width$}  {settings}")?;
            }
        }
        Ok(())
    }
}

/// What is said of a part: its name, further in with each workflow around it, and its settings.
fn line(part: &Part<'_>) -> Option<(String, String)> {
    let (depth, name, settings) = match part {
        Part::Input { depth, .. } => (depth, "input".to_owned(), String::new()),
        Part::Task(drawn) | Part::Open(drawn) => {
            let (number, name) = (drawn.number, drawn.task.name());
            let name = match name {
                "" => format!("task:{number}"),
                name => format!("task:{number} {}", shortened(name)),
            };
            (&drawn.depth, name, settings(drawn))
        }
        Part::Nothing { depth, why, .. } => (depth, (*why).to_owned(), String::new()),
        Part::Close { .. } => return None,
    };
    let indent = 2 * (depth + 1);
    Some((format!("{:indent$}{name}", ""), settings))
}

/// What there is to say of a task besides its name; of most tasks very little.
fn settings(drawn: &Drawn<'_>) -> String {
    let task = drawn.task;
    let before = |before: &Before| match before.number {
        INPUT => "input".to_owned(),
        number => number.to_string(),
    };
    let after: Vec<String> = drawn.after.iter().map(before).collect();
    let attempts = task.retry_policy().max_attempts();
    let timeout = task.timeout();
    let said = [
        (!after.is_empty()).then(|| format!("after {}", after.join(", "))),
        task.is_each().then(|| "for each item".to_owned()),
        task.is_workflow().then(|| "workflow".to_owned()),
        (attempts > 1).then(|| format!("{attempts} attempts")),
        timeout.map(|timeout| format!("timeout {timeout:?}")),
        task.group()
            .map(|group| format!("group {}", shortened(group))),
        (task.version() != 1).then(|| format!("version {}", task.version())),
    ];
    let said: Vec<String> = said.into_iter().flatten().collect();
    said.join(", ")
}
