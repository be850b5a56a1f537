//! A workflow: a named graph of tasks that can be started any number of times.

mod any;
mod input;
mod resume;
mod expand;
mod nested;
mod handle;
mod shell;
mod run;
mod definition;
mod ending;
mod outputs;
mod restore;
mod options;
mod given;

use std::{fmt, future::Future, marker::PhantomData, sync::Arc, time::Duration};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

pub use self::{
    any::AnyWorkflow, ending::Concludes, handle::RunHandle, options::RunOptions,
    restore::OnInputChange, run::Run,
};
use self::{definition::Definition, ending::OnEnd, restore::Restore, run::OutputFn, shell::Shell};
#[cfg(feature = "testing")]
use crate::graph::plan::Edit;
use crate::{
    action::value::Value,
    engine::Limits,
    error::{Error, ErrorKind},
    graph::{
        flatten::plan,
        node::Node,
        plan::Plan,
        sinks::{Sinks, sealed::Nodes},
        wiring::Given,
    },
    limits::{GroupLimits, Limit, Rate},
    offload::{self, DroppedUnder},
    report::{Report, event::Event},
    telemetry::Observers,
    unwind::drop_catching,
};

/// How many tasks of a run may run at once, unless the workflow says otherwise.
const DEFAULT_CONCURRENCY: usize = 256;

/// A named, immutable graph of tasks that can be started any number of times.
///
/// `T` is what it returns: the output of its sink. With several sinks it is a tuple or a `Vec` of
/// their shared outputs. `In` is what each run takes: nothing, or `(In,)` for a workflow made by
/// [`with_input`](Self::with_input), until [`with`](Self::with) gives it. Clones are cheap and mean
/// the same workflow.
///
/// ```
/// use dotflow::{action, task, DotFlow, PreviousContext};
///
/// #[action]
/// fn extract() -> Vec<u32> { vec![3, 5, 8] }
///
/// #[action]
/// async fn transform(previous: PreviousContext<Vec<u32>>) -> u32 { previous.iter().sum() }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let workflow = DotFlow::new("sums", task(extract()).then(transform()));
/// let run = workflow.start().await?;
/// assert_eq!(*run.output()?, 16);
/// assert_eq!(run.tasks().len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[must_use = "a workflow does nothing until it is started"]
pub struct DotFlow<T, In = ()> {
    definition: Arc<Definition>,
    shell: Arc<Shell<T>>,
    /// The input of each run, for a workflow that was made of one that takes an input.
    bound: Option<Value>,
    _input: PhantomData<fn(In)>,
}

impl DotFlow<()> {
    /// Makes a workflow that ends with these tasks (one task, a tuple of tasks, or a `Vec`), and
    /// consists of them and all tasks before them.
    ///
    /// Tasks get their numbers here, from 0, each after the tasks that it depends on.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    ///
    /// #[action]
    /// fn left() -> u32 { 1 }
    ///
    /// #[action]
    /// fn right() -> String { "r".into() }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let workflow = DotFlow::new("both", (task(left()), task(right())));
    /// let run = workflow.start().await?;
    /// let (left, right) = &*run.output()?;
    /// assert_eq!((**left, right.as_str()), (1, "r"));
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    #[allow(
        clippy::new_ret_no_self,
        reason = "the type of the sinks gives the type returned"
    )]
    pub fn new<S: Sinks>(name: impl Into<String>, sinks: S) -> DotFlow<S::Returns> {
        let Nodes(sinks) = sinks.nodes();
        DotFlow::from_nodes(name.into().into(), &sinks, None, S::output)
    }
}

impl<T, In> DotFlow<T, In> {
    fn from_nodes(
        name: Arc<str>,
        sinks: &[Arc<Node>],
        input: Option<&Node>,
        output: OutputFn<T>,
    ) -> Self {
        Self {
            definition: Arc::new(Definition {
                plan: Arc::new(plan(name, sinks, input)),
                limits: Limits {
                    concurrency: DEFAULT_CONCURRENCY,
                    keep_going: false,
                    groups: GroupLimits::default(),
                },
                timeout: None,
                observers: Observers::default(),
                restore: Restore::default(),
                cancellation: None,
                on_end: Vec::new(),
            }),
            shell: Arc::new(Shell {
                output,
                on_success: Vec::new(),
                on_failure: Vec::new(),
            }),
            bound: None,
            _input: PhantomData,
        }
    }
}

