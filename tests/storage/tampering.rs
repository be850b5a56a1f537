//! Every kind of stored string, damaged in every way that a disk or a person finds: always a clear
//! error that says where, never another value, and never work that is done again in silence.

mod files;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use dotflow::{
    DotFlow, OnInputChange, PreviousContext, TaskReport, action,
    storage::{MemoryStorage, Storage},
    task,
};
use dotflow_tests::paused;

/// How many times any action was called.
type Work = Arc<AtomicU32>;

#[action]
async fn list(work: Work) -> Vec<u32> {
    work.fetch_add(1, Ordering::Relaxed);
    vec![3, 5]
}

#[action]
async fn double(work: Work, item: PreviousContext<u32>) -> u32 {
    work.fetch_add(1, Ordering::Relaxed);
    *item * 2
}

#[action]
async fn offset(work: Work) -> u32 {
    work.fetch_add(1, Ordering::Relaxed);
    100
}

#[action]
async fn sum(work: Work, rows: PreviousContext<Vec<u32>>, offset: PreviousContext<u32>) -> u32 {
    work.fetch_add(1, Ordering::Relaxed);
    rows.iter().sum::<u32>() + *offset
}

const OUTPUT: u32 = 116;

/// A workflow that stores every kind of record: of a run, of a nested run, of a task, of an item,
/// of a task of a nested workflow.
fn workflow(storage: impl Storage, work: &Work, id: &str) -> DotFlow<u32> {
    let work = || Arc::clone(work);
    let inner = DotFlow::new("inner", task(offset(work()))).input(&format!("inner {id}"));
    let rows = task(list(work())).each(double(work()));
    // Damage is never taken for a change of the input, whatever is to happen then.
    DotFlow::new("w", rows.and(&task(inner)).then(sum(work())))
        .storage(storage)
        .input(&format!("input {id}"))
        .on_input_change(OnInputChange::Reset)
}

/// What is stored of a run, by key.
type Stored = BTreeMap<String, String>;

fn stored(storage: &impl Storage, id: &str) -> Stored {
    paused(async {
        let mut stored = Stored::new();
        for key in storage.list(id).await.unwrap() {
            let text = storage.get(id, &key).await.unwrap().unwrap();
            stored.insert(key, text);
        }
        stored
    })
}

/// What a finished run has stored.
fn finished(id: &str) -> Stored {
    let storage = MemoryStorage::new();
    let work = Work::default();
    let run = paused(workflow(storage.clone(), &work, id).resume(id)).unwrap();
    assert_eq!(*run.output().unwrap(), OUTPUT);
    assert_eq!(work.load(Ordering::Relaxed), 5);
    let stored = stored(&storage, id);
    let keys: Vec<&str> = stored.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "#run",
            "double[0]",
            "double[1]",
            "inner/#run",
            "inner/offset",
            "list",
            "sum"
        ]
    );
    stored
}

fn in_memory(id: &str, stored: &Stored) -> MemoryStorage {
    let storage = MemoryStorage::new();
    paused(async {
        for (key, text) in stored {
            let put = storage.put_new(id, key, text.clone());
            assert!(put.await.unwrap());
        }
    });
    storage
}

/// Resumes a run of which nothing is missing. Gives its output, or what it says of what is wrong;
/// no work is done in either case.
fn resumed(storage: impl Storage, id: &str) -> Result<u32, String> {
    let work = Work::default();
    let result = paused(workflow(storage, &work, id).resume(id));
    let result = match result {
        Err(error) if error.is_storage() => Err(error.to_string()),
        Err(error) => panic!("damage is told as something else: {error}"),
        Ok(run) => match run.output() {
            Ok(output) => Ok(*output),
            Err(_) => {
                let errors = run.tasks().iter().flat_map(TaskReport::errors);
                let errors: Vec<String> = errors.map(ToString::to_string).collect();
                assert!(!errors.is_empty(), "{run}");
                Err(errors.join("\n"))
            }
        },
    };
    assert_eq!(work.load(Ordering::Relaxed), 0, "work was done: {result:?}");
    result
}

/// Resumes with a damaged record: the error names it, and nothing that is stored was touched.
fn assert_refused(id: &str, stored: &Stored, key: &str, damaged: &str) {
    let mut with_damage = stored.clone();
    with_damage.insert(key.to_owned(), damaged.to_owned());
    let storage = in_memory(id, &with_damage);
    let text = match resumed(storage.clone(), id) {
        Err(text) => text,
        Ok(output) => panic!("{key} gave {output} from {damaged}"),
    };
    let place = storage.locate(id, key);
    assert!(text.contains(&place), "{key}: {text}");
    assert_eq!(self::stored(&storage, id), with_damage, "{key}: {damaged}");
}

