//! Shapes of graphs: right values, right order, right parents in the trace.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use dotflow::{DotFlow, PreviousContext, Status, Task, TaskContext, action, join_all, task};
use dotflow_tests::{paused, recorded};
use insta::assert_snapshot;

#[action(inline)]
fn number(given: u32) -> u32 {
    given
}

#[action(inline)]
fn increment(previous: PreviousContext<u32>) -> u32 {
    *previous + 1
}

#[action(inline)]
fn add(left: PreviousContext<u32>, right: PreviousContext<u32>) -> u32 {
    *left * 10 + *right
}

#[action(inline)]
fn count_to(previous: PreviousContext<u32>) -> Vec<u32> {
    (0..*previous).collect()
}

#[action(inline)]
fn sum(parts: Vec<PreviousContext<u32>>) -> u32 {
    parts.iter().map(|part| **part).sum()
}

#[action(inline)]
fn total_by_loop(previous: PreviousContext<Vec<u32>>, both: bool) -> u32 {
    let mut total = 0;
    for number in &previous {
        total += number;
    }
    if both {
        for number in previous.into_inner() {
            total += number;
        }
    }
    total
}

#[action(inline)]
fn total(previous: PreviousContext<Vec<u32>>) -> u32 {
    previous.iter().sum()
}

#[test]
fn a_chain_passes_values_on() {
    let last = task(number(1)).then(increment()).then(increment());
    let workflow = DotFlow::new("count", last);
    let (run, recording) = recorded(async { workflow.start().await.unwrap() });
    assert_eq!(*run.output().unwrap(), 3);
    assert_eq!(run.status(), Status::Completed);
    assert_snapshot!(
        recording.tree(),
        @r#"workflow:count status="Completed" code="OK"
  task:0 name="number" status="Completed" retries=0 code="OK"
  task:1 name="increment" status="Completed" retries=0 code="OK"
  task:2 name="increment" status="Completed" retries=0 code="OK"
"#
    );
}

#[test]
fn a_diamond_runs_its_top_once() {
    let runs = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&runs);
    let top = task(action::from_fn("top", move || {
        let before = counter.fetch_add(1, Ordering::Relaxed);
        async move { Ok(before + 1) }
    }));
    let left = top.then(increment()).named("left");
    let right = top.then(number(5)).named("right");
    let workflow = DotFlow::new("diamond", left.and(&right).then(add()));
    let (run, recording) = recorded(async { workflow.start().await.unwrap() });
    assert_eq!(*run.output().unwrap(), 25);
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    assert_snapshot!(
        recording.tree(),
        @r#"workflow:diamond status="Completed" code="OK"
  task:0 name="top" status="Completed" retries=0 code="OK"
  task:1 name="left" status="Completed" retries=0 code="OK"
  task:2 name="right" status="Completed" retries=0 code="OK"
  task:3 name="add" status="Completed" retries=0 code="OK"
"#
    );
}

#[test]
fn a_skip_edge_waits_for_both_ways() {
    let top = task(number(7));
    let bottom = top
        .then(increment())
        .then(increment())
        .and(&top)
        .then(add());
    let run = paused(DotFlow::new("skip", bottom).start()).unwrap();
    assert_eq!(*run.output().unwrap(), 97);
}

#[test]
fn one_task_may_feed_two_parameters_of_the_next() {
    let top = task(number(4));
    let run = paused(DotFlow::new("twice", top.and(&top).then(add())).start()).unwrap();
    assert_eq!(*run.output().unwrap(), 44);
}

#[test]
fn a_fan_in_keeps_the_order_of_its_parts() {
    let parts = join_all((0..300).map(|part| task(number(part))));
    #[action(inline)]
    fn list(parts: Vec<PreviousContext<u32>>) -> Vec<u32> {
        parts.into_iter().map(PreviousContext::into_inner).collect()
    }
    let run = paused(DotFlow::new("fan-in", parts.then(list())).start()).unwrap();
    assert_eq!(*run.output().unwrap(), (0..300).collect::<Vec<_>>());
    assert!(run.tasks().iter().map(dotflow::TaskReport::id).eq(0..=300));
}

