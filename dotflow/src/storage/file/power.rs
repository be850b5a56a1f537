//! Power that goes at each file operation in turn, on a disk that loses what was not synced: what
//! was acknowledged is there afterwards, and everything else is whole or absent.
//!
//! A disk has two states here: what the program sees, and what is safe. A sync takes over a file's
//! content or a folder's names from the one to the other. When the power goes, a coin decides for
//! each name and each content that was not synced yet whether the disk has it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ffi::OsString,
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use tempfile::{NamedTempFile, TempDir};

use super::{Disk, FileStorage, Operations};
use crate::storage::{Storage, StorageError};

/// A file or a folder, whatever it is called.
type Inode = u64;
type Names = BTreeMap<OsString, Inode>;

struct State {
    /// What was written to each file.
    contents: HashMap<Inode, Vec<u8>>,
    /// The files whose content is safe.
    synced: HashSet<Inode>,
    /// The names in each folder that are safe.
    names: HashMap<Inode, Names>,
    /// Keeps numbers of files and folders from being used again.
    handles: Vec<File>,
    operations: usize,
    /// The operation that is not done any more, from 1; 0 for none.
    cut: usize,
    coin: fastrand::Rng,
    /// What the disk has once the power is back.
    survived: Option<TempDir>,
}

/// A disk whose power goes.
struct Power {
    root: PathBuf,
    state: Arc<Mutex<State>>,
}

impl Power {
    /// Does an operation, if there is still power.
    fn run<R>(&self, operation: impl FnOnce(&mut State) -> io::Result<R>) -> io::Result<R> {
        let mut state = self.state.lock().unwrap();
        state.operations += 1;
        if state.operations == state.cut {
            let survived = tempfile::tempdir()?;
            let root = inode(&self.root)?;
            state.survive(&self.root, root, survived.path())?;
            state.survived = Some(survived);
        }
        match state.survived {
            None => operation(&mut state),
            Some(_) => Err(io::Error::other("no power")),
        }
    }
}

impl State {
    fn keep(&mut self, path: &Path) -> io::Result<Inode> {
        self.handles.push(File::open(path)?);
        inode(path)
    }

    /// Writes down what is left of a folder.
    fn survive(&mut self, root: &Path, folder: Inode, survived: &Path) -> io::Result<()> {
        let seen = match find(root, folder)? {
            Some(path) => names(&path)?,
            None => Names::new(),
        };
        let safe = self.names.get(&folder).cloned().unwrap_or_default();
        let all: Names = seen.clone().into_iter().chain(safe.clone()).collect();
        for name in all.keys() {
            let (seen, safe) = (seen.get(name), safe.get(name));
            let left = if seen == safe || self.coin.bool() {
                seen
            } else {
                safe
            };
            let Some(left) = left else { continue };
            let survived = survived.join(name);
            match self.contents.get(left) {
                None => {
                    fs::create_dir(&survived)?;
                    self.survive(root, *left, &survived)?;
                }
                Some(content) if self.synced.contains(left) => fs::write(survived, content)?,
                // All of it, a part, or a name without content.
                Some(content) => {
                    let lengths = [content.len(), content.len() / 2, 0];
                    fs::write(survived, &content[..lengths[self.coin.usize(..3)]])?;
                }
            }
        }
        Ok(())
    }
}

fn inode(path: &Path) -> io::Result<Inode> {
    Ok(fs::symlink_metadata(path)?.ino())
}

/// The names in a folder, as the program sees them.
fn names(folder: &Path) -> io::Result<Names> {
    let entries = fs::read_dir(folder)?.map(|entry| {
        let entry = entry?;
        Ok((entry.file_name(), inode(&entry.path())?))
    });
    entries.collect()
}

