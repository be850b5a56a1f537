//! Workflows whose runs take an input: how it is bound, and how a run is resumed with the stored one.

use std::{future::Future, marker::PhantomData, sync::Arc};

use super::{
    DotFlow, block_on, definition::Definition, given::InputCodec, options::RunOptions, run::Run,
    run_to_end, shell::Shell,
};
use crate::{
    action::{codec::StorableInput, value::Value},
    checkpoint::StoredInput,
    error::{Error, ErrorKind},
    graph::{
        sinks::{Sinks, sealed::Nodes},
        task::Task,
    },
    storage::Storage,
};

impl DotFlow<()> {
    /// Makes a workflow whose runs take an input: the order, the request or the row that a run is
    /// about.
    ///
    /// The closure gets a handle on the input, to be used like that of any task, and returns the tasks
    /// that the workflow ends with. The input is no task: it has no number and no span. It is shared
    /// by all who read it, so it need not be `Clone`.
    ///
    /// [`with`](DotFlow::with) gives the input of one run. As a step of another workflow it takes
    /// the output of the task before it, or the item of [`each`](crate::Task::each).
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, PreviousContext};
    ///
    /// #[action]
    /// fn orders() -> Vec<u32> { vec![3, 5] }
    ///
    /// #[action]
    /// fn price(order: PreviousContext<u32>) -> u32 { *order * 10 }
    ///
    /// #[action]
    /// fn receipt(order: PreviousContext<u32>, price: PreviousContext<u32>) -> String {
    ///     format!("{} for {}", *price, *order)
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let checkout = DotFlow::with_input("checkout", |order| {
    ///     order.and(&order.then(price())).then(receipt())
    /// });
    /// assert_eq!(*checkout.with(4).start().await?.output()?, "40 for 4");
    ///
    /// let all = DotFlow::new("all", task(orders()).each(checkout));
    /// assert_eq!(*all.start().await?.output()?, ["30 for 3", "50 for 5"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if a task takes the input of another workflow, whose handle has left its closure.
    pub fn with_input<In, S>(
        name: impl Into<String>,
        build: impl FnOnce(&Task<In>) -> S,
    ) -> DotFlow<S::Returns, (In,)>
    where
        In: Send + Sync + 'static,
        S: Sinks,
    {
        let input = Task::input();
        let Nodes(sinks) = build(&input).nodes();
        DotFlow::from_nodes(name.into().into(), &sinks, Some(&input.node), S::output)
    }
}

impl<T: Send + Sync + 'static, In: Send + Sync + 'static> DotFlow<T, (In,)> {
    /// Binds an input: what it gives back is a workflow without one, with every way to start.
    ///
    /// It costs one allocation. The workflow stays as it is, so any number of runs can be started
    /// from it, each with its own input, also at the same time.
    ///
    /// ```
    /// use dotflow::{action, DotFlow, PreviousContext};
    ///
    /// #[action]
    /// async fn greet(name: PreviousContext<String>) -> String { format!("Hello, {}!", *name) }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let greeting = DotFlow::with_input("greeting", |name| name.then(greet()));
    /// let (ada, alan) = (greeting.with("Ada".into()).spawn(), greeting.with("Alan".into()).spawn());
    /// assert_eq!(*ada.await?.output()?, "Hello, Ada!");
    /// assert_eq!(*alan.await?.output()?, "Hello, Alan!");
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn with(&self, input: In) -> DotFlow<T> {
        DotFlow {
            definition: Arc::clone(&self.definition),
            shell: Arc::clone(&self.shell),
            bound: Some(Value::new(input)),
            _input: PhantomData,
        }
    }
}

impl<T: Send + Sync + 'static, In: Send + Sync + 'static> DotFlow<T, (In,)> {
    /// Stores the input of each run and the output of each task, so that a run can be
    /// [resumed](Self::resume), also without its input.
    ///
    /// It is to be called before [`with`](Self::with), as it needs to know the type of the input: the
    /// input must implement serde's `Serialize` and `Deserialize`. It is stored as JSON when the run
    /// begins, and what is read back from that is what the tasks get. A fingerprint of it tells a
    /// resumed run that is given another one.
    ///
    /// All else is as in [`DotFlow::storage`].
    ///
    /// ```
    /// use dotflow::{action, storage::MemoryStorage, DotFlow, PreviousContext};
    ///
    /// #[action]
    /// fn ship(order: PreviousContext<u32>) -> String { format!("order {} is on its way", *order) }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let checkout = DotFlow::with_input("checkout", |order| order.then(ship()))
    ///     .storage(MemoryStorage::new());
    /// checkout.with(42).resume("order-42").await?;
    /// let again = checkout.resume("order-42").await?; // with the stored input
    /// assert_eq!(*again.output()?, "order 42 is on its way");
    /// assert!(checkout.with(43).resume("order-42").await.unwrap_err().is_input_changed());
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn storage(self, storage: impl Storage) -> Self
    where
        In: StorableInput,
    {
        self.configure(|definition| {
            definition.restore.storage = Some(Arc::new(storage));
            definition.restore.codec = Some(InputCodec::of::<In>());
        })
    }

    /// Resumes the run of this id with the input that it was given first, which is stored beside its
    /// checkpoints.
    ///
    /// All else is as in [`DotFlow::resume`]; to give the input anew, as a first run needs it, call
    /// `.with(input).resume(id)`.
    ///
    /// ```
    /// use dotflow::{action, storage::MemoryStorage, DotFlow, PreviousContext};
    ///
    /// #[action]
    /// fn double(number: PreviousContext<u32>) -> u32 { *number * 2 }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let double = DotFlow::with_input("double", |number| number.then(double()))
    ///     .storage(MemoryStorage::new());
    /// assert!(double.resume("1").await.unwrap_err().is_input_missing());
    /// double.with(4).resume("1").await?;
    /// assert_eq!(*double.resume("1").await?.output()?, 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`DotFlow::resume`]; and when no input is stored under this id, or what is stored can't be
    /// read as one.
    pub fn resume(
        &self,
        workflow_id: &str,
    ) -> impl Future<Output = Result<Run<T>, Error>> + Send + 'static + use<T, In>
    where
        In: StorableInput,
    {
        let options = RunOptions::new().id(workflow_id).resume(true);
        let (definition, shell) = (Arc::clone(&self.definition), Arc::clone(&self.shell));
        run_stored(definition, shell, options)
    }

    /// Does what [`resume`](Self::resume) does, in a program without a tokio runtime.
    ///
    /// # Errors
    ///
    /// As [`resume`](Self::resume) and [`start_blocking`](DotFlow::start_blocking).
    ///
    /// ```
    /// use dotflow::{action, storage::MemoryStorage, DotFlow, PreviousContext};
    ///
    /// #[action]
    /// fn double(number: PreviousContext<u32>) -> u32 { *number * 2 }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let double = DotFlow::with_input("double", |number| number.then(double()))
    ///     .storage(MemoryStorage::new());
    /// double.with(4).resume_blocking("1")?;
    /// assert_eq!(*double.resume_blocking("1")?.output()?, 8);
    /// # Ok(()) }
    /// ```
    pub fn resume_blocking(&self, workflow_id: &str) -> Result<Run<T>, Error>
    where
        In: StorableInput,
    {
        block_on(self.resume(workflow_id))
    }
}

/// Carries out a run with the input that its id was given before.
pub(super) async fn run_stored<T: Send + Sync + 'static>(
    definition: Arc<Definition>,
    shell: Arc<Shell<T>>,
    options: RunOptions,
) -> Result<Run<T>, Error> {
    let input = definition.stored_input(&options).await?;
    run_to_end(definition, shell, Some(input), options).await
}

