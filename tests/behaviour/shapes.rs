//! Shapes of graphs: right values, right order, right parents in the trace.

use dotflow::{DotFlow, PreviousContext, Status, TaskError, action::from_fn, task};
use dotflow_tests::recorded;

type Fallible<T> = Result<T, TaskError>;

#[test]
fn a_chain_passes_values_on() {
    let one = task(from_fn("one", || async { Fallible::Ok(1u32) }));
    let two = one.then(from_fn("two", |one: PreviousContext<u32>| async move {
        Fallible::Ok(*one + 1)
    }));
    let three = two.then(from_fn("three", |two: PreviousContext<u32>| async move {
        Fallible::Ok(two.into_inner() + 1)
    }));
    let workflow = DotFlow::new("count", three);
    let (run, recording) = recorded(async { workflow.start().await.unwrap() });
    assert_eq!(*run.output().unwrap(), 3);
    assert_eq!(run.status(), Status::Completed);
    assert_eq!(
        recording.tree(),
        r#"workflow:count status="Completed" code="OK"
  task:0 name="one" status="Completed" retries=0 code="OK"
  task:1 name="two" status="Completed" retries=0 code="OK"
  task:2 name="three" status="Completed" retries=0 code="OK"
"#
    );
}
