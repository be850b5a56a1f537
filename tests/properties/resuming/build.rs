//! A random program as a workflow, and what is noted of its runs.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use dotflow::{
    DotFlow, Error, OnInputChange, Run, Status, Task, TaskError, TaskErrorKind, join_all,
    storage::MemoryStorage,
    task,
    wiring::{AcceptsAll, Step, TakesItem},
};

use super::{
    program::{Kind, Mode, Node, Program, Value},
    unit::{Digest, Handled, Joined, Number, Optional, Required, Returned, Unit},
};

/// What is told of one task or item.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) status: Status,
    pub(crate) is_restored: bool,
    /// Whether its checkpoint was refused, or the begin of its workflow.
    pub(crate) is_refused: bool,
    pub(crate) error: String,
}

/// One run of a workflow, nested ones included.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    pub(crate) succeeded: bool,
    pub(crate) told: HashMap<(usize, Option<usize>), Told>,
    pub(crate) outputs: HashMap<u64, Value>,
}

/// What happened in a run: each workflow by its id, and the calls of actions by the id of the
/// workflow, the node and the item.
#[derive(Debug, Default)]
pub(crate) struct Happened {
    pub(crate) workflows: HashMap<String, Noted>,
    pub(crate) calls: HashMap<(String, u64, Option<usize>), usize>,
}

/// What all tasks of a run have in common.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) run: usize,
    /// Changes all values with the input.
    pub(crate) salt: u64,
    pub(crate) happened: Arc<Mutex<Happened>>,
}

impl World {
    pub(crate) fn new(run: usize, salt: u64) -> Self {
        Self {
            run,
            salt,
            happened: Arc::default(),
        }
    }

    /// The same within a nested workflow.
    fn salted(&self, program: &Program) -> Self {
        let salt = program.salt(self.salt);
        Self {
            salt,
            ..self.clone()
        }
    }

    pub(crate) fn count_call(&self, workflow_id: &str, uid: u64, item: Option<usize>) {
        let mut happened = self.happened.lock().unwrap();
        let call = (without_versions(workflow_id), uid, item);
        *happened.calls.entry(call).or_default() += 1;
    }

    fn note<T>(&self, run: &Run<T>, tasks: &[(u64, Handle)]) {
        // Nested workflows are noted by themselves.
        let own = run.tasks().iter().filter(|task| task.parent().is_none());
        let told = own.map(|report| {
            let error = report.errors().first();
            let told = Told {
                status: report.status(),
                is_restored: report.restored(),
                is_refused: error.is_some_and(is_refusal),
                error: error.map(ToString::to_string).unwrap_or_default(),
            };
            ((report.id(), report.item()), told)
        });
        let outputs = tasks.iter().filter_map(|(uid, task)| {
            let output = match task {
                Handle::One(task) => Value::One(run.get(task)?.ok()?.digest()),
                Handle::Many(task) => {
                    Value::Many(run.get(task)?.ok()?.iter().map(Number::digest).collect())
                }
            };
            Some((*uid, output))
        });
        let noted = Noted {
            succeeded: run.succeeded(),
            told: told.collect(),
            outputs: outputs.collect(),
        };
        let mut happened = self.happened.lock().unwrap();
        let before = happened
            .workflows
            .insert(without_versions(run.workflow_id()), noted);
        assert!(before.is_none(), "two runs of one workflow within a run");
    }
}

/// The id of a nested workflow without what versions add to the keys in it: no two of them differ
/// in that alone.
pub(crate) fn without_versions(id: &str) -> String {
    let mut is_version = false;
    let kept = id.chars().filter(|character| {
        is_version = match character {
            '@' => true,
            '/' | '[' => false,
            _ => is_version,
        };
        !is_version
    });
    kept.collect()
}

/// Whether a checkpoint was refused, or all of a workflow within before it began.
fn is_refusal(error: &TaskError) -> bool {
    let began = error
        .get_ref()
        .and_then(|error| error.downcast_ref::<Error>());
    error.kind() == TaskErrorKind::Storage
        || began.is_some_and(|error| error.is_storage() || error.is_input_changed())
}

/// What the outermost workflow returns.
type Numbers = Vec<Arc<Number>>;

enum Handle {
    One(Task<Number>),
    Many(Task<Vec<Number>>),
}

/// The handles of nodes, while a workflow is put together.
#[derive(Default)]
struct Wiring(Vec<(u64, Handle)>);

impl Wiring {
    fn of(&self, uid: u64) -> &Handle {
        let mut all = self.0.iter();
        &all.find(|(other, _)| *other == uid).unwrap().1
    }