impl<T: Send + Sync + 'static, In> DotFlow<T, In> {
    fn configure(mut self, change: impl FnOnce(&mut Definition)) -> Self {
        change(Arc::make_mut(&mut self.definition));
        self
    }

    /// The same workflow with another plan; itself where nothing of it is to be changed.
    #[cfg(feature = "testing")]
    pub(crate) fn edited(self, edit: &Edit) -> Result<(Self, bool), String> {
        Ok(match edit(self.plan())? {
            Some(plan) => {
                let changed = self.configure(|definition| definition.plan = Arc::new(plan));
                (changed, true)
            }
            None => (self, false),
        })
    }

    /// Its tasks, and which of them depends on which.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    ///
    /// #[action]
    /// fn work() {}
    ///
    /// let workflow = DotFlow::new("two", task(work()).then(work()));
    /// assert_eq!(workflow.plan().tasks().len(), 2);
    /// ```
    pub fn plan(&self) -> &Plan {
        &self.definition.plan
    }

    /// Sets how many tasks may run at once, items of [`each`](crate::Task::each) included; 256 by
    /// default, and with 1 strictly one by one.
    ///
    /// The tasks of workflows within it count as its own, and such a workflow may set a smaller number
    /// for its own tasks; as a task it does not count. At most as many of them run at once.
    ///
    /// # Panics
    ///
    /// Panics if it is 0: nothing could ever run.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    /// use std::sync::atomic::{AtomicU32, Ordering};
    ///
    /// static RUNNING: AtomicU32 = AtomicU32::new(0);
    ///
    /// #[action]
    /// async fn alone() -> u32 {
    ///     let others = RUNNING.fetch_add(1, Ordering::SeqCst);
    ///     tokio::task::yield_now().await;
    ///     RUNNING.fetch_sub(1, Ordering::SeqCst);
    ///     others
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tasks: Vec<_> = (0..9).map(|_| task(alone())).collect();
    /// let run = DotFlow::new("one by one", tasks).concurrency(1).start_blocking()?;
    /// assert!(run.output()?.iter().all(|others| **others == 0));
    /// # Ok(()) }
    /// ```
    pub fn concurrency(self, tasks: usize) -> Self {
        assert!(tasks >= 1, "a workflow needs a concurrency of at least 1");
        self.configure(|definition| definition.limits.concurrency = tasks)
    }

    /// Sets whether tasks that don't depend on a failed one are still started after a failure;
    /// `false` by default.
    ///
    /// What is running when a task fails runs to its end in either case, and so do clean-up tasks:
    /// those that take a previous context as `Option` or `Result`. The run has failed in either
    /// case.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, Status};
    ///
    /// #[action]
    /// fn refuse() -> Result<(), String> { Err("no".into()) }
    ///
    /// #[action]
    /// fn work() {}
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let workflow = DotFlow::new("two", (task(refuse()), task(work()))).concurrency(1);
    /// let run = workflow.clone().start_blocking()?;
    /// assert_eq!(run.tasks()[1].status(), Status::NotStarted);
    /// let run = workflow.keep_going(true).start_blocking()?;
    /// assert_eq!(run.tasks()[1].status(), Status::Completed);
    /// assert!(!run.succeeded());
    /// # Ok(()) }
    /// ```
    pub fn keep_going(self, keep_going: bool) -> Self {
        self.configure(|definition| definition.limits.keep_going = keep_going)
    }

    /// Sets how many tasks of a group may be attempted at once: a number for each run on its own, or a
    /// [`Limit`] that workflows share. Without a limit by default.
    ///
    /// A task that waits for its limit takes none of the run's [concurrency](Self::concurrency), its
    /// timeout has not begun, and others go on beside it; first come, first served. Between two
    /// attempts others have their turn. The tasks of nested workflows count as those of the run around
    /// them; a task that is a workflow does not count itself. Blocking code that outlives its timeout
    /// counts until it ends.
    ///
    /// Several limits of one group hold together.
    ///
    /// # Panics
    ///
    /// Panics if it is 0: nothing could ever run.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    /// use std::sync::atomic::{AtomicU32, Ordering};
    ///
    /// static RUNNING: AtomicU32 = AtomicU32::new(0);
    ///
    /// #[action]
    /// async fn query() -> u32 {
    ///     let others = RUNNING.fetch_add(1, Ordering::SeqCst);
    ///     tokio::task::yield_now().await;
    ///     RUNNING.fetch_sub(1, Ordering::SeqCst);
    ///     others
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let queries: Vec<_> = (0..9).map(|_| task(query()).group("db")).collect();
    /// let run = DotFlow::new("queries", queries).limit("db", 2).start_blocking()?;
    /// assert!(run.output()?.iter().all(|others| **others <= 1));
    /// # Ok(()) }
    /// ```
    pub fn limit(self, group: impl Into<String>, limit: impl Into<Limit>) -> Self {
        let (group, limit) = (group.into().into(), limit.into());
        self.configure(|definition| definition.limits.groups.limit(group, limit))
    }

    /// Sets how often a task of a group may be attempted, in each run on its own; without a limit by
    /// default. [`Limit::rate`] makes one that workflows share, for [`limit`](Self::limit).
    ///
    /// Who waits for the rate waits as for a [limit](Self::limit).
    ///
    /// ```
    /// use dotflow::{action, limits::Rate, task, DotFlow};
    /// use std::time::Duration;
    ///
    /// #[action]
    /// async fn call() {}
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// let calls: Vec<_> = (0..5).map(|_| task(call()).group("api")).collect();
    /// let workflow = DotFlow::new("calls", calls).rate("api", Rate::per_second(10));
    /// assert_eq!(workflow.start().await?.duration(), Duration::from_millis(400));
    /// # Ok::<(), dotflow::Error>(()) }).unwrap();
    /// ```
    pub fn rate(self, group: impl Into<String>, rate: Rate) -> Self {
        let group = group.into().into();
        self.configure(|definition| definition.limits.groups.rate(group, rate))
    }

    /// Sets how long the whole run may take, retries and waits included; without a limit by default.
    /// What still runs then is cancelled, and the run has failed.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, Status};
    /// use std::time::Duration;
    ///
    /// #[action]
    /// async fn endless() { std::future::pending().await }
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let workflow = DotFlow::new("endless", task(endless())).timeout(Duration::from_millis(1));
    /// let run = workflow.start_blocking()?;
    /// assert_eq!(run.status(), Status::Failed);
    /// assert_eq!(run.tasks()[0].status(), Status::Cancelled);
    /// # Ok(()) }
    /// ```
    pub fn timeout(self, timeout: Duration) -> Self {
        self.configure(|definition| definition.timeout = Some(timeout))
    }

    /// Has this token cancel all runs that are started of the workflow: one for a whole program that is to end, for one.
    /// Runs have tokens of their own besides ([`RunHandle::cancellation`]). None by default. As a task of
    /// another workflow it is cancelled with that one's run alone.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, Status};
    /// use tokio_util::sync::CancellationToken;
    ///
    /// #[action]
    /// async fn endless() { std::future::pending().await }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let shutdown = CancellationToken::new();
    /// let workflow = DotFlow::new("endless", task(endless())).cancel_with(shutdown.clone());
    /// let (left, right) = (workflow.spawn(), workflow.spawn());
    /// shutdown.cancel();
    /// assert_eq!(left.await?.status(), Status::Cancelled);
    /// assert_eq!(right.await?.status(), Status::Cancelled);
    /// # Ok::<(), dotflow::Error>(()) }).unwrap();
    /// ```
    pub fn cancel_with(self, token: CancellationToken) -> Self {
        self.configure(|definition| definition.cancellation = Some(token))
    }

    /// Calls a function after each run that succeeded, before the caller gets the run. Several are
    /// called in the order in which they were added.
    ///
    /// It should be quick, as the caller waits for it. If it panics, the run stays as it is, and the
    /// panic is reported as a `tracing` event.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    /// use std::sync::{Arc, OnceLock};
    ///
    /// #[action]
    /// fn answer() -> u32 { 42 }
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let told = Arc::new(OnceLock::new());
    /// let tell = Arc::clone(&told);
    /// let workflow = DotFlow::new("told", task(answer())).on_success(move |run| {
    ///     let _ = tell.set(run.workflow_id().to_owned());
    /// });
    /// let run = workflow.start_blocking()?;
    /// assert_eq!(told.get().unwrap(), run.workflow_id());
    /// # Ok(()) }
    /// ```
    pub fn on_success(mut self, callback: impl Fn(&Run<T>) + Send + Sync + 'static) -> Self {
        let shell = Arc::make_mut(&mut self.shell);
        shell.on_success.push(Arc::new(callback));
        self
    }

    /// Calls a function after each run that failed or was cancelled, before the caller gets the
    /// run. Several are called in the order in which they were added.
    ///
    /// It is not called when the future of [`start`](Self::start) is dropped, as nobody gets a run
    /// then, nor for a run that could not begin. A panic in it is reported as a `tracing` event.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    /// use std::sync::{Arc, OnceLock};
    ///
    /// #[action]
    /// fn refuse() -> Result<(), String> { Err("no".into()) }
    ///
    /// # fn main() -> Result<(), dotflow::Error> {
    /// let told = Arc::new(OnceLock::new());
    /// let tell = Arc::clone(&told);
    /// let workflow = DotFlow::new("refused", task(refuse())).on_failure(move |run| {
    ///     let _ = tell.set(run.report().cause().map(str::to_owned));
    /// });
    /// let _ = workflow.start_blocking()?;
    /// assert_eq!(told.get().unwrap().as_deref(), Some("task:0 `refuse`: no"));
    /// # Ok(()) }
    /// ```
    pub fn on_failure(mut self, callback: impl Fn(&Run<T>) + Send + Sync + 'static) -> Self {
        let shell = Arc::make_mut(&mut self.shell);
        shell.on_failure.push(Arc::new(callback));
        self
    }

    /// Does something when a run has ended, whatever came of it, before its caller gets the run: to
    /// tell somebody, or to send the report somewhere. Several are done one after the other, in the
    /// order in which they were added.
    ///
    /// The caller waits for it, at most 10 s; what takes longer is given up. It has no say in the run:
    /// its error, its panic or that it took too long is a `tracing` event. It is not done when the
    /// future of [`start`](Self::start) is dropped, nor for a run that could not begin.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, Report};
    /// use std::sync::{Arc, Mutex};
    ///
    /// #[action]
    /// fn refuse() -> Result<(), String> { Err("no".into()) }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let sent = Arc::new(Mutex::new(Vec::new()));
    /// let outbox = Arc::clone(&sent);
    /// let workflow = DotFlow::new("refused", task(refuse())).on_end(move |report: Report| {
    ///     let outbox = Arc::clone(&outbox);
    ///     async move {
    ///         let cause = report.cause().unwrap_or("all is well").to_owned();
    ///         outbox.lock().unwrap().push(cause);
    ///     }
    /// });
    /// assert!(!workflow.start().await?.succeeded());
    /// assert_eq!(*sent.lock().unwrap(), ["task:0 `refuse`: no"]);
    /// # Ok::<(), dotflow::Error>(()) }).unwrap();
    /// ```
    pub fn on_end<F, R>(self, done: impl Fn(Report) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = R> + Send + 'static,
        R: Concludes,
    {
        self.configure(|definition| definition.on_end.push(OnEnd::new(done)))
    }

    /// Calls a function for everything that happens in a run, at once and on the thread where it
    /// happens: it should be quick. Several are called in the order in which they were added. A panic
    /// in one is reported as a `tracing` event.
    ///
    /// What happens within a workflow that is a task of this one is told too, with the
    /// [path](Event::path) of tasks that leads there; and to that workflow's own observers.
    ///
    /// ```
    /// use dotflow::{action, report::EventKind, task, DotFlow};
    /// use std::sync::{Arc, atomic::{AtomicUsize, Ordering}};
    ///
    /// #[action]
    /// fn work() {}
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let started = Arc::new(AtomicUsize::new(0));
    /// let counter = Arc::clone(&started);
    /// let workflow = DotFlow::new("watched", task(work()).then(work())).observe(move |event| {
    ///     if let EventKind::TaskStarted { .. } = event.kind {
    ///         counter.fetch_add(1, Ordering::Relaxed);
    ///     }
    /// });
    /// assert!(workflow.start().await?.succeeded());
    /// assert_eq!(started.load(Ordering::Relaxed), 2);
    /// # Ok::<(), dotflow::Error>(()) }).unwrap();
    /// ```
    pub fn observe(self, observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.configure(|definition| definition.observers.add(observer))
    }
}