/// Where the program sees a folder now.
fn find(below: &Path, folder: Inode) -> io::Result<Option<PathBuf>> {
    if inode(below)? == folder {
        return Ok(Some(below.to_owned()));
    }
    for name in names(below)?.keys() {
        let path = below.join(name);
        if path.is_dir()
            && let Some(found) = find(&path, folder)?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

impl Operations for Power {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.run(|state| {
            Disk.create_folder(folder)?;
            state.keep(folder).map(drop)
        })
    }

    fn create_temporary(&self, folder: &Path) -> io::Result<NamedTempFile> {
        self.run(|state| {
            let file = Disk.create_temporary(folder)?;
            let inode = state.keep(file.path())?;
            state.contents.insert(inode, Vec::new());
            Ok(file)
        })
    }

    fn write(&self, file: &mut File, content: &[u8]) -> io::Result<()> {
        self.run(|state| {
            let inode = file.metadata()?.ino();
            state.contents.insert(inode, content.to_vec());
            Disk.write(file, content)
        })
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.run(|state| {
            state.synced.insert(file.metadata()?.ino());
            Ok(())
        })
    }

    fn publish(&self, file: NamedTempFile, path: &Path) -> io::Result<bool> {
        self.run(|_| Disk.publish(file, path))
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.run(|state| {
            state.names.insert(inode(folder)?, names(folder)?);
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.run(|_| Disk.rename(from, to))
    }
}

/// What is asked of the storage, one after the other.
const SCRIPT: [Step; 9] = [
    Step::Put("1", "a", "first a"),
    Step::Put("1", "b", "first b"),
    Step::Put("2", "a", "other a"),
    Step::Put("1", "c", "first c"),
    Step::Remove("1"),
    Step::Put("1", "a", "second a"),
    Step::Put("2", "b", "other b"),
    Step::Remove("2"),
    Step::Put("1", "b", "second b"),
];

#[derive(Debug, Clone, Copy)]
enum Step {
    Put(&'static str, &'static str, &'static str),
    Remove(&'static str),
}

/// What is stored, by workflow and key.
type Stored = BTreeMap<(&'static str, String), String>;

impl Step {
    async fn ask(self, storage: &FileStorage) -> Result<(), StorageError> {
        match self {
            Self::Put(id, key, text) => {
                let is_new = storage.put_new(id, key, text.to_owned()).await?;
                assert!(is_new, "{self:?}");
                Ok(())
            }
            Self::Remove(id) => storage.remove_all(id).await,
        }
    }

    fn done(self, stored: &Stored) -> Stored {
        let mut stored = stored.clone();
        match self {
            Self::Put(id, key, text) => {
                stored.insert((id, key.to_owned()), text.to_owned());
            }
            Self::Remove(id) => stored.retain(|(of, _), _| *of != id),
        }
        stored
    }
}

/// Asks all of the script, or what comes before the power goes. Gives the number of operations,
/// what was acknowledged, what was asked last, and the disk afterwards.
fn run(cut: usize, seed: u64, sync: bool) -> (usize, Stored, Stored, Option<TempDir>) {
    let folder = tempfile::tempdir().unwrap();
    let state = Arc::new(Mutex::new(State {
        contents: HashMap::new(),
        synced: HashSet::new(),
        names: HashMap::new(),
        handles: Vec::new(),
        operations: 0,
        cut,
        coin: fastrand::Rng::with_seed(seed),
        survived: None,
    }));
    let power = Power {
        root: folder.path().to_owned(),
        state: Arc::clone(&state),
    };
    let storage = FileStorage::with_operations(folder.path(), Box::new(power)).unwrap();
    let storage = storage.sync(sync);
    let (mut acknowledged, mut asked) = (Stored::new(), Stored::new());
    block_on(async {
        for step in SCRIPT {
            asked = step.done(&acknowledged);
            if step.ask(&storage).await.is_err() {
                break;
            }
            acknowledged.clone_from(&asked);
        }
    });
    let mut state = state.lock().unwrap();
    (state.operations, acknowledged, asked, state.survived.take())
}

/// What a program finds when it opens the folder again; an error where something is damaged.
fn found(folder: &Path) -> Result<Stored, StorageError> {
    let storage = FileStorage::open(folder)?;
    block_on(async {
        let mut found = Stored::new();
        for id in ["1", "2"] {
            for key in storage.list(id).await? {
                let text = storage.get(id, &key).await?.unwrap_or_default();
                found.insert((id, key), text);
            }
        }
        Ok(found)
    })
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

const COINS: u64 = 8;

#[test]
fn what_was_acknowledged_outlives_the_power_and_the_rest_is_whole_or_absent() {
    let (operations, all, ..) = run(0, 0, true);
    assert_eq!(all.len(), 2);
    assert!(operations > 40, "{operations}");
    let (mut before, mut after) = (0, 0);
    for cut in 1..=operations {
        for seed in 0..COINS {
            let (_, acknowledged, asked, survived) = run(cut, seed, true);
            let survived = survived.unwrap();
            let found = found(survived.path()).unwrap();
            // The last step was done as a whole or not at all.
            before += u32::from(found == acknowledged);
            after += u32::from(found == asked);
            assert!(
                found == acknowledged || found == asked,
                "operation {cut}, coin {seed}: {acknowledged:?} was acknowledged, {asked:?} was \
                 asked, and {found:?} is there"
            );
            // And the storage goes on with it.
            let storage = FileStorage::open(survived.path()).unwrap();
            block_on(async {
                for id in ["1", "2"] {
                    storage.remove_all(id).await.unwrap();
                    assert!(storage.put_new(id, "a", "again".into()).await.unwrap());
                }
            });
        }
    }
    // Both came up, so the coin is fair and the cut is where it is said to be.
    assert!(before > 25 && after > 25, "{before} and {after}");
}

/// The same test on a storage that does not sync: it sees what is lost.
#[test]
fn without_sync_something_is_lost() {
    let (operations, ..) = run(0, 0, false);
    let (mut lost, mut damaged) = (0, 0);
    for cut in 1..=operations {
        for seed in 0..COINS {
            let (_, acknowledged, asked, survived) = run(cut, seed, false);
            let found = found(survived.unwrap().path()).unwrap();
            lost += u32::from(acknowledged.keys().any(|key| !found.contains_key(key)));
            damaged += u32::from(found.iter().any(|(key, text)| {
                let whole = [acknowledged.get(key), asked.get(key)];
                !whole.contains(&Some(text))
            }));
        }
    }
    assert!(lost > 10 && damaged > 10, "{lost} and {damaged}");
}
