//! Runs every example as a user would and looks at what it prints.
//!
//! Cargo builds the examples of a package before its tests, into a folder beside them.

use std::{
    env, fs,
    net::TcpListener,
    path::PathBuf,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

fn example(name: &str) -> Command {
    let test = env::current_exe().expect("a running test has a path");
    let profile = test
        .parent()
        .and_then(|deps| deps.parent())
        .expect("a test lies in the folder `deps` of its profile");
    let path = profile
        .join("examples")
        .join(name)
        .with_extension(env::consts::EXE_EXTENSION);
    assert!(
        path.exists(),
        "{} is not built: run `cargo build --examples`",
        path.display()
    );
    let mut command = Command::new(path);
    command.env_remove("OTEL_EXPORTER_OTLP_ENDPOINT");
    command
}

fn run(command: &mut Command) -> (Output, String, String) {
    let output = command.output().expect("an example can be started");
    let stdout = String::from_utf8(output.stdout.clone()).expect("it prints text");
    let stderr = String::from_utf8(output.stderr.clone()).expect("it prints text");
    (output, stdout, stderr)
}

/// The lines of a tree without what differs from run to run: ids and times.
fn without_times(tree: &str) -> Vec<String> {
    let is_duration =
        |word: &str| word.starts_with(|first: char| first.is_ascii_digit()) && word.ends_with('s');
    tree.lines()
        .map(|line| {
            let words = line.split(' ').filter(|word| !is_duration(word));
            words.collect::<Vec<_>>().join(" ")
        })
        .collect()
}

#[test]
fn quickstart_prints_the_tree_of_a_run_with_two_retries() {
    let (output, stdout, stderr) = run(&mut example("quickstart"));
    assert!(output.status.success(), "{stderr}");
    let lines = without_times(&stdout);
    assert!(lines[0].starts_with("[Trace: workflow_id="), "{stdout}");
    assert!(lines[0].ends_with("sales OK — Completed"), "{stdout}");
    let retry = |attempt: u32, bar: &str| {
        format!(
            "    {bar} [Event: retry — attempt {attempt}, LoadError \"the warehouse refused: \
             too busy\", next in 100ms]"
        )
    };
    let expected = [
        "├── [Span: task:0] extract OK — Completed".to_owned(),
        "├── [Span: task:1] transform OK — Completed".to_owned(),
        "└── [Span: task:2] load OK — Completed".to_owned(),
        retry(1, "├──"),
        retry(2, "└──"),
        "The warehouse stored it as sales/16.".to_owned(),
    ];
    assert_eq!(lines[1..], expected, "{stdout}");
}

#[test]
fn otlp_without_a_collector_ends_at_once_and_says_what_was_lost() {
    let started = Instant::now();
    // Port 9 is for discarding, and nobody listens there: the connection is refused.
    let mut command = example("otlp");
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9");
    let (output, stdout, stderr) = run(&mut command);
    assert!(output.status.success(), "{stderr}");
    assert!(stdout.contains("sales/16"), "{stdout}");
    assert!(
        stderr.contains("4 of 4 spans were not delivered to http://127.0.0.1:9"),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    // A second on an idle machine; one that waits for a collector would wait for ten.
    assert!(started.elapsed() < Duration::from_secs(8));
}

#[test]
fn otlp_shows_what_a_failure_looks_like() {
    let mut command = example("otlp");
    command.arg("127.0.0.1:9");
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9");
    let (output, stdout, _) = run(&mut command);
    assert_eq!(output.status.code(), Some(1));
    let lines = without_times(&stdout);
    assert!(lines[0].ends_with("sales ERROR — Failed"), "{stdout}");
    assert_eq!(
        lines[3], "└── [Span: task:2] load ERROR — Failed",
        "{stdout}"
    );
}

/// A warehouse that takes what it gets and never answers tells when the program is under way.
#[test]
#[cfg(unix)]
fn otlp_that_is_stopped_from_outside_shows_how_far_it_came() {
    for signal in ["-INT", "-TERM"] {
        let warehouse = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = warehouse.local_addr().expect("it is bound").to_string();
        let otlp = example("otlp");
        // A program that ignores Ctrl-C, as jobs of a script in the background do, hands that on.
        let mut command = Command::new("env");
        command
            .arg("--default-signal=INT,TERM")
            .arg(otlp.get_program())
            .arg(address)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = command.spawn().expect("an example can be started");
        let caller = warehouse.accept().expect("the example calls it");
        let id = child.id().to_string();
        let killed = Command::new("kill").args([signal, &id]).status();
        assert!(killed.expect("there is `kill`").success());
        let output = child.wait_with_output().expect("it ends");
        drop(caller);
        assert_eq!(output.status.code(), Some(1), "{signal}");
        let stdout = String::from_utf8(output.stdout).expect("it prints text");
        let lines = without_times(&stdout);
        assert!(lines[0].ends_with("sales ERROR — Cancelled"), "{stdout}");
        let load = "└── [Span: task:2] load ERROR — Cancelled";
        assert_eq!(lines[3], load, "{stdout}");
        let stderr = String::from_utf8(output.stderr).expect("it prints text");
        assert!(
            stderr.contains("4 of 4 spans were not delivered"),
            "{stderr}"
        );
    }
}

#[test]
fn lockfile_reports_on_the_lock_file_of_this_workspace() {
    let (output, stdout, stderr) = run(&mut example("lockfile"));
    assert!(output.status.success(), "{stderr}");
    let report: serde_json::Value = serde_json::from_str(&stdout).expect("the report is JSON");
    assert!(report["crates"].as_u64() > Some(50), "{report}");
    let popular = report["most_depended_on"].as_array().expect("it is a list");
    assert_eq!(popular.len(), 10);
    assert!(stderr.contains("[Span: task:4] write"), "{stderr}");
}

#[test]
fn lockfile_finds_what_is_in_a_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lockfile = folder.path().join("Cargo.lock");
    let text = r#"
        version = 4
        [[package]]
        name = "a"
        version = "1.0.0"
        dependencies = ["b 1.0.0", "c"]
        [[package]]
        name = "b"
        version = "1.0.0"
        dependencies = ["c"]
        [[package]]
        name = "b"
        version = "2.0.0"
        [[package]]
        name = "c"
        version = "1.0.0"
    "#;
    fs::write(&lockfile, text).expect("the folder can be written to");
    let report = folder.path().join("report.json");
    let (output, stdout, stderr) = run(example("lockfile").arg(&lockfile).arg(&report));
    assert!(output.status.success(), "{stderr}");
    assert_eq!(stdout, "");
    let report = fs::read(report).expect("the report was written");
    let report: serde_json::Value = serde_json::from_slice(&report).expect("it is JSON");
    let expected = serde_json::json!({
        "crates": 4,
        "several_versions": { "b": ["1.0.0", "2.0.0"] },
        "most_depended_on": [
            { "name": "c", "dependants": 2 },
            { "name": "b", "dependants": 1 },
        ],
    });
    assert_eq!(report, expected);
}

/// Runs `lockfile` on something that it can't report on.
fn failed_lockfile(path: PathBuf, report: Option<PathBuf>) -> String {
    let (output, stdout, stderr) = run(example("lockfile").arg(path).args(report));
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(stdout, "");
    assert!(stderr.contains("lockfile"), "{stderr}");
    assert!(stderr.contains("ERROR — Failed"), "{stderr}");
    assert!(
        stderr.contains("[Event: exception — LockfileError"),
        "{stderr}"
    );
    stderr
}

#[test]
fn lockfile_says_which_file_is_missing_unreadable_or_malformed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("Cargo.lock");

    let stderr = failed_lockfile(path.clone(), None);
    assert!(stderr.contains("task:0 `read`: can't read"), "{stderr}");
    // A folder can't be read as a file, whoever asks.
    let stderr = failed_lockfile(folder.path().to_owned(), None);
    assert!(stderr.contains("task:0 `read`: can't read"), "{stderr}");
    for malformed in ["[[package", "package = 3", "", "\u{0}\u{1b}[31m"] {
        fs::write(&path, malformed).expect("the folder can be written to");
        let stderr = failed_lockfile(path.clone(), None);
        assert!(stderr.contains("task:1 `parse`:"), "{stderr}");
    }
    fs::write(&path, [0xff, 0xfe]).expect("the folder can be written to");
    let stderr = failed_lockfile(path.clone(), None);
    assert!(stderr.contains("task:0 `read`: can't read"), "{stderr}");

    fs::write(&path, "[[package]]\nname = \"a\"\nversion = \"1\"").expect("it can be written to");
    let stderr = failed_lockfile(path, Some(folder.path().join("no folder/report.json")));
    assert!(stderr.contains("task:4 `write`: can't write"), "{stderr}");
}

#[test]
fn resume_does_the_rest_after_a_crash() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut command = example("resume");
    command.env("DOTFLOW_FOLDER", folder.path());
    let (output, stdout, _) = run(command.arg("--crash"));
    assert!(!output.status.success(), "it did not crash: {stdout}");

    let mut command = example("resume");
    command.env("DOTFLOW_FOLDER", folder.path());
    let (output, stdout, stderr) = run(&mut command);
    assert!(output.status.success(), "{stderr}");
    let expected = [
        "[Trace: workflow_id=nightly] nightly OK — Completed",
        "├── [Span: task:0] extract OK — Completed, restored",
        "├── [Span: task:1] clean OK — Completed, restored",
        "├── [Span: task:2] total OK — Completed",
        "├── [Span: task:3] format_report OK — Completed",
        "└── [Span: task:4] publish OK — Completed",
        "published: 22.40 EUR",
    ];
    assert_eq!(without_times(&stdout), expected);
}