#[test]
fn a_record_that_was_cut_anywhere_is_refused() {
    let stored = finished("1");
    for (key, text) in &stored {
        // Without the end of its last line it is whole.
        for length in 0..text.len() - 1 {
            assert_refused("1", &stored, key, &text[..length]);
        }
    }
}

fn every_bit() -> bool {
    std::env::var_os("DOTFLOW_EVERY_BIT").is_some()
}

/// One bit of each byte; all of them with `DOTFLOW_EVERY_BIT=1`.
#[test]
fn a_record_with_a_bit_flipped_anywhere_is_refused() {
    let stored = finished("1");
    let mut flipped = 0;
    for (key, text) in &stored {
        for position in 0..text.len() {
            // The highest bit makes what is not a string any more: that is another test.
            for bit in 0..7 {
                if every_bit() || bit == position % 7 {
                    let mut bytes = text.clone().into_bytes();
                    bytes[position] ^= 1 << bit;
                    assert_refused("1", &stored, key, std::str::from_utf8(&bytes).unwrap());
                    flipped += 1;
                }
            }
        }
    }
    println!("{flipped} flipped bits were refused");
}

#[test]
fn a_record_of_another_place_is_refused() {
    let runs = [("1", finished("1")), ("2", finished("2"))];
    for (id, stored) in &runs {
        for key in stored.keys() {
            for (other, others) in &runs {
                for (other_key, text) in others {
                    if (id, key) != (other, other_key) {
                        assert_refused(id, stored, key, text);
                    }
                }
            }
        }
    }
}

#[test]
fn a_record_that_is_missing_is_refused_or_its_work_is_done_again() {
    let stored = finished("1");
    for key in stored.keys() {
        let mut without = stored.clone();
        without.remove(key);
        let storage = in_memory("1", &without);
        let work = Work::default();
        let result = paused(workflow(storage.clone(), &work, "1").resume("1"));
        let count = work.load(Ordering::Relaxed);
        match result {
            // Of a checkpoint that was removed the work is done again, and of no other.
            Ok(run) if run.succeeded() => {
                assert!(!key.ends_with("#run"), "{key}");
                assert_eq!((*run.output().unwrap(), count), (OUTPUT, 1), "{key}");
            }
            // Without its record nobody knows what the rest belongs to.
            Ok(run) => {
                assert_eq!((key.as_str(), count), ("inner/#run", 0), "{run}");
            }
            Err(error) => {
                assert_eq!((key.as_str(), count), ("#run", 0), "{error}");
                assert!(error.to_string().contains("#run"), "{error}");
            }
        }
    }
}

/// The record of a run has its input too, where it was given one; damage of that is no other input.
#[test]
fn a_record_with_an_input_is_refused_wherever_it_was_changed() {
    let work = Work::default();
    let doubled = |storage: &MemoryStorage| {
        let double = double(Arc::clone(&work));
        DotFlow::with_input("doubled", |number| number.then(double))
            .storage(storage.clone())
            .on_input_change(OnInputChange::Reset)
    };
    let storage = MemoryStorage::new();
    let run = paused(doubled(&storage).with(7).resume("1")).unwrap();
    assert_eq!(*run.output().unwrap(), 14);
    let whole = stored(&storage, "1");
    let record = &whole["#run"];
    let cut = (0..record.len() - 1).map(|length| record[..length].to_owned());
    let flipped = (0..record.len() * 7).map(|bit| {
        let mut bytes = record.clone().into_bytes();
        bytes[bit / 7] ^= 1 << (bit % 7);
        String::from_utf8(bytes).unwrap()
    });
    for damaged in cut.chain(flipped) {
        let mut with_damage = whole.clone();
        with_damage.insert("#run".to_owned(), damaged.clone());
        let storage = in_memory("1", &with_damage);
        let doubled = doubled(&storage);
        for resumed in [
            paused(doubled.resume("1")),
            paused(doubled.with(7).resume("1")),
            paused(doubled.with(8).resume("1")),
        ] {
            let error = resumed.unwrap_err();
            assert!(error.is_storage(), "{error}: {damaged}");
        }
        assert_eq!(stored(&storage, "1"), with_damage);
    }
    assert_eq!(work.load(Ordering::Relaxed), 1);
}
