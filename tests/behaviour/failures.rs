//! Failures of tasks: what the run, the reports and the trace say, and what still runs.

use std::{
    error::Error as _,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use dotflow::{
    DotFlow, PreviousContext, Status, Task, TaskError, TaskErrorKind, action, join_all, task,
};
use dotflow_tests::{Value, paused, recorded};
use insta::assert_snapshot;

#[derive(Debug)]
struct Refused {
    source: std::io::Error,
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("connection refused")
    }
}

impl std::error::Error for Refused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

#[action(inline)]
fn one() -> u32 {
    1
}

#[action(inline)]
fn refuse() -> Result<u32, Refused> {
    let source = std::io::Error::other("no route to host");
    Err(Refused { source })
}

#[action(inline)]
fn next(previous: PreviousContext<u32>) -> u32 {
    *previous + 1
}

/// Runs always, and says by its output whether the task before it had one.
#[action(inline)]
fn clean_up(previous: Option<PreviousContext<u32>>) -> bool {
    previous.is_some()
}

#[action(inline)]
fn fall_back(previous: Result<PreviousContext<u32>, TaskError>) -> Result<u32, TaskError> {
    previous.map_or_else(|_| Ok(0), |previous| Ok(*previous))
}

#[action(inline)]
fn reason(previous: Result<PreviousContext<u32>, TaskError>) -> String {
    previous.map_or_else(|error| error.to_string(), |previous| previous.to_string())
}

fn failing() -> Task<u32> {
    task(refuse())
}

fn statuses<T>(run: &dotflow::Run<T>) -> Vec<(&str, Status)> {
    run.tasks()
        .iter()
        .map(|task| (task.name(), task.status()))
        .collect()
}

#[test]
fn an_error_is_in_the_run_in_the_report_and_in_the_trace() {
    let workflow = DotFlow::new("refused", task(one()).then(refuse()).then(next()));
    let (run, recording) = recorded(async { workflow.start().await.unwrap() });
    assert_eq!(run.status(), Status::Failed);
    assert!(!run.succeeded());
    assert_eq!(
        statuses(&run),
        [
            ("one", Status::Completed),
            ("refuse", Status::Failed),
            ("next", Status::Skipped)
        ]
    );
    let [error] = run.tasks()[1].errors() else {
        panic!("one error per failed attempt")
    };
    assert_eq!(error.kind(), TaskErrorKind::Failed);
    assert_eq!(error.to_string(), "connection refused");
    assert_eq!(error.type_name(), std::any::type_name::<Refused>());
    assert_eq!(error.attempt(), 1);
    assert!(error.get_ref().unwrap().is::<Refused>());
    assert_eq!(error.source().unwrap().to_string(), "no route to host");

    let missing = run.output().unwrap_err();
    assert_eq!(missing.kind(), TaskErrorKind::Skipped);
    assert_eq!(
        missing.to_string(),
        "skipped, since task:1 `refuse` failed: connection refused"
    );
    let error = run.ok().unwrap_err();
    assert!(error.is_failed_run());
    assert_eq!(
        format!("{error:#}"),
        "workflow `refused`: Failed: task:1 `refuse`: connection refused"
    );

    assert_snapshot!(
        recording.tree(),
        @r#"workflow:refused status="Failed" error="task:1 `refuse`: connection refused"
  task:0 name="one" status="Completed" retries=0 code="OK"
  task:1 name="refuse" status="Failed" retries=0 error="connection refused"
    ! exception
"#
    );
    let span = recording.otel("task:1");
    let refused = std::any::type_name::<Refused>();
    assert_eq!(span.text("error.type"), Some(refused));
    let exception = &span.events[0];
    assert_eq!(exception.level, tracing::Level::ERROR);
    assert_eq!(
        exception.fields["exception.type"],
        Value::Text(refused.into())
    );
    assert_eq!(
        exception.fields["exception.message"],
        Value::Text("connection refused".into())
    );
    assert_eq!(
        exception.fields["exception.stacktrace"],
        Value::Text("caused by: no route to host".into())
    );
}

