//! Several tasks as the input of one: `and` for tasks of different types, [`join_all`] for many of
//! one type.

use std::{fmt, marker::PhantomData, sync::Arc};

use super::{
    node::{Edge, Node},
    step::Step,
    task::Task,
    wiring::{AcceptsAll, Many, PushBack},
};

/// Tasks that were joined, ready for the task that takes all their outputs.
///
/// `Outputs` is the tuple of what they return, in the order in which they were joined. It is made by
/// [`Task::and`] and [`join_all`](crate::join_all).
#[must_use = "joined tasks run only as part of a workflow: go on with `then`"]
pub struct Joined<Outputs> {
    edges: Vec<Edge>,
    _outputs: PhantomData<fn() -> Outputs>,
}

/// Joins any number of tasks of one type, also none.
///
/// The next task takes `Vec<PreviousContext<T>>`, in the order of the tasks. With
/// `Vec<Result<PreviousContext<T>, TaskError>>` it runs even when some have failed, so partial
/// results, quorums and majorities are its own code.
///
/// ```
/// use dotflow::{action, join_all, task, DotFlow, PreviousContext};
///
/// #[action]
/// fn part(number: u32) -> u32 { number * number }
///
/// #[action]
/// fn sum(parts: Vec<PreviousContext<u32>>) -> u32 { parts.iter().map(|part| **part).sum() }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let total = join_all((1..=3).map(|number| task(part(number)))).then(sum());
/// let run = DotFlow::new("squares", total).start().await?;
/// assert_eq!(*run.output()?, 14);
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
pub fn join_all<T>(tasks: impl IntoIterator<Item: Joinable<T>>) -> Joined<(Many<T>,)> {
    let nodes = tasks.into_iter().map(|task| task.joined().0);
    Joined {
        edges: vec![Edge::All(nodes.collect())],
        _outputs: PhantomData,
    }
}

impl<T> Task<T> {
    /// Joins this task with another one; [`then`](Joined::then) makes the task that takes both.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, PreviousContext};
    ///
    /// #[action]
    /// fn name() -> String { "Ada".into() }
    ///
    /// #[action]
    /// fn year() -> u32 { 1815 }
    ///
    /// #[action]
    /// fn line(name: PreviousContext<String>, year: PreviousContext<u32>) -> String {
    ///     format!("{}, {}", *name, *year)
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let joined = task(name()).and(&task(year())).then(line());
    /// let run = DotFlow::new("card", joined).start().await?;
    /// assert_eq!(*run.output()?, "Ada, 1815");
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn and<U: Upstream>(&self, other: &U) -> Joined<(T, U::Output)> {
        Joined {
            edges: vec![self.edge(), other.upstream().0],
            _outputs: PhantomData,
        }
    }
}

impl<Outputs> Joined<Outputs> {
    /// Joins one more task, or one more [`join_all`]; at most eight can be joined.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, PreviousContext};
    ///
    /// #[action]
    /// fn part(number: u32) -> u32 { number }
    ///
    /// #[action]
    /// fn sum(a: PreviousContext<u32>, b: PreviousContext<u32>, c: PreviousContext<u32>) -> u32 {
    ///     *a + *b + *c
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let sum = task(part(1)).and(&task(part(2))).and(&task(part(3))).then(sum());
    /// assert_eq!(*DotFlow::new("sum", sum).start_blocking()?.output()?, 6);
    /// # Ok(()) }
    /// ```
    pub fn and<U: Upstream>(&self, other: &U) -> Joined<Outputs::Longer>
    where
        Outputs: PushBack<U::Output>,
    {
        let mut edges = self.edges.clone();
        edges.push(other.upstream().0);
        Joined {
            edges,
            _outputs: PhantomData,
        }
    }

    /// Makes a task that runs after all of them and receives their outputs, in the order in which they
    /// were joined.
    ///
    /// # Panics
    ///
    /// As [`task`](crate::task).
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, PreviousContext};
    ///
    /// #[action]
    /// fn name() -> String { "Ada".into() }
    ///
    /// #[action]
    /// fn year() -> u32 { 1815 }
    ///
    /// #[action]
    /// fn line(name: PreviousContext<String>, year: PreviousContext<u32>) -> String {
    ///     format!("{}, {}", *name, *year)
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let both = task(name()).and(&task(year()));
    /// assert_eq!(*DotFlow::new("card", both.then(line())).start_blocking()?.output()?, "Ada, 1815");
    /// # Ok(()) }
    /// ```
    pub fn then<S>(&self, step: S) -> Task<S::Output>
    where
        S: Step,
        S::Inputs: AcceptsAll<Outputs>,
    {
        Task::after(step, self.edges.clone())
    }
}

impl<Outputs> fmt::Debug for Joined<Outputs> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Joined")
            .field("edges", &self.edges.len())
            .finish()
    }
}

/// What can be joined: a [`Task`], or many of one type joined by [`join_all`].
pub trait Upstream: sealed::Sealed {
    /// What it gives to the next task.
    type Output;

    #[doc(hidden)]
    fn upstream(&self) -> sealed::Opaque;
}

/// What [`join_all`] joins: a [`Task`].
#[diagnostic::on_unimplemented(
    message = "`join_all` joins tasks, and `{Self}` is none",
    label = "expected tasks",
    note = "an action becomes a task by `task(…)`, as in `join_all([task(first()), task(second())])`"
)]
pub trait Joinable<T>: sealed::Joinable {
    #[doc(hidden)]
    fn joined(self) -> sealed::Single;
}

#[diagnostic::do_not_recommend]
impl<T> Joinable<T> for Task<T> {
    fn joined(self) -> sealed::Single {
        sealed::Single(Arc::clone(&self.node))
    }
}

mod sealed {
    use std::sync::Arc;

    pub trait Joinable {}
    impl<T> Joinable for super::Task<T> {}

    #[allow(missing_debug_implementations, reason = "it can be named nowhere else")]
    pub struct Single(pub(super) Arc<super::Node>);

    pub trait Sealed {}
    impl<T> Sealed for super::Task<T> {}
    impl<T> Sealed for super::Joined<(super::Many<T>,)> {}

    #[allow(missing_debug_implementations, reason = "it can be named nowhere else")]
    pub struct Opaque(pub(super) super::Edge);
}

impl<T> Upstream for Task<T> {
    type Output = T;

    fn upstream(&self) -> sealed::Opaque {
        sealed::Opaque(self.edge())
    }
}

impl<T> Upstream for Joined<(Many<T>,)> {
    type Output = Many<T>;

    fn upstream(&self) -> sealed::Opaque {
        sealed::Opaque(self.edges[0].clone())
    }
}