#[test]
fn a_fan_out_gives_every_task_the_value() {
    let top = task(number(10));
    let all: Vec<_> = (0..300).map(|_| top.then(increment())).collect();
    let run = paused(DotFlow::new("fan-out", all).start()).unwrap();
    let outputs = run.output().unwrap();
    assert_eq!(outputs.len(), 300);
    assert!(outputs.iter().all(|output| **output == 11));
}

#[test]
fn joins_mix_lists_and_single_tasks() {
    #[action(inline)]
    fn mixed(
        first: PreviousContext<u32>,
        parts: Vec<PreviousContext<u32>>,
        last: PreviousContext<Vec<u32>>,
    ) -> (u32, usize, usize) {
        (*first, parts.len(), last.len())
    }
    let first = task(number(3));
    let parts = join_all([task(number(1)), task(number(2))]);
    let last = first.then(count_to());
    let joined = first.and(&parts).and(&last).then(mixed());
    let run = paused(DotFlow::new("mixed", joined).start()).unwrap();
    assert_eq!(*run.output().unwrap(), (3, 2, 3));
}

#[test]
fn a_join_of_no_task_gives_an_empty_list() {
    let nothing = join_all(Vec::<Task<u32>>::new());
    let run = paused(DotFlow::new("nothing", nothing.then(sum())).start()).unwrap();
    assert_eq!(*run.output().unwrap(), 0);
}

#[test]
fn eight_tasks_of_different_types_join() {
    #[action(inline)]
    #[allow(clippy::too_many_arguments)]
    fn eight(
        one: PreviousContext<u8>,
        two: PreviousContext<u16>,
        three: PreviousContext<u32>,
        four: PreviousContext<u64>,
        five: PreviousContext<i8>,
        six: PreviousContext<i16>,
        seven: PreviousContext<i32>,
        eight: PreviousContext<String>,
    ) -> String {
        format!(
            "{} {} {} {} {} {} {} {}",
            *one, *two, *three, *four, *five, *six, *seven, *eight
        )
    }
    #[action(inline)]
    fn value<T>(given: T) -> T
    where
        T: Clone + Send + Sync + 'static,
    {
        given
    }
    let joined = task(value(1u8))
        .and(&task(value(2u16)))
        .and(&task(value(3u32)))
        .and(&task(value(4u64)))
        .and(&task(value(5i8)))
        .and(&task(value(6i16)))
        .and(&task(value(7i32)))
        .and(&task(value("8".to_owned())));
    let run = paused(DotFlow::new("eight", joined.then(eight())).start()).unwrap();
    assert_eq!(*run.output().unwrap(), "1 2 3 4 5 6 7 8");
}

#[test]
fn two_sinks_give_a_tuple_and_a_list_of_sinks_gives_a_list() {
    let top = task(number(1));
    let (left, right) = (top.then(increment()), top.then(count_to()));
    let workflow = DotFlow::new("two", (left.clone(), right.clone()));
    let run = paused(workflow.start()).unwrap();
    let (one, two) = &*run.output().unwrap();
    assert_eq!((**one, &**two), (2, &vec![0]));
    assert_eq!(*run.get(&left).unwrap().unwrap(), 2);
    assert!(run.get(&top).is_none(), "it was not asked for");

    let run = paused(DotFlow::new("list", vec![top.clone(), left, top]).start()).unwrap();
    let outputs: Vec<u32> = run
        .output()
        .unwrap()
        .iter()
        .map(|output| **output)
        .collect();
    assert_eq!(outputs, [1, 2, 1]);
    assert_eq!(run.tasks().len(), 2);
}

#[test]
fn a_workflow_of_no_task_completes() {
    let workflow = DotFlow::new("empty", Vec::<Task<()>>::new());
    let (run, recording) = recorded(async { workflow.start().await.unwrap() });
    assert!(run.succeeded());
    assert!(run.tasks().is_empty());
    assert_eq!(
        recording.tree(),
        "workflow:empty status=\"Completed\" code=\"OK\"\n"
    );
}

