//! Retries and timeouts, on a clock that stands still: every delay is exact.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use dotflow::{
    ActionSpec, DotFlow, PreviousContext, RetryPolicy, Run, Status, Task, TaskContext, TaskError,
    TaskErrorKind, action, report::EventKind, task,
};
use dotflow_tests::{Value, paused, recorded};
use insta::assert_snapshot;
use tokio::time::Instant;

/// Fails until the given attempt, and notes when it was called.
#[action]
async fn flaky(
    succeeds_at: u32,
    calls: Arc<Mutex<Vec<Instant>>>,
    task: TaskContext,
) -> Result<u32, String> {
    calls.lock().unwrap().push(Instant::now());
    if task.attempt() >= succeeds_at {
        Ok(task.attempt())
    } else {
        Err(format!("attempt {} failed", task.attempt()))
    }
}

/// Runs a flaky task, and gives the waits between its attempts.
fn waits(
    succeeds_at: u32,
    configure: impl FnOnce(Task<u32>) -> Task<u32>,
) -> (Run<u32>, Vec<Duration>) {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let flaky = configure(task(flaky(succeeds_at, Arc::clone(&calls))));
    let run = paused(DotFlow::new("flaky", flaky).start()).unwrap();
    let calls = calls.lock().unwrap();
    (
        run,
        calls.windows(2).map(|pair| pair[1] - pair[0]).collect(),
    )
}

fn seconds(seconds: &[f64]) -> Vec<Duration> {
    seconds
        .iter()
        .copied()
        .map(Duration::from_secs_f64)
        .collect()
}

#[test]
fn a_retry_waits_a_second_unless_told_otherwise() {
    let (run, waits) = waits(3, |task| task.retry(5));
    assert_eq!(waits, seconds(&[1.0, 1.0]));
    assert_eq!(*run.output().unwrap(), 3);
    assert_eq!(run.tasks()[0].retry_count(), 2);
    assert_eq!(run.tasks()[0].duration(), Duration::from_secs(2));
    assert_eq!(run.duration(), Duration::from_secs(2));
}

#[test]
fn delays_are_fixed_exponential_and_capped() {
    let half = Duration::from_millis(500);
    let (_, fixed) = waits(4, |task| task.retry(4).retry_delay(half));
    assert_eq!(fixed, seconds(&[0.5, 0.5, 0.5]));
    let (_, exponential) = waits(5, |task| task.retry(5).retry_delay(half).backoff(2.0));
    assert_eq!(exponential, seconds(&[0.5, 1.0, 2.0, 4.0]));
    let cap = Duration::from_millis(1500);
    let (_, capped) = waits(5, |task| {
        task.retry(5).retry_delay(half).backoff(2.0).max_delay(cap)
    });
    assert_eq!(capped, seconds(&[0.5, 1.0, 1.5, 1.5]));
    let (_, none) = waits(3, |task| task.retry(3).retry_delay(Duration::ZERO));
    assert_eq!(none, seconds(&[0.0, 0.0]));
    let policy = RetryPolicy::new().attempts(2).delay(Duration::from_secs(7));
    let (_, whole) = waits(2, |task| task.retry_policy(policy));
    assert_eq!(whole, seconds(&[7.0]));
}

#[test]
fn jitter_makes_each_wait_a_part_of_the_delay() {
    let (_, waits) = waits(101, |task| {
        task.retry(101).retry_delay(Duration::from_secs(8)).jitter()
    });
    assert_eq!(waits.len(), 100);
    // The timer counts in milliseconds, and rounds up.
    let longest = Duration::from_millis(8001);
    assert!(waits.iter().all(|wait| *wait <= longest));
    let mean = waits.iter().sum::<Duration>() / 100;
    // A uniform part: 4 s on average, and 100 of them are 7 deviations away from these bounds.
    assert!(
        mean > Duration::from_secs(2) && mean < Duration::from_secs(6),
        "{mean:?}"
    );
}

