//! A plan as people see it: lines of text, and diagrams in the languages of Mermaid and Graphviz.
//!
//! All of them walk through the plan in the same way, down into nested workflows, and say the same of
//! each task; they differ in how they write it.

mod dot;
mod lines;
mod mermaid;

use std::{collections::BTreeMap, fmt::Write};

use super::plan::{INPUT, Plan, PlannedTask, Source};
use crate::escape::Escaped;

/// How many characters of a name are drawn.
const LONGEST_NAME: usize = 60;

impl Plan {
    /// The plan as a flowchart in the language of [Mermaid](https://mermaid.js.org), which many places
    /// that show Markdown draw.
    ///
    /// A task made by [`each`](crate::Task::each) has double sides, a group has a colour and is named,
    /// and a workflow within this one is drawn as a frame around its tasks; what
    /// [`expand`](crate::Task::expand) builds is not known before the run, so its frame holds a `…`.
    /// Names may hold any character; what is longer than 60 characters is cut. Where there are more than
    /// 500 edges, a comment says so, since Mermaid draws no more unless it is told to.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, PreviousContext};
    ///
    /// #[action]
    /// fn extract() -> Vec<u32> { vec![3, 5, 8] }
    ///
    /// #[action]
    /// fn load(rows: PreviousContext<Vec<u32>>) -> usize { rows.len() }
    ///
    /// let workflow = DotFlow::new("sales", task(extract()).then(load()));
    /// assert_eq!(workflow.plan().to_mermaid(), r#"flowchart TD
    ///     t0["extract"]
    ///     t1["load"]
    ///     t0 --> t1
    /// "#);
    /// ```
    pub fn to_mermaid(&self) -> String {
        mermaid::draw(self)
    }

    /// The plan as a graph in the language of [Graphviz](https://graphviz.org), for `dot -Tsvg`.
    ///
    /// It shows what [`to_mermaid`](Self::to_mermaid) does.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, PreviousContext};
    ///
    /// #[action]
    /// fn extract() -> Vec<u32> { vec![3, 5, 8] }
    ///
    /// #[action]
    /// fn load(rows: PreviousContext<Vec<u32>>) -> usize { rows.len() }
    ///
    /// let workflow = DotFlow::new("sales", task(extract()).then(load()));
    /// let dot = workflow.plan().to_dot();
    /// assert!(dot.starts_with(r#"digraph "sales" {"#));
    /// assert!(dot.contains("t0 -> t1"));
    /// ```
    pub fn to_dot(&self) -> String {
        dot::draw(self)
    }
}

/// What is drawn, in the order of the drawing.
enum Part<'plan> {
    /// The input of the run, or of a nested workflow.
    Input { id: String, depth: usize },
    /// An action, and what it depends on.
    Task {
        id: String,
        depth: usize,
        number: u32,
        task: &'plan PlannedTask,
        after: Vec<Before>,
    },
    /// A workflow, whose tasks follow until it is closed.
    Open {
        id: String,
        depth: usize,
        number: u32,
        task: &'plan PlannedTask,
        after: Vec<Before>,
    },
    /// Stands for the tasks of a workflow where there are none, or none are known.
    Nothing {
        id: String,
        depth: usize,
        why: &'static str,
    },
    /// The end of the innermost open workflow, and what that one depends on.
    Close {
        id: String,
        depth: usize,
        after: Vec<Before>,
    },
}

/// What a task depends on.
#[derive(Clone)]
struct Before {
    id: String,
    number: u32,
    is_workflow: bool,
}

/// The parts of a plan, in one walk through it and the workflows within it.
struct Parts<'plan> {
    /// From the outermost workflow to the one that the walk is in.
    levels: Vec<Level<'plan>>,
    /// What comes before the walk goes on; the last one first.
    pending: Vec<Part<'plan>>,
}

/// A workflow on the way through it.
struct Level<'plan> {
    plan: &'plan Plan,
    /// What the ids of its tasks begin with: `t1_0` is task 0 of the workflow that task 1 is.
    prefix: String,
    next: usize,
    /// What comes when all of it is done; the outermost one needs no end.
    close: Option<Part<'plan>>,
}

impl Level<'_> {
    fn id(&self, number: u32) -> String {
        match number {
            INPUT => format!("{}in", self.prefix),
            number => format!("{}{number}", self.prefix),
        }
    }

    /// What a task depends on, each once.
    fn before(&self, task: &PlannedTask) -> Vec<Before> {
        let sources = task.sources.iter().flat_map(Source::tasks);
        let mut numbers: Vec<u32> = sources.copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        let before = numbers.into_iter().map(|number| Before {
            id: self.id(number),
            number,
            is_workflow: number != INPUT && self.plan.tasks[number as usize].is_workflow(),
        });
        before.collect()
    }
}

