//! A random program as a workflow, and what is noted of its runs.

use std::{
    collections::HashMap,
    marker::PhantomData,
    sync::{Arc, Mutex},
};

use dotflow::{
    Action, ActionSpec, DotFlow, Error, Inputs, Joined, OnInputChange, PreviousContext, Run,
    Status, Task, TaskContext, TaskError, TaskErrorKind, join_all, storage::MemoryStorage, task,
};

use serde::{Serialize, de::DeserializeOwned};

use super::program::{Kind, Mode, Node, Program, Value};

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

    fn note<T, Output>(&self, run: &Run<T, Output>, tasks: &[(u64, Handle)]) {
        let told = run.tasks().iter().map(|report| {
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
                Handle::One(task) => Value::One(*run.get(task)?.ok()?),
                Handle::Many(task) => Value::Many(run.get(task)?.ok()?.to_vec()),
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
            .insert(run.workflow_id().to_owned(), noted);
        assert!(before.is_none(), "two runs of one workflow within a run");
    }
}

/// Whether a checkpoint was refused, or all of a workflow within before it began.
fn is_refusal(error: &TaskError) -> bool {
    let began = error
        .get_ref()
        .and_then(|error| error.downcast_ref::<Error>());
    error.kind() == TaskErrorKind::Storage
        || began.is_some_and(|error| error.is_storage() || error.is_input_changed())
}

enum Handle {
    One(Task<u64>),
    Many(Task<Vec<u64>>),
}

/// What a unit takes, as numbers that stand for the values.
trait Taken: Inputs {
    fn digests(self) -> Vec<Option<u64>>;
}

trait Digest: Send + Sync + 'static {
    fn digest(&self) -> u64;
}

impl Digest for u64 {
    fn digest(&self) -> u64 {
        *self
    }
}

impl Digest for Vec<u64> {
    fn digest(&self) -> u64 {
        Value::Many(self.clone()).digest()
    }
}

type Required<T> = PreviousContext<T>;
type Optional<T> = Option<PreviousContext<T>>;
type Handled<T> = Result<PreviousContext<T>, TaskError>;
type AllModes<T> = (Vec<Required<T>>, Vec<Optional<T>>, Vec<Handled<T>>);

impl Taken for () {
    fn digests(self) -> Vec<Option<u64>> {
        Vec::new()
    }
}

impl<T: Digest> Taken for (Required<T>,) {
    fn digests(self) -> Vec<Option<u64>> {
        vec![Some(self.0.digest())]
    }
}

impl<T: Digest> Taken for (Optional<T>,) {
    fn digests(self) -> Vec<Option<u64>> {
        vec![self.0.map(|value| value.digest())]
    }
}

impl<T: Digest> Taken for (Handled<T>,) {
    fn digests(self) -> Vec<Option<u64>> {
        vec![self.0.ok().map(|value| value.digest())]
    }
}

fn all_modes<T: Digest>(
    (required, optional, handled): AllModes<T>,
) -> impl Iterator<Item = Option<u64>> {
    let required = required.into_iter().map(|value| Some(value.digest()));
    let optional = optional
        .into_iter()
        .map(|value| value.map(|value| value.digest()));
    let handled = handled
        .into_iter()
        .map(|value| value.ok().map(|value| value.digest()));
    required.chain(optional).chain(handled)
}

type Six = (
    Vec<Required<u64>>,
    Vec<Optional<u64>>,
    Vec<Handled<u64>>,
    Vec<Required<Vec<u64>>>,
    Vec<Optional<Vec<u64>>>,
    Vec<Handled<Vec<u64>>>,
);

impl Taken for Six {
    fn digests(self) -> Vec<Option<u64>> {
        let (a, b, c, d, e, f) = self;
        all_modes((a, b, c)).chain(all_modes((d, e, f))).collect()
    }
}

/// What a unit returns.
trait Returned: Serialize + DeserializeOwned + Send + Sync + 'static {
    fn from_value(value: Value) -> Self;
}

impl Returned for u64 {
    fn from_value(value: Value) -> Self {
        value.digest()
    }
}

impl Returned for Vec<u64> {
    fn from_value(value: Value) -> Self {
        match value {
            Value::Many(numbers) => numbers,
            Value::One(_) => unreachable!("only nodes that are lists return lists"),
        }
    }
}

/// The action of a node.
struct Unit<I, O> {
    node: Arc<Node>,
    world: World,
    types: PhantomData<fn(I) -> O>,
}

impl<I: Taken, O: Returned> Unit<I, O> {
    fn new(node: &Node, world: &World) -> Self {
        Self {
            node: Arc::new(node.clone()),
            world: world.clone(),
            types: PhantomData,
        }
    }
}

impl<I: Taken, O: Returned> Action for Unit<I, O> {
    type Inputs = I;
    type Output = O;

    fn spec(&self) -> ActionSpec {
        let spec = ActionSpec::new("unit");
        match self.node.is_stored {
            true => spec.checkpointed::<O>(),
            false => spec.without_checkpoint(),
        }
    }