impl<T: Send + Sync + 'static, In> DotFlow<T, In> {
    /// Runs the workflow and waits for its end.
    ///
    /// The run is a span below the caller's current one. Dropping the future cancels the run:
    /// futures of tasks are dropped, and blocking code sees its token.
    ///
    /// What a run is about goes in by [`with_input`](DotFlow::with_input) or by the inputs of its
    /// actions, never by a task-local (`tokio::task_local!`) around this call: a single task that is
    /// ready runs in place and sees it, but tasks that run beside each other, plain functions and
    /// [`spawn`](Self::spawn) leave the caller's task, and don't.
    ///
    /// # Errors
    ///
    /// Only when the run could not be carried out at all: there is no tokio runtime here, or one
    /// without a timer, which timeouts and retries need; more than 64 workflows are nested in each
    /// other; an output can't be stored, or the [storage](Self::storage) fails before the first
    /// task. A task that fails does not fail this call; the [`Run`] tells.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    ///
    /// #[action]
    /// async fn extract() -> Vec<u32> { vec![3, 5, 8] }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let workflow = DotFlow::new("numbers", task(extract()));
    /// let (first, second) = (workflow.start().await?, workflow.start().await?);
    /// assert_eq!(*first.output()?, *second.output()?);
    /// assert_ne!(first.workflow_id(), second.workflow_id());
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn start(&self) -> impl Future<Output = Result<Run<T>, Error>> + Send + 'static + use<T, In>
    where
        In: Given,
    {
        self.run_with(RunOptions::new())
    }

    /// Runs the workflow as these options say, and waits for its end.
    ///
    /// Nothing happens before the future is awaited. Dropping it cancels the run, as with
    /// [`start`](Self::start).
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, RunOptions};
    ///
    /// #[action]
    /// fn work() {}
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let workflow = DotFlow::new("orders", task(work()));
    /// let run = workflow.run_with(RunOptions::new().id("order-42")).await?;
    /// assert_eq!(run.workflow_id(), "order-42");
    /// # Ok::<(), dotflow::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start) and [`resume`](Self::resume); and when the id has checkpoints
    /// already, unless the options say to resume.
    pub fn run_with(
        &self,
        options: RunOptions,
    ) -> impl Future<Output = Result<Run<T>, Error>> + Send + 'static + use<T, In>
    where
        In: Given,
    {
        run_to_end(
            Arc::clone(&self.definition),
            Arc::clone(&self.shell),
            self.bound.clone(),
            options,
        )
    }

    /// Runs the workflow in the background and returns at once.
    ///
    /// # Errors
    ///
    /// Awaiting the result gives the errors of [`start`](Self::start).
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    ///
    /// #[action]
    /// fn answer() -> u32 { 42 }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let workflow = DotFlow::new("answers", task(answer()));
    /// let (left, right) = (workflow.spawn(), workflow.spawn()); // two runs at the same time
    /// assert_eq!(*left.await?.output()?, *right.await?.output()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn spawn(&self) -> RunHandle<T>
    where
        In: Given,
    {
        self.spawn_with(RunOptions::new())
    }

    /// Runs the workflow in the background as these options say, and returns at once.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, RunOptions};
    ///
    /// #[action]
    /// fn work() {}
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let workflow = DotFlow::new("orders", task(work()));
    /// let handle = workflow.spawn_with(RunOptions::new().id("order-42"));
    /// assert_eq!(handle.workflow_id(), "order-42");
    /// assert!(handle.await?.succeeded());
    /// # Ok::<(), dotflow::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// Awaiting the result gives the errors of [`run_with`](Self::run_with).
    #[allow(
        clippy::needless_pass_by_value,
        reason = "options are made for one run, and given as to `run_with`"
    )]
    pub fn spawn_with(&self, options: RunOptions) -> RunHandle<T>
    where
        In: Given,
    {
        let start = self.definition.start(&options, self.bound.clone());
        RunHandle::spawn(Arc::clone(&self.definition), Arc::clone(&self.shell), start)
    }

    /// Runs the workflow and waits for its end, in a program without a tokio runtime.
    ///
    /// It brings a runtime of one thread: async tasks take turns on it, while plain functions run
    /// on threads of their own. Code that blocks beyond its timeout is left to itself.
    ///
    /// In an action that is a plain function it runs on the runtime of that one, whose thread may
    /// block. That thread is taken until the end of the run, and plain functions in it need others:
    /// a blocking pool with room for a single one would stand still.
    ///
    /// # Errors
    ///
    /// When it is called in async code, whose thread must not block, or no runtime can be built;
    /// else as [`start`](Self::start).
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow};
    ///
    /// #[action]
    /// fn answer() -> u32 { 42 }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let run = DotFlow::new("answers", task(answer())).start_blocking()?;
    /// assert_eq!(*run.output()?, 42);
    /// # Ok(()) }
    /// ```
    pub fn start_blocking(&self) -> Result<Run<T>, Error>
    where
        In: Given,
    {
        block_on(self.start())
    }
}

