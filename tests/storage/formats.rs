//! Checkpoints as earlier versions have stored them: each later version resumes them.

use std::{fs, path::Path};

use dotflow::{
    DotFlow, PreviousContext, Run, action,
    storage::{FileStorage, Storage},
    task,
};
use dotflow_tests::paused;

#[action]
async fn extract() -> Vec<u32> {
    vec![3, 5, 8]
}

#[action]
async fn double(number: PreviousContext<u32>) -> u32 {
    *number * 2
}

#[action(version = 2)]
async fn rate() -> f64 {
    0.5
}

#[action]
async fn total(numbers: PreviousContext<Vec<u32>>, rate: PreviousContext<f64>) -> f64 {
    f64::from(numbers.iter().sum::<u32>()) * *rate
}

#[action]
async fn line(total: PreviousContext<f64>) -> Option<String> {
    Some(format!("a total of {} €\n", *total))
}

/// Every kind of task that has checkpoints.
fn workflow(storage: impl Storage) -> DotFlow<Option<String>> {
    let rates = task(DotFlow::new("rates", task(rate())));
    let doubled = task(extract()).each(double());
    let line = doubled.and(&rates).then(total()).then(line());
    DotFlow::new("Sales / daily", line)
        .storage(storage)
        .input(&("sales", 2026))
}

fn check(run: &Run<Option<String>>, restored: bool) {
    let output = run.output().unwrap();
    assert_eq!(output.as_deref(), Some("a total of 16 €\n"));
    for task in run.tasks() {
        // A nested workflow is restored by its own tasks.
        let is_nested = task.name() == "rates";
        assert_eq!(task.restored(), restored && !is_nested, "{}", task.name());
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// To add the format of a new version: run this with `DOTFLOW_WRITE_FORMAT=<number>` once.
#[test]
fn each_format_that_was_ever_stored_is_resumed() {
    let formats = Path::new(env!("CARGO_MANIFEST_DIR")).join("storage/formats");
    if let Ok(number) = std::env::var("DOTFLOW_WRITE_FORMAT") {
        let storage = FileStorage::open(formats.join(number)).unwrap();
        check(
            &paused(workflow(storage).resume("Order 42")).unwrap(),
            false,
        );
    }
    let mut count = 0;
    for format in fs::read_dir(formats).unwrap() {
        let folder = tempfile::tempdir().unwrap();
        copy(&format.unwrap().path(), folder.path());
        let storage = FileStorage::open(folder.path()).unwrap();
        check(&paused(workflow(storage).resume("Order 42")).unwrap(), true);
        count += 1;
    }
    assert!(count >= 1, "there is the format of the first version");
}
