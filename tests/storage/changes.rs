//! Code that changed between two runs of one id: what each change leads to, and never a wrong
//! value.

use std::sync::atomic::{AtomicBool, Ordering};

use dotflow::{
    DotFlow, PreviousContext, Run, Task, TaskError, TaskErrorKind, join_all,
    storage::{MemoryStorage, Storage},
    task,
};
use dotflow_tests::paused;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::calls::Calls;

/// A workflow of one kind after another, over the same checkpoints.
#[derive(Default)]
struct Code {
    storage: MemoryStorage,
    calls: Calls,
}

impl Code {
    fn first(&self) -> Task<u32> {
        task(self.calls.giving("first", 1u32))
    }

    fn add(&self, before: &Task<u32>, name: &'static str, amount: u32) -> Task<u32> {
        before.then(
            self.calls
                .mapping(name, move |number: &u32| number + amount),
        )
    }

    fn run<T: Send + Sync + 'static>(&self, sink: Task<T>) -> Run<T> {
        let workflow = DotFlow::new("w", sink).storage(self.storage.clone());
        paused(workflow.resume("1")).unwrap()
    }

    fn fails<T: Send + Sync + 'static>(&self, sink: Task<T>) -> TaskError {
        let before = self.calls.all();
        let stored = self.stored();
        let run = self.run(sink);
        let failed = run.tasks().iter().find_map(|task| task.errors().first());
        let error = failed.expect("a task has failed").clone();
        assert_eq!(error.kind(), TaskErrorKind::Storage);
        for (name, count) in before {
            let now = self.calls.all();
            assert!(now.contains(&(name, count)), "{name} was run again");
        }
        for key in stored {
            assert!(self.stored().contains(&key), "{key} was removed");
        }
        error
    }

    fn stored(&self) -> Vec<String> {
        paused(async { self.storage.list("1").await.unwrap() })
    }
}

#[test]
fn a_task_added_at_the_end_is_run() {
    let code = Code::default();
    assert_eq!(*code.run(code.first()).output().unwrap(), 1);
    let longer = code.add(&code.first(), "second", 10);
    assert_eq!(*code.run(longer).output().unwrap(), 11);
    assert_eq!(code.calls.all(), [("first", 1), ("second", 1)]);
}

#[test]
fn a_task_added_beside_others_is_run_and_shifts_none() {
    let code = Code::default();
    let second = code.add(&code.first(), "second", 10);
    assert_eq!(*code.run(second).output().unwrap(), 11);
    // It gets a smaller number than the stored ones.
    let beside = task(code.calls.giving("beside", 5u32));
    let second = code.add(&code.first(), "second", 10);
    let workflow = DotFlow::new("w", (beside, second)).storage(code.storage.clone());
    let run = paused(workflow.resume("1")).unwrap();
    let output = run.output().unwrap();
    assert_eq!((*output.0, *output.1), (5, 11));
    assert_eq!(
        code.calls.all(),
        [("beside", 1), ("first", 1), ("second", 1)]
    );
}

#[test]
fn a_task_inserted_before_a_stored_one_is_an_error() {
    let code = Code::default();
    assert_eq!(
        *code
            .run(code.add(&code.first(), "last", 10))
            .output()
            .unwrap(),
        11
    );
    let inserted = code.add(&code.first(), "inserted", 100);
    let error = code.fails(code.add(&inserted, "last", 10));
    let text = error.to_string();
    assert!(
        text.contains(
            "`last` came after `first` when it was stored, and now comes after `inserted`"
        ),
        "{text}"
    );
    assert!(text.contains("give the task another name"), "{text}");
    // The advice helps.
    let run = code.run(code.add(&inserted, "last", 10).named("last-2"));
    assert_eq!(*run.output().unwrap(), 111);
}

#[test]
fn a_task_removed_before_a_stored_one_is_an_error() {
    let code = Code::default();
    let middle = code.add(&code.first(), "middle", 100);
    assert_eq!(
        *code.run(code.add(&middle, "last", 10)).output().unwrap(),
        111
    );
    let error = code.fails(code.add(&code.first(), "last", 10));
    assert!(
        error.to_string().contains("now comes after `first`"),
        "{error}"
    );
}

#[test]
fn a_task_removed_at_the_end_changes_nothing() {
    let code = Code::default();
    assert_eq!(
        *code
            .run(code.add(&code.first(), "last", 10))
            .output()
            .unwrap(),
        11
    );
    assert_eq!(*code.run(code.first()).output().unwrap(), 1);
    assert_eq!(code.calls.all(), [("first", 1), ("last", 1)]);
}

#[test]
fn a_renamed_task_is_a_new_one() {
    let code = Code::default();
    assert_eq!(
        *code
            .run(code.add(&code.first(), "last", 10))
            .output()
            .unwrap(),
        11
    );
    // At the end it is run again,
    let run = code.run(code.add(&code.first(), "renamed", 10));
    assert_eq!(*run.output().unwrap(), 11);
    assert_eq!(
        code.calls.all(),
        [("first", 1), ("last", 1), ("renamed", 1)]
    );
    let begin = task(code.calls.giving("begin", 1u32));
    // and before a stored one it changes what that one comes after.
    let error = code.fails(code.add(&begin, "last", 10));
    assert!(
        error.to_string().contains("now comes after `begin`"),
        "{error}"
    );
}