#[test]
fn each_failed_attempt_is_in_the_report_and_in_the_trace() {
    let calls = Arc::default();
    let workflow = DotFlow::new("flaky", task(flaky(3, calls)).retry(3).backoff(2.0));
    let (run, recording) = recorded(async { workflow.start().await.unwrap() });
    let report = &run.tasks()[0];
    let told: Vec<_> = report
        .errors()
        .iter()
        .map(|error| (error.attempt(), error.next_attempt_in().unwrap().as_secs()))
        .collect();
    assert_eq!(told, [(1, 1), (2, 2)]);
    assert_eq!(report.status(), Status::Completed);
    assert_snapshot!(
        recording.tree(),
        @r#"workflow:flaky status="Completed" code="OK"
  task:0 name="flaky" status="Completed" retries=2 code="OK"
    ! retry
    ! retry
"#
    );
    let retry = &recording.otel("task:0").events[1];
    assert_eq!(
        retry.level,
        tracing::Level::WARN,
        "an error would fail the span"
    );
    assert_eq!(retry.fields["dotflow.task.attempt"], Value::Int(2));
    assert_eq!(retry.fields["dotflow.retry.delay"], Value::Float(2.0));
    assert_eq!(
        retry.fields["exception.type"],
        Value::Text("alloc::string::String".into())
    );
    assert_eq!(
        retry.fields["exception.message"],
        Value::Text("attempt 2 failed".into())
    );
    assert_eq!(
        retry.fields["message"],
        Value::Other("attempt 2 of 3 failed: attempt 2 failed, next in 2s".into())
    );
    let duration = recording.otel("task:0").field("dotflow.task.duration");
    assert_eq!(duration, Some(&Value::Float(3.0)), "with the waits");
}

#[test]
fn the_last_failure_is_final() {
    let (run, waits) = waits(9, |task| task.retry(3));
    assert_eq!(waits.len(), 2);
    let errors = run.tasks()[0].errors();
    let attempts: Vec<_> = errors.iter().map(TaskError::attempt).collect();
    assert_eq!(attempts, [1, 2, 3]);
    assert_eq!(errors[2].next_attempt_in(), None);
    assert_eq!(run.output().unwrap_err().to_string(), "attempt 3 failed");
    assert_eq!(run.tasks()[0].retry_count(), 2);
    assert_eq!(
        run.to_string().lines().skip(1).collect::<Vec<_>>(),
        [
            "└── [Span: task:0] flaky 2.0s ERROR — Failed",
            "    ├── [Event: retry — attempt 1, String \"attempt 1 failed\", next in 1s]",
            "    ├── [Event: retry — attempt 2, String \"attempt 2 failed\", next in 1s]",
            "    └── [Event: exception — String \"attempt 3 failed\"]",
        ]
    );
}

#[test]
fn retry_if_decides_by_the_error() {
    fn is_transient(error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::ConnectionReset
    }
    #[action(inline, retry = 5, retry_if = is_transient)]
    fn fail(calls: Arc<AtomicU32>, task: TaskContext) -> Result<(), io::Error> {
        calls.fetch_add(1, Ordering::Relaxed);
        Err(match task.attempt() {
            1 | 2 => io::ErrorKind::ConnectionReset.into(),
            _ => io::ErrorKind::PermissionDenied.into(),
        })
    }
    let calls = Arc::new(AtomicU32::new(0));
    let run = paused(DotFlow::new("if", task(fail(Arc::clone(&calls)))).start()).unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 3);
    let report = &run.tasks()[0];
    assert_eq!((report.retry_count(), report.errors().len()), (2, 3));
    assert_eq!(report.errors()[2].next_attempt_in(), None);
}