#[test]
fn every_field_of_a_span_is_recorded_once_and_has_its_type() {
    let workflow = DotFlow::new("refused", task(one()).then(refuse()));
    let (_run, recording) = recorded(async { workflow.start().await.unwrap() });
    for span in &recording.spans {
        let mut names: Vec<_> = span.fields.iter().map(|(name, _)| name).collect();
        names.sort();
        let all = names.len();
        names.dedup();
        assert_eq!(
            names.len(),
            all,
            "a backend would show a field twice: {span:?}"
        );
    }
    let workflow = recording.otel("workflow:refused");
    assert!(matches!(
        workflow.field("dotflow.tasks_count"),
        Some(Value::Int(2))
    ));
    assert!(matches!(
        workflow.field("dotflow.duration"),
        Some(Value::Float(_))
    ));
    let task = recording.otel("task:1");
    assert!(matches!(task.field("dotflow.task_id"), Some(Value::Int(1))));
    assert!(matches!(
        task.field("dotflow.task.retry_count"),
        Some(Value::Int(0))
    ));
    assert!(matches!(
        task.field("dotflow.task.duration"),
        Some(Value::Float(_))
    ));
}

#[test]
fn a_panic_is_a_failure_of_its_task() {
    #[action]
    async fn explode() -> u32 {
        panic!("out of {}", "order")
    }
    #[action]
    fn explode_on_a_thread() -> u32 {
        panic!("out of order as well")
    }
    #[action]
    async fn explode_with_a_number() -> u32 {
        std::panic::panic_any(42_u64)
    }
    let cases = [
        (task(explode()), "out of order"),
        (task(explode_on_a_thread()), "out of order as well"),
        (
            task(explode_with_a_number()),
            "panicked with a value that is not a string",
        ),
    ];
    for (explosive, message) in cases {
        let workflow = DotFlow::new("explosive", explosive.then(next()));
        let (run, recording) = recorded(async { workflow.start().await.unwrap() });
        assert_eq!(run.status(), Status::Failed);
        let error = &run.tasks()[0].errors()[0];
        assert_eq!(error.kind(), TaskErrorKind::Panicked);
        assert_eq!(error.to_string(), message);
        let span = recording.otel("task:0");
        assert_eq!(span.text("otel.status_description"), Some(message));
        assert_eq!(
            span.text("error.type"),
            Some("dotflow::TaskErrorKind::Panicked")
        );
        assert_eq!((span.closed, span.events.len()), (1, 1));
        assert_eq!(run.tasks()[1].status(), Status::Skipped);
    }
}

#[test]
fn an_error_whose_text_names_contexts_is_an_error_like_any_other() {
    #[action(inline)]
    fn confusing() -> Result<u32, String> {
        Err("initial_context and previous_context are missing".into())
    }
    let run = paused(DotFlow::new("text", task(confusing()).retry(2)).start()).unwrap();
    let errors = run.tasks()[0].errors();
    assert_eq!(errors.len(), 2);
    assert_eq!(errors[1].type_name(), "alloc::string::String");
    assert_eq!(
        errors[1].to_string(),
        "initial_context and previous_context are missing"
    );
}

#[test]
fn without_keep_going_what_runs_ends_and_nothing_new_starts() {
    let gate = Arc::new(tokio::sync::Notify::new());
    let opened = Arc::clone(&gate);
    let slow = task(action::from_fn("slow", move || {
        let opened = Arc::clone(&opened);
        async move {
            opened.notified().await;
            Ok(5_u32)
        }
    }));
    let after_slow = slow.then(next()).named("after slow");
    let failed = task(action::from_fn("fail", move || {
        // The slow task goes on only once this one has failed.
        gate.notify_one();
        async { Err::<u32, _>(TaskError::failed("broken")) }
    }));
    let cleaned = after_slow.then(clean_up());
    let workflow = DotFlow::new("stop", (slow.keep(), failed, cleaned.clone(), after_slow));
    let (run, recording) = recorded(async { workflow.start().await.unwrap() });
    assert_eq!(
        statuses(&run),
        [
            ("slow", Status::Completed),
            ("fail", Status::Failed),
            ("after slow", Status::NotStarted),
            ("clean_up", Status::Completed),
        ]
    );
    assert!(!*run.get(&cleaned).unwrap().unwrap());
    assert_eq!(run.status(), Status::Failed);
    assert_snapshot!(
        recording.tree(),
        @r#"workflow:stop status="Failed" error="task:1 `fail`: broken"
  task:0 name="slow" status="Completed" retries=0 code="OK"
  task:1 name="fail" status="Failed" retries=0 error="broken"
    ! exception
  task:3 name="clean_up" status="Completed" retries=0 code="OK"
"#
    );
}