#[test]
fn each_item_is_a_sub_task_and_order_is_kept() {
    let workflow = DotFlow::new(
        "each",
        task(number(3))
            .then(count_to())
            .each(increment())
            .then(total()),
    );
    let (run, recording) = recorded(async { workflow.start().await.unwrap() });
    assert_eq!(*run.output().unwrap(), 6);
    assert_snapshot!(
        recording.tree(),
        @r#"workflow:each status="Completed" code="OK"
  task:0 name="number" status="Completed" retries=0 code="OK"
  task:1 name="count_to" status="Completed" retries=0 code="OK"
  task:2 name="increment" item=0 status="Completed" retries=0 code="OK"
  task:2 name="increment" item=1 status="Completed" retries=0 code="OK"
  task:2 name="increment" item=2 status="Completed" retries=0 code="OK"
  task:3 name="total" status="Completed" retries=0 code="OK"
"#
    );
    let units: Vec<_> = run
        .tasks()
        .iter()
        .map(|task| (task.id(), task.item()))
        .collect();
    assert_eq!(
        units,
        [
            (0, None),
            (1, None),
            (2, Some(0)),
            (2, Some(1)),
            (2, Some(2)),
            (3, None)
        ]
    );
}

#[test]
fn an_empty_each_gives_an_empty_list() {
    let mapped = task(number(0)).then(count_to()).each(increment());
    let workflow = DotFlow::new("none", mapped.then(total()));
    let (run, recording) = recorded(async { workflow.start().await.unwrap() });
    assert_eq!(*run.output().unwrap(), 0);
    assert_eq!(
        run.tasks().len(),
        4,
        "the task is reported, though it has no item"
    );
    assert_eq!(run.tasks()[2].status(), Status::Completed);
    assert_eq!(recording.named("task").count(), 3);
}

#[test]
fn each_of_each_item_works_on_lists_of_lists() {
    // An `each` inside an `each`: the items of the outer one are lists, and what runs per item is
    // a workflow of its own, or a second mapping after the first.
    let lists = task(number(4)).then(count_to()).each(count_to());
    #[action(inline)]
    fn join(lists: PreviousContext<Vec<Vec<u32>>>) -> Vec<u32> {
        lists.concat()
    }
    let again = lists.then(join()).each(increment());
    let run = paused(DotFlow::new("each-each", again).start()).unwrap();
    assert_eq!(*run.output().unwrap(), [1, 1, 2, 1, 2, 3]);
}

#[test]
fn each_may_run_a_nested_workflow_with_an_each_of_its_own() {
    let inner = DotFlow::with_input("inner", |_: &Task<u32>| {
        task(number(2)).then(count_to()).each(increment())
    });
    let outer = DotFlow::new("outer", task(number(2)).then(count_to()).each(inner));
    let (run, recording) = recorded(async { outer.start().await.unwrap() });
    assert_eq!(*run.output().unwrap(), [vec![1, 2], vec![1, 2]]);
    let items: Vec<_> = recording
        .named("task")
        .filter(|span| span.text("dotflow.task.name") == Some("inner"))
        .collect();
    assert_eq!(items.len(), 2);
    for inner in recording.named("workflow").skip(1) {
        let parent = &recording.spans[inner.parent.unwrap()];
        assert_eq!(parent.text("dotflow.task.name"), Some("inner"));
        assert_ne!(
            parent.field("dotflow.workflow_id"),
            inner.field("dotflow.workflow_id"),
            "a nested run has an id of its own"
        );
    }
}

#[test]
fn a_nested_workflow_nests_its_span_and_passes_its_output_on() {
    let inner = DotFlow::new("inner", task(number(20)).then(increment()));
    let outer = DotFlow::new("outer", task(number(1)).then(inner).then(increment()));
    let (run, recording) = recorded(async { outer.start().await.unwrap() });
    assert_eq!(*run.output().unwrap(), 22);
    assert_snapshot!(
        recording.tree(),
        @r#"workflow:outer status="Completed" code="OK"
  task:0 name="number" status="Completed" retries=0 code="OK"
  task:1 name="inner" status="Completed" retries=0 code="OK"
    workflow:inner status="Completed" code="OK"
      task:0 name="number" status="Completed" retries=0 code="OK"
      task:1 name="increment" status="Completed" retries=0 code="OK"
  task:2 name="increment" status="Completed" retries=0 code="OK"
"#
    );
}

#[test]
fn a_nested_workflow_of_two_sinks_passes_a_tuple_on() {
    let inner = DotFlow::new("inner", (task(number(1)), task(number(2))));
    #[action(inline)]
    fn both(previous: PreviousContext<(Arc<u32>, Arc<u32>)>) -> u32 {
        *previous.0 * 10 + *previous.1
    }
    let outer = DotFlow::new("outer", task(inner).then(both()));
    assert_eq!(*paused(outer.start()).unwrap().output().unwrap(), 12);
}