    fn ones<'a>(&'a self, inputs: impl Iterator<Item = &'a (u64, Mode)>) -> Vec<Task<Number>> {
        let handles = inputs.map(|(before, _)| self.of(*before));
        let tasks = handles.filter_map(|handle| match handle {
            Handle::One(task) => Some(task.clone()),
            Handle::Many(_) => None,
        });
        tasks.collect()
    }

    fn manys<'a>(
        &'a self,
        inputs: impl Iterator<Item = &'a (u64, Mode)>,
    ) -> Vec<Task<Vec<Number>>> {
        let handles = inputs.map(|(before, _)| self.of(*before));
        let tasks = handles.filter_map(|handle| match handle {
            Handle::Many(task) => Some(task.clone()),
            Handle::One(_) => None,
        });
        tasks.collect()
    }

    /// A task that comes after these without taking them.
    fn after<S: Step<Inputs = ()>>(&self, node: &Node, step: S) -> Task<S::Output> {
        if node.inputs.is_empty() {
            return task(step);
        }
        let ones = join_all(self.ones(node.inputs.iter()));
        let manys = join_all(self.manys(node.inputs.iter()));
        ones.and(&manys).then(step)
    }

    fn unit<O: Returned>(&self, node: &Node, world: &World) -> Task<O> {
        if node.ignores || node.inputs.is_empty() {
            return self.after(node, Unit::<(), O>::new(node, world));
        }
        if let [(before, mode)] = node.inputs[..] {
            return match (self.of(before), mode) {
                (Handle::One(one), Mode::Required) => {
                    one.then(Unit::<(Required<Number>,), O>::new(node, world))
                }
                (Handle::One(one), Mode::Optional) => {
                    one.then(Unit::<(Optional<Number>,), O>::new(node, world))
                }
                (Handle::One(one), Mode::Handling) => {
                    one.then(Unit::<(Handled<Number>,), O>::new(node, world))
                }
                (Handle::Many(many), Mode::Required) => {
                    many.then(Unit::<(Required<Vec<Number>>,), O>::new(node, world))
                }
                (Handle::Many(many), Mode::Optional) => {
                    many.then(Unit::<(Optional<Vec<Number>>,), O>::new(node, world))
                }
                (Handle::Many(many), Mode::Handling) => {
                    many.then(Unit::<(Handled<Vec<Number>>,), O>::new(node, world))
                }
            };
        }
        let of = |mode| node.inputs.iter().filter(move |input| input.1 == mode);
        let ones = |mode| join_all(self.ones(of(mode)));
        let manys = |mode| join_all(self.manys(of(mode)));
        let joined = ones(Mode::Required)
            .and(&ones(Mode::Optional))
            .and(&ones(Mode::Handling))
            .and(&manys(Mode::Required))
            .and(&manys(Mode::Optional))
            .and(&manys(Mode::Handling));
        joined.then(Unit::<Joined, O>::new(node, world))
    }

    fn each<S>(&self, node: &Node, step: S) -> Task<Vec<Number>>
    where
        S: Step<Output = Number>,
        S::Inputs: TakesItem + AcceptsAll<(Number,)>,
    {
        match self.of(node.inputs[0].0) {
            Handle::Many(list) => list.each(step),
            Handle::One(_) => unreachable!("`each` comes after a list"),
        }
    }
}

impl Program {
    fn wiring(&self, world: &World) -> Wiring {
        let mut wiring = Wiring::default();
        for node in &self.nodes {
            let handle = match &node.kind {
                Kind::Number => Handle::One(wiring.unit(node, world)),
                Kind::List { .. } => Handle::Many(wiring.unit(node, world)),
                Kind::Each => {
                    let item = Unit::<(Required<Number>,), Number>::new(node, world);
                    Handle::Many(wiring.each(node, item))
                }
                Kind::Nested(inner) => Handle::One(wiring.after(node, inner.within(world))),
                Kind::EachNested(inner) => Handle::Many(wiring.each(node, inner.per_item(world))),
            };
            let handle = match handle {
                Handle::One(task) => Handle::One(task.named(&node.name).keep()),
                Handle::Many(task) => Handle::Many(task.named(&node.name).keep()),
            };
            wiring.0.push((node.uid, handle));
        }
        wiring
    }

    fn sink_tasks(&self, wiring: &Wiring) -> Vec<Task<Number>> {
        let sinks = self.sinks().into_iter();
        sinks
            .map(|sink| match wiring.of(sink.uid) {
                Handle::One(task) => task.clone(),
                Handle::Many(_) => unreachable!("a whole program ends with numbers"),
            })
            .collect()
    }

    /// The workflow as a task of another one.
    fn within(&self, world: &World) -> DotFlow<Number> {
        let world = &world.salted(self);
        let wiring = self.wiring(world);
        let sink = self.sink_tasks(&wiring).remove(0);
        self.configured(DotFlow::new(&self.name, sink), wiring, world)
    }

    /// The workflow as that of an item, which it takes and does not look at.
    fn per_item(&self, world: &World) -> DotFlow<Number, (Number,)> {
        let world = &world.salted(self);
        let wiring = self.wiring(world);
        let sink = self.sink_tasks(&wiring).remove(0);
        let workflow = DotFlow::with_input(&self.name, |_: &Task<Number>| sink);
        self.configured(workflow, wiring, world)
    }

    /// The workflow itself, with a storage.
    pub(crate) fn workflow(
        &self,
        storage: &MemoryStorage,
        reaction: OnInputChange,
        world: &World,
    ) -> DotFlow<Numbers> {
        let wiring = self.wiring(world);
        let workflow = DotFlow::new(&self.name, self.sink_tasks(&wiring));
        self.configured(workflow, wiring, world)
            .storage(storage.clone())
            .on_input_change(reaction)
    }

    fn configured<T, In>(
        &self,
        workflow: DotFlow<T, In>,
        wiring: Wiring,
        world: &World,
    ) -> DotFlow<T, In>
    where
        T: Send + Sync + 'static,
    {
        let tasks = Arc::new(wiring.0);
        let (world, others) = (world.clone(), (world.clone(), Arc::clone(&tasks)));
        let workflow = workflow
            .keep_going(self.keep_going)
            .concurrency(self.concurrency)
            .on_success(move |run| world.note(run, &tasks))
            .on_failure(move |run| others.0.note(run, &others.1));
        match &self.input {
            Some(input) => workflow.input(input),
            None => workflow,
        }
    }
}
