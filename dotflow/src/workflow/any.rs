//! A workflow of any type: what a program can keep a list of, to be started by name.

use std::{
    fmt,
    future::{Future, ready},
    pin::Pin,
    sync::Arc,
};

use super::{
    DotFlow, given::InputCodec, input::run_stored, options::RunOptions, run::Run, run_to_end,
};
use crate::{
    action::codec::StorableInput,
    error::{Error, ErrorKind},
    graph::plan::Plan,
    report::Report,
};

/// A workflow without its type, so that workflows of different types can be kept in one list.
///
/// ```
/// use dotflow::{action, task, AnyWorkflow, DotFlow, RunOptions};
///
/// #[action]
/// fn count() -> usize { 3 }
///
/// #[action]
/// fn name() -> String { "Ada".into() }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let workflows: Vec<AnyWorkflow> = vec![
///     DotFlow::new("counts", task(count())).into(),
///     DotFlow::new("names", task(name())).into(),
/// ];
/// for workflow in &workflows {
///     let report = workflow.run_with(RunOptions::new(), None).await?;
///     assert!(report.succeeded());
///     assert_eq!(report.name(), workflow.name());
/// }
/// # Ok::<(), dotflow::Error>(()) }).unwrap();
/// ```
pub struct AnyWorkflow {
    workflow: Box<dyn Erased>,
}

type ReportFuture = Pin<Box<dyn Future<Output = Result<Report, Error>> + Send>>;

/// What is left of a workflow without its type.
trait Erased: Send + Sync {
    fn plan(&self) -> &Plan;
    fn run_with(&self, options: RunOptions, input: Option<&str>) -> ReportFuture;
    fn clone(&self) -> Box<dyn Erased>;
}

impl<T: Send + Sync + 'static> Erased for DotFlow<T> {
    fn plan(&self) -> &Plan {
        DotFlow::plan(self)
    }

    fn run_with(&self, options: RunOptions, input: Option<&str>) -> ReportFuture {
        if input.is_some() {
            let error = ErrorKind::InputUnexpected(self.plan().name().to_owned());
            return Box::pin(ready(Err(error.into())));
        }
        report(DotFlow::run_with(self, options))
    }

    fn clone(&self) -> Box<dyn Erased> {
        Box::new(Clone::clone(self))
    }
}

/// Its input can be read: [`From`] makes sure of that.
impl<T: Send + Sync + 'static, In: Send + Sync + 'static> Erased for DotFlow<T, (In,)> {
    fn plan(&self) -> &Plan {
        DotFlow::plan(self)
    }

    fn run_with(&self, options: RunOptions, input: Option<&str>) -> ReportFuture {
        let (definition, shell) = (Arc::clone(&self.definition), Arc::clone(&self.shell));
        let input = match input {
            Some(json) => definition.read_input(json),
            None if options.resumes() => return report(run_stored(definition, shell, options)),
            None => Err(ErrorKind::InputMissing {
                workflow: self.plan().name().to_owned(),
                id: None,
            }
            .into()),
        };
        match input {
            Ok(input) => report(run_to_end(definition, shell, Some(input), options)),
            Err(error) => Box::pin(ready(Err(error))),
        }
    }

    fn clone(&self) -> Box<dyn Erased> {
        Box::new(Clone::clone(self))
    }
}

fn report<T: Send + Sync + 'static>(
    run: impl Future<Output = Result<Run<T>, Error>> + Send + 'static,
) -> ReportFuture {
    Box::pin(async move { Ok(run.await?.report().clone()) })
}

impl AnyWorkflow {
    /// The name of the workflow.
    pub fn name(&self) -> &str {
        self.plan().name()
    }

    /// Its tasks, and which of them depends on which.
    pub fn plan(&self) -> &Plan {
        self.workflow.plan()
    }

    /// Runs the workflow as these options say, and waits for its end. Dropping the future cancels the
    /// run. The report has no outputs.
    ///
    /// The input is given as JSON, to a workflow that takes one. Without it, a run that is resumed gets
    /// the input that is stored under its id.
    ///
    /// ```
    /// use dotflow::{action, task, AnyWorkflow, DotFlow, RunOptions};
    ///
    /// #[action]
    /// fn refuse() -> Result<(), String> { Err("no".into()) }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let workflow = AnyWorkflow::from(DotFlow::new("refused", task(refuse())));
    /// let report = workflow.run_with(RunOptions::new().id("1"), None).await?;
    /// assert_eq!(report.workflow_id(), "1");
    /// assert_eq!(report.cause(), Some("task:0 `refuse`: no"));
    /// # Ok::<(), dotflow::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`DotFlow::run_with`]; and when the workflow takes an input and there is none, when it can't
    /// be read, or when the workflow takes none and is given one.
    pub fn run_with(
        &self,
        options: RunOptions,
        input: Option<&str>,
    ) -> impl Future<Output = Result<Report, Error>> + Send + 'static + use<> {
        self.workflow.run_with(options, input)
    }
}

impl<T: Send + Sync + 'static> From<DotFlow<T>> for AnyWorkflow {
    fn from(workflow: DotFlow<T>) -> Self {
        Self {
            workflow: Box::new(workflow),
        }
    }
}

/// A workflow that takes an input can be started by name where the input can be read.
///
/// ```
/// use dotflow::{action, AnyWorkflow, DotFlow, PreviousContext, RunOptions};
///
/// #[action]
/// fn double(number: PreviousContext<u32>) -> u32 { *number * 2 }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let double: AnyWorkflow = DotFlow::with_input("double", |number| number.then(double())).into();
/// assert!(double.run_with(RunOptions::new(), Some("4")).await?.succeeded());
/// assert!(double.run_with(RunOptions::new(), None).await.unwrap_err().is_input_missing());
/// # Ok::<(), dotflow::Error>(()) }).unwrap();
/// ```
impl<T: Send + Sync + 'static, In: StorableInput> From<DotFlow<T, (In,)>> for AnyWorkflow {
    fn from(workflow: DotFlow<T, (In,)>) -> Self {
        let codec = InputCodec::of::<In>();
        Self {
            workflow: Box::new(
                workflow.configure(|definition| definition.restore.codec = Some(codec)),
            ),
        }
    }
}

impl Clone for AnyWorkflow {
    fn clone(&self) -> Self {
        Self {
            workflow: Erased::clone(&*self.workflow),
        }
    }
}

impl fmt::Debug for AnyWorkflow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AnyWorkflow")
            .field("plan", self.plan())
            .finish_non_exhaustive()
    }
}