#[test]
fn names_groups_and_policies_belong_to_the_task_not_to_the_action() {
    #[action(inline)]
    fn who(task: TaskContext) -> usize {
        task.task_id()
    }
    let first = task(who()).named("first").group("left");
    let second = first.then(who()).group("right");
    let workflow = DotFlow::new("names", second.clone());
    // The workflow was made: what changes now belongs to the next one.
    let _ = second.named("too late");
    let (run, recording) = recorded(async { workflow.start().await.unwrap() });
    let names: Vec<_> = run
        .tasks()
        .iter()
        .map(|task| (task.name(), task.group()))
        .collect();
    assert_eq!(names, [("first", Some("left")), ("who", Some("right"))]);
    assert_eq!(
        recording.otel("task:1").text("dotflow.task.group"),
        Some("right")
    );
    assert_eq!(*run.output().unwrap(), 1);
}

#[test]
fn a_workflow_starts_any_number_of_times() {
    let workflow = DotFlow::new("again", task(number(1)).then(increment()));
    let (runs, recording) = recorded(async {
        let first = workflow.start().await.unwrap();
        let second = workflow.clone().start().await.unwrap();
        [first, second]
    });
    assert!(runs.iter().all(|run| *run.output().unwrap() == 2));
    assert_ne!(runs[0].workflow_id(), runs[1].workflow_id());
    assert_eq!(recording.named("workflow").count(), 2);
    assert_eq!(recording.named("task").count(), 4);
}

#[test]
fn the_run_is_below_the_span_of_the_caller() {
    use tracing::Instrument;
    let workflow = DotFlow::new("inside", task(number(1)));
    let ((), recording) = recorded(async {
        assert!(workflow.start().await.unwrap().succeeded());
        assert!(workflow.spawn().await.unwrap().succeeded());
    });
    assert!(
        recording
            .named("workflow")
            .all(|span| span.parent.is_none())
    );
    let ((), recording) = recorded(async {
        async {
            assert!(workflow.start().await.unwrap().succeeded());
            assert!(workflow.spawn().await.unwrap().succeeded());
        }
        .instrument(tracing::info_span!("caller"))
        .await;
    });
    assert_eq!(recording.spans[0].name, "caller");
    assert!(
        recording
            .named("workflow")
            .all(|span| span.parent == Some(0))
    );
    assert_eq!(recording.named("workflow").count(), 2);
}

/// A workflow in a workflow in a workflow …, so many of them.
fn nested(depth: usize) -> DotFlow<u32> {
    #[action(inline)]
    fn one() -> u32 {
        1
    }
    let mut workflow = DotFlow::new("innermost", task(one()));
    for _ in 1..depth {
        workflow = DotFlow::new("around", task(workflow));
    }
    workflow
}

#[test]
fn workflows_may_be_nested_up_to_a_limit_that_is_said() {
    let run = paused(nested(64).start()).unwrap();
    assert_eq!(*run.output().unwrap(), 1);
    // However deep it is: it can be made, asked, refused and dropped.
    for depth in [65, 10_000] {
        let workflow = nested(depth);
        assert!(format!("{:?}", workflow.plan()).contains("around"));
        let error = paused(workflow.start()).unwrap_err();
        assert!(error.is_too_deep(), "{error}");
        assert!(error.to_string().contains(&depth.to_string()), "{error}");
        let step = task(workflow).then(task_after());
        assert!(
            paused(DotFlow::new("after", step).start())
                .unwrap_err()
                .is_too_deep()
        );
    }
}

#[action(inline)]
fn task_after(previous: PreviousContext<u32>) -> u32 {
    *previous
}

#[test]
fn a_previous_context_is_gone_through_like_what_it_holds() {
    let list = task(number(4)).then(count_to());
    let totals = [false, true].map(|both| list.then(total_by_loop(both)));
    let run = paused(DotFlow::new("loops", Vec::from(totals)).start()).unwrap();
    let totals = run.output().unwrap();
    assert_eq!([*totals[0], *totals[1]], [6, 12]);
    let map = PreviousContext::from(std::collections::BTreeMap::from([("a", 1), ("b", 2)]));
    let keys: Vec<&str> = (&map).into_iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, ["a", "b"]);
}
