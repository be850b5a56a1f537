//! The action of each task of a random program: it takes what there is, in any of the three ways, and
//! returns what the program says.

use std::{marker::PhantomData, sync::Arc};

use dotflow::{Action, ActionSpec, PreviousContext, TaskContext, TaskError, wiring::Inputs};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    build::World,
    program::{Node, Value, mixed},
};

/// What tasks return: a number, and sometimes something beside it that is not stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Number {
    stored: u64,
    #[serde(skip)]
    beside: u64,
}

impl Number {
    fn new(stored: u64) -> Self {
        Self { stored, beside: 0 }
    }
}

/// The number that stands for an output of which something is lost when it is stored.
pub(crate) fn not_yet_lost(stored: u64) -> u64 {
    mixed([stored, 1])
}

/// A value that a number stands for.
pub(crate) trait Digest: Send + Sync + 'static {
    fn digest(&self) -> u64;
}

impl Digest for Number {
    fn digest(&self) -> u64 {
        match self.beside {
            0 => self.stored,
            _ => not_yet_lost(self.stored),
        }
    }
}

impl Digest for Vec<Number> {
    fn digest(&self) -> u64 {
        Value::Many(self.iter().map(Number::digest).collect()).digest()
    }
}

/// What a unit takes, as numbers that stand for the values.
pub(crate) trait Taken: Inputs {
    fn digests(self) -> Vec<Option<u64>>;
}

pub(crate) type Required<T> = PreviousContext<T>;
pub(crate) type Optional<T> = Option<PreviousContext<T>>;
pub(crate) type Handled<T> = Result<PreviousContext<T>, TaskError>;

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

/// What `join_all` gives, required, as `Option` and as `Result`, of numbers and of lists.
pub(crate) type Joined = (
    Vec<Required<Number>>,
    Vec<Optional<Number>>,
    Vec<Handled<Number>>,
    Vec<Required<Vec<Number>>>,
    Vec<Optional<Vec<Number>>>,
    Vec<Handled<Vec<Number>>>,
);

impl Taken for Joined {
    fn digests(self) -> Vec<Option<u64>> {
        fn all<T: Digest>(
            required: Vec<Required<T>>,
            optional: Vec<Optional<T>>,
            handled: Vec<Handled<T>>,
        ) -> impl Iterator<Item = Option<u64>> {
            let required = required.into_iter().map(Some);
            let handled = handled.into_iter().map(Result::ok);
            let all = required.chain(optional).chain(handled);
            all.map(|value| value.map(|value| value.digest()))
        }
        let numbers = all(self.0, self.1, self.2);
        numbers.chain(all(self.3, self.4, self.5)).collect()
    }
}

/// What a unit returns.
pub(crate) trait Returned: Serialize + DeserializeOwned + Send + Sync + 'static {
    fn from_value(value: Value) -> Self;

    /// The same with what is lost when it is stored.
    fn with_something_beside(self) -> Self {
        self
    }
}

impl Returned for Number {
    fn from_value(value: Value) -> Self {
        Self::new(value.digest())
    }

    fn with_something_beside(mut self) -> Self {
        self.beside = 1;
        self
    }
}

impl Returned for Vec<Number> {
    fn from_value(value: Value) -> Self {
        match value {
            Value::Many(numbers) => numbers.into_iter().map(Number::new).collect(),
            Value::One(_) => unreachable!("only nodes that are lists return lists"),
        }
    }
}

/// The action of a node.
pub(crate) struct Unit<I, O> {
    node: Arc<Node>,
    world: World,
    types: PhantomData<fn(I) -> O>,
}

impl<I: Taken, O: Returned> Unit<I, O> {
    pub(crate) fn new(node: &Node, world: &World) -> Self {
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
        let spec = ActionSpec::new("unit").version(self.node.version);
        if self.node.is_stored {
            spec.checkpointed::<O>()
        } else {
            spec.without_checkpoint()
        }
    }

    async fn call(&self, inputs: I, context: TaskContext) -> Result<O, TaskError> {
        let (workflow_id, item) = (context.workflow_id(), context.item());
        self.world.count_call(workflow_id, self.node.uid, item);
        if self.node.uid % 3 == 1 {
            tokio::task::yield_now().await;
        }
        if self.node.fails.now(self.world.run, workflow_id, item) {
            return Err(TaskError::failed("as it was planned"));
        }
        let value = self.node.returns(self.world.salt, item, &inputs.digests());
        let output = O::from_value(value);
        Ok(if self.node.is_lossy {
            output.with_something_beside()
        } else {
            output
        })
    }
}
