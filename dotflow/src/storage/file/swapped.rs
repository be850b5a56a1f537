//! What lies in the place of a checkpoint becomes something else just after it was looked at: it is
//! refused all the same, and never waited for.

use std::{
    fs::{self, Metadata},
    io,
    os::unix::{fs::symlink, net::UnixListener},
    path::Path,
    process::Command,
    sync::mpsc,
    thread,
    time::Duration,
};

use super::{Disk, FileStorage, Operations};
use crate::storage::Storage;

/// Puts something else in the place of each file, once that was looked at.
struct Swapping(fn(&Path));

impl Operations for Swapping {
    fn look(&self, path: &Path) -> io::Result<Metadata> {
        let metadata = Disk.look(path)?;
        fs::remove_file(path)?;
        (self.0)(path);
        Ok(metadata)
    }
}

fn make_pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// What is said of a checkpoint that is swapped while it is read.
fn complaint(swap: fn(&Path)) -> String {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let folder = tempfile::tempdir().unwrap();
        let operations = Box::new(Swapping(swap));
        let storage = FileStorage::with_operations(folder.path(), operations).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let read = runtime.unwrap().block_on(async {
            assert!(storage.put_new("1", "a", "text".into()).await.unwrap());
            storage.get("1", "a").await
        });
        sender.send(read.unwrap_err().to_string())
    });
    let waited = receiver.recv_timeout(Duration::from_secs(60));
    waited.expect("it is not waited for")
}

#[test]
fn what_was_swapped_after_a_look_is_refused_and_never_waited_for() {
    assert!(complaint(make_pipe).contains("a named pipe is in its place"));
    let linked = complaint(|path| symlink("/dev/zero", path).unwrap());
    assert!(linked.contains("a device is in its place"), "{linked}");
    let folder = complaint(|path| fs::create_dir(path).unwrap());
    assert!(folder.contains("a folder is in its place"), "{folder}");
    // It can't even be opened.
    let socket = complaint(|path| drop(UnixListener::bind(path).unwrap()));
    assert!(socket.contains("can't read the checkpoint"), "{socket}");
}
