//! The tasks whose outputs a workflow returns: one, a tuple of up to eight, or a `Vec`.

use std::sync::Arc;

use crate::{
    error::TaskError,
    task::{Node, Task},
    value::Value,
};

/// The tasks that a workflow ends with: one [`Task`], a tuple of tasks, or a `Vec` of tasks.
#[diagnostic::on_unimplemented(
    message = "a workflow can't end with `{Self}`",
    label = "expected a task, a tuple of 2 to 8 tasks, or a `Vec` of tasks",
    note = "an action becomes a task by `task(…)` or `.then(…)`"
)]
pub trait Sinks: sealed::Sealed {
    /// What the workflow returns, as seen by a task that follows it in another workflow.
    type Returns: Send + Sync + 'static;
    /// What [`Run::output`](crate::Run::output) gives.
    type Output: Clone + Send + Sync + 'static;

    #[doc(hidden)]
    fn nodes(self) -> sealed::Nodes;
    #[doc(hidden)]
    fn output(outputs: sealed::Outputs<'_>) -> Result<Self::Output, TaskError>;
    #[doc(hidden)]
    fn returned(output: Self::Output) -> Arc<Self::Returns>;
}

pub(crate) mod sealed {
    use std::sync::Arc;

    use super::{Node, Task, TaskError, Value};

    pub trait Sealed {}
    impl<T> Sealed for Task<T> {}
    impl<T> Sealed for Vec<Task<T>> {}

    /// The nodes of the sinks, in order.
    #[allow(missing_debug_implementations, reason = "it can be named nowhere else")]
    pub struct Nodes(pub(crate) Vec<Arc<Node>>);

    /// The outputs of the sinks, in order.
    #[allow(missing_debug_implementations, reason = "it can be named nowhere else")]
    pub struct Outputs<'run>(pub(crate) &'run mut dyn Iterator<Item = Result<Value, TaskError>>);

    impl Outputs<'_> {
        pub(super) fn next<T: Send + Sync + 'static>(&mut self) -> Result<Arc<T>, TaskError> {
            let output = self.0.next().expect("one output per sink")?;
            Ok(output.downcast())
        }
    }
}

impl<T: Send + Sync + 'static> Sinks for Task<T> {
    type Returns = T;
    type Output = Arc<T>;

    fn nodes(self) -> sealed::Nodes {
        sealed::Nodes(vec![self.node])
    }

    fn output(mut outputs: sealed::Outputs<'_>) -> Result<Arc<T>, TaskError> {
        outputs.next()
    }

    fn returned(output: Arc<T>) -> Arc<T> {
        output
    }
}

impl<T: Send + Sync + 'static> Sinks for Vec<Task<T>> {
    type Returns = Vec<Arc<T>>;
    type Output = Vec<Arc<T>>;

    fn nodes(self) -> sealed::Nodes {
        sealed::Nodes(self.into_iter().map(|task| task.node).collect())
    }

    fn output(outputs: sealed::Outputs<'_>) -> Result<Vec<Arc<T>>, TaskError> {
        outputs
            .0
            .map(|output| output.map(Value::downcast))
            .collect()
    }

    fn returned(output: Vec<Arc<T>>) -> Arc<Vec<Arc<T>>> {
        Arc::new(output)
    }
}

macro_rules! tuple {
    ($($output:ident),+) => {
        impl<$($output),+> sealed::Sealed for ($(Task<$output>,)+) {}

        impl<$($output: Send + Sync + 'static),+> Sinks for ($(Task<$output>,)+) {
            type Returns = ($(Arc<$output>,)+);
            type Output = ($(Arc<$output>,)+);

            #[allow(non_snake_case, reason = "one name serves for a type and its value")]
            fn nodes(self) -> sealed::Nodes {
                let ($($output,)+) = self;
                sealed::Nodes(vec![$($output.node),+])
            }

            fn output(mut outputs: sealed::Outputs<'_>) -> Result<Self::Output, TaskError> {
                Ok(($(outputs.next::<$output>()?,)+))
            }

            fn returned(output: Self::Output) -> Arc<Self::Returns> {
                Arc::new(output)
            }
        }
    };
}

tuple!(T1);
tuple!(T1, T2);
tuple!(T1, T2, T3);
tuple!(T1, T2, T3, T4);
tuple!(T1, T2, T3, T4, T5);
tuple!(T1, T2, T3, T4, T5, T6);
tuple!(T1, T2, T3, T4, T5, T6, T7);
tuple!(T1, T2, T3, T4, T5, T6, T7, T8);
