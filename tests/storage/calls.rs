//! Actions that count how often they are called.

use std::{
    collections::BTreeMap,
    future::ready,
    sync::{Arc, Mutex},
};

use dotflow::{PreviousContext, TaskError, action::from_fn, wiring::Step};
use serde::{Serialize, de::DeserializeOwned};

/// How often each action was called, by name.
#[derive(Clone, Default)]
pub(crate) struct Calls {
    counts: Arc<Mutex<BTreeMap<String, u32>>>,
}

/// What can be an output here.
pub(crate) trait Value:
    Clone + Serialize + DeserializeOwned + Send + Sync + 'static
{
}

impl<T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static> Value for T {}

impl Calls {
    pub(crate) fn count(&self, name: &str) {
        *self
            .counts
            .lock()
            .unwrap()
            .entry(name.to_owned())
            .or_default() += 1;
    }

    pub(crate) fn all(&self) -> Vec<(&'static str, u32)> {
        let counts = self.counts.lock().unwrap();
        let leaked = |name: &String| &*name.clone().leak();
        counts
            .iter()
            .map(|(name, count)| (leaked(name), *count))
            .collect()
    }

    /// An action that gives a value.
    pub(crate) fn giving<T: Value>(
        &self,
        name: &'static str,
        value: T,
    ) -> impl Step<Inputs = (), Output = T> + use<T> {
        let calls = self.clone();
        from_fn(name, move || -> std::future::Ready<Result<T, TaskError>> {
            calls.count(name);
            ready(Ok(value.clone()))
        })
        .checkpointed()
    }

    /// An action that makes a value of the one before.
    pub(crate) fn mapping<T: Send + Sync + 'static, U: Value>(
        &self,
        name: &'static str,
        map: impl Fn(&T) -> U + Send + Sync + 'static,
    ) -> impl Step<Inputs = (PreviousContext<T>,), Output = U> {
        let calls = self.clone();
        from_fn(
            name,
            move |previous: PreviousContext<T>| -> std::future::Ready<Result<U, TaskError>> {
                calls.count(name);
                ready(Ok(map(&previous)))
            },
        )
        .checkpointed()
    }
}
