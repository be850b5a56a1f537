//! Other things than files in the place of records, and other things than folders in the place of
//! those that hold them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use dotflow::storage::{FileStorage, Storage};
use dotflow_tests::paused;

use super::{OUTPUT, Stored, Work, every_bit, finished, resumed, workflow};

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