#[test]
fn a_timeout_is_a_failed_attempt_like_any_other() {
    #[action(timeout = 10, retry = 3)]
    async fn slow_at_first(task: TaskContext) -> u32 {
        if task.attempt() < 3 {
            std::future::pending::<()>().await;
        }
        task.attempt()
    }
    let workflow = DotFlow::new("slow", task(slow_at_first()));
    let (run, recording) = recorded(async { workflow.start().await.unwrap() });
    assert_eq!(*run.output().unwrap(), 3);
    let report = &run.tasks()[0];
    assert_eq!(report.duration(), Duration::from_secs(10 + 1 + 10 + 1));
    let error = &report.errors()[0];
    assert_eq!(error.kind(), TaskErrorKind::TimedOut);
    assert_eq!(error.to_string(), "timed out after 10s");
    assert_eq!(error.type_name(), "dotflow::TaskErrorKind::TimedOut");
    assert_eq!(recording.otel("task:0").events.len(), 2);

    let run = paused(DotFlow::new("slow", task(slow_at_first()).retry(1)).start()).unwrap();
    assert_eq!(run.tasks()[0].status(), Status::Failed);
    assert_eq!(run.tasks()[0].duration(), Duration::from_secs(10));
}

#[test]
fn a_timeout_that_is_not_reached_changes_nothing() {
    #[action(timeout = 10)]
    async fn quick() -> u32 {
        tokio::time::sleep(Duration::from_secs(9)).await;
        1
    }
    let run = paused(DotFlow::new("quick", task(quick())).start()).unwrap();
    assert!(run.succeeded());
    assert!(run.tasks()[0].errors().is_empty());
}

#[test]
fn a_timeout_error_of_the_users_own_is_retried_like_any_other() {
    #[action(retry = 2)]
    async fn request() -> Result<(), tokio::time::error::Elapsed> {
        tokio::time::timeout(Duration::from_secs(3), std::future::pending()).await
    }
    #[action(inline, retry = 2)]
    fn socket() -> Result<(), io::Error> {
        Err(io::ErrorKind::TimedOut.into())
    }
    for failing in [task(request()), task(socket())] {
        let run = paused(DotFlow::new("timed out", failing).start()).unwrap();
        let errors = run.tasks()[0].errors();
        assert_eq!(errors.len(), 2);
        assert!(
            errors
                .iter()
                .all(|error| error.kind() == TaskErrorKind::Failed)
        );
        assert!(!errors[0].to_string().is_empty());
    }
}

#[test]
fn panics_are_retried_too() {
    #[action(retry = 2)]
    async fn nervous(task: TaskContext) -> u32 {
        assert!(task.attempt() > 1, "not at first");
        5
    }
    let run = paused(DotFlow::new("nervous", task(nervous())).start()).unwrap();
    assert_eq!(*run.output().unwrap(), 5);
    assert_eq!(run.tasks()[0].errors()[0].kind(), TaskErrorKind::Panicked);
}

#[test]
fn every_attempt_gets_the_inputs_and_the_last_one_owns_them() {
    #[derive(Debug)]
    struct Counted(Arc<AtomicU32>);
    impl Clone for Counted {
        fn clone(&self) -> Self {
            self.0.fetch_add(1, Ordering::Relaxed);
            Self(Arc::clone(&self.0))
        }
    }
    #[action(inline)]
    fn make(clones: Arc<AtomicU32>) -> Counted {
        Counted(clones)
    }
    #[action(inline)]
    fn take(previous: PreviousContext<Counted>, task: TaskContext) -> Result<Counted, String> {
        let counted = previous.into_inner();
        if task.attempt() == 3 {
            Ok(counted)
        } else {
            Err("not yet".into())
        }
    }
    let clones = Arc::new(AtomicU32::new(0));
    let chain = task(make(Arc::clone(&clones))).then(take()).retry(3);
    let run = paused(DotFlow::new("owner", chain).start()).unwrap();
    assert!(run.succeeded());
    assert_eq!(
        clones.load(Ordering::Relaxed),
        2,
        "attempts 1 and 2 copy, the last one takes"
    );
}

