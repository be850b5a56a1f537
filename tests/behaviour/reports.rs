//! What a run tells at its end: callbacks, and the report as JSON.

use std::{
    error::Error as _,
    io,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use dotflow::{DotFlow, PreviousContext, Report, Status, action, task};
use dotflow_tests::{paused, recorded};
use serde_json::{Value, json};

/// Notes which callbacks were called, and with which status.
#[derive(Clone, Default)]
struct Calls(Arc<Mutex<Vec<(&'static str, Status)>>>);

impl Calls {
    fn watch<T: Send + Sync + 'static>(&self, workflow: DotFlow<T>) -> DotFlow<T> {
        let (succeeded, failed) = (self.clone(), self.clone());
        workflow
            .on_success(move |run| succeeded.note("success", run.status()))
            .on_failure(move |run| failed.note("failure", run.status()))
    }

    fn note(&self, callback: &'static str, status: Status) {
        self.0.lock().unwrap().push((callback, status));
    }

    fn take(&self) -> Vec<(&'static str, Status)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[action]
async fn assert_sum(expected: u32) -> u32 {
    assert_eq!(2 + 2, expected, "the sum is wrong");
    expected
}

#[test]
fn a_panic_in_a_background_run_is_a_failure_and_never_a_success() {
    let calls = Calls::default();
    let workflow = |expected| calls.watch(DotFlow::new("sum", task(assert_sum(expected))));

    let (run, recording) = recorded(async { workflow(5).spawn().await.unwrap() });
    assert_eq!(calls.take(), [("failure", Status::Failed)]);
    assert_eq!(run.status(), Status::Failed);
    let span = recording.otel("workflow:sum");
    assert_eq!(span.text("otel.status_code"), None);
    let told = span.text("otel.status_description").unwrap();
    assert!(told.starts_with("task:0 `assert_sum`: "), "{told}");

    let (run, recording) = recorded(async { workflow(4).spawn().await.unwrap() });
    assert_eq!(calls.take(), [("success", Status::Completed)]);
    assert!(run.succeeded());
    let span = recording.otel("workflow:sum");
    assert_eq!(span.text("otel.status_code"), Some("OK"));
}

#[test]
fn the_report_as_json_is_plain_values() {
    #[action]
    async fn fetch(previous: PreviousContext<u32>) -> Result<u32, io::Error> {
        tokio::time::sleep(Duration::from_millis(250)).await;
        Err(io::Error::other(format!("no row {}", *previous)))
    }
    #[action(inline)]
    fn give(previous: PreviousContext<u32>) -> u32 {
        *previous
    }
    let failing = task(assert_sum(4)).group("sums").then(fetch());
    let failing = failing.retry(2).retry_delay(Duration::from_millis(500));
    let run = paused(DotFlow::new("report", failing.then(give())).start()).unwrap();

    let report = serde_json::to_value(&run).unwrap();
    let text = report.to_string();
    assert_eq!(report["workflow_id"], run.workflow_id());
    assert_eq!(report["name"], "report");
    assert_eq!(report["status"], "Failed");
    assert_eq!(report["duration"], 1.0);
    let started = utc(&report["started_at"]);
    assert_eq!(
        utc(&report["finished_at"]).duration_since(started).unwrap(),
        Duration::from_secs(1)
    );
    let now = SystemTime::now();
    assert!(now.duration_since(started).unwrap() < Duration::from_secs(3600));

    let tasks = report["tasks"].as_array().unwrap();
    assert_eq!(tasks.len(), 3);
    assert_eq!(report["format"], 1);
    let mut first = tasks[0].clone();
    assert_eq!(utc(&first["started_at"].take()), started);
    assert_eq!(utc(&first["attempts"][0]["started_at"].take()), started);
    assert_eq!(
        first,
        json!({
            "id": 0, "name": "assert_sum", "group": "sums", "item": null, "status": "Completed",
            "started_at": null, "duration": 0.0, "retry_count": 0, "restored": false, "errors": [],
            "after": [], "wait": 0.0,
            "attempts": [{ "number": 1, "started_at": null, "duration": 0.0 }],
        })
    );
    let mut second = tasks[1].clone();
    let begun = utc(&second["started_at"].take());
    let waited = [0, 750].map(Duration::from_millis);
    for (attempt, waited) in waited.into_iter().enumerate() {
        let at = utc(&second["attempts"][attempt]["started_at"].take());
        assert_eq!(at.duration_since(begun).unwrap(), waited);
    }
    assert_eq!(
        second,
        json!({
            "id": 1, "name": "fetch", "group": null, "item": null, "status": "Failed",
            "started_at": null, "duration": 1.0, "retry_count": 1, "restored": false,
            "after": [0], "wait": 0.0,
            "attempts": [
                { "number": 1, "started_at": null, "duration": 0.25 },
                { "number": 2, "started_at": null, "duration": 0.25 },
            ],
            "errors": [
                {
                    "kind": "Failed", "type": "std::io::error::Error", "message": "no row 4",
                    "attempt": 1, "next_attempt_in": 0.5,
                },
                {
                    "kind": "Failed", "type": "std::io::error::Error", "message": "no row 4",
                    "attempt": 2, "next_attempt_in": null,
                },
            ],
        })
    );
    assert_eq!(tasks[2]["status"], "Skipped");
    assert_eq!(tasks[2]["started_at"], Value::Null);
    assert!(!text.contains("output"), "no values: {text}");
}

#[test]
fn a_report_is_read_back_and_a_later_form_is_refused() {
    #[derive(Debug, thiserror::Error)]
    #[error("the table is locked")]
    struct Locked(#[source] io::Error);
    #[action(inline)]
    fn load() -> Result<(), Locked> {
        Err(Locked(io::Error::other("by another session")))
    }
    let workflow = DotFlow::new("report", task(load()).retry(2).retry_delay(Duration::ZERO));
    let run = paused(workflow.start()).unwrap();
    let mut json = serde_json::to_value(&run).unwrap();
    let report: Report = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(&report).unwrap(), json);
    assert_eq!(report.to_string(), run.to_string());
    let error = &report.tasks()[0].errors()[1];
    assert_eq!(error.to_string(), "the table is locked");
    assert_eq!(error.source().unwrap().to_string(), "by another session");
    assert!(error.source().unwrap().source().is_none());
    assert!(
        !error.get_ref().unwrap().is::<Locked>(),
        "only the words are left"
    );
    // What a later version adds is passed over, and a later form is not guessed at.
    json["more"] = json!({ "to": "come" });
    json["tasks"][0]["more"] = json!(1);
    assert!(serde_json::from_value::<Report>(json.clone()).is_ok());
    json["format"] = json!(2);
    let error = serde_json::from_value::<Report>(json).unwrap_err();
    assert!(error.to_string().contains("format 2"), "{error}");
}

/// Nobody is told the same twice by a chain of errors.
#[test]
fn a_skipped_task_says_its_cause_once() {
    #[action(inline)]
    fn refuse() -> Result<u32, String> {
        Err("not today".into())
    }
    #[action(inline)]
    fn next(number: PreviousContext<u32>) -> u32 {
        *number
    }
    let run = paused(DotFlow::new("skips", task(refuse()).then(next())).start()).unwrap();
    let error = run.output().unwrap_err();
    let mut chain = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        chain.push_str(&cause.to_string());
        source = cause.source();
    }
    assert_eq!(chain.matches("not today").count(), 1, "{chain}");
}

/// What `main` prints of an error goes to a terminal.
#[test]
fn the_debug_form_of_an_error_is_fit_for_a_terminal() {
    #[action(inline)]
    fn hostile() -> Result<(), String> {
        Err("\u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}".into())
    }
    let run = paused(DotFlow::new("hostile", task(hostile())).start()).unwrap();
    let text = format!("{:?}", run.ok().unwrap_err());
    assert!(text.contains("\\u{1b}[2J"), "{text}");
    let hidden = |character: char| character.is_control() && character != '\n';
    assert!(
        !text.contains(hidden) && !text.contains('\u{202e}'),
        "{text:?}"
    );
}

/// A time of the report, which is a text in UTC.
fn utc(time: &Value) -> SystemTime {
    let text = time.as_str().unwrap();
    assert!(text.ends_with('Z'), "{text}");
    humantime::parse_rfc3339(text).unwrap()
}
