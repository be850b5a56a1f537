//! A value on its way between two tasks, without its type.

use std::{any::Any, fmt, ops::Deref, sync::Arc};

use crate::unwind::CatchOnDrop;

/// The output of a task, shared by all who read it.
///
/// Reading it back can't fail: only connections whose types were checked are ever built. A panic
/// of its drop is caught, so it may be left behind anywhere.
#[derive(Clone)]
#[doc(hidden)]
pub struct Value(CatchOnDrop<Arc<dyn Any + Send + Sync>>);

impl Value {
    pub(crate) fn new<T: Send + Sync + 'static>(value: T) -> Self {
        Self::shared(Arc::new(value))
    }

    pub(crate) fn shared<T: Send + Sync + 'static>(value: Arc<T>) -> Self {
        Self(CatchOnDrop::new(value))
    }

    pub(crate) fn downcast<T: Send + Sync + 'static>(self) -> Arc<T> {
        self.0
            .into_inner()
            .downcast()
            .unwrap_or_else(|_| unreachable!("a connection was checked when it was made"))
    }
}

impl Deref for Value {
    type Target = dyn Any + Send + Sync;

    fn deref(&self) -> &Self::Target {
        &**self.0
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Value")
    }
}