impl Definition {
    async fn stored_input(&self, options: &RunOptions) -> Result<Value, Error> {
        let id = options.id_said().unwrap_or_default();
        self.restore.check_id(id, true)?;
        let failed = |error: crate::storage::StorageError| ErrorKind::Storage(error.into());
        let missing = || ErrorKind::InputMissing {
            workflow: self.plan.name.to_string(),
            id: Some(id.to_owned()),
        };
        let checkpoints = self.restore.checkpoints(&id.into(), false, &self.plan);
        let checkpoints = checkpoints.ok_or_else(missing)?;
        let json = match checkpoints.stored_input().await.map_err(failed)? {
            StoredInput::Given(json) => json,
            StoredInput::Nothing => return Err(missing().into()),
            StoredInput::OtherWorkflow(name) => {
                let id = id.to_owned();
                return Err(ErrorKind::OtherWorkflow { id, name }.into());
            }
        };
        self.read_input(&json)
    }

    /// Reads an input from its JSON.
    pub(super) fn read_input(&self, json: &str) -> Result<Value, Error> {
        let codec = self.restore.codec;
        let codec = codec.expect("only a workflow that can read its input is asked to");
        codec.read(json).map_err(|problem| {
            let error = ErrorKind::InputInvalid {
                workflow: self.plan.name.to_string(),
                problem,
            };
            error.into()
        })
    }
}
