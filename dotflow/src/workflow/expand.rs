//! A task whose work is a workflow that is built from its input: branches, fan-outs whose shape is known
//! only then, and loops by recursion.

use std::sync::Arc;

use super::{
    DotFlow,
    nested::{Built, run_within},
};
use crate::{
    action::{
        ActionSpec, Name,
        codec::CheckpointPolicy,
        context::{PreviousContext, TaskContext},
        inputs::{Slot, Slots},
    },
    graph::{
        plan::{ErasedStep, NestedWorkflow, Plan, StepFuture, Within},
        step::{Erased, Step},
        task::Task,
    },
    unwind::CatchOnDrop,
};
#[cfg(feature = "testing")]
use crate::{
    error::TaskError,
    graph::plan::{Edit, Signature},
};

impl<T: Send + Sync + 'static> Task<T> {
    /// Makes a task that builds a workflow from the output of this one and runs it in its place: to
    /// branch, to fan out into any shape, or, where the workflow expands itself again, to loop.
    ///
    /// The workflow shares the run's concurrency, limits, cancellation and storage. Its tasks stand
    /// below this one in the trace and in the report; in the plan it is a task that
    /// [`expands`](crate::wiring::PlannedTask::expands). At most 1,000 runs can be within each other.
    ///
    /// With a [storage](DotFlow::storage), what the built workflow stores belongs to it by its name.
    /// When a resumed run builds another one, or the same with other tasks in it, then what is new is
    /// run, and so is all that comes after this task.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, PreviousContext};
    ///
    /// #[action]
    /// fn rows(count: usize) -> Vec<u32> { vec![7; count] }
    ///
    /// #[action]
    /// fn by_hand() -> String { "by hand".into() }
    ///
    /// #[action]
    /// fn by_truck(rows: usize) -> String { format!("{rows} rows by truck") }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let ship = |count| {
    ///     let shipped = task(rows(count)).expand("ship", |rows: PreviousContext<Vec<u32>>| {
    ///         match rows.len() {
    ///             0..10 => DotFlow::new("small", task(by_hand())),
    ///             count => DotFlow::new("bulk", task(by_truck(count))),
    ///         }
    ///     });
    ///     DotFlow::new("shop", shipped)
    /// };
    /// assert_eq!(*ship(3).start_blocking()?.output()?, "by hand");
    /// assert_eq!(*ship(30).start_blocking()?.output()?, "30 rows by truck");
    /// # Ok(()) }
    /// ```
    pub fn expand<U, F>(&self, name: impl Into<String>, build: F) -> Task<U>
    where
        U: Send + Sync + 'static,
        F: Fn(PreviousContext<T>) -> DotFlow<U> + Send + Sync + 'static,
    {
        Task::after(
            Expand {
                name: name.into().into(),
                step: ExpandStep {
                    build: Arc::new(CatchOnDrop::new(build)),
                    #[cfg(feature = "testing")]
                    edits: Vec::new(),
                    _types: std::marker::PhantomData,
                },
            },
            vec![self.edge()],
        )
    }
}

/// What is placed in the graph.
struct Expand<T, U, F> {
    name: Arc<str>,
    step: ExpandStep<T, U, F>,
}

struct ExpandStep<T, U, F> {
    build: Arc<CatchOnDrop<F>>,
    /// What is changed in each workflow that is built.
    #[cfg(feature = "testing")]
    edits: Vec<Arc<Edit>>,
    _types: std::marker::PhantomData<fn(T) -> U>,
}

#[cfg(feature = "testing")]
impl<T, U: Send + Sync + 'static, F> ExpandStep<T, U, F> {
    /// Which of its workflows is built is not known beforehand, so one that lacks the tasks that were
    /// to be changed is no mistake.
    fn edited_by_tests(&self, workflow: DotFlow<U>) -> Result<DotFlow<U>, TaskError> {
        self.edits.iter().try_fold(workflow, |workflow, edit| {
            let edited = workflow.edited(&**edit);
            edited
                .map(|(workflow, _)| workflow)
                .map_err(TaskError::failed)
        })
    }
}

impl<T, U, F> Step for Expand<T, U, F>
where
    T: Send + Sync + 'static,
    U: Send + Sync + 'static,
    F: Fn(PreviousContext<T>) -> DotFlow<U> + Send + Sync + 'static,
{
    type Inputs = (PreviousContext<T>,);
    type Output = U;

    fn erase(self) -> Erased {
        // The tasks of what is built are stored instead.
        let mut spec = ActionSpec::new("expand").with_checkpoint(CheckpointPolicy::Never);
        spec.name = Name::Shared(self.name);
        Erased {
            spec,
            step: Arc::new(self.step),
        }
    }
}

impl<T, U, F> ErasedStep for ExpandStep<T, U, F>
where
    T: Send + Sync + 'static,
    U: Send + Sync + 'static,
    F: Fn(PreviousContext<T>) -> DotFlow<U> + Send + Sync + 'static,
{
    fn call(&self, _slots: Slots, _task: TaskContext) -> StepFuture<'_> {
        unreachable!("a workflow is run, not called")
    }

    fn nested(&self) -> Option<&dyn NestedWorkflow> {
        Some(self)
    }

    #[cfg(feature = "testing")]
    fn signature(&self) -> Option<Signature> {
        Some(Signature::of::<(PreviousContext<T>,), U>())
    }
}

impl<T, U, F> NestedWorkflow for ExpandStep<T, U, F>
where
    T: Send + Sync + 'static,
    U: Send + Sync + 'static,
    F: Fn(PreviousContext<T>) -> DotFlow<U> + Send + Sync + 'static,
{
    fn plan(&self) -> Option<&Arc<Plan>> {
        None
    }

    #[cfg(feature = "testing")]
    fn edited(&self, edit: &Arc<Edit>) -> Result<Option<Arc<dyn ErasedStep>>, String> {
        let edits = self.edits.iter().chain([edit]).cloned().collect();
        Ok(Some(Arc::new(Self {
            build: Arc::clone(&self.build),
            edits,
            _types: std::marker::PhantomData,
        })))
    }

    fn run<'run>(&'run self, mut slots: Slots, within: Within<'run>) -> StepFuture<'run> {
        Box::pin(async move {
            let input = slots.next().map(Slot::into_value);
            let input = input.expect("a task that expands reads one before it");
            let workflow = (self.build)(input.downcast::<T>().into());
            #[cfg(feature = "testing")]
            let workflow = self.edited_by_tests(workflow)?;
            let DotFlow {
                definition,
                shell,
                bound,
                ..
            } = workflow;
            let is_bound = bound.is_some();
            run_within(&definition, &shell, bound, is_bound, Some(Built), within).await
        })
    }
}