#[test]
fn with_keep_going_all_that_does_not_depend_on_the_failure_runs() {
    let healthy = task(one()).then(next());
    let broken = failing().then(next()).then(next());
    let workflow = DotFlow::new("go on", (broken, healthy.clone()))
        .concurrency(1)
        .keep_going(true);
    let run = paused(workflow.start()).unwrap();
    assert_eq!(
        statuses(&run),
        [
            ("refuse", Status::Failed),
            ("next", Status::Skipped),
            ("next", Status::Skipped),
            ("one", Status::Completed),
            ("next", Status::Completed),
        ]
    );
    assert_eq!(*run.get(&healthy).unwrap().unwrap(), 2);
    assert_eq!(run.status(), Status::Failed);

    let workflow = workflow.keep_going(false);
    let run = paused(workflow.start()).unwrap();
    assert_eq!(
        run.tasks()[3].status(),
        Status::NotStarted,
        "one by one: it failed before"
    );
    let error = run.get(&healthy).unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "skipped, since the run stopped when task:0 `refuse` failed: connection refused"
    );
    assert_eq!(error.kind(), TaskErrorKind::Skipped);
}

#[test]
fn an_option_lets_a_task_run_but_the_run_has_failed() {
    let run = paused(DotFlow::new("option", failing().then(clean_up())).start()).unwrap();
    assert!(!*run.output().unwrap());
    assert_eq!(run.status(), Status::Failed);
    assert!(run.ok().is_err());
}

#[test]
fn a_result_handles_the_failure() {
    let run = paused(DotFlow::new("result", failing().then(fall_back())).start()).unwrap();
    assert_eq!(*run.output().unwrap(), 0);
    assert_eq!(run.status(), Status::Completed);
    assert_eq!(
        run.tasks()[0].status(),
        Status::Failed,
        "the task failed all the same"
    );
}

#[test]
fn a_result_handles_the_failure_behind_a_skipped_task() {
    // What comes in between is skipped, and that stops nothing: the failure will be handled.
    let told = failing().then(next()).then(next()).then(reason());
    let beside = task(one()).then(next()).then(next()).then(next());
    let workflow = DotFlow::new("behind", (told.clone(), beside)).concurrency(1);
    let run = paused(workflow.start()).unwrap();
    assert_eq!(
        *run.get(&told).unwrap().unwrap(),
        "skipped, since task:0 `refuse` failed: connection refused"
    );
    assert!(run.succeeded(), "{run}");
}

#[test]
fn a_result_handles_the_failure_behind_a_task_that_still_waits() {
    #[action(inline)]
    fn both(left: PreviousContext<u32>, right: PreviousContext<u32>) -> u32 {
        *left + *right
    }
    // When the first task fails, the one after it waits for another input, so it is not skipped
    // yet. It will be, and then its failure is handled: nothing is to stop.
    let late = (0..3).fold(task(one()), |chain, _| chain.then(next()));
    let handled = failing().and(&late).then(both()).then(fall_back());
    let workflow = DotFlow::new("waits", handled).concurrency(1);
    let run = paused(workflow.start()).unwrap();
    assert!(run.succeeded(), "{run}");
    assert_eq!(*run.output().unwrap(), 0);
}

#[action(inline)]
fn with_or_without(
    needed: PreviousContext<u32>,
    optional: Option<PreviousContext<u32>>,
) -> Option<u32> {
    Some(*needed + *optional?)
}

#[action(inline)]
fn or_none(previous: Result<PreviousContext<Option<u32>>, TaskError>) -> bool {
    previous.is_ok()
}

#[test]
fn a_result_handles_a_failure_that_a_skipped_task_could_have_done_without() {
    // The task in between lacks both its inputs, and is skipped for one of them.
    let both = failing().and(&failing()).then(with_or_without());
    let beside = (0..4).fold(task(one()), |chain, _| chain.then(next()));
    let workflow = DotFlow::new("both", (both.then(or_none()), beside)).concurrency(1);
    let run = paused(workflow.start()).unwrap();
    assert_eq!(run.tasks()[2].status(), Status::Skipped);
    assert!(run.succeeded(), "{run}");
    assert!(!*run.output().unwrap().0);
}

#[test]
fn who_comes_after_a_task_that_did_without_handles_nothing() {
    let (needed, optional) = (task(one()), failing());
    let told = needed
        .and(&optional)
        .then(with_or_without())
        .then(or_none());
    let beside = (0..4).fold(task(one()).named("beside"), |chain, _| chain.then(next()));
    let workflow = DotFlow::new("without", (told.clone(), beside)).concurrency(1);
    let run = paused(workflow.start()).unwrap();
    // The failure is nobody's, so it stops the run; what can do without runs as ever.
    assert_eq!(run.status(), Status::Failed);
    assert!(*run.get(&told).unwrap().unwrap());
    assert_eq!(run.tasks().last().unwrap().status(), Status::NotStarted);
}

