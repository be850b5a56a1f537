//! Ids and names that are no good names of files: whatever a run is called and its tasks are
//! called, its checkpoints stay in the folder, apart, and are found again.

use std::{collections::BTreeSet, fs, path::Path};

use dotflow::{DotFlow, Task, storage::FileStorage, task};
use dotflow_tests::paused;

use crate::calls::Calls;

fn hostile() -> Vec<String> {
    let mut names: Vec<String> = [
        "",
        ".",
        "..",
        "../x",
        "../../x",
        "/x",
        "x/../../y",
        "..\\x",
        "x",
        "X",
        "x ",
        "x.json",
        "\0",
        "x\0y",
        "\n",
        "con",
        "CON",
        "ä",
        "Ä",
        "a\u{308}",
        "ß",
        "SS",
        "İ",
        "日本",
        "👩‍👩‍👧",
        "\u{202e}x",
        "x#2",
        "x[0]",
        "#input",
        "%2f",
        "=",
        "=2f",
        "-rf",
        ".x.tmp",
        ".removed-x",
    ]
    .map(str::to_owned)
    .into();
    names.extend([9_999, 10_000].map(|length| "x".repeat(length)));
    names.extend([9_999, 10_000].map(|length| "/".repeat(length)));
    names
}

/// The names in a folder, and as a file system that ignores case has them.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let lowercase: BTreeSet<String> = entries.iter().map(|name| name.to_lowercase()).collect();
    assert_eq!(lowercase.len(), entries.len(), "{entries:?}");
    assert!(entries.iter().all(|name| name.len() <= 255), "{entries:?}");
    entries.into_iter().collect()
}

#[test]
fn hostile_ids_and_names_stay_apart_and_inside_the_folder() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("a").join("b");
    let calls = Calls::default();
    let tasks: Vec<Task<u32>> = (0..)
        .zip(hostile())
        .map(|(number, name)| task(calls.giving("each", number)).named(name))
        .collect();
    let count = tasks.len();
    let workflow =
        DotFlow::new("../w", tasks).storage(FileStorage::open(&folder).unwrap().sync(false));
    // Ids that begin with `#` are dotflow's own; names are not.
    let ids: Vec<String> = hostile()
        .into_iter()
        .filter(|id| !id.starts_with('#'))
        .collect();
    for again in [false, true] {
        for id in &ids {
            let run = paused(workflow.resume(id)).unwrap();
            let outputs: Vec<u32> = run
                .output()
                .unwrap()
                .iter()
                .map(|output| **output)
                .collect();
            assert_eq!(outputs, (0..).take(count).collect::<Vec<u32>>());
            assert!(
                run.tasks().iter().all(|task| task.restored() == again),
                "{id:?}"
            );
        }
    }
    assert_eq!(calls.all(), [("each", (count * ids.len()) as u32)]);

    assert_eq!(names(outside.path()), BTreeSet::from(["a".to_owned()]));
    assert_eq!(
        names(&outside.path().join("a")),
        BTreeSet::from(["b".to_owned()])
    );
    let runs = names(&folder);
    assert_eq!(runs.len(), ids.len());
    for run in runs {
        // And the record of the run.
        assert_eq!(names(&folder.join(run)).len(), count + 1);
    }
}
