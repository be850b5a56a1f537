//! Where a workflow that takes nothing, or has its input already, may stand in another one: after
//! anything.

use dotflow::{DotFlow, PreviousContext, Task, action, join_all, task};
use dotflow_tests::paused;

#[action]
fn two() -> u32 {
    2
}

#[action]
fn twice(number: PreviousContext<u32>) -> u32 {
    *number * 2
}

#[test]
fn a_workflow_that_takes_nothing_comes_after_a_join() {
    let takes_nothing = DotFlow::new("nothing", task(two()));
    let given = DotFlow::with_input("given", |number: &Task<u32>| number.then(twice()));
    let given = given.with(21);
    let joined = join_all([task(two()), task(two())]);
    let pair = task(two()).and(&task(two()));
    for (last, expected) in [
        (task(two()).then(takes_nothing.clone()), 2),
        (joined.then(takes_nothing.clone()), 2),
        (pair.then(takes_nothing), 2),
        (task(two()).then(given.clone()), 42),
        (joined.then(given.clone()), 42),
        (pair.then(given), 42),
    ] {
        let run = paused(DotFlow::new("outer", last).start()).unwrap();
        assert_eq!(*run.output().unwrap(), expected, "{run}");
    }
}
