//! Runs every example as a user would and looks at what it prints.
//!
//! Cargo builds the examples of a package before its tests, into a folder beside them.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Output, Stdio},
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

/// The lines of a tree without its branches, and without times.
fn lines_of(tree: &str) -> Vec<String> {
    let lines = without_times(tree).into_iter();
    let bare = lines.map(|line| {
        line.trim_start_matches(['│', '├', '└', '─', ' '])
            .to_owned()
    });
    bare.collect()
}

#[test]
fn branch_builds_what_there_is_to_do() {
    let (output, stdout, stderr) = run(example("branch").arg("2"));
    assert!(output.status.success(), "{stderr}");
    assert!(stdout.contains("send_by_bicycle[1] OK"), "{stdout}");
    assert!(!stdout.contains("truck"), "{stdout}");
    let last = "bicycle with parcel 1, bicycle with parcel 2; delivered after 2 rounds";
    assert_eq!(stdout.lines().last(), Some(last));

    let (output, stdout, stderr) = run(example("branch").arg("10"));
    assert!(output.status.success(), "{stderr}");
    assert_eq!(stdout.matches("send_by_truck OK").count(), 3, "{stdout}");
    assert_eq!(stdout.matches("again OK").count(), 3, "{stdout}");
    let last = "truck with 4 parcels, truck with 4 parcels, truck with 2 parcels; \
                delivered after 3 rounds";
    assert_eq!(stdout.lines().last(), Some(last));

    let (output, stdout, stderr) = run(example("branch").arg("0"));
    assert!(output.status.success(), "{stderr}");
    let expected = "\
[Trace: workflow_id=…] parcels OK — Completed
├── [Span: task:0] order OK — Completed
├── [Span: task:1] ship — Skipped
└── [Span: task:2] follow — Skipped
no parcels today
";
    assert_eq!(stdout, expected);
}

#[test]
fn pages_keeps_what_could_be_had_and_tells_what_could_not() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("report.json");
    let started = Instant::now();
    let (output, stdout, stderr) = run(example("pages").arg(&path));
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    let mut lines = stdout.lines();
    assert_eq!(lines.next(), Some("486 pages with 1944 words, 14 failed"));
    assert_eq!(lines.clone().count(), 14, "{stdout}");
    let missing = "the server answered 404 (attempt 1)";
    assert_eq!(stdout.matches(missing).count(), 13, "{stdout}");
    let broken = "/pages/499: the server answered 500 (attempt 4)";
    assert!(stdout.contains(broken), "{stdout}");

    let report = fs::read(path).expect("the report was written");
    let report: serde_json::Value = serde_json::from_slice(&report).expect("it is JSON");
    assert_eq!(report["status"], "Completed");
    let tasks = report["tasks"].as_array().expect("it is a list");
    let pages: Vec<_> = tasks
        .iter()
        .filter(|task| task["name"] == "fetch")
        .collect();
    assert_eq!(pages.len(), 500);
    let attempts = |page: &&serde_json::Value| page["retry_count"].as_u64().unwrap_or(0) + 1;
    // One in 2 ms, the further attempts too. That takes longer than an attempt may, and none is the worse.
    let all: u64 = pages.iter().map(attempts).sum();
    assert!(all > 550, "{all} attempts");
    let least = Duration::from_millis(2 * (all - 1));
    assert!(started.elapsed() >= least, "{:?}", started.elapsed());
}

/// A service that was started, and what it prints.
struct Service {
    child: Child,
    output: BufReader<ChildStdout>,
    address: String,
}

impl Service {
    fn start() -> Self {
        let mut command = example("service");
        let command = command.arg("127.0.0.1:0").stdout(Stdio::piped());
        let mut child = command.spawn().expect("an example can be started");
        let mut output = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let mut line = String::new();
        output.read_line(&mut line).expect("it prints text");
        let address = line.trim().strip_prefix("listening on ");
        Self {
            child,
            output,
            address: address.expect("it says where it listens").to_owned(),
        }
    }

    /// Sends a request, and does not wait for what comes of it.
    fn send(&self, method: &str, path: &str, body: &str) -> TcpStream {
        let mut connection = TcpStream::connect(&self.address).expect("it listens");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        connection
            .write_all(request.as_bytes())
            .expect("it takes the request");
        connection
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        answer(self.send(method, path, body))
    }

    fn order(&self, id: &str, item: &str, quantity: u32) -> TcpStream {
        let order = serde_json::json!({ "item": item, "quantity": quantity });
        self.send("PUT", &format!("/runs/{id}"), &order.to_string())
    }

