//! A workflow: a named graph of tasks that can be started any number of times.

mod background;
mod nested;
mod resume;
mod storable;

use std::{
    fmt, future::Future, marker::PhantomData, panic::catch_unwind, sync::Arc, time::Duration,
};

use tokio::runtime::Handle;

use self::resume::Restoring;
pub use self::{background::Background, resume::OnInputChange};
use crate::{
    context::RunScope,
    engine::{Engine, Limits, Shared},
    error::{Error, ErrorKind, TaskError},
    observer::{Event, Happening, Observers},
    plan::Plan,
    run::Run,
    shield::{discard, shielded},
    sinks::{
        Sinks,
        sealed::{Nodes, Outputs},
    },
    spans,
    status::Status,
    subscriber::{self, DroppedUnder},
};

/// How many tasks of a run are begun at a time, unless the workflow says otherwise.
const DEFAULT_CONCURRENCY: usize = 256;

/// A named, immutable graph of tasks that can be started any number of times.
///
/// `T` is what it returns: the output of its sink. With several sinks it is a tuple or a `Vec` of
/// their shared outputs, and [`Run::output`] gives just that, as `Output`. Clones are cheap and
/// mean the same workflow.
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
pub struct DotFlow<T, Output = Arc<T>> {
    definition: Arc<Definition<T, Output>>,
}

type Callback<T, Output> = Arc<dyn Fn(&Run<T, Output>) + Send + Sync>;

/// All that a run needs to know of its workflow.
struct Definition<T, Output> {
    plan: Arc<Plan>,
    limits: Limits,
    observers: Observers,
    on_success: Vec<Callback<T, Output>>,
    on_failure: Vec<Callback<T, Output>>,
    restoring: Restoring,
    output: fn(Outputs<'_>) -> Result<Output, TaskError>,
    returned: fn(Output) -> Arc<T>,
}

// Derived, it would ask for `T: Clone`.
impl<T, Output> Clone for Definition<T, Output> {
    fn clone(&self) -> Self {
        Self {
            plan: Arc::clone(&self.plan),
            limits: self.limits.clone(),
            observers: self.observers.clone(),
            on_success: self.on_success.clone(),
            on_failure: self.on_failure.clone(),
            restoring: self.restoring.clone(),
            output: self.output,
            returned: self.returned,
        }
    }
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
    /// let (left, right) = run.output()?;
    /// assert_eq!((*left, right.as_str()), (1, "r"));
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    #[allow(
        clippy::new_ret_no_self,
        reason = "the type of the sinks gives the type returned"
    )]
    pub fn new<S: Sinks>(name: impl Into<String>, sinks: S) -> DotFlow<S::Returns, S::Output> {
        let Nodes(sinks) = sinks.nodes();
        DotFlow {
            definition: Arc::new(Definition {
                plan: Arc::new(Plan::new(name.into().into(), &sinks)),
                limits: Limits {
                    concurrency: DEFAULT_CONCURRENCY,
                    keep_going: false,
                    timeout: None,
                },
                observers: Observers::default(),
                on_success: Vec::new(),
                on_failure: Vec::new(),
                restoring: Restoring::default(),
                output: S::output,
                returned: S::returned,
            }),
        }
    }
}