impl<'plan> Parts<'plan> {
    fn of(plan: &'plan Plan) -> Self {
        let mut parts = Self {
            levels: Vec::new(),
            pending: Vec::new(),
        };
        parts.enter(plan, "t".to_owned(), None);
        parts
    }

    fn enter(&mut self, plan: &'plan Plan, prefix: String, close: Option<Part<'plan>>) {
        let depth = self.levels.len();
        if plan.input.is_some() {
            let id = format!("{prefix}in");
            self.pending.push(Part::Input { id, depth });
        } else if plan.tasks.is_empty() && close.is_some() {
            // What is nested too deep to be run stands there without its tasks.
            let why = if plan.depth > 1 {
                "too deep"
            } else {
                "no tasks"
            };
            let id = format!("{prefix}0");
            self.pending.push(Part::Nothing { id, depth, why });
        }
        self.levels.push(Level {
            plan,
            prefix,
            next: 0,
            close,
        });
    }

    fn task(&mut self, number: u32, task: &'plan PlannedTask) -> Part<'plan> {
        let depth = self.levels.len() - 1;
        let level = &self.levels[depth];
        let (id, after) = (level.id(number), level.before(task));
        if !task.is_workflow() {
            return Part::Task {
                id,
                depth,
                number,
                task,
                after,
            };
        }
        let prefix = format!("{id}_");
        let close = Part::Close {
            id: id.clone(),
            depth,
            after: after.clone(),
        };
        if let Some(plan) = task.nested() {
            self.enter(plan, prefix, Some(close));
        } else {
            let nothing = Part::Nothing {
                id: format!("{prefix}0"),
                depth: depth + 1,
                why: "…",
            };
            self.pending.extend([close, nothing]);
        }
        Part::Open {
            id,
            depth,
            number,
            task,
            after,
        }
    }
}

impl<'plan> Iterator for Parts<'plan> {
    type Item = Part<'plan>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(part) = self.pending.pop() {
            return Some(part);
        }
        let level = self.levels.last_mut()?;
        let (plan, number) = (level.plan, level.next);
        level.next += 1;
        match (plan.tasks.get(number), u32::try_from(number)) {
            (Some(task), Ok(number)) => Some(self.task(number, task)),
            _ => self.levels.pop()?.close,
        }
    }
}

/// What is said of a task, line by line.
fn label(task: &PlannedTask, number: u32) -> Vec<String> {
    let mut lines = vec![named(task.name(), number)];
    if task.is_each() {
        lines.push("for each item".to_owned());
    }
    if let Some(group) = task.group() {
        lines.push(format!("group {}", shortened(group)));
    }
    lines
}

/// A name as it is drawn: a task without one has its number.
fn named(name: &str, number: u32) -> String {
    match name {
        "" => format!("task:{number}"),
        name => shortened(name),
    }
}

/// As much of a text as a picture has room for, with nothing in it that can't be seen.
fn shortened(text: &str) -> String {
    let mut short = String::new();
    let mut characters = text.chars();
    for character in characters.by_ref().take(LONGEST_NAME) {
        let mut bytes = [0; 4];
        let character = character.encode_utf8(&mut bytes);
        // Writing to a string can't fail.
        let _ = write!(short, "{}", Escaped(character));
    }
    if characters.next().is_some() {
        short.push('…');
    }
    short
}

/// The colours of groups: of the inside, the border and the text.
const COLOURS: [[&str; 3]; 8] = [
    ["#dbeafe", "#1d4ed8", "#172554"],
    ["#dcfce7", "#15803d", "#052e16"],
    ["#fef3c7", "#b45309", "#451a03"],
    ["#fce7f3", "#be185d", "#500724"],
    ["#ede9fe", "#6d28d9", "#2e1065"],
    ["#cffafe", "#0e7490", "#083344"],
    ["#fee2e2", "#b91c1c", "#450a0a"],
    ["#e5e7eb", "#374151", "#030712"],
];

/// The groups of a plan and of the workflows within it, numbered in the order in which they come.
#[derive(Default)]
struct Groups<'plan>(BTreeMap<&'plan str, usize>);

impl<'plan> Groups<'plan> {
    fn number(&mut self, task: &'plan PlannedTask) -> Option<usize> {
        let next = self.0.len();
        Some(*self.0.entry(task.group()?).or_insert(next))
    }
}
