//! Every kind of stored string, damaged in every way that a disk or a person finds: always a clear
//! error that says where, never another value, and never work that is done again in silence.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use dotflow::{
    DotFlow, OnInputChange, PreviousContext, TaskReport, action,
    storage::{FileStorage, MemoryStorage, Storage},
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

/// A finished run in a folder.
struct Scene {
    folder: tempfile::TempDir,
    storage: FileStorage,
    stored: Stored,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let storage = FileStorage::open(folder.path()).unwrap().sync(false);
        let stored = finished("1");
        paused(async {
            for (key, text) in &stored {
                let put = storage.put_new("1", key, text.clone());
                assert!(put.await.unwrap());
            }
        });
        assert_eq!(resumed(storage.clone(), "1"), Ok(OUTPUT));
        Self {
            folder,
            storage,
            stored,
        }
    }

    fn path(&self, key: &str) -> PathBuf {
        self.storage.locate("1", key).into()
    }

    /// Puts something else in the place of each record in turn. The error names the place, and what
    /// is there is left alone.
    fn replace_each(&self, what: &str, reason: &str, replace: impl Fn(&Path)) {
        for key in self.stored.keys() {
            let path = self.path(key);
            let kept = self.folder.path().join("kept");
            fs::rename(&path, &kept).unwrap();
            replace(&path);
            let before = fs::symlink_metadata(&path).unwrap();
            let text = within_a_minute({
                let storage = self.storage.clone();
                move || resumed(storage, "1").unwrap_err()
            });
            let place = path.display().to_string();
            assert!(text.contains(&place), "{what} at {key}: {text}");
            assert!(text.contains(reason), "{what} at {key}: {text}");
            let after = fs::symlink_metadata(&path).unwrap();
            assert_eq!(before.file_type(), after.file_type(), "{what} at {key}");
            match before.is_dir() {
                true => fs::remove_dir_all(&path).unwrap(),
                false => fs::remove_file(&path).unwrap(),
            }
            fs::rename(&kept, &path).unwrap();
        }
        assert_eq!(resumed(self.storage.clone(), "1"), Ok(OUTPUT));
    }
}

/// Fails where it would hang otherwise.
fn within_a_minute<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    let (sender, receiver) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || sender.send(work()));
    match receiver.recv_timeout(std::time::Duration::from_secs(60)) {
        Ok(result) => result,
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
            std::panic::resume_unwind(thread.join().unwrap_err())
        }
    }
}

#[test]
fn bytes_that_are_no_string_are_refused() {
    let scene = Scene::new();
    for (key, text) in &scene.stored {
        let path = scene.path(key);
        for position in (0..text.len()).step_by(if every_bit() { 1 } else { 19 }) {
            let mut bytes = text.clone().into_bytes();
            bytes[position] ^= 0x80;
            fs::write(&path, &bytes).unwrap();
            let text = resumed(scene.storage.clone(), "1").unwrap_err();
            assert!(text.contains(&*path.to_string_lossy()), "{key}: {text}");
            assert!(text.contains("damaged"), "{key}: {text}");
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
        fs::write(&path, text).unwrap();
    }
}

#[test]
fn a_folder_or_an_empty_file_in_the_place_of_a_record_is_refused() {
    let scene = Scene::new();
    scene.replace_each("a folder", "a folder is in its place", |path| {
        fs::create_dir(path).unwrap();
        fs::write(path.join("file"), "").unwrap();
    });
    scene.replace_each("an empty file", "damaged", |path| {
        fs::write(path, "").unwrap();
    });
}

#[cfg(unix)]
mod unix {
    use std::{
        os::unix::{
            fs::{PermissionsExt as _, symlink},
            net::UnixListener,
        },
        process::Command,
    };

    use super::*;

    fn make_pipe(path: &Path) {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }

    #[test]
    fn what_is_no_regular_file_is_refused_and_never_waited_for() {
        let scene = Scene::new();
        let pipe = "a named pipe is in its place, and only a regular file is accepted";
        scene.replace_each("a pipe", pipe, make_pipe);
        scene.replace_each("a socket", "a socket is in its place", |path| {
            UnixListener::bind(path).unwrap();
        });
        let link = "a symbolic link is in its place";
        for target in ["/dev/zero", "/dev/null", "kept", "nowhere"] {
            scene.replace_each("a link", link, |path| symlink(target, path).unwrap());
        }
        scene.replace_each("a link to the record", link, |path| {
            symlink("../kept", path).unwrap();
        });
        scene.replace_each("a link to itself", link, |path| {
            symlink(path.file_name().unwrap(), path).unwrap();
        });
    }

    /// All that a storage can be asked, of a run that is not what it seems.
    fn is_refused_by_all(storage: &FileStorage, found: &str) {
        let storage = storage.clone();
        let found = format!("{found} is in the place of the folder");
        within_a_minute(move || {
            paused(async {
                for error in [
                    storage.get("1", "list").await.unwrap_err(),
                    storage.get("1", "missing").await.unwrap_err(),
                    storage.put_new("1", "new", "{}".into()).await.unwrap_err(),
                    storage.list("1").await.unwrap_err(),
                    storage.remove_all("1").await.unwrap_err(),
                ] {
                    assert!(error.to_string().contains(&found), "{error}");
                }
            });
        });
    }

    #[test]
    fn a_link_in_the_place_of_a_run_is_refused_and_what_it_leads_to_stays() {
        let scene = Scene::new();
        let folder = scene.folder.path().join("1");
        let elsewhere = scene.folder.path().join("elsewhere");
        fs::rename(&folder, &elsewhere).unwrap();
        let files = || fs::read_dir(&elsewhere).unwrap().count();
        for target in ["elsewhere", "nowhere", "1"] {
            symlink(target, &folder).unwrap();
            is_refused_by_all(&scene.storage, "a symbolic link");
            resumed(scene.storage.clone(), "1").unwrap_err();
            assert_eq!(files(), scene.stored.len());
            fs::remove_file(&folder).unwrap();
        }
        make_pipe(&folder);
        is_refused_by_all(&scene.storage, "a named pipe");
        fs::remove_file(&folder).unwrap();
        fs::write(&folder, "").unwrap();
        is_refused_by_all(&scene.storage, "a file");
    }

    /// The folder that is opened may be one: who opens it has chosen it.
    #[test]
    fn a_link_to_the_folder_of_all_runs_is_followed() {
        let scene = Scene::new();
        let link = scene.folder.path().with_extension("link");
        symlink(scene.folder.path(), &link).unwrap();
        let storage = FileStorage::open(&link).unwrap();
        assert_eq!(resumed(storage, "1"), Ok(OUTPUT));
        fs::remove_file(link).unwrap();
    }

    #[test]
    fn folders_and_files_are_their_owners_only() {
        let outside = tempfile::tempdir().unwrap();
        let root = outside.path().join("a").join("b");
        let storage = FileStorage::open(&root).unwrap();
        let work = Work::default();
        let run = paused(workflow(storage.clone(), &work, "1").resume("1")).unwrap();
        assert!(run.succeeded());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        for folder in [root.parent().unwrap(), &root, &root.join("1")] {
            assert_eq!(mode(folder), 0o700, "{}", folder.display());
        }
        for file in fs::read_dir(root.join("1")).unwrap() {
            let file = file.unwrap().path();
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
        // What was there before stays as it is.
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
        FileStorage::open(&root).unwrap();
        assert_eq!(mode(&root), 0o755);
    }
}
