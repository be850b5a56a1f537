//! Every shape of function that `#[action]` takes.

use std::{fmt, io, sync::Arc};

use dotflow::{DotFlow, PreviousContext, Task, TaskContext, TaskError, action, join_all, task};

/// No parameters, no arguments.
#[action]
pub fn minimal() -> Vec<u32> {
    vec![3, 5, 8]
}

/// Nothing in and nothing out.
#[action]
pub fn nothing() {}

/// An `async fn` that never waits: `async` says where it runs.
#[action]
pub async fn without_await(previous: PreviousContext<Vec<u32>>) -> u32 {
    previous.iter().sum()
}

fn is_transient(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::TimedOut
}

/// Every key.
///
/// # Errors
///
/// Never.
#[action(
    retry = 3,
    retry_delay = "500ms",
    backoff = 2.0,
    max_delay = "1m",
    jitter,
    retry_if = is_transient,
    timeout = 0.5,
    name = "load sales",
    checkpoint,
    crate = ::dotflow
)]
pub async fn every_key(table: String, previous: PreviousContext<u32>) -> Result<String, io::Error> {
    wait().await;
    Ok(format!("{table}: {}", *previous))
}

async fn wait() {
    std::future::ready(()).await;
}

/// Every flag off, and a trailing comma.
#[action(jitter = false, inline = false, checkpoint = false, backoff)]
pub fn every_flag_off() -> Unstorable {
    Unstorable
}

/// An output that can't be stored.
#[derive(Debug, Clone)]
pub struct Unstorable;

/// In place.
#[action(inline)]
pub fn inline(previous: PreviousContext<Unstorable>) -> Unstorable {
    previous.into_inner()
}

/// As many previous contexts as there may be, of every kind, between other parameters.
#[action]
pub async fn every_context(
    first: PreviousContext<u32>,
    own: u32,
    second: Option<PreviousContext<u32>>,
    third: Result<PreviousContext<u32>, TaskError>,
    task: TaskContext,
    fourth: Vec<PreviousContext<u32>>,
    fifth: Vec<Option<PreviousContext<u32>>>,
    sixth: Vec<Result<PreviousContext<u32>, TaskError>>,
    other: u32,
    _: PreviousContext<u32>,
    _eighth: PreviousContext<()>,
) -> u32 {
    let second = second.map_or(0, PreviousContext::into_inner);
    let third = third.map_or(0, PreviousContext::into_inner);
    let lists = fourth.len() + fifth.len() + sixth.len();
    *first + second + third + own + other + task.attempt() + u32::try_from(lists).unwrap_or(0)
}

/// Type and const parameters, bounds and a `where` clause.
#[action]
pub fn generic<T: Clone, U, const N: usize>(value: T, previous: PreviousContext<U>) -> [(T, U); N]
where
    U: Clone,
{
    std::array::from_fn(|_| (value.clone(), U::clone(&previous)))
}

/// A type parameter that only the output mentions.
#[action]
pub fn generic_output<T: Default>() -> T {
    T::default()
}

/// A type parameter that only the body mentions.
#[action(checkpoint)]
pub fn generic_body<T: fmt::Display + Default>() -> String {
    T::default().to_string()
}

/// A point.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// To the right.
    pub x: u32,
    /// Upwards.
    pub y: u32,
}

/// Patterns as parameters.
#[action]
pub async fn patterns(
    (first, _): (u32, u32),
    Point { x, .. }: Point,
    [head, .., tail]: [u32; 4],
    mut sum: u32,
    whole @ Point { y, .. }: Point,
    _: String,
    _unused: String,
) -> u32 {
    sum += first + x + head + tail + y;
    sum + whole.x
}

/// Inputs whose types look as if they borrowed.
#[action]
pub fn static_inputs(
    text: &'static str,
    function: fn(&str) -> &str,
    shared: Arc<dyn Fn(&str) -> usize + Send + Sync>,
) -> &'static str {
    if shared(function(text)) == 0 {
        ""
    } else {
        text
    }
}

/// An error that is a text.
///
/// # Errors
///
/// Always.
#[action]
pub fn text_error() -> Result<u32, &'static str> {
    Err("no")
}

/// A large input and a boxed output.
#[action]
pub fn large(bytes: [u8; 4096]) -> Box<u32> {
    Box::new(bytes.iter().copied().map(u32::from).sum())
}

/// An alias of `Result` that says so.
///
/// # Errors
///
/// Never.
#[action]
pub fn alias() -> io::Result<u32> {
    Ok(1)
}

/// An alias of `Result` without parameters.
///
/// # Errors
///
/// Never.
#[action]
pub async fn alias_without_parameters() -> fmt::Result {
    Ok(())
}

/// Calls itself.
#[action]
pub fn recursive(number: u64) -> u64 {
    if number == 0 {
        1
    } else {
        number * recursive(number - 1)
    }
}

/// An input of the name of the function, and inputs of the names in the expansion.
#[action]
pub fn task_names(task_names: u32, task: u32, own_0: u32, previous_0: u32, spec: u32) -> u32 {
    task_names + task + own_0 + previous_0 + spec
}

/// A keyword as its name.
#[action]
pub async fn r#type(r#fn: u32) -> u32 {
    r#fn
}