#[test]
fn a_handled_failure_does_not_make_up_for_an_output_that_was_asked_for() {
    let skipped = failing().then(next());
    let handled = skipped.then(fall_back());
    let run = paused(DotFlow::new("asked", (handled, skipped)).start()).unwrap();
    assert_eq!(run.status(), Status::Failed);
    assert!(run.output().is_err());
    assert_eq!(
        format!("{:#}", run.ok().unwrap_err()),
        "workflow `asked`: Failed: task:1 `next`: \
         skipped, since task:0 `refuse` failed: connection refused"
    );
}

#[test]
fn a_failure_is_unhandled_once_its_handler_is_skipped() {
    #[action(inline)]
    fn both(left: Result<PreviousContext<u32>, TaskError>, right: PreviousContext<u32>) -> u32 {
        left.map_or(0, |left| *left) + *right
    }
    // Only the first failure has a handler. That can't run without the second task, which is
    // handled elsewhere; so the first failure is nobody's, and stops the run.
    let (first, second) = (failing(), failing());
    let handler = first.and(&second).then(both());
    let elsewhere = second.then(fall_back()).named("elsewhere");
    let beside = (0..4).fold(task(one()), |chain, _| chain.then(next()));
    let workflow = DotFlow::new("lost", (handler, elsewhere, beside)).concurrency(1);
    let run = paused(workflow.start()).unwrap();
    assert_eq!(run.status(), Status::Failed);
    assert_eq!(run.tasks()[2].status(), Status::Skipped);
    assert_eq!(run.tasks()[3].status(), Status::Completed);
    assert_eq!(run.tasks().last().unwrap().status(), Status::NotStarted);
}

#[test]
fn a_handler_that_fails_is_a_failure_of_its_own() {
    #[action(inline)]
    fn forward(previous: Result<PreviousContext<u32>, TaskError>) -> Result<u32, TaskError> {
        Ok(*previous?)
    }
    let run = paused(DotFlow::new("forward", failing().then(forward())).start()).unwrap();
    assert_eq!(run.status(), Status::Failed);
    assert_eq!(run.tasks()[1].status(), Status::Failed);
    assert_eq!(run.tasks()[1].errors()[0].to_string(), "connection refused");
}

#[test]
fn a_join_takes_partial_results() {
    #[action(inline)]
    fn quorum(parts: Vec<Result<PreviousContext<u32>, TaskError>>) -> (usize, usize) {
        let good = parts.iter().filter(|part| part.is_ok()).count();
        (good, parts.len())
    }
    #[action(inline)]
    fn present(parts: Vec<Option<PreviousContext<u32>>>) -> usize {
        parts.iter().flatten().count()
    }
    #[action(inline)]
    fn strict(parts: Vec<PreviousContext<u32>>) -> usize {
        parts.len()
    }
    let parts = join_all([task(one()), failing(), task(one()), failing()]);
    let run = paused(DotFlow::new("quorum", parts.then(quorum())).start()).unwrap();
    assert_eq!(*run.output().unwrap(), (2, 4));
    assert!(run.succeeded());
    let run = paused(DotFlow::new("present", parts.then(present())).start()).unwrap();
    assert_eq!(*run.output().unwrap(), 2);
    assert!(!run.succeeded());
    let run = paused(DotFlow::new("strict", parts.then(strict())).start()).unwrap();
    assert_eq!(run.tasks()[4].status(), Status::Skipped);
}

