//! Ids of workflows and names of tasks that look like others, or like paths: each has a file of its
//! own, in the folder, on any file system, and each task gets back what it has stored.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Component, Path},
    sync::{LazyLock, Mutex, PoisonError},
};

use dotflow::{
    DotFlow, PreviousContext, Task, TaskError,
    action::from_fn,
    storage::{FileStorage, MemoryStorage, Storage},
    task,
};

use crate::bytes::Choices;

/// A storage whose folder nothing is written to, and all the names that it gave so far.
struct Seen {
    folder: tempfile::TempDir,
    storage: FileStorage,
    /// Paths below the folder as a file system that ignores case has them, and what they are for.
    paths: Mutex<HashMap<String, (String, String)>>,
}

static SEEN: LazyLock<Seen> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("there is a place for temporary folders");
    let storage = FileStorage::open(folder.path()).expect("it was just made");
    Seen {
        folder,
        storage,
        paths: Mutex::default(),
    }
});

/// How many names are remembered at most.
const MOST: usize = 1_000_000;

/// What Windows takes for a device, whatever comes behind a dot.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "com1", "lpt1"];

fn check_path(id: &str, key: &str) {
    let path = SEEN.storage.locate(id, key);
    let path = Path::new(&path)
        .strip_prefix(SEEN.folder.path())
        .unwrap_or_else(|_| panic!("{path} is outside"));
    let parts: Vec<&str> = path
        .components()
        .map(|part| match part {
            Component::Normal(name) => name.to_str().expect("names are ASCII"),
            other => panic!("{other:?} in {}", path.display()),
        })
        .collect();
    assert_eq!(parts.len(), 2, "{}", path.display());
    for name in &parts {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.=#[]".contains(c);
        assert!(name.chars().all(is_plain), "{name}");
        assert!(!name.starts_with('.') && !name.ends_with('.'), "{name}");
        assert!(name.len() <= 200, "{name}");
        let stem = name.split('.').next().unwrap_or_default();
        assert!(!DEVICES.contains(&stem.to_lowercase().as_str()), "{name}");
    }
    let mut paths = SEEN.paths.lock().unwrap_or_else(PoisonError::into_inner);
    let named = (id.to_owned(), key.to_owned());
    if paths.len() < MOST {
        let first = paths
            .entry(parts.join("/").to_lowercase())
            .or_insert_with(|| named.clone());
        assert_eq!(*first, named, "both are {}", path.display());
    }
}

/// Tasks of these names, some in a nested workflow, each with an output of its own.
fn workflow(names: &[String], nested: &str, storage: MemoryStorage) -> DotFlow<Vec<u32>> {
    let numbered = |number: u32, name: &String| -> Task<u32> {
        let give = move || std::future::ready(Ok::<u32, TaskError>(number));
        task(from_fn("give", give).checkpointed()).named(name.clone())
    };
    let outer = (0..)
        .zip(names)
        .map(|(number, name)| numbered(number, name));
    let inner = (100..)
        .zip(names)
        .map(|(number, name)| numbered(number, name));
    let collect = |parts: Vec<PreviousContext<u32>>| {
        let parts: Vec<u32> = parts.iter().map(|part| **part).collect();
        std::future::ready(Ok::<Vec<u32>, TaskError>(parts))
    };
    let collected = || from_fn("collect", collect).checkpointed();
    let inner = dotflow::join_all(inner).then(collected());
    let inner = task(DotFlow::new("inner", inner)).named(nested);
    let outer = dotflow::join_all(outer).then(collected());
    let both = |outer: PreviousContext<Vec<u32>>, inner: PreviousContext<Vec<u32>>| {
        let both = outer.iter().chain(inner.iter()).copied().collect();
        std::future::ready(Ok::<Vec<u32>, TaskError>(both))
    };
    let both = from_fn("both", both).checkpointed();
    DotFlow::new("w", outer.and(&inner).then(both)).storage(storage)
}

pub(crate) fn check(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    for _ in 0..4 {
        let (id, key) = (choices.string(6), choices.string(6));
        check_path(&id, &key);
        check_path(&key, &id);
    }

    let names: Vec<String> = (0..=choices.pick(5)).map(|_| choices.string(3)).collect();
    let (id, nested) = (choices.string(3), choices.string(3));
    if id.starts_with('#') {
        return;
    }
    let storage = MemoryStorage::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime can be made").block_on(async {
        let mut outputs = BTreeMap::new();
        for again in [false, true] {
            let workflow = workflow(&names, &nested, storage.clone());
            let run = workflow.resume(&id).await.expect("nothing is wrong");
            let output = run
                .output()
                .unwrap_or_else(|error| panic!("{names:?}: {error}"));
            let count = u32::try_from(names.len()).expect("there are few");
            let expected: Vec<u32> = (0..count).chain(100..100 + count).collect();
            assert_eq!(*output, expected, "{names:?}");
            outputs.insert(again, output);
        }
        // Those of both workflows, what collects them, what joins both, and the record of the run.
        let keys = storage.list(&id).await.expect("it is in memory");
        assert_eq!(keys.len(), 2 * names.len() + 4, "{names:?}: {keys:?}");
    });
}
