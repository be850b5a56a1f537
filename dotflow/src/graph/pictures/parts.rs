//! The parts of a plan that is drawn, in one walk through it and the workflows within it.

use crate::graph::plan::{INPUT, Plan, PlannedTask, Source};

/// What is drawn, in the order of the drawing.
pub(super) enum Part<'plan> {
    /// The input of the run, or of a nested workflow.
    Input { id: String, depth: usize },
    /// An action.
    Task(Drawn<'plan>),
    /// A workflow, whose tasks follow until it is closed.
    Open(Drawn<'plan>),
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

/// A task in its place.
pub(super) struct Drawn<'plan> {
    /// Unlike that of all other parts.
    pub(super) id: String,
    /// How many workflows are around it.
    pub(super) depth: usize,
    /// The number in its workflow.
    pub(super) number: u32,
    pub(super) task: &'plan PlannedTask,
    pub(super) after: Vec<Before>,
}

/// What a task depends on.
#[derive(Clone)]
pub(super) struct Before {
    pub(super) id: String,
    pub(super) number: u32,
    pub(super) is_workflow: bool,
}

/// The parts of a plan, in one walk through it and the workflows within it.
pub(super) struct Parts<'plan> {
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
    pub(super) fn of(plan: &'plan Plan) -> Self {
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
        let drawn = Drawn {
            id: level.id(number),
            depth,
            number,
            task,
            after: level.before(task),
        };
        if !task.is_workflow() {
            return Part::Task(drawn);
        }
        let prefix = format!("{}_", drawn.id);
        let close = Part::Close {
            id: drawn.id.clone(),
            depth,
            after: drawn.after.clone(),
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
        Part::Open(drawn)
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
