//! What the page says, in the words and numbers that its template puts in place.

use std::{collections::BTreeMap, time::Duration};

use dotflow::{
    Report, TaskReport,
    report::{Recorded, WaitReason},
};
use minijinja::{Environment, value::Serde};
use serde::Serialize;

use crate::{
    graph::Graph,
    rows::{Row, Rows, Shown},
    text::{self, LONGEST_NAME, count},
    timeline::{Bar, Timeline, class, worst},
};

/// How much of one error is shown, and of all together, in bytes of the page.
const LONGEST_ERROR: usize = 4 * 1024;
const MOST_ERROR_TEXT: usize = 24 * 1024;

/// How much is said above all else of why the run failed: the rest is in the row of the task.
const LONGEST_CAUSE: usize = 400;

/// How much is shown of what one task has recorded, in bytes of the page.
const LONGEST_RECORD: usize = 60;
const MOST_RECORDED: usize = 8;

/// All that the template asks for.
#[derive(Serialize)]
pub(crate) struct Page {
    title: String,
    class: &'static str,
    status: String,
    cause: Option<String>,
    facts: Vec<(&'static str, String)>,
    length: String,
    graph: Option<Graph>,
    rows: Vec<Line>,
    left_out: Option<String>,
    style: &'static str,
}

/// One row of the table.
#[derive(Serialize)]
struct Line {
    depth: usize,
    name: String,
    /// What stands beside the name, smaller.
    note: String,
    class: &'static str,
    status: String,
    duration: String,
    bars: Vec<Bar>,
    /// What opens below the name.
    details: Vec<Detail>,
}

/// A text with a title.
#[derive(Serialize)]
struct Detail {
    title: String,
    text: String,
    class: &'static str,
}

impl Page {
    pub(crate) fn of(report: &Report, most_rows: usize) -> Self {
        let timeline = Timeline::of(report);
        let Rows {
            shown: rows,
            left_out,
            failed_left_out,
        } = Rows::of(report, most_rows);
        let mut texts = Texts::of(&rows);
        let lines = rows.iter().map(|row| Line::of(row, &timeline, &mut texts));
        Self {
            title: text::name(report.name()),
            class: if report.succeeded() { "o" } else { "f" },
            status: report.status().to_string(),
            cause: report.cause().map(|cause| text::cut(cause, LONGEST_CAUSE)),
            facts: facts(report),
            length: text::duration(timeline.length()),
            graph: Graph::of(report),
            rows: lines.collect(),
            left_out: said_of(left_out, failed_left_out),
            style: include_str!("style.css"),
        }
    }

    pub(crate) fn render(&self) -> String {
        let mut templates = Environment::new();
        // The name ends with `.html`, so all that is put in is escaped.
        let page = templates
            .add_template("page.html", include_str!("page.html"))
            .and_then(|()| templates.get_template("page.html")?.render(Serde(self)));
        page.expect("the template fits the page, as each test shows")
    }
}

fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let ended = ended(report.tasks().iter());
    let tasks = match report.tasks().len() {
        0 => "none".to_owned(),
        1 => ended,
        number => format!("{number}: {ended}"),
    };
    vec![
        ("Run", text::cut(report.workflow_id(), 200)),
        ("Started", text::time(report.started_at())),
        ("Duration", text::duration(report.duration())),
        ("Tasks", tasks),
    ]
}

/// How many tasks ended in each way, in words.
fn ended<'task>(tasks: impl Iterator<Item = &'task TaskReport>) -> String {
    let mut by_status: BTreeMap<String, usize> = BTreeMap::new();
    for task in tasks {
        *by_status.entry(status(task)).or_default() += 1;
    }
    let counts = by_status
        .into_iter()
        .map(|(status, number)| format!("{number} {}", status.to_lowercase()));
    counts.collect::<Vec<_>>().join(", ")
}

fn status(task: &TaskReport) -> String {
    if task.restored() {
        "Restored".to_owned()
    } else {
        task.status().to_string()
    }
}

fn said_of(left_out: usize, failed: usize) -> Option<String> {
    match (left_out, failed) {
        (0, 0) => None,
        (0, failed) => Some(format!(
            "{} not shown one by one.",
            count(failed, "more failed task")
        )),
        (others, 0) => Some(format!(
            "{} left out: the fastest ones.",
            count(others, "task")
        )),
        (others, failed) => Some(format!(
            "{} left out, and {} not shown one by one.",
            count(others, "task"),
            count(failed, "failed task")
        )),
    }
}