    async fn call(&self, inputs: I, context: TaskContext) -> Result<O, TaskError> {
        let (workflow_id, item) = (context.workflow_id(), context.item());
        {
            let call = (workflow_id.to_owned(), self.node.uid, item);
            let mut happened = self.world.happened.lock().unwrap();
            *happened.calls.entry(call).or_default() += 1;
        }
        if self.node.uid % 3 == 1 {
            tokio::task::yield_now().await;
        }
        if self.node.fails.now(self.world.run, workflow_id, item) {
            return Err(TaskError::failed("as it was planned"));
        }
        let value = self.node.returns(self.world.salt, item, &inputs.digests());
        Ok(O::from_value(value))
    }
}

/// The handles of nodes, while a workflow is put together.
#[derive(Default)]
struct Wiring(Vec<(u64, Handle)>);

impl Wiring {
    fn of(&self, uid: u64) -> &Handle {
        let mut all = self.0.iter();
        &all.find(|(other, _)| *other == uid).unwrap().1
    }

    fn ones<'a>(&'a self, inputs: impl Iterator<Item = &'a (u64, Mode)>) -> Vec<Task<u64>> {
        let handles = inputs.map(|(before, _)| self.of(*before));
        let tasks = handles.filter_map(|handle| match handle {
            Handle::One(task) => Some(task.clone()),
            Handle::Many(_) => None,
        });
        tasks.collect()
    }

    fn manys<'a>(&'a self, inputs: impl Iterator<Item = &'a (u64, Mode)>) -> Vec<Task<Vec<u64>>> {
        let handles = inputs.map(|(before, _)| self.of(*before));
        let tasks = handles.filter_map(|handle| match handle {
            Handle::Many(task) => Some(task.clone()),
            Handle::One(_) => None,
        });
        tasks.collect()
    }

    /// A task that comes after these without taking them.
    fn after<S: dotflow::Step<Inputs = ()>>(&self, node: &Node, step: S) -> Task<S::Output> {
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
                    one.then(Unit::<(Required<u64>,), O>::new(node, world))
                }
                (Handle::One(one), Mode::Optional) => {
                    one.then(Unit::<(Optional<u64>,), O>::new(node, world))
                }
                (Handle::One(one), Mode::Handling) => {
                    one.then(Unit::<(Handled<u64>,), O>::new(node, world))
                }
                (Handle::Many(many), Mode::Required) => {
                    many.then(Unit::<(Required<Vec<u64>>,), O>::new(node, world))
                }
                (Handle::Many(many), Mode::Optional) => {
                    many.then(Unit::<(Optional<Vec<u64>>,), O>::new(node, world))
                }
                (Handle::Many(many), Mode::Handling) => {
                    many.then(Unit::<(Handled<Vec<u64>>,), O>::new(node, world))
                }
            };
        }
        let of = |mode| node.inputs.iter().filter(move |input| input.1 == mode);
        let ones = |mode| join_all(self.ones(of(mode)));
        let manys = |mode| join_all(self.manys(of(mode)));
        let joined: Joined<_> = ones(Mode::Required)
            .and(&ones(Mode::Optional))
            .and(&ones(Mode::Handling))
            .and(&manys(Mode::Required))
            .and(&manys(Mode::Optional))
            .and(&manys(Mode::Handling));
        joined.then(Unit::<Six, O>::new(node, world))
    }

    fn each<S>(&self, node: &Node, step: S) -> Task<Vec<u64>>
    where
        S: dotflow::Step<Output = u64>,
        S::Inputs: dotflow::FedBy<(u64,)>,
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
                    let item = Unit::<(Required<u64>,), u64>::new(node, world);
                    Handle::Many(wiring.each(node, item))
                }
                Kind::Nested(inner) => Handle::One(wiring.after(node, inner.within(world))),
                Kind::EachNested(inner) => Handle::Many(wiring.each(node, inner.within(world))),
            };
            let handle = match handle {
                Handle::One(task) => Handle::One(task.named(&node.name).keep()),
                Handle::Many(task) => Handle::Many(task.named(&node.name).keep()),
            };
            wiring.0.push((node.uid, handle));
        }
        wiring
    }

    fn sink_tasks(&self, wiring: &Wiring) -> Vec<Task<u64>> {
        let sinks = self.sinks().into_iter();
        sinks
            .map(|sink| match wiring.of(sink.uid) {
                Handle::One(task) => task.clone(),
                Handle::Many(_) => unreachable!("a whole program ends with numbers"),
            })
            .collect()
    }

    /// The workflow as a task of another one.
    fn within(&self, world: &World) -> DotFlow<u64> {
        let wiring = self.wiring(world);
        let sink = self.sink_tasks(&wiring).remove(0);
        self.configured(DotFlow::new(&self.name, sink), wiring, world)
    }

    /// The workflow itself, with a storage.
    pub(crate) fn workflow(
        &self,
        storage: &MemoryStorage,
        reaction: OnInputChange,
        world: &World,
    ) -> DotFlow<Vec<Arc<u64>>, Vec<Arc<u64>>> {
        let wiring = self.wiring(world);
        let workflow = DotFlow::new(&self.name, self.sink_tasks(&wiring));
        self.configured(workflow, wiring, world)
            .storage(storage.clone())
            .on_input_change(reaction)
    }

    fn configured<T, Output>(
        &self,
        workflow: DotFlow<T, Output>,
        wiring: Wiring,
        world: &World,
    ) -> DotFlow<T, Output>
    where
        T: Send + Sync + 'static,
        Output: Clone + Send + Sync + 'static,
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