#[test]
fn after_a_failed_item_no_further_one_begins_unless_the_failure_is_taken() {
    #[action(inline)]
    fn list() -> Vec<u32> {
        vec![0, 1, 2, 3, 4]
    }
    #[action(inline)]
    fn odd_only(item: PreviousContext<u32>) -> Result<u32, String> {
        if *item % 2 == 1 {
            Ok(*item)
        } else {
            Err(format!("{} is even", *item))
        }
    }
    #[action(inline)]
    fn length(previous: Result<PreviousContext<Vec<u32>>, TaskError>) -> String {
        previous.map_or_else(|error| error.to_string(), |list| list.len().to_string())
    }
    #[action(inline)]
    fn count(numbers: PreviousContext<Vec<u32>>) -> usize {
        numbers.len()
    }
    #[action(inline)]
    fn is_there(numbers: Option<PreviousContext<Vec<u32>>>) -> bool {
        numbers.is_some()
    }
    let workflow = DotFlow::new("items", task(list()).each(odd_only()).then(length()));

    let run = paused(workflow.clone().concurrency(1).start()).unwrap();
    assert_eq!(*run.output().unwrap(), "0 is even");
    let items: Vec<_> = run.tasks()[1..6]
        .iter()
        .map(dotflow::TaskReport::status)
        .collect();
    // What follows takes the failure, so every item is tried, as with `join_all`.
    let expected = [
        Status::Failed,
        Status::Completed,
        Status::Failed,
        Status::Completed,
        Status::Failed,
    ];
    assert_eq!(items, expected);
    assert!(run.succeeded(), "the failure of the list was handled");

    let optional = DotFlow::new("items", task(list()).each(odd_only()).then(is_there()));
    let run = paused(optional.concurrency(1).start()).unwrap();
    assert!(!run.succeeded() && !*run.output().unwrap());
    let tried = |task: &&dotflow::TaskReport| task.status() != Status::NotStarted;
    assert_eq!(run.tasks().iter().filter(tried).count(), run.tasks().len());

    let plain = DotFlow::new("items", task(list()).each(odd_only()).then(count()));
    let run = paused(plain.concurrency(1).start()).unwrap();
    let items: Vec<_> = run.tasks()[1..6]
        .iter()
        .map(dotflow::TaskReport::status)
        .collect();
    assert_eq!(items[0], Status::Failed);
    assert_eq!(items[1..], [Status::NotStarted; 4]);
    assert!(!run.succeeded());

    let (run, recording) = recorded(async { workflow.keep_going(true).start().await.unwrap() });
    assert_eq!(
        *run.output().unwrap(),
        "0 is even",
        "the first by index is told"
    );
    let items: Vec<_> = run.tasks()[1..6]
        .iter()
        .map(dotflow::TaskReport::status)
        .collect();
    let (failed, completed) = (Status::Failed, Status::Completed);
    assert_eq!(items, [failed, completed, failed, completed, failed]);
    assert_eq!(recording.named("task").count(), 7);
}

/// Whichever fails first: two runs of one program say the same.
#[test]
fn a_list_fails_for_its_first_item_that_failed() {
    #[action(inline)]
    fn list() -> Vec<u32> {
        vec![0, 1, 2]
    }
    #[action]
    async fn refuse_late_first(item: PreviousContext<u32>) -> Result<u32, String> {
        tokio::time::sleep(Duration::from_millis(10 * u64::from(3 - *item))).await;
        Err(format!("{} is refused", *item))
    }
    let run = paused(DotFlow::new("w", task(list()).each(refuse_late_first())).start()).unwrap();
    let failed = run
        .tasks()
        .iter()
        .filter(|task| task.status() == Status::Failed);
    assert!(failed.count() >= 3, "{run}");
    assert_eq!(run.output().unwrap_err().to_string(), "0 is refused");
}

#[test]
fn an_items_run_stops_when_another_task_fails() {
    #[action(inline)]
    fn list() -> Vec<u32> {
        (0..100).collect()
    }
    #[action]
    async fn patient(item: PreviousContext<u32>) -> u32 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        *item
    }
    #[action]
    async fn fail_later() -> Result<u32, String> {
        tokio::time::sleep(Duration::from_millis(2500)).await;
        Err("late".into())
    }
    let mapped = task(list()).each(patient());
    let workflow = DotFlow::new("stop items", (task(fail_later()), mapped.clone())).concurrency(11);
    let run = paused(workflow.start()).unwrap();
    let count = |status| {
        run.tasks()
            .iter()
            .filter(|task| task.status() == status)
            .count()
    };
    // Ten at a time, in rounds of a second: the third round ends, a fourth does not begin.
    assert_eq!(count(Status::Completed), 1 + 30);
    assert_eq!(count(Status::NotStarted), 70);
    assert_eq!(run.tasks().len(), 102, "each item has a report");
    assert_eq!(
        run.get(&mapped).unwrap().unwrap_err().to_string(),
        "skipped, since the run stopped when task:0 `fail_later` failed: late"
    );
}

