//! Checkpoints that are damaged, or not from here: always an error that says where, never a value.

use std::{fs, path::PathBuf};

use dotflow::{DotFlow, PreviousContext, TaskErrorKind, action, storage::FileStorage, task};
use dotflow_tests::paused;

#[action]
fn extract() -> Vec<u32> {
    vec![3, 5, 8]
}

#[action]
fn sum(rows: PreviousContext<Vec<u32>>) -> u32 {
    rows.iter().sum()
}

struct Store {
    folder: tempfile::TempDir,
    workflow: DotFlow<u32>,
}

impl Store {
    fn with_a_run() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let workflow = DotFlow::new("w", task(extract()).then(sum()))
            .storage(FileStorage::open(folder.path()).unwrap());
        assert_eq!(*paused(workflow.resume("1")).unwrap().output().unwrap(), 16);
        Self { folder, workflow }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("1").join(name)
    }

    /// What a run says of a checkpoint with this content.
    fn refuses(&self, content: &[u8]) -> String {
        let path = self.path("extract.json");
        fs::write(&path, content).unwrap();
        let run = paused(self.workflow.resume("1")).unwrap();
        let error = run.output().unwrap_err();
        let report = &run.tasks()[0];
        assert!(!report.restored());
        assert_eq!(report.errors()[0].kind(), TaskErrorKind::Storage, "{error}");
        let text = report.errors()[0].to_string();
        assert!(text.contains(&*path.to_string_lossy()), "{text}");
        assert_eq!(fs::read(&path).unwrap(), content, "the file was changed");
        text
    }
}

#[test]
fn a_file_that_was_cut_off_is_never_a_value() {
    let store = Store::with_a_run();
    let whole = fs::read(store.path("extract.json")).unwrap();
    // Without the line's end it is still whole.
    for length in (0..whole.len() - 1).step_by(5) {
        let text = store.refuses(&whole[..length]);
        assert!(text.contains("damaged"), "{text}");
    }
}

#[test]
fn a_file_with_a_changed_byte_is_never_another_value() {
    let store = Store::with_a_run();
    let path = store.path("extract.json");
    let whole = fs::read(&path).unwrap();
    let mut refused = 0;
    for position in 0..whole.len() {
        let mut content = whole.clone();
        content[position] ^= [1u8, 2, 0x20, 0x80][position % 4];
        fs::write(&path, &content).unwrap();
        let run = paused(store.workflow.resume("1")).unwrap();
        // White space between members may change; a value may not.
        match run.output() {
            Ok(output) => assert_eq!(*output, 16, "{}", String::from_utf8_lossy(&content)),
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains("extract.json"), "{error}");
            }
        }
    }
    assert!(
        refused * 4 > whole.len() * 3,
        "{refused} of {}",
        whole.len()
    );
}

#[test]
fn foreign_files_are_named_for_what_they_are() {
    let store = Store::with_a_run();
    let whole = fs::read_to_string(store.path("extract.json")).unwrap();
    for content in [
        "",
        "\n",
        "null",
        "[]",
        "{}",
        "[3,5,8]",
        "hello",
        "{\"output\":[1]}",
    ] {
        let text = store.refuses(content.as_bytes());
        assert!(text.contains("damaged, or not from dotflow"), "{text}");
    }
    let text = store.refuses(b"\xff\xfe{}");
    assert!(text.contains("damaged, or not from dotflow"), "{text}");
    let text = store.refuses(whole.replace("[3,5,8]", "[3,5,9]").as_bytes());
    assert!(text.contains("does not match its sha256"), "{text}");
    let text = store.refuses(whole.replace("\"dotflow\": 2", "\"dotflow\": 3").as_bytes());
    assert!(
        text.contains("format 3, and this version of dotflow reads format 2"),
        "{text}"
    );
    let extra = whole.replacen('{', "{\n  \"more\": 1,", 1);
    assert!(store.refuses(extra.as_bytes()).contains("more"));
    // Another encoding may need other members.
    let other = r#"{"dotflow": 2, "encoding": "cbor", "bytes": "83030508"}"#;
    let text = store.refuses(other.as_bytes());
    assert!(text.contains("it is encoded as \"cbor\""), "{text}");
    let other = r#"{"dotflow": 2, "encoding": "json", "bytes": "83030508"}"#;
    assert!(store.refuses(other.as_bytes()).contains("damaged"));
}

#[test]
fn a_checkpoint_in_the_wrong_place_is_refused() {
    let store = Store::with_a_run();
    // That of another task.
    let other = fs::read(store.path("sum.json")).unwrap();
    let text = store.refuses(&other);
    assert!(
        text.contains("it belongs to \"sum\" of workflow id \"1\""),
        "{text}"
    );
    // That of the same task of another run.
    assert!(paused(store.workflow.resume("2")).unwrap().succeeded());
    let other = fs::read(store.folder.path().join("2/extract.json")).unwrap();
    let text = store.refuses(&other);
    assert!(
        text.contains("workflow id \"2\"") && text.contains("move it back"),
        "{text}"
    );
}

#[test]
fn a_folder_in_the_place_of_a_checkpoint_is_an_error() {
    let store = Store::with_a_run();
    let path = store.path("extract.json");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let run = paused(store.workflow.resume("1")).unwrap();
    let text = run.tasks()[0].errors()[0].to_string();
    assert!(
        text.contains("can't read the checkpoint") && text.contains("extract.json"),
        "{text}"
    );
}

#[test]
fn removing_a_checkpoint_has_its_task_run_again() {
    let store = Store::with_a_run();
    fs::remove_file(store.path("extract.json")).unwrap();
    let run = paused(store.workflow.resume("1")).unwrap();
    let restored: Vec<bool> = run
        .tasks()
        .iter()
        .map(dotflow::TaskReport::restored)
        .collect();
    assert_eq!((*run.output().unwrap(), restored), (16, vec![false, true]));
}
