//! Which tasks of a run have a row: all of a small run, and of a large one those that somebody who opens
//! its page looks for.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use dotflow::{Report, Status, TaskReport};

/// How many failed tasks have a row.
const MOST_FAILED: usize = 50;

/// The rows, in the order of the tree, and what there was no room for.
pub(crate) struct Rows<'report> {
    pub(crate) shown: Vec<Row<'report>>,
    /// How many tasks have no row, nor are in that of a list.
    pub(crate) left_out: usize,
    /// How many failed tasks have no row of their own.
    pub(crate) failed_left_out: usize,
}

/// A row, or one that there may be.
pub(crate) struct Row<'report> {
    /// How many rows it is within: workflows, and the row of all items for one of these.
    pub(crate) depth: usize,
    pub(crate) shown: Shown<'report>,
    /// The row that it is within, by its place among all that there may be.
    within: Option<usize>,
}

pub(crate) enum Shown<'report> {
    Task(&'report TaskReport),
    /// The items of one task.
    Items(Vec<&'report TaskReport>),
}

impl<'report> Rows<'report> {
    pub(crate) fn of(report: &'report Report, most: usize) -> Self {
        let candidates = Candidates::of(report).rows;
        let chosen = choose(&candidates, most);
        let all = candidates.into_iter().enumerate();
        let rows: Vec<Row<'_>> = all
            .filter_map(|(place, row)| chosen.contains(&place).then_some(row))
            .collect();
        let shown: usize = rows.iter().map(Row::tasks).sum();
        let failed = report
            .tasks()
            .iter()
            .filter(|task| has_failed(task))
            .count();
        let failed_shown = rows.iter().filter(|row| row.has_failed()).count();
        Self {
            left_out: report.tasks().len() - shown,
            failed_left_out: failed - failed_shown,
            shown: rows,
        }
    }
}

/// The places of the rows that there is room for.
fn choose(candidates: &[Row<'_>], most: usize) -> BTreeSet<usize> {
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by_cached_key(|place| candidates[*place].rank());
    let mut chosen = BTreeSet::new();
    let mut failed = 0;
    for place in order {
        if candidates[place].has_failed() {
            failed += 1;
            if failed > MOST_FAILED {
                continue;
            }
        }
        // What it is within has a row as well.
        let mut with_outer = vec![place];
        let mut outer = candidates[place].within;
        while let Some(place) = outer.filter(|place| !chosen.contains(place)) {
            with_outer.push(place);
            outer = candidates[place].within;
        }
        if chosen.len() + with_outer.len() <= most {
            chosen.extend(with_outer);
        }
    }
    chosen
}

fn has_failed(task: &TaskReport) -> bool {
    task.status() == Status::Failed
}

impl Row<'_> {
    fn has_failed(&self) -> bool {
        matches!(self.shown, Shown::Task(task) if has_failed(task))
    }

    /// How many tasks are in this row; an item is in the one of all items already.
    fn tasks(&self) -> usize {
        match &self.shown {
            Shown::Task(task) => usize::from(task.item().is_none()),
            Shown::Items(items) => items.len(),
        }
    }

    /// Failures first, then lists, then what had errors, then the slowest.
    fn rank(&self) -> (u8, Reverse<Duration>) {
        match &self.shown {
            Shown::Task(task) if has_failed(task) => (0, Reverse(Duration::ZERO)),
            Shown::Items(_) => (1, Reverse(Duration::ZERO)),
            Shown::Task(task) if !task.errors().is_empty() => (2, Reverse(task.duration())),
            Shown::Task(task) => (3, Reverse(task.duration())),
        }
    }
}

/// The walk through all tasks of a report.
struct Candidates<'report> {
    tasks: &'report [TaskReport],
    /// The places of the tasks within each task, and of those within none.
    within: HashMap<Option<usize>, Vec<usize>>,
    rows: Vec<Row<'report>>,
    /// What the walk comes to next; the last one first.
    open: Vec<Open>,
}

/// What the walk has still to come to.
struct Open {
    what: What,
    within: Option<usize>,
    depth: usize,
}

/// A task by its place, or the items of one.
enum What {
    Task(usize),
    Items(Vec<usize>),
}

impl<'report> Candidates<'report> {
    /// All rows that there may be, in the order of the tree. Of the items of a list these are the
    /// failed ones.
    fn of(report: &'report Report) -> Self {
        let tasks = report.tasks();
        let mut within: HashMap<Option<usize>, Vec<usize>> = HashMap::new();
        for (place, task) in tasks.iter().enumerate() {
            // Nothing stands within what comes later, whatever a report from elsewhere says.
            let parent = task.parent().filter(|parent| *parent < place);
            within.entry(parent).or_default().push(place);
        }
        let mut candidates = Self {
            tasks,
            within,
            rows: Vec::new(),
            open: Vec::new(),
        };
        candidates.enter(None, None, 0);
        while let Some(open) = candidates.open.pop() {
            candidates.add(open);
        }
        candidates
    }

    fn add(&mut self, open: Open) {
        let Open {
            what,
            within,
            depth,
        } = open;
        let row = self.rows.len();
        let mut push = |shown| {
            self.rows.push(Row {
                depth,
                shown,
                within,
            });
        };
        match what {
            What::Task(place) => {
                push(Shown::Task(&self.tasks[place]));
                self.enter(Some(place), Some(row), depth + 1);
            }
            What::Items(places) => {
                let items = places.iter().map(|place| &self.tasks[*place]);
                push(Shown::Items(items.collect()));
                let failed = places.into_iter().rev();
                let failed = failed.filter(|place| has_failed(&self.tasks[*place]));
                self.open.extend(failed.map(|place| Open {
                    what: What::Task(place),
                    within: Some(row),
                    depth: depth + 1,
                }));
            }
        }
    }

    /// Goes on with the tasks of the workflow that a task is, or of the run.
    fn enter(&mut self, task: Option<usize>, within: Option<usize>, depth: usize) {
        let mut entered: Vec<What> = Vec::new();
        for place in self.within.remove(&task).unwrap_or_default() {
            let task = &self.tasks[place];
            match entered.last_mut() {
                _ if task.item().is_none() => entered.push(What::Task(place)),
                Some(What::Items(items)) if self.tasks[items[0]].id() == task.id() => {
                    items.push(place);
                }
                _ => entered.push(What::Items(vec![place])),
            }
        }
        self.open.extend(entered.into_iter().rev().map(|what| Open {
            what,
            within,
            depth,
        }));
    }
}