#[test]
fn a_failing_nested_workflow_fails_its_task() {
    let inner = DotFlow::new("inner", failing().then(next()));
    let outer = DotFlow::new("outer", task(inner).then(reason()));
    let (run, recording) = recorded(async { outer.start().await.unwrap() });
    let told = "workflow `inner`: Failed: task:0 `refuse`: connection refused";
    assert_eq!(*run.output().unwrap(), told);
    assert_eq!(
        recording.tree(),
        format!(
            r#"workflow:outer status="Completed" code="OK"
  task:0 name="inner" status="Failed" retries=0 error={told:?}
    ! exception
    workflow:inner status="Failed" error="task:0 `refuse`: connection refused"
      task:0 name="refuse" status="Failed" retries=0 error="connection refused"
        ! exception
  task:1 name="reason" status="Completed" retries=0 code="OK"
"#
        )
    );
}

#[test]
fn a_run_tells_the_failure_that_all_began_with() {
    let refused = std::any::type_name::<Refused>();
    // Through nested workflows, with the way to it.
    let innermost = DotFlow::new("innermost", task(one()).then(refuse()).then(next()));
    let inner = DotFlow::new("inner", task(innermost).then(next()));
    let outer = DotFlow::new("outer", task(one()).then(inner).then(next()));
    let (run, recording) = recorded(async { outer.start().await.unwrap() });
    assert_eq!(run.status(), Status::Failed);
    let told = |workflow: &str| {
        let span = recording.otel(workflow);
        let text = |field| span.text(field).unwrap().to_owned();
        let totals = ["dotflow.tasks_failed", "dotflow.tasks_skipped"];
        (
            text("otel.status_description"),
            text("error.type"),
            totals.map(|total| span.int(total).unwrap()),
        )
    };
    for (workflow, way) in [
        (
            "workflow:outer",
            "task:1 `inner`: task:0 `innermost`: task:1 `refuse`",
        ),
        ("workflow:inner", "task:0 `innermost`: task:1 `refuse`"),
        ("workflow:innermost", "task:1 `refuse`"),
    ] {
        let way = format!("{way}: connection refused");
        assert_eq!(told(workflow), (way, refused.to_owned(), [1, 1]));
    }
    // The task that the nested workflow is has the class of that failure, and its own exception.
    let span = &recording.spans[recording.otel("workflow:inner").parent.unwrap()];
    assert_eq!(span.text("error.type"), Some(refused));

    // Where a failure was handled and an output is missing all the same.
    let refused_task = failing();
    let handled = refused_task.then(fall_back());
    let both = DotFlow::new("both", (handled, refused_task.then(next())));
    let (run, recording) = recorded(async { both.start().await.unwrap() });
    assert_eq!(run.status(), Status::Failed);
    let span = recording.otel("workflow:both");
    assert_eq!(span.text("error.type"), Some(refused));
    assert_eq!(
        span.text("otel.status_description"),
        Some("task:2 `next`: skipped, since task:0 `refuse` failed: connection refused")
    );
}

#[test]
fn what_took_too_long_is_a_timeout() {
    #[action(timeout = 1)]
    async fn slow() {
        std::future::pending::<()>().await;
    }
    let inner = DotFlow::new("inner", task(slow()));
    let outer = DotFlow::new("outer", task(inner));
    let (_run, recording) = recorded(async { outer.start().await.unwrap() });
    for span in &recording.spans {
        assert_eq!(span.text("error.type"), Some("timeout"), "{span:?}");
    }
    let span = recording.otel("workflow:outer");
    let told = "task:0 `inner`: task:0 `slow`: timed out after 1s";
    assert_eq!(span.text("otel.status_description"), Some(told));

    #[action]
    async fn endless() {
        std::future::pending::<()>().await;
    }
    let run = DotFlow::new("run", task(endless())).timeout(Duration::from_secs(1));
    let (_run, recording) = recorded(async { run.start().await.unwrap() });
    let span = recording.otel("workflow:run");
    assert_eq!(span.text("error.type"), Some("timeout"));
}

#[test]
fn a_task_with_a_failure_before_it_is_attempted_never() {
    let calls = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&calls);
    let follower = failing().then(action::from_fn(
        "counted",
        move |_: PreviousContext<u32>| {
            counter.fetch_add(1, Ordering::Relaxed);
            async { Ok(()) }
        },
    ));
    let run = paused(DotFlow::new("never", follower).keep_going(true).start()).unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    let report = &run.tasks()[1];
    assert_eq!(
        (report.status(), report.started_at()),
        (Status::Skipped, None)
    );
    assert!(report.errors().is_empty());
}