/// How much may still be said of errors.
struct Texts {
    each: usize,
    left: usize,
}

impl Texts {
    fn of(rows: &[Row<'_>]) -> Self {
        let errors = rows.iter().map(|row| match row.shown {
            Shown::Task(task) => task.errors().len(),
            Shown::Items(_) => 0,
        });
        let errors: usize = errors.sum();
        let each = MOST_ERROR_TEXT / errors.max(1);
        Self {
            // Some words of each, until there is no more room at all.
            each: each.clamp(80, LONGEST_ERROR),
            left: MOST_ERROR_TEXT,
        }
    }

    fn take(&mut self, said: &str) -> String {
        let most = self.each.min(self.left);
        let mut left = most;
        let taken = text::cut_from(said, &mut left);
        self.left -= most - left;
        taken
    }
}

impl Line {
    fn of(row: &Row<'_>, timeline: &Timeline, texts: &mut Texts) -> Self {
        match &row.shown {
            Shown::Task(task) => Self::of_task(row.depth, task, timeline, texts),
            Shown::Items(items) => Self::of_items(row.depth, items, timeline),
        }
    }

    fn of_task(depth: usize, task: &TaskReport, timeline: &Timeline, texts: &mut Texts) -> Self {
        let name = match (task.item_label(), task.item()) {
            (Some(label), _) => text::name(label),
            (None, Some(item)) => format!("item {item}"),
            (None, None) => text::name_of(task, LONGEST_NAME),
        };
        let note = task.group().map(text::name);
        Self {
            depth: depth.min(8),
            name,
            note: note.unwrap_or_default(),
            class: class(task),
            status: status(task),
            duration: match task.started_at() {
                Some(_) => text::duration(task.duration()),
                None => String::new(),
            },
            bars: timeline.bars(task),
            details: details(task, texts),
        }
    }

    fn of_items(depth: usize, items: &[&TaskReport], timeline: &Timeline) -> Self {
        let (bar, duration) = timeline.span(items).unzip();
        Self {
            depth: depth.min(8),
            name: text::name_of(items[0], LONGEST_NAME),
            note: count(items.len(), "item"),
            class: worst(items),
            status: ended(items.iter().copied()),
            duration: duration.map(text::duration).unwrap_or_default(),
            bars: bar.into_iter().collect(),
            details: Vec::new(),
        }
    }
}

/// What there is to say of a task besides how it ended.
fn details(task: &TaskReport, texts: &mut Texts) -> Vec<Detail> {
    let mut details = Vec::new();
    for error in task.errors() {
        let mut said = format!("{}: {error}", error.type_name());
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            said.push_str("\ncaused by: ");
            said.push_str(&error.to_string());
            cause = error.source();
        }
        let attempt = match error.next_attempt_in() {
            Some(delay) => format!(
                "Attempt {}, the next one {} later",
                error.attempt(),
                text::duration(delay)
            ),
            None => format!("Attempt {}, the last one", error.attempt()),
        };
        details.push(Detail {
            title: attempt,
            text: texts.take(&said),
            class: "f",
        });
    }
    let is_worth_it = !details.is_empty() && task.wait() >= Duration::from_millis(1);
    if task.waited_for().is_some() || is_worth_it {
        let reason = match task.waited_for() {
            Some(WaitReason::Limit) => "a limit of its group",
            Some(WaitReason::Rate) => "the rate of its group",
            _ => "a free slot or thread",
        };
        let waited = text::duration(task.wait());
        details.push(Detail {
            title: "Waited".to_owned(),
            text: format!("{waited} for {reason}"),
            class: "w",
        });
    }
    for (key, value) in task.recorded().iter().take(MOST_RECORDED) {
        let value = match value {
            Recorded::Bool(value) => value.to_string(),
            Recorded::Int(value) => value.to_string(),
            Recorded::Float(value) => value.to_string(),
            Recorded::Text(value) => text::cut(value, LONGEST_RECORD),
            _ => continue,
        };
        details.push(Detail {
            title: text::name(key),
            text: value,
            class: "k",
        });
    }
    details
}