/// Carries out a run.
async fn run_to_end<T>(
    definition: Arc<Definition>,
    shell: Arc<Shell<T>>,
    input: Option<Value>,
    options: RunOptions,
) -> Result<Run<T>, Error> {
    let run = async {
        let guard = definition.begin(definition.start(&options, input))?;
        let ended = definition.drive(guard).await?;
        Ok(shell.finish(ended))
    };
    let run = match offload::subscriber() {
        Some(subscriber) => DroppedUnder::new(subscriber, run).await,
        None => run.await,
    };
    // They may be the last owners, and then drop the callbacks and what they hold.
    drop_catching((definition, shell));
    run
}

/// Carries out a run on a runtime of its own; in a plain action on the one that the action runs on,
/// whose blocking pool may block.
fn block_on<R>(run: impl Future<Output = Result<R, Error>>) -> Result<R, Error> {
    let run = match Handle::try_current() {
        Ok(runtime) => {
            return offload::block_on_pool(&runtime, run)
                .unwrap_or_else(|_| Err(ErrorKind::InsideRuntime.into()));
        }
        Err(_) => run,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ErrorKind::RuntimeNotBuilt)?;
    let run = runtime.block_on(run);
    // Its drop would wait for blocking code that has timed out.
    runtime.shutdown_background();
    run
}

impl<T, In> Clone for DotFlow<T, In> {
    fn clone(&self) -> Self {
        Self {
            definition: Arc::clone(&self.definition),
            shell: Arc::clone(&self.shell),
            bound: self.bound.clone(),
            _input: PhantomData,
        }
    }
}

impl<T, In> fmt::Debug for DotFlow<T, In> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DotFlow")
            .field("name", &self.definition.plan.name)
            .field("tasks", &self.definition.plan.tasks.len())
            .field("limits", &self.definition.limits)
            .finish_non_exhaustive()
    }
}
