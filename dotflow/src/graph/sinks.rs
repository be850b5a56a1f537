//! The tasks whose outputs a workflow returns: one, a tuple of up to eight, or a `Vec`.

use std::sync::Arc;

use super::{node::Node, task::Task};
use crate::{action::value::Value, error::TaskError, tuples::tuples};

/// The tasks that a workflow ends with: one [`Task`], a tuple of tasks, or a `Vec` of tasks.
#[diagnostic::on_unimplemented(
    message = "a workflow can't end with `{Self}`",
    label = "expected a task, a tuple of 2 to 8 tasks, or a `Vec` of tasks",
    note = "an action becomes a task by `task(…)` or `.then(…)`"
)]
pub trait Sinks: sealed::Sealed {
    /// What the workflow returns: the output of one sink, or a tuple or a `Vec` of the shared
    /// outputs of several.
    type Returns: Send + Sync + 'static;

    #[doc(hidden)]
    fn nodes(self) -> sealed::Nodes;
    #[doc(hidden)]
    fn output(outputs: sealed::Outputs<'_>) -> Result<Arc<Self::Returns>, TaskError>;
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

    fn nodes(self) -> sealed::Nodes {
        sealed::Nodes(vec![self.node])
    }

    fn output(mut outputs: sealed::Outputs<'_>) -> Result<Arc<T>, TaskError> {
        outputs.next()
    }
}

impl<T: Send + Sync + 'static> Sinks for Vec<Task<T>> {
    type Returns = Vec<Arc<T>>;

    fn nodes(self) -> sealed::Nodes {
        sealed::Nodes(self.into_iter().map(|task| task.node).collect())
    }

    fn output(outputs: sealed::Outputs<'_>) -> Result<Arc<Vec<Arc<T>>>, TaskError> {
        let outputs = outputs.0.map(|output| output.map(Value::downcast));
        outputs.collect::<Result<_, _>>().map(Arc::new)
    }
}

macro_rules! sinks {
    ($(($output:ident, $_other:ident)),+) => {
        impl<$($output),+> sealed::Sealed for ($(Task<$output>,)+) {}

        impl<$($output: Send + Sync + 'static),+> Sinks for ($(Task<$output>,)+) {
            type Returns = ($(Arc<$output>,)+);

            #[allow(non_snake_case, reason = "one name serves for a type and its value")]
            fn nodes(self) -> sealed::Nodes {
                let ($($output,)+) = self;
                sealed::Nodes(vec![$($output.node),+])
            }

            fn output(mut outputs: sealed::Outputs<'_>) -> Result<Arc<Self::Returns>, TaskError> {
                Ok(Arc::new(($(outputs.next::<$output>()?,)+)))
            }
        }
    };
}

tuples!(sinks);
