//! What is stored, changed in any way: the run that finds it returns what it returned before, or
//! says what is wrong; it neither does work again nor overwrites anything.

use std::{
    collections::BTreeMap,
    future::ready,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use dotflow::{
    DotFlow, OnInputChange, PreviousContext, TaskError, TaskReport,
    action::from_fn,
    storage::{MemoryStorage, Storage},
    task,
};

use crate::bytes::Choices;

/// What is stored of a run, by key.
type Stored = BTreeMap<String, String>;

/// A list, its items, a nested workflow, and what joins them; each call of an action is counted.
fn workflow(storage: MemoryStorage, input: &str, calls: &Arc<AtomicU32>) -> DotFlow<u32> {
    let count = || {
        let calls = Arc::clone(calls);
        move || calls.fetch_add(1, Ordering::Relaxed)
    };
    let (list, double, offset, sum) = (count(), count(), count(), count());
    let list = from_fn("list", move || {
        list();
        ready(Ok::<_, TaskError>(vec![3u32, 5]))
    });
    let double = from_fn("double", move |item: PreviousContext<u32>| {
        double();
        ready(Ok::<_, TaskError>(*item * 2))
    });
    let offset = from_fn("offset", move || {
        offset();
        ready(Ok::<_, TaskError>(100u32))
    });
    let sum = from_fn(
        "sum",
        move |rows: PreviousContext<Vec<u32>>, offset: PreviousContext<u32>| {
            sum();
            ready(Ok::<_, TaskError>(rows.iter().sum::<u32>() + *offset))
        },
    );
    let rows = task(list.checkpointed()).each(double.checkpointed());
    let inner = DotFlow::new("inner", task(offset.checkpointed())).input("inner");
    DotFlow::new("w", rows.and(&task(inner)).then(sum.checkpointed()))
        .storage(storage)
        .input(input)
        .on_input_change(OnInputChange::Reset)
}

const OUTPUT: u32 = 116;

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime can be made").block_on(future)
}

async fn stored(storage: &MemoryStorage, id: &str) -> Stored {
    let mut stored = Stored::new();
    for key in storage.list(id).await.expect("it is in memory") {
        let text = storage.get(id, &key).await.expect("it is in memory");
        stored.insert(key, text.expect("it is in the list"));
    }
    stored
}

/// Two finished runs, of other inputs.
static RUNS: LazyLock<[Stored; 2]> = LazyLock::new(|| {
    ["1", "2"].map(|id| {
        block_on(async {
            let storage = MemoryStorage::new();
            let workflow = workflow(storage.clone(), id, &Arc::default());
            let run = workflow.resume(id).await.expect("nothing is wrong");
            assert_eq!(*run.output().expect("nothing fails"), OUTPUT);
            stored(&storage, id).await
        })
    })
});

/// Cuts, repeats, exchanges and inserts parts of a record.
fn change(choices: &mut Choices<'_>, text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..=choices.pick(3) {
        let mut characters: Vec<char> = text.chars().collect();
        let place = |choices: &mut Choices<'_>| choices.pick(characters.len().max(1));
        let (from, to) = (place(choices), place(choices));
        let (from, to) = (from.min(to), from.max(to));
        let mut lines: Vec<&str> = text.lines().collect();
        match choices.pick(7) {
            0 => drop(characters.drain(from..to)),
            1 => {
                let part = characters[from..to].to_vec();
                characters.splice(from..from, part);
            }
            2 => {
                let with = choices.string(3);
                characters.splice(from..from, with.chars());
            }
            // A digit or a letter for another one.
            3 if !characters.is_empty() => {
                let with = b"0123456789abcdef\"[]{},:-+eE .\\un";
                characters[from] = char::from(with[choices.pick(with.len())]);
            }
            4 if !lines.is_empty() => {
                let (one, other) = (choices.pick(lines.len()), choices.pick(lines.len()));
                lines.swap(one, other);
                characters = lines.join("\n").chars().collect();
            }
            5 if !lines.is_empty() => {
                lines.remove(choices.pick(lines.len()));
                characters = lines.join("\n").chars().collect();
            }
            _ => {
                let run = &RUNS[choices.pick(2)];
                let others: Vec<&String> = run.values().collect();
                let other = others[choices.pick(others.len())];
                let mut others: Vec<&str> = other.lines().collect();
                let line = choices.pick(others.len().min(lines.len()).max(1));
                if line < lines.len() {
                    others[line] = lines[line];
                }
                characters = others.join("\n").chars().collect();
            }
        }
        text = characters.into_iter().collect();
    }
    text
}

pub(crate) fn check(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let whole = &RUNS[0];
    let keys: Vec<&String> = whole.keys().collect();
    let key = keys[choices.pick(keys.len())];
    let changed = change(&mut choices, &whole[key]);
    let mut with_change = whole.clone();
    with_change.insert(key.clone(), changed.clone());

    block_on(async {
        let storage = MemoryStorage::new();
        for (key, text) in &with_change {
            let put = storage.put_new("1", key, text.clone()).await;
            assert!(put.expect("it is in memory"));
        }
        let calls = Arc::default();
        let run = workflow(storage.clone(), "1", &calls).resume("1").await;
        let place = storage.locate("1", key);
        match run {
            Ok(run) if run.succeeded() => {
                assert_eq!(
                    *run.output().expect("it has succeeded"),
                    OUTPUT,
                    "{changed}"
                );
                // It says the same, but for white space.
                let json = |text| serde_json::from_str::<serde_json::Value>(text);
                let (changed, whole) = (json(&changed), json(&whole[key]));
                assert_eq!(changed.ok(), whole.ok());
            }
            Ok(run) => {
                let mut errors = run.tasks().iter().flat_map(TaskReport::errors);
                assert!(
                    errors.any(|error| error.to_string().contains(&place)),
                    "{run}"
                );
            }
            Err(error) => {
                assert!(error.is_storage(), "{error}");
                assert!(error.to_string().contains(&place), "{error}");
            }
        }
        assert_eq!(calls.load(Ordering::Relaxed), 0, "work was done: {changed}");
        assert_eq!(stored(&storage, "1").await, with_change);
    });
}
