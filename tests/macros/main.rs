//! What `#[action]` makes of functions, called through the public API.

mod hygiene;

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use dotflow::{
    Action, DotFlow, PreviousContext, Status, TaskContext, TaskError, TaskErrorKind, action, task,
};
use dotflow_tests::{paused, recorded, threaded};

/// Runs an action alone.
fn run<A: Action>(action: &A, inputs: A::Inputs) -> Result<A::Output, TaskError> {
    paused(action.run(inputs))
}

#[action]
fn extract() -> Vec<u32> {
    vec![3, 5, 8]
}

#[action]
async fn sum(previous: PreviousContext<Vec<u32>>) -> u32 {
    previous.iter().sum()
}

#[test]
fn plain_and_async_functions_are_actions() {
    assert_eq!(run(&extract(), ()).unwrap(), [3, 5, 8]);
    assert_eq!(run(&sum(), (vec![3, 5, 8].into(),)).unwrap(), 16);
}

#[action]
async fn shuffled(
    first: PreviousContext<u32>,
    own: String,
    task: TaskContext,
    second: Option<PreviousContext<char>>,
    (left, right): (u32, u32),
    third: Result<PreviousContext<bool>, TaskError>,
    many: Vec<PreviousContext<u8>>,
) -> String {
    let second = second.map(|second| *second);
    let third = third.map(|third| *third).map_err(|error| error.kind());
    let many: Vec<u8> = many.iter().map(|one| **one).collect();
    let attempt = task.attempt();
    format!(
        "{first:?} {own} {attempt} {second:?} {left} {right} {third:?} {many:?}",
        first = *first
    )
}

#[test]
fn parameters_get_their_values_in_any_order() {
    let action = shuffled("own".into(), (1, 2));
    let inputs = (
        7.into(),
        Some('x'.into()),
        Ok(true.into()),
        vec![5.into(), 6.into()],
    );
    assert_eq!(
        run(&action, inputs).unwrap(),
        "7 own 1 Some('x') 1 2 Ok(true) [5, 6]"
    );
    let inputs = (7.into(), None, Err(TaskError::failed("gone")), vec![]);
    assert_eq!(
        run(&action, inputs).unwrap(),
        "7 own 1 None 1 2 Err(Failed) []"
    );
}

#[action]
fn table(table: String, task: u32, previous: PreviousContext<u32>) -> String {
    format!("{table} {task} {}", *previous)
}

#[test]
fn an_input_may_be_called_like_its_function() {
    let action = table("rows".into(), 1);
    assert_eq!(run(&action, (2.into(),)).unwrap(), "rows 1 2");
}

/// Counts how often it was cloned.
#[derive(Default)]
struct Counted(Arc<AtomicU32>);

impl Clone for Counted {
    fn clone(&self) -> Self {
        self.0.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }
}

#[action(retry = 3, retry_delay = 0)]
fn fails_with(_counted: Counted) -> Result<(), &'static str> {
    Err("always")
}

#[test]
fn an_own_input_is_cloned_once_per_attempt() {
    let clones = Arc::new(AtomicU32::new(0));
    let workflow = DotFlow::new("clones", task(fails_with(Counted(Arc::clone(&clones)))));
    let report = paused(workflow.start()).unwrap();
    assert_eq!(report.tasks()[0].errors().len(), 3);
    assert_eq!(clones.load(Ordering::Relaxed), 3);
}

#[derive(Debug)]
struct LoadError {
    transient: bool,
}

impl fmt::Display for LoadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "transient: {}", self.transient)
    }
}

impl std::error::Error for LoadError {}

impl LoadError {
    fn is_transient(&self) -> bool {
        self.transient
    }
}

#[action(retry = 4, retry_delay = "90s", backoff = 2, max_delay = "2m", retry_if = LoadError::is_transient)]
async fn load(transient_attempts: u32, task: TaskContext) -> Result<(), LoadError> {
    Err(LoadError {
        transient: task.attempt() <= transient_attempts,
    })
}

#[test]
fn retry_if_decides_about_each_error() {
    for (transient_attempts, attempts, seconds) in [(0, 1, 0), (1, 2, 90), (2, 3, 210), (9, 4, 330)]
    {
        let workflow = DotFlow::new("load", task(load(transient_attempts)));
        let report = paused(workflow.start()).unwrap();
        let load = &report.tasks()[0];
        assert_eq!(load.status(), Status::Failed);
        assert_eq!(load.errors().len(), attempts);
        assert_eq!(load.duration(), Duration::from_secs(seconds));
        assert!(load.errors()[0].type_name().ends_with("LoadError"));
    }
}

#[action(timeout = "1h30m")]
async fn never_ends() {
    std::future::pending::<()>().await;
}