impl<T, Output> DotFlow<T, Output>
where
    T: Send + Sync + 'static,
    Output: Clone + Send + Sync + 'static,
{
    fn configure(mut self, change: impl FnOnce(&mut Definition<T, Output>)) -> Self {
        change(Arc::make_mut(&mut self.definition));
        self
    }

    /// Sets how many tasks may run at once, items of [`each`](crate::Task::each) included; 256
    /// unless said otherwise, and with 1 strictly one by one.
    ///
    /// # Panics
    ///
    /// Panics if it is 0: nothing could ever run.
    pub fn concurrency(self, tasks: usize) -> Self {
        assert!(tasks >= 1, "a workflow needs a concurrency of at least 1");
        self.configure(|definition| definition.limits.concurrency = tasks)
    }

    /// Sets whether tasks that don't depend on a failed one are still begun after a failure;
    /// `false` unless said otherwise.
    ///
    /// What is running when a task fails runs to its end in either case, and so do clean-up tasks:
    /// those that take a previous context as `Option` or `Result`.
    pub fn keep_going(self, keep_going: bool) -> Self {
        self.configure(|definition| definition.limits.keep_going = keep_going)
    }

    /// Sets how long the whole run may take; what still runs then is cancelled, and the run has
    /// failed.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.configure(|definition| definition.limits.timeout = Some(timeout))
    }

    /// Calls a function after each run that succeeded, before the caller gets the run.
    ///
    /// Should it panic, the run is none the worse: the panic is reported as an event.
    pub fn on_success(self, callback: impl Fn(&Run<T, Output>) + Send + Sync + 'static) -> Self {
        self.configure(|definition| definition.on_success.push(Arc::new(callback)))
    }

    /// Calls a function after each run that failed or was cancelled, before the caller gets the
    /// run. There is no call where nobody waits any more: when the future of
    /// [`start`](Self::start) is dropped.
    pub fn on_failure(self, callback: impl Fn(&Run<T, Output>) + Send + Sync + 'static) -> Self {
        self.configure(|definition| definition.on_failure.push(Arc::new(callback)))
    }

    /// Calls a function for everything that happens in a run, at once and on the thread where it
    /// happens: it should be quick.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, Happening};
    /// use std::sync::{Arc, atomic::{AtomicUsize, Ordering}};
    ///
    /// #[action]
    /// fn work() {}
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let started = Arc::new(AtomicUsize::new(0));
    /// let counter = Arc::clone(&started);
    /// let workflow = DotFlow::new("watched", task(work()).then(work())).observe(move |event| {
    ///     if let Happening::TaskStarted(_) = event.what {
    ///         counter.fetch_add(1, Ordering::Relaxed);
    ///     }
    /// });
    /// assert!(workflow.start().await?.succeeded());
    /// assert_eq!(started.load(Ordering::Relaxed), 2);
    /// # Ok::<(), dotflow::Error>(()) }).unwrap();
    /// ```
    pub fn observe(self, observer: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        self.configure(|definition| definition.observers.add(observer))
    }

    /// Runs the workflow and waits for its end.
    ///
    /// The run is a span below the caller's current one. Dropping the future cancels the run:
    /// futures of tasks are dropped, and blocking code sees its token.
    ///
    /// # Errors
    ///
    /// Only when the run could not be carried out at all: there is no tokio runtime here, or one
    /// without a timer, which timeouts and retries need. A task that fails does not fail this
    /// call; the [`Run`] tells.
    pub fn start(
        &self,
    ) -> impl Future<Output = Result<Run<T, Output>, Error>> + Send + 'static + use<T, Output> {
        run_to_end(Arc::clone(&self.definition), None)
    }

    /// Runs the workflow in the background and returns at once.
    ///
    /// # Errors
    ///
    /// Awaiting the result gives the errors of [`start`](Self::start).
    pub fn spawn(&self) -> Background<T, Output> {
        Background::spawn(Arc::clone(&self.definition))
    }

    /// Runs the workflow and waits for its end, in a program without a tokio runtime.
    ///
    /// It brings a runtime of one thread: async tasks take turns on it, while plain functions run
    /// on threads of their own. Code that blocks beyond its timeout is left to itself.
    ///
    /// # Errors
    ///
    /// When it is called from within a tokio runtime, or none can be built.
    pub fn start_blocking(&self) -> Result<Run<T, Output>, Error> {
        block_on(self.start())
    }
}

/// Carries out a run, under an id of its own unless one is given.
async fn run_to_end<T, Output: Clone>(
    definition: Arc<Definition<T, Output>>,
    workflow_id: Option<String>,
) -> Result<Run<T, Output>, Error> {
    let run = definition.run(definition.scope(workflow_id));
    let run = match subscriber::current() {
        Some(subscriber) => DroppedUnder::new(subscriber, run).await,
        None => run.await,
    };
    // It may be the last owner, and then drops the callbacks and what they hold.
    discard(definition);
    run
}