    /// Waits until these runs are under way, and no others.
    fn wait_for_runs(&self, runs: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.ask("GET", "/runs", "") != (200, runs.to_owned()) {
            assert!(Instant::now() < deadline, "the runs are not {runs}");
            std::thread::yield_now();
        }
    }

    /// Ends it as systemd does, and gives back what it printed.
    fn stop(mut self) -> String {
        let id = self.child.id().to_string();
        let killed = Command::new("kill").args(["-TERM", &id]).status();
        assert!(killed.expect("there is `kill`").success());
        let mut printed = String::new();
        self.output
            .read_to_string(&mut printed)
            .expect("it prints text");
        assert!(self.child.wait().expect("it ends").success());
        printed
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It has ended, unless a test has failed.
        let _ = self.child.kill();
    }
}

fn answer(mut connection: TcpStream) -> (u16, String) {
    let mut text = String::new();
    connection.read_to_string(&mut text).expect("it answers");
    let (head, body) = text.split_once("\r\n\r\n").expect("it speaks HTTP");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    (status.expect("there is a status"), body.to_owned())
}

#[test]
#[cfg(unix)]
fn service_answers_with_the_status_of_the_typed_error() {
    let service = Service::start();
    let receipt = r#"{"item":"lamp","cents":5000}"#.to_owned();
    assert_eq!(answer(service.order("1", "lamp", 2)), (201, receipt));
    let few = "only 98 of them are left".to_owned();
    assert_eq!(answer(service.order("2", "lamp", 99)), (409, few));
    let unknown = "there is no `yacht` in this shop".to_owned();
    assert_eq!(answer(service.order("3", "yacht", 1)), (404, unknown));
    let busy = "the warehouse is busy".to_owned();
    assert_eq!(answer(service.order("4", "umbrella", 1)), (503, busy));
    let malformed = service.ask("PUT", "/runs/5", "{}");
    assert_eq!(malformed.0, 422, "{malformed:?}");
    assert_eq!(service.ask("DELETE", "/runs/1", "").0, 404);
    service.wait_for_runs("[]");

    let printed = service.stop();
    let lines = lines_of(&printed);
    // The run of a request nests in its span.
    assert_eq!(
        lines[..4],
        [
            "[Span: request]",
            "[Trace: workflow_id=1] checkout OK — Completed",
            "[Span: task:0] reserve OK — Completed",
            "[Span: task:1] pack OK — Completed",
        ],
        "{printed}"
    );
    assert_eq!(printed.matches("[Event: retry").count(), 2, "{printed}");
    assert_eq!(lines.last().map(String::as_str), Some("stopped"));
}

#[test]
#[cfg(unix)]
fn service_cancels_a_run_by_its_id_and_when_its_client_goes_away() {
    let service = Service::start();
    let slow = service.order("by-id", "piano", 1);
    service.wait_for_runs(r#"["by-id"]"#);
    assert_eq!(answer(service.order("by-id", "piano", 1)).0, 409);
    assert_eq!(service.ask("DELETE", "/runs/by-id", "").0, 202);
    assert_eq!(answer(slow).0, 410);
    service.wait_for_runs("[]");

    let impatient = service.order("gone", "piano", 1);
    service.wait_for_runs(r#"["gone"]"#);
    drop(impatient);
    service.wait_for_runs("[]");
    let printed = service.stop();
    let lines = lines_of(&printed);
    for id in ["by-id", "gone"] {
        let cancelled = format!("[Trace: workflow_id={id}] checkout ERROR — Cancelled");
        assert!(lines.contains(&cancelled), "{printed}");
    }
    let packing = "[Span: task:1] pack ERROR — Cancelled";
    assert_eq!(
        lines.iter().filter(|line| *line == packing).count(),
        2,
        "{printed}"
    );
}

#[test]
#[cfg(unix)]
fn service_that_is_stopped_lets_runs_finish_for_a_while() {
    let service = Service::start();
    let slow = service.order("slow", "piano", 1);
    service.wait_for_runs(r#"["slow"]"#);
    let started = Instant::now();
    let printed = service.stop();
    // A second of grace, and not the minute that a piano takes.
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert!(started.elapsed() < Duration::from_secs(30));
    assert_eq!(answer(slow).0, 410);
    let cancelled = "[Trace: workflow_id=slow] checkout ERROR — Cancelled".to_owned();
    assert!(lines_of(&printed).contains(&cancelled), "{printed}");
    assert!(printed.ends_with("stopped\n"), "{printed}");
}