#[test]
fn a_timeout_ends_an_attempt() {
    let report = paused(DotFlow::new("slow", task(never_ends())).start()).unwrap();
    let slow = &report.tasks()[0];
    assert_eq!(slow.errors()[0].kind(), TaskErrorKind::TimedOut);
    assert_eq!(slow.duration(), Duration::from_secs(90 * 60));
}

#[action]
fn thread_of_plain() -> thread::ThreadId {
    thread::current().id()
}

#[action(inline)]
fn thread_of_inline() -> thread::ThreadId {
    thread::current().id()
}

#[action]
async fn thread_of_async() -> thread::ThreadId {
    thread::current().id()
}

#[test]
fn only_a_plain_function_leaves_the_worker() {
    let here = thread::current().id();
    assert_ne!(run(&thread_of_plain(), ()).unwrap(), here);
    assert_eq!(run(&thread_of_inline(), ()).unwrap(), here);
    assert_eq!(run(&thread_of_async(), ()).unwrap(), here);
}

#[action]
fn r#type() {}

#[action(name = "the name")]
fn named() {}

#[test]
fn an_action_is_named_by_its_function_or_by_the_attribute() {
    assert_eq!(r#type().spec().name(), "type");
    assert_eq!(named().spec().name(), "the name");
}

#[action]
fn generic<T: Clone, const N: usize>(value: T) -> [T; N] {
    std::array::from_fn(|_| value.clone())
}

#[action]
fn parsed<T>(text: String) -> Result<T, T::Err>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse()
}

#[test]
fn type_and_const_parameters_are_filled_in_by_the_caller() {
    assert_eq!(
        run(&generic::<_, 2>("a".to_owned()), ()).unwrap(),
        ["a", "a"]
    );
    assert_eq!(run(&parsed::<u32>("7".into()), ()).unwrap(), 7);
    assert!(run(&parsed::<u32>("seven".into()), ()).is_err());
}

#[action]
fn aliased(fail: bool) -> io::Result<u32> {
    if fail {
        Err(io::Error::other("no"))
    } else {
        Ok(1)
    }
}

#[action]
fn written() -> fmt::Result {
    Err(fmt::Error)
}

#[test]
fn aliases_of_result_are_results() {
    assert_eq!(run(&aliased(false), ()).unwrap(), 1);
    assert_eq!(run(&aliased(true), ()).unwrap_err().to_string(), "no");
    assert_eq!(
        run(&written(), ()).unwrap_err().type_name(),
        "core::fmt::Error"
    );
}

#[action]
fn factorial(number: u64) -> u64 {
    if number == 0 {
        1
    } else {
        number * factorial(number - 1)
    }
}

#[test]
fn a_body_that_calls_its_function_calls_itself() {
    assert_eq!(run(&factorial(5), ()).unwrap(), 120);
}

#[action]
fn passes_on(previous: Result<PreviousContext<u32>, TaskError>) -> Result<u32, TaskError> {
    Ok(*previous?)
}

#[action(retry = 3)]
fn gives_up() -> Result<(), TaskError> {
    Err(TaskError::failed(LoadError { transient: true }).without_retry())
}

#[test]
fn a_task_error_is_not_wrapped_in_another() {
    let error = run(&gives_up(), ()).unwrap_err();
    assert!(error.type_name().ends_with("LoadError"), "{error:?}");
    let report = paused(DotFlow::new("once", task(gives_up())).start()).unwrap();
    assert_eq!(report.tasks()[0].errors().len(), 1);
    let error = TaskError::failed(LoadError { transient: true });
    let error = run(&passes_on(), (Err(error),)).unwrap_err();
    assert!(error.get_ref().unwrap().is::<LoadError>());
}

#[action]
#[tracing::instrument(fields(table = %table))]
async fn instrumented(table: String, previous: PreviousContext<u32>) -> u32 {
    *previous
}

#[action]
fn one() -> u32 {
    1
}

#[test]
fn an_instrumented_function_has_a_span_within_its_task() {
    let workflow = DotFlow::new("spans", task(one()).then(instrumented("sales".into())));
    let (report, recording) = recorded(async move { workflow.start().await });
    assert!(report.unwrap().succeeded());
    let span = recording
        .spans
        .iter()
        .find(|span| span.name == "instrumented")
        .expect("the span is named by the function");
    let parent = &recording.spans[span.parent.expect("it is no root")];
    assert_eq!(parent.name, "task");
}

#[test]
fn an_action_may_run_on_any_thread() {
    let run = threaded(async {
        let workflow = DotFlow::new("threads", task(extract()).then(sum()));
        tokio::spawn(async move { workflow.start().await }).await
    });
    assert_eq!(*run.unwrap().unwrap().output().unwrap(), 16);
}
