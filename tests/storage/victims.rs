//! Running `victim.rs` as a process, and looking at what it leaves behind.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use dotflow::storage::{FileStorage, Storage};
use serde_json::Value;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_storage-victim");

/// One workflow id with its folder and log.
pub(crate) struct Scene {
    folder: tempfile::TempDir,
    pub(crate) id: String,
    items: usize,
    durable: bool,
}

/// What a run has left behind.
#[derive(Default)]
pub(crate) struct Remains {
    /// The checkpoints, as text, by key.
    pub(crate) checkpoints: BTreeMap<String, String>,
    /// The numbers of the calls of each task, in the order in which they were done.
    pub(crate) effects: BTreeMap<String, Vec<u64>>,
    /// The number of files that were being written when their program was killed.
    pub(crate) unfinished: usize,
}

impl Scene {
    pub(crate) fn new(id: &str, items: usize, durable: bool) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            id: id.to_owned(),
            items,
            durable,
        }
    }

    pub(crate) fn storage(&self) -> FileStorage {
        FileStorage::open(self.checkpoints()).unwrap()
    }

    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.folder.path().join("checkpoints")
    }

    /// The folder of the run, whose id must be a plain name.
    pub(crate) fn files(&self) -> PathBuf {
        self.checkpoints().join(&self.id)
    }

    /// A file beside the folder of checkpoints, for what else a test has.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    pub(crate) fn spawn(&self) -> Child {
        self.spawn_by(&mut Command::new(PROGRAM))
    }

    /// Starts the program by way of another one, which gets the rest of its command line.
    pub(crate) fn spawn_by(&self, command: &mut Command) -> Child {
        command
            .arg(self.checkpoints())
            .arg(self.log())
            .args([&self.id, &self.items.to_string(), &self.durable.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Runs to the end. Gives the two numbers of the output, and how many tasks were restored.
    pub(crate) fn finish(&self) -> [u64; 3] {
        printed(&self.spawn().wait_with_output().unwrap())
    }

    /// What is stored, as text, by key; also while programs run, which never change it.
    pub(crate) fn stored(&self) -> BTreeMap<String, String> {
        let (storage, id) = (self.storage(), self.id.clone());
        dotflow_tests::threaded(async move {
            let mut checkpoints = BTreeMap::new();
            for key in storage.list(&id).await.unwrap() {
                let text = storage.get(&id, &key).await.unwrap().unwrap();
                checkpoints.insert(key, text);
            }
            checkpoints
        })
    }

    /// Reads everything through the public API, as a resumed run would.
    pub(crate) fn remains(&self) -> Remains {
        let mut checkpoints = self.stored();
        let mut effects: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for line in read_lines(&self.log()) {
            let (key, number) = line.split_once(' ').unwrap();
            let number = number.parse().unwrap();
            effects.entry(key.to_owned()).or_default().push(number);
        }
        let unfinished = self.unfinished(checkpoints.len());
        // It comes before all checkpoints, and is none itself.
        let record = checkpoints.remove("#run");
        assert!(record.is_some() || checkpoints.is_empty());
        Remains {
            checkpoints,
            effects,
            unfinished,
        }
    }

    /// Makes sure that there are only checkpoints, and hidden files that nobody reads: those it
    /// counts.
    fn unfinished(&self, checkpoints: usize) -> usize {
        let Ok(entries) = fs::read_dir(self.files()) else {
            return 0;
        };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let (hidden, seen): (Vec<_>, Vec<_>) = names.partition(|name| name.starts_with('.'));
        assert!(
            hidden
                .iter()
                .all(|name| name.rsplit('.').next() == Some("tmp")),
            "{hidden:?}"
        );
        assert_eq!(seen.len(), checkpoints, "{seen:?}");
        hidden.len()
    }
}

fn read_lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

pub(crate) fn printed(output: &Output) -> [u64; 3] {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    numbers(output)
}

/// The two numbers of the output, and how many tasks were restored.
pub(crate) fn numbers(output: &Output) -> [u64; 3] {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let numbers: Vec<u64> = text
        .split_whitespace()
        .map(|number| number.parse().unwrap())
        .collect();
    numbers.try_into().unwrap()
}

impl Remains {
    fn output(&self, key: &str) -> Value {
        let checkpoint: Value = serde_json::from_str(&self.checkpoints[key]).unwrap();
        checkpoint["output"].clone()
    }

    fn pair(&self, key: &str) -> (u64, u64) {
        serde_json::from_value(self.output(key)).unwrap()
    }

    /// The call that a checkpoint comes from was the last one of its task: it happened once, and
    /// after it was stored the task was not done again.
    pub(crate) fn assert_done_once(&self) {
        for key in self.checkpoints.keys() {
            let stored = match key.as_str() {
                "seed" => self.output(key)[0].as_u64().unwrap(),
                _ => self.pair(key).1,
            };
            let calls = &self.effects[key];
            assert_eq!(calls.last(), Some(&stored), "{key} was done again");
            let same = calls.iter().filter(|call| **call == stored);
            assert_eq!(same.count(), 1, "{key} was done twice by one call");
        }
    }

    /// Each checkpoint comes from a call that was made, once.
    pub(crate) fn assert_made(&self) {
        for key in self.checkpoints.keys() {
            let stored = match key.as_str() {
                "seed" => self.output(key)[0].as_u64().unwrap(),
                _ => self.pair(key).1,
            };
            let made = self.effects[key].iter().filter(|call| **call == stored);
            assert_eq!(made.count(), 1, "{key} is of no call");
        }
    }

    /// One program has come between: what was stored stays as it is and is not done again, and of
    /// the rest nothing is done twice.
    pub(crate) fn assert_followed_by(&self, later: &Self) {
        for (key, text) in &self.checkpoints {
            assert_eq!(
                later.checkpoints.get(key),
                Some(text),
                "the checkpoint {key} was lost or changed"
            );
            assert_eq!(
                later.effects[key], self.effects[key],
                "{key} was done again although it was stored"
            );
        }
        for (key, calls) in &later.effects {
            let before = self.effects.get(key).map_or(0, Vec::len);
            assert!(calls.len() - before <= 1, "{key} was done twice by one run");
        }
    }

    /// The output follows from the checkpoints: each task went on with what was stored before it.
    pub(crate) fn assert_output(&self, items: usize, output: [u64; 3]) {
        let seeds: Vec<u64> = serde_json::from_value(self.output("seed")).unwrap();
        assert_eq!(seeds.len(), items);
        let mut sum = 0u64;
        for (index, seed) in seeds.iter().enumerate() {
            let (item, made) = self.pair(&format!("work[{index}]"));
            assert_eq!(item, *seed);
            sum = sum.wrapping_add(item).wrapping_add(made);
        }
        assert_eq!(self.pair("sum").0, sum);
        for (before, key) in [("sum", "step"), ("step", "step#2")] {
            let before = self.pair(before);
            assert_eq!(self.pair(key).0, before.0.wrapping_add(before.1));
        }
        assert_eq!(self.pair("step#2"), (output[0], output[1]));
        assert_eq!(self.checkpoints.len(), items + 4);
    }
}
