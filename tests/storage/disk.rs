//! Disks that really are full, files that really may not be written or read: faults that the
//! operating system makes, in a program of its own.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use dotflow::storage::FileStorage;

use crate::victims::{PROGRAM, Remains, Scene, numbers};

const ITEMS: usize = 12;

/// Runs the program by way of a shell script, which has the program's command line as `"$@"`.
fn run_in_shell(scene: &Scene, script: &str) -> Output {
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh", PROGRAM]);
    scene.spawn_by(&mut shell).wait_with_output().unwrap()
}

/// A finished run of which the last three tasks are missing again: there is something to keep, and
/// something to do.
fn unfinished(id: &str) -> (Scene, Remains) {
    let scene = Scene::new(id, ITEMS, true);
    scene.finish();
    for key in ["sum", "step", "step#2"] {
        fs::remove_file(scene.files().join(format!("{key}.json"))).unwrap();
    }
    let remains = scene.remains();
    assert_eq!(remains.checkpoints.len(), ITEMS + 1);
    (scene, remains)
}

/// What the program says of its failed run.
fn failure(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    text
}

/// The run has failed at `sum`, nothing that was stored was touched, and once the fault is gone
/// the rest is done.
fn assert_resumable(scene: &Scene, before: &Remains, failed: &Remains) {
    before.assert_followed_by(failed);
    assert_eq!(failed.checkpoints, before.checkpoints);
    assert_eq!(failed.unfinished, 0, "half a file was left behind");
    let output = scene.finish();
    let after = scene.remains();
    failed.assert_followed_by(&after);
    after.assert_done_once();
    after.assert_output(ITEMS, output);
    assert_eq!(output[2], ITEMS as u64 + 1);
}

#[test]
fn a_file_that_may_not_grow_is_an_error_and_not_half_a_checkpoint() {
    // With such an id each checkpoint is longer than the limit of one block, and the log is not.
    let (scene, before) = unfinished(&"limited-".repeat(14));
    // Without the trap the system would kill the program instead of telling it.
    let output = run_in_shell(&scene, r#"trap "" XFSZ; ulimit -f 1; exec "$@""#);
    let text = failure(&output);
    let path = scene.files().join("sum.json");
    assert!(
        text.contains(&format!("can't write the checkpoint {}", path.display())),
        "{text}"
    );
    assert!(text.contains("File too large"), "{text}");
    assert!(text.contains("`sum` did its work"), "{text}");
    assert_resumable(&scene, &before, &scene.remains());
}

/// The whole disk of the program is a file system in memory that is full after a few checkpoints.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "needs the right to mount a file system in a user namespace (`unshare --user`)"]
fn a_full_disk_fails_the_run_and_leaves_what_was_stored() {
    let scene = Scene::new("full", 64, true);
    let (first, second) = (scene.beside("first"), scene.beside("second"));
    let script = r#"
        folder=$2
        mkdir "$folder"
        mount -t tmpfs -o size=128k none "$folder" || exit 9
        "$@"
        code=$?
        cp -r "$folder" "$FIRST"
        mount -o remount,size=4m "$folder" || exit 9
        "$@"
        echo "$?" >&2
        cp -r "$folder" "$SECOND"
        exit $code
    "#;
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--mount"])
        .args(["sh", "-c", script, "sh", PROGRAM])
        .env("FIRST", &first)
        .env("SECOND", &second);
    let output = scene.spawn_by(&mut command).wait_with_output().unwrap();
    let text = failure(&output);
    assert!(
        text.contains(&format!(
            "can't write the checkpoint {}",
            scene.files().display()
        )),
        "{text}"
    );
    assert!(text.contains("No space left on device"), "{text}");

    // What was on the disk when it was full, and what was on it in the end.
    fs::remove_dir_all(scene.checkpoints()).unwrap();
    fs::rename(&first, scene.checkpoints()).unwrap();
    let full = scene.remains();
    assert!((2..64).contains(&full.checkpoints.len()), "{text}");
    assert_eq!(full.unfinished, 0, "half a file was left behind");
    fs::remove_dir_all(scene.checkpoints()).unwrap();
    fs::rename(&second, scene.checkpoints()).unwrap();
    let done = scene.remains();
    for (key, stored) in &full.checkpoints {
        assert_eq!(&done.checkpoints[key], stored, "{key} was lost or changed");
    }
    done.assert_done_once();
    let output = numbers(&output);
    done.assert_output(64, output);
    assert_eq!(output[2], full.checkpoints.len() as u64);
}

/// Runs the program so that the modes of files count, which they don't for root.
fn run_without_privileges(scene: &Scene, forbidden: &Path) -> Output {
    let is_ignored = match fs::metadata(forbidden).unwrap().is_dir() {
        true => tempfile::tempfile_in(forbidden).is_ok(),
        false => fs::read(forbidden).is_ok(),
    };
    let mut command = Command::new(PROGRAM);
    if is_ignored {
        // It comes with util-linux.
        command = Command::new("setpriv");
        command.args(["--bounding-set=-dac_override,-dac_read_search", PROGRAM]);
    }
    scene.spawn_by(&mut command).wait_with_output().unwrap()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_folder_that_may_not_be_written_fails_the_run() {
    let (scene, before) = unfinished("read-only");
    set_mode(&scene.files(), 0o500);
    let output = run_without_privileges(&scene, &scene.files());
    set_mode(&scene.files(), 0o700);
    let text = failure(&output);
    let path = scene.files().join("sum.json");
    assert!(
        text.contains(&format!("can't write the checkpoint {}", path.display())),
        "{text}"
    );
    assert!(text.contains("Permission denied"), "{text}");
    assert_resumable(&scene, &before, &scene.remains());
}

#[test]
fn what_may_not_be_read_is_not_made_anew() {
    // Without the record of a run nothing is begun at all, and the program ends with another code.
    for (name, code) in [("work[3]", 1), ("seed", 1), ("#run", 3)] {
        let (scene, before) = unfinished("unreadable");
        let path = scene.files().join(format!("{name}.json"));
        set_mode(&path, 0o000);
        let output = run_without_privileges(&scene, &path);
        set_mode(&path, 0o600);
        let text = String::from_utf8(output.stderr.clone()).unwrap();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(
            text.contains(&format!("can't read the checkpoint {}", path.display())),
            "{text}"
        );
        assert!(text.contains("Permission denied"), "{text}");
        let failed = scene.remains();
        assert_eq!(failed.effects, before.effects, "something was done");
        assert_resumable(&scene, &before, &failed);
    }
}

#[test]
fn a_folder_of_a_run_that_may_not_be_read_is_not_taken_for_an_empty_one() {
    let (scene, before) = unfinished("closed");
    let file = scene.files().join("#run.json");
    set_mode(&scene.files(), 0o000);
    let output = run_without_privileges(&scene, &scene.files());
    set_mode(&scene.files(), 0o700);
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains(&*file.to_string_lossy()), "{text}");
    assert!(text.contains("Permission denied"), "{text}");
    let failed = scene.remains();
    assert_eq!(failed.effects, before.effects, "something was done");
    assert_resumable(&scene, &before, &failed);
}

#[test]
fn a_folder_that_may_not_be_made_is_an_error_before_the_run() {
    let parent = tempfile::NamedTempFile::new().unwrap();
    // No privilege helps against a parent that is a file.
    let folder = parent.path().join("checkpoints");
    let error = FileStorage::open(&folder).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(&format!(
            "can't open the folder of checkpoints {}",
            folder.display()
        )),
        "{text}"
    );
    assert!(text.contains("Not a directory"), "{text}");
}