/// Attributes of all kinds.
#[action]
#[must_use = "it is worth it"]
#[deprecated(note = "use `attributes_above`")]
#[allow(clippy::many_single_char_names)]
#[cfg(not(any()))]
#[inline]
pub fn attributes_below(#[allow(unused_variables)] input: u32) -> u32 {
    let (a, b, c, d, e) = (1, 2, 3, 4, 5);
    a + b + c + d + e
}

/// The same above.
#[must_use]
#[cfg_attr(all(), allow(clippy::many_single_char_names))]
#[cfg(not(any()))]
#[expect(unused_variables)]
#[action]
pub fn attributes_above(input: u32) -> u32 {
    let (a, b, c, d, e) = (1, 2, 3, 4, 5);
    a + b + c + d + e
}

#[expect(dead_code)]
#[action]
fn never_called() {}

#[action]
pub(crate) fn visible_in_the_crate() {}

/// Visibilities.
pub mod visibility {
    use dotflow::action;

    #[action]
    pub(super) fn visible_above() {}

    #[action]
    pub(in crate::shapes) fn visible_in() {}
}

/// A module of the name of its action.
pub mod fetch {
    use dotflow::action;

    /// Fetches.
    #[action]
    pub fn fetch() {}
}
pub use fetch::fetch;

/// Names of the prelude that mean something else.
pub mod shadowed {
    use dotflow::{PreviousContext, action};

    /// No result.
    pub type Result<T> = std::result::Result<T, std::io::Error>;
    /// No option.
    #[derive(Debug, Clone)]
    pub struct Option;
    /// No text.
    #[derive(Debug, Clone)]
    pub struct String;
    /// No box.
    #[derive(Debug, Clone)]
    pub struct Box;
    /// No trait.
    pub trait Send {}
    /// No trait.
    pub trait Clone {}
    #[allow(non_snake_case, clippy::missing_const_for_fn)]
    #[expect(dead_code)]
    fn Ok() {}
    #[allow(unused_macros)]
    macro_rules! vec {
        () => {};
    }

    /// Takes and returns the wrong ones.
    ///
    /// # Errors
    ///
    /// Never.
    #[action]
    pub async fn action(option: Option, _: String, previous: PreviousContext<Box>) -> Result<Box> {
        let Option = option;
        Result::Ok(previous.into_inner())
    }

    /// Returns a wrong one.
    #[action]
    pub fn string() -> String {
        String
    }
}

/// Nothing is in scope but what is named.
#[allow(clippy::wildcard_imports)]
pub mod without_prelude {
    #![no_implicit_prelude]

    /// A plain one.
    #[::dotflow::action(retry = 3, timeout = "1s", backoff)]
    pub fn plain(number: u32) -> u32 {
        number
    }

    /// One that may fail.
    ///
    /// # Errors
    ///
    /// Never.
    #[::dotflow::action]
    pub async fn fallible(
        number: u32,
        previous: ::dotflow::PreviousContext<u32>,
    ) -> ::std::result::Result<u32, ::std::string::String> {
        ::std::result::Result::Ok(number + *previous)
    }

    /// A generic one.
    #[::dotflow::action]
    pub async fn generic<T: ::std::clone::Clone>(value: T) -> T {
        value
    }
}

/// Makes actions.
macro_rules! actions {
    ($(
        $(#[$attribute:meta])*
        $visibility:vis fn $name:ident($($input:ident: $type:ty),*) -> $output:ty
            [$retry:literal, $timeout:literal, $condition:path, $dotflow:path]
        $body:block
    )*) => {$(
        $(#[$attribute])*
        #[action(retry = $retry, timeout = $timeout, retry_if = $condition, crate = $dotflow)]
        $visibility fn $name($($input: $type),*) -> $output $body
    )*};
}

fn never(_: &io::Error) -> bool {
    false
}

actions! {
    /// Made by a macro.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn made(number: u32, previous: PreviousContext<u32>) -> Result<u32, io::Error>
        [3, "30s", never, ::dotflow]
    {
        Ok(number + *previous)
    }

    /// Made by the same macro.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn made_too() -> io::Result<u32> [1, 5, never, ::dotflow] {
        Ok(1)
    }
}

/// A type with an action of its own.
#[derive(Debug)]
pub struct Warehouse;

impl Warehouse {
    /// A function without `self` is a function.
    #[action]
    pub fn rows(count: u32) -> u32 {
        count
    }
}

/// Actions within functions, variables of their names, and all of it put together.
pub fn workflow() -> DotFlow<u32> {
    #[action]
    fn local(previous: PreviousContext<Vec<u32>>) -> u32 {
        #[action]
        fn inner() {}

        let _ = inner();
        previous.iter().sum()
    }

    let minimal = task(minimal());
    let local: Task<u32> = minimal.then(local());
    let every = local
        .and(&local)
        .and(&local)
        .and(&join_all([local.clone(), local.clone()]))
        .and(&join_all([local.clone()]))
        .and(&join_all([local.clone()]))
        .and(&local)
        .and(&task(nothing()))
        .then(every_context(1, 2));
    let _ = visibility::visible_above();
    let _ = visibility::visible_in();
    let _ = visible_in_the_crate();
    DotFlow::new("shapes", every)
}