#[test]
fn two_tasks_that_swapped_their_names_are_noticed() {
    let code = Code::default();
    let a = code.add(&code.first(), "a", 10);
    assert_eq!(*code.run(code.add(&a, "b", 100)).output().unwrap(), 111);
    let b = code.add(&code.first(), "b", 100);
    let error = code.fails(code.add(&b, "a", 10));
    assert!(error.to_string().contains("`b` came after `a`"), "{error}");
}

#[test]
fn a_changed_number_of_namesakes_is_an_error() {
    let code = Code::default();
    let sites = |names: &[u32]| {
        let parts: Vec<Task<u32>> = names
            .iter()
            .map(|site| task(code.calls.giving("scrape", *site)))
            .collect();
        let workflow = DotFlow::new("w", parts).storage(code.storage.clone());
        paused(workflow.resume("1")).unwrap()
    };
    assert!(sites(&[7, 8, 9]).succeeded());
    let run = sites(&[8, 9]);
    let error = run.output().unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::Storage);
    let text = error.to_string();
    assert!(text.contains("3 tasks of the name `scrape`"), "{text}");
    assert!(text.contains("`named`"), "{text}");
    assert_eq!(code.run(code.first()).tasks().len(), 1);
    let twins = DotFlow::new("w", (code.first(), code.first())).storage(code.storage.clone());
    let error = paused(twins.resume("1")).unwrap().output().unwrap_err();
    let text = error.to_string();
    assert!(text.contains("had 1 task of the name `first`"), "{text}");
}

/// The tasks before one are listed as long as a person reads a list.
#[test]
fn what_a_task_came_after_is_named_in_few_words() {
    let text = |before: usize, now: usize| {
        let code = Code::default();
        let sum = |count: usize| {
            let parts = ["a", "b", "c", "d", "e"].iter().take(count);
            let parts: Vec<Task<u32>> = parts
                .map(|name| task(code.calls.giving(name, 1u32)))
                .collect();
            let sum =
                dotflow::action::from_fn("sum", |parts: Vec<PreviousContext<u32>>| async move {
                    Ok::<usize, TaskError>(parts.len())
                });
            join_all(parts).then(sum.checkpointed())
        };
        assert_eq!(*code.run(sum(before)).output().unwrap(), before);
        code.fails(sum(now)).to_string()
    };
    for (before, now, told) in [
        (
            0,
            1,
            "after no other task when it was stored, and now comes after `a`,",
        ),
        (
            2,
            4,
            "after `a`, `b` when it was stored, and now comes after `a`, `b`, `c`, `d`,",
        ),
        (
            5,
            1,
            "after `a` … `e` (5 tasks) when it was stored, and now comes after `a`,",
        ),
    ] {
        let text = text(before, now);
        assert!(text.contains(told), "{text}");
    }
}

#[test]
fn a_changed_output_type_is_an_error_even_where_it_could_be_read() {
    let code = Code::default();
    assert_eq!(*code.run(code.first()).output().unwrap(), 1);
    let error = code.fails(task(code.calls.giving("first", 1u64)));
    let text = error.to_string();
    assert!(
        text.contains("returned u32 when it was stored, and now returns u64"),
        "{text}"
    );
}

/// A type whose JSON changes, as if members were added between two builds.
#[derive(Clone, Debug, PartialEq)]
struct Shifting(u32);

static IS_LIST: AtomicBool = AtomicBool::new(false);

impl Serialize for Shifting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if IS_LIST.load(Ordering::Relaxed) {
            [self.0].serialize(serializer)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Shifting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if IS_LIST.load(Ordering::Relaxed) {
            <[u32; 1]>::deserialize(deserializer).map(|[number]| Self(number))
        } else {
            u32::deserialize(deserializer).map(Self)
        }
    }
}

#[test]
fn a_type_of_another_shape_is_an_error() {
    let code = Code::default();
    let shifting = || task(code.calls.giving("shifting", Shifting(1)));
    assert_eq!(*code.run(shifting()).output().unwrap(), Shifting(1));
    IS_LIST.store(true, Ordering::Relaxed);
    let error = code.fails(shifting());
    let text = error.to_string();
    assert!(
        text.contains("is not what `storage::changes::Shifting` is read from now"),
        "{text}"
    );
}

#[test]
fn an_action_whose_code_alone_changed_is_restored() {
    let code = Code::default();
    assert_eq!(
        *code
            .run(code.add(&code.first(), "last", 10))
            .output()
            .unwrap(),
        11
    );
    // Documented: a change of code alone can't be seen.
    assert_eq!(
        *code
            .run(code.add(&code.first(), "last", 99))
            .output()
            .unwrap(),
        11
    );
}

#[test]
fn a_previous_context_of_a_restored_task_is_the_stored_one() {
    let code = Code::default();
    assert!(code.run(code.first()).succeeded());
    let changed = task(code.calls.giving("first", 500u32));
    let last = changed.then(code.calls.mapping("last", |number: &u32| number + 1));
    assert_eq!(*code.run(last).output().unwrap(), 2);
}