#[test]
fn observers_are_told_of_retries() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&told);
    let workflow =
        DotFlow::new("told", task(flaky(2, Arc::default())).retry(2)).observe(move |event| {
            assert_eq!(&*event.workflow, "told");
            let line = match &event.kind {
                EventKind::WorkflowStarted { .. } => "run".to_owned(),
                EventKind::TaskStarted { task, .. } => format!("start {}", task.name),
                EventKind::TaskRetried {
                    task, error, delay, ..
                } => {
                    format!("retry {} after {delay:?}: {error}", task.id.number)
                }
                EventKind::TaskEnded {
                    task,
                    status,
                    error,
                    ..
                } => {
                    format!("end {} {status} {}", task.id.number, error.is_some())
                }
                EventKind::WorkflowEnded { status, .. } => format!("ended {status}"),
                _ => unreachable!("nothing else happens"),
            };
            log.lock().unwrap().push(line);
        });
    assert!(paused(workflow.start()).unwrap().succeeded());
    assert_eq!(
        *told.lock().unwrap(),
        [
            "run",
            "start flaky",
            "retry 0 after 1s: attempt 1 failed",
            "end 0 Completed false",
            "ended Completed"
        ]
    );
}

/// The longest duration that is taken, and a little more than that.
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const LONGER: Duration = YEAR.saturating_add(Duration::from_nanos(1));

/// With what words something is refused.
fn refused<T>(configure: impl FnOnce() -> T) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(configure)) else {
        panic!("it was taken");
    };
    match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => (*panic.downcast::<&str>().unwrap()).to_owned(),
    }
}

fn any_task() -> Task<u32> {
    task(flaky(1, Arc::default()))
}

#[test]
fn a_timeout_of_zero_is_refused_as_in_the_attribute() {
    let words = "with a timeout of 0 every attempt fails: leave `timeout` out for no limit";
    assert_eq!(refused(|| any_task().timeout(Duration::ZERO)), words);
    let spec = || ActionSpec::new("load").timeout(Duration::ZERO);
    assert_eq!(refused(spec), words);
    let shortest = any_task().timeout(Duration::from_nanos(1));
    let workflow = DotFlow::new("short", shortest);
    assert_eq!(
        workflow.plan().tasks()[0].timeout(),
        Some(Duration::from_nanos(1))
    );
}

#[test]
fn a_backoff_above_1000_or_below_1_is_refused_as_in_the_attribute() {
    let most = "the backoff factor is too large: the most is 1000";
    assert_eq!(refused(|| any_task().backoff(1000.5)), most);
    assert_eq!(refused(|| RetryPolicy::new().backoff(1e300)), most);
    let least = "the backoff factor must be a number, and at least 1";
    for factor in [0.5, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(refused(|| any_task().backoff(factor)), least);
    }
    let _ = any_task().backoff(1000.0);
}

#[test]
fn durations_beyond_a_year_are_refused_as_in_the_attribute() {
    let words = "this duration is too long: the longest is one year (365 days)";
    assert_eq!(refused(|| any_task().timeout(LONGER)), words);
    assert_eq!(refused(|| any_task().retry_delay(LONGER)), words);
    assert_eq!(refused(|| any_task().max_delay(LONGER)), words);
    assert_eq!(refused(|| RetryPolicy::new().delay(Duration::MAX)), words);
    assert_eq!(refused(|| RetryPolicy::new().max_delay(LONGER)), words);
    assert_eq!(refused(|| ActionSpec::new("load").timeout(LONGER)), words);
    let longest = any_task()
        .timeout(YEAR)
        .retry_delay(YEAR)
        .max_delay(YEAR)
        .retry(2);
    let workflow = DotFlow::new("slow", longest);
    let policy = workflow.plan().tasks()[0].retry_policy();
    assert_eq!(policy.delay_after(1), YEAR);
}

#[test]
fn an_action_without_a_name_is_refused_as_in_the_attribute() {
    let words = "the name is empty: an action has a name";
    assert_eq!(refused(|| ActionSpec::new("")), words);
    assert_eq!(refused(|| ActionSpec::new(" \n")), words);
    let nothing = || async { Ok::<(), TaskError>(()) };
    assert_eq!(refused(|| action::from_fn("", nothing)), words);
    // A task may have any name, as its checkpoints are found under any.
    let workflow = DotFlow::new("nameless", any_task().named(""));
    assert_eq!(workflow.plan().tasks()[0].name(), "");
}
