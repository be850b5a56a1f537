//! A workflow of any type: what a program can keep a list of, to be started by name.

use std::{fmt, future::Future, pin::Pin};

use super::{DotFlow, options::RunOptions};
use crate::{error::Error, graph::plan::Plan, report::Report};

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
///     let report = workflow.run_with(RunOptions::new()).await?;
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
    fn run_with(&self, options: RunOptions) -> ReportFuture;
    fn clone(&self) -> Box<dyn Erased>;
}

impl<T: Send + Sync + 'static> Erased for DotFlow<T> {
    fn plan(&self) -> &Plan {
        DotFlow::plan(self)
    }

    fn run_with(&self, options: RunOptions) -> ReportFuture {
        let run = DotFlow::run_with(self, options);
        Box::pin(async move { Ok(run.await?.report().clone()) })
    }

    fn clone(&self) -> Box<dyn Erased> {
        Box::new(Clone::clone(self))
    }
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
    /// ```
    /// use dotflow::{action, task, AnyWorkflow, DotFlow, RunOptions};
    ///
    /// #[action]
    /// fn refuse() -> Result<(), String> { Err("no".into()) }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let workflow = AnyWorkflow::from(DotFlow::new("refused", task(refuse())));
    /// let report = workflow.run_with(RunOptions::new().id("1")).await?;
    /// assert_eq!(report.workflow_id(), "1");
    /// assert_eq!(report.cause(), Some("task:0 `refuse`: no"));
    /// # Ok::<(), dotflow::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`DotFlow::run_with`].
    pub fn run_with(
        &self,
        options: RunOptions,
    ) -> impl Future<Output = Result<Report, Error>> + Send + 'static + use<> {
        self.workflow.run_with(options)
    }
}

impl<T: Send + Sync + 'static> From<DotFlow<T>> for AnyWorkflow {
    fn from(workflow: DotFlow<T>) -> Self {
        Self {
            workflow: Box::new(workflow),
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
