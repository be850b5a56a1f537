//! The graph of a workflow, flattened once: tasks by number, each with the numbers of the tasks
//! before and after it. Immutable, so any number of runs share it.

use std::{collections::HashMap, sync::Arc};

use crate::{
    action::Name,
    checkpoint::Tasks,
    inputs::OnMissing,
    task::{Edge, ErasedStep, Mapping, Node, Settings},
};

pub(crate) struct Plan {
    pub(crate) name: Arc<str>,
    /// In the order of their numbers: every task comes after the tasks that it depends on.
    pub(crate) tasks: Vec<Planned>,
    pub(crate) sinks: Vec<u32>,
    /// Whether some task has a timeout, or may have to wait for a further attempt.
    pub(crate) needs_timer: bool,
    /// The numbers of the tasks after each task, all in one list; task `n` owns the part from
    /// `starts[n]` to `starts[n + 1]`.
    successors: Vec<u32>,
    starts: Vec<u32>,
}

/// One task of the plan.
pub(crate) struct Planned {
    pub(crate) node: u64,
    pub(crate) step: Arc<dyn ErasedStep>,
    pub(crate) sources: Box<[Source]>,
    pub(crate) on_missing: &'static [OnMissing],
    pub(crate) mapping: Option<Mapping>,
    pub(crate) settings: Settings,
}

/// Where one parameter of a task comes from.
pub(crate) enum Source {
    One(u32),
    All(Box<[u32]>),
}

impl Source {
    pub(crate) fn tasks(&self) -> &[u32] {
        match self {
            Self::One(task) => std::slice::from_ref(task),
            Self::All(tasks) => tasks,
        }
    }
}

impl Planned {
    /// What the task does when the tasks behind a parameter have no output. A task without
    /// previous contexts can't run before what it follows, and so not without it.
    pub(crate) fn on_missing(&self, parameter: usize) -> OnMissing {
        self.on_missing
            .get(parameter)
            .copied()
            .unwrap_or(OnMissing::Skip)
    }

    /// What the task does when that task, which it reads, has no output: the strictest of what its
    /// parameters say.
    pub(crate) fn without(&self, before: u32) -> OnMissing {
        // One parameter is so common, and may read so many tasks, that it is not searched.
        if self.sources.len() == 1 {
            return self.on_missing(0);
        }
        let mut strictest = OnMissing::Run;
        for (parameter, source) in self.sources.iter().enumerate() {
            if source.tasks().contains(&before) {
                match self.on_missing(parameter) {
                    OnMissing::Skip => return OnMissing::Skip,
                    OnMissing::Handle => strictest = OnMissing::Handle,
                    OnMissing::Run => {}
                }
            }
        }
        strictest
    }

    /// Whether some parameter takes failures as a `Result`.
    pub(crate) fn handles_failures(&self) -> bool {
        self.on_missing.contains(&OnMissing::Handle)
    }

    /// Whether some parameter lets the task run when tasks before it have failed.
    pub(crate) fn is_clean_up(&self) -> bool {
        self.on_missing
            .iter()
            .any(|on_missing| *on_missing != OnMissing::Skip)
    }

    pub(crate) fn name(&self) -> &Name {
        &self.settings.name
    }

    /// The numbers of all tasks that it reads, in order, with repetitions.
    pub(crate) fn predecessors(&self) -> impl Iterator<Item = u32> {
        self.sources
            .iter()
            .flat_map(|source| source.tasks().iter().copied())
    }
}

impl Tasks for Plan {
    fn workflow(&self) -> &str {
        &self.name
    }

    fn count(&self) -> u32 {
        u32::try_from(self.tasks.len()).expect("task numbers are 32 bits wide")
    }

    fn name(&self, task: u32) -> &str {
        self.tasks[task as usize].name().as_str()
    }

    fn version(&self, task: u32) -> u32 {
        self.tasks[task as usize].settings.version
    }

    fn after(&self, task: u32) -> Vec<u32> {
        self.tasks[task as usize].predecessors().collect()
    }
}

impl Plan {
    pub(crate) fn new(name: Arc<str>, sinks: &[Arc<Node>]) -> Self {
        let mut numbers: HashMap<u64, u32> = HashMap::new();
        let mut tasks: Vec<Planned> = Vec::new();
        for sink in sinks {
            flatten(sink, &mut numbers, &mut tasks);
        }
        let sinks = sinks.iter().map(|sink| numbers[&sink.id]).collect();
        let (starts, successors) = successors(&tasks);
        Self {
            name,
            needs_timer: tasks.iter().any(|task| {
                task.settings.timeout.is_some() || task.settings.retry.max_attempts() > 1
            }),
            tasks,
            sinks,
            successors,
            starts,
        }
    }

    pub(crate) fn successors(&self, task: u32) -> &[u32] {
        let task = task as usize;
        &self.successors[self.starts[task] as usize..self.starts[task + 1] as usize]
    }
}

/// Numbers a task and all before it that have no number yet, in post-order.
///
/// A loop with a stack of its own: a chain of a million tasks would be as many nested calls.
fn flatten(sink: &Arc<Node>, numbers: &mut HashMap<u64, u32>, tasks: &mut Vec<Planned>) {
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
                let number = u32::try_from(tasks.len()).expect("at most 2^32 tasks fit in memory");
                numbers.insert(node.id, number);
                tasks.push(Planned {
                    node: node.id,
                    step: Arc::clone(&node.step),
                    sources: node
                        .edges
                        .iter()
                        .map(|edge| source(edge, numbers))
                        .collect(),
                    on_missing: node.on_missing,
                    mapping: node.mapping,
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
fn successors(tasks: &[Planned]) -> (Vec<u32>, Vec<u32>) {
    let mut starts = vec![0; tasks.len() + 1];
    for before in tasks.iter().flat_map(Planned::predecessors) {
        starts[before as usize + 1] += 1;
    }
    for task in 0..tasks.len() {
        starts[task + 1] += starts[task];
    }
    let mut next = starts.clone();
    let mut successors = vec![0; next[tasks.len()] as usize];
    for (number, task) in tasks.iter().enumerate() {
        for before in task.predecessors() {
            let place = &mut next[before as usize];
            successors[*place as usize] =
                u32::try_from(number).expect("task numbers are 32 bits wide");
            *place += 1;
        }
    }
    (starts, successors)
}