/// Carries out a run on a runtime of its own.
fn block_on<R>(run: impl Future<Output = Result<R, Error>>) -> Result<R, Error> {
    if Handle::try_current().is_ok() {
        return Err(ErrorKind::InsideRuntime.into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ErrorKind::RuntimeNotBuilt)?;
    let run = runtime.block_on(run);
    // Its drop would wait for blocking code that has timed out.
    runtime.shutdown_background();
    run
}

impl<T, Output: Clone> Definition<T, Output> {
    async fn run(&self, scope: Arc<RunScope>) -> Result<Run<T, Output>, Error> {
        let watch = self.begin(scope)?;
        self.carry_out(watch).await
    }

    /// Opens the span of a run, if there is all that the run needs.
    fn begin(&self, scope: Arc<RunScope>) -> Result<Watch, Error> {
        if Handle::try_current().is_err() {
            return Err(ErrorKind::NoRuntime.into());
        }
        if (self.limits.timeout.is_some() || self.plan.needs_timer) && !has_timer() {
            return Err(ErrorKind::NoTimer.into());
        }
        self.restoring.check(&scope, &self.plan)?;
        let plan = Arc::clone(&self.plan);
        let span = spans::open_workflow(&scope.workflow_id, &plan.name, plan.tasks.len());
        let timeout = self.limits.timeout;
        let shared = Shared::new(plan, scope, span, self.observers.clone(), timeout);
        shared.notify(Happening::WorkflowStarted);
        Ok(Watch {
            shared: Arc::new(shared),
            ended: false,
        })
    }

    async fn carry_out(&self, mut watch: Watch) -> Result<Run<T, Output>, Error> {
        let shared = Arc::clone(&watch.shared);
        if let Err(error) = self.restoring.prepare(&shared.scope).await {
            watch.end(Status::Failed, Some("dotflow::Error"));
            return Err(error);
        }
        let engine = Engine::new(&shared, self.limits.clone());
        let finished = engine.run().await;
        let error_type = finished.cause.as_ref().map(|cause| cause.error.type_name());
        let duration = watch.end(finished.status, error_type);

        let mut outputs = finished.outputs.into_iter();
        let run = Run {
            workflow_id: Arc::clone(&shared.scope.workflow_id),
            name: Arc::clone(&self.plan.name),
            status: finished.status,
            started_at: shared.started_at,
            duration,
            tasks: finished.reports,
            cause: finished.cause,
            output: (self.output)(Outputs(&mut outputs)),
            kept: finished.kept,
            is_provisional: self.is_provisional(&shared.scope),
            returns: PhantomData,
        };
        let callbacks = if run.succeeded() {
            &self.on_success
        } else {
            &self.on_failure
        };
        for callback in callbacks {
            shielded("a callback", || callback(&run));
        }
        Ok(run)
    }
}

/// Whether the runtime can wait for a time. There is no way to ask but to try.
fn has_timer() -> bool {
    catch_unwind(|| drop(tokio::time::sleep(Duration::ZERO))).is_ok()
}

/// Watches over a run: however it ends, its span says so.
struct Watch {
    shared: Arc<Shared>,
    ended: bool,
}

impl Watch {
    fn end(&mut self, status: Status, error_type: Option<&str>) -> Duration {
        self.ended = true;
        let duration = self.shared.started.elapsed();
        spans::end_workflow(&self.shared.span, status, duration, error_type);
        self.shared.notify(Happening::WorkflowEnded(status));
        duration
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.ended {
            self.shared.scope.cancellation.cancel();
            let error = self.shared.why_cancelled();
            self.end(Status::Cancelled, Some(error.type_name()));
        }
    }
}

impl<T, Output> Clone for DotFlow<T, Output> {
    fn clone(&self) -> Self {
        Self {
            definition: Arc::clone(&self.definition),
        }
    }
}

impl<T, Output> fmt::Debug for DotFlow<T, Output> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DotFlow")
            .field("name", &self.definition.plan.name)
            .field("tasks", &self.definition.plan.tasks.len())
            .field("limits", &self.definition.limits)
            .finish_non_exhaustive()
    }
}
