//! The panic hook of a program, and dotflow's before it. One test, since there is one hook.
#![allow(clippy::unwrap_used, reason = "it is a test, its helpers included")]

use std::{
    error::Error as _,
    panic,
    sync::atomic::{AtomicUsize, Ordering},
};

use dotflow::{DotFlow, PreviousContext, TaskErrorKind, action, task};
use dotflow_tests::{Value, recorded, recorded_threaded};

static CALLS: AtomicUsize = AtomicUsize::new(0);

#[action]
async fn asynchronous() {
    panic!("in async code");
}

#[action]
fn blocking(_previous: Option<PreviousContext<()>>) {
    panic!("in a plain function of item {}", 7);
}

#[action(inline)]
fn inline(_previous: Option<PreviousContext<()>>) {
    panic!("in place");
}

/// Goes on with a panic of another thread, after another one on its own.
#[action(inline)]
fn from_elsewhere(_previous: Option<PreviousContext<()>>) {
    let _ = panic::catch_unwind(|| panic!("caught"));
    let thread = std::thread::spawn(|| panic!("elsewhere"));
    panic::resume_unwind(thread.join().unwrap_err());
}

#[test]
fn a_panic_is_told_with_its_place_and_to_the_hook_of_the_program() {
    panic::set_hook(Box::new(|panic| {
        eprintln!("{panic}");
        CALLS.fetch_add(1, Ordering::Relaxed);
    }));

    // Whether there is a timer is asked without a word.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let timed = DotFlow::new("timed", task(inline_timed())).start();
    assert!(runtime.block_on(timed).unwrap_err().is_no_timer());
    assert_eq!(CALLS.swap(0, Ordering::Relaxed), 0);

    let workflow = || {
        let tasks = task(asynchronous()).then(blocking()).then(inline());
        DotFlow::new("panics", tasks.then(from_elsewhere())).keep_going(true)
    };
    let (run, recording) = recorded(async { workflow().start().await.unwrap() });
    // One of each task, and one more of the last.
    assert_eq!(CALLS.swap(0, Ordering::Relaxed), 5);
    let (_, threaded) = recorded_threaded(async move { workflow().start().await.unwrap() });
    let line = |text: &str| {
        let lines = include_str!("main.rs").lines();
        lines.take_while(|line| !line.contains(text)).count() + 1
    };
    for (number, text) in [
        (0, "panic!(\"in async code\")"),
        (1, "panic!(\"in a plain function of item"),
        (2, "panic!(\"in place\")"),
    ] {
        let place = format!("panicked at tests/hook/main.rs:{}:5", line(text));
        for recording in [&recording, &threaded] {
            let span = recording.otel(&format!("task:{number}"));
            let told = &span.events[0].fields["exception.stacktrace"];
            assert_eq!(told, &Value::Text(place.clone()));
        }
        let error = &run.tasks()[number].errors()[0];
        assert_eq!(error.kind(), TaskErrorKind::Panicked);
        assert!(error.get_ref().is_none(), "it returned no error");
        assert!(error.source().unwrap().to_string().contains("main.rs"));
    }
    // Its place is not known, so none is told, least of all a wrong one.
    let exception = &recording.otel("task:3").events[0];
    assert_eq!(
        exception.fields["exception.message"],
        Value::Text("elsewhere".into())
    );
    assert!(!exception.fields.contains_key("exception.stacktrace"));

    // What a report says of it can be read back, and says nothing twice.
    let report = serde_json::to_string(run.report()).unwrap();
    let report: dotflow::Report = serde_json::from_str(&report).unwrap();
    let error = &report.tasks()[2].errors()[0];
    assert_eq!(error.to_string(), "in place");
    let place = error.source().unwrap();
    assert!(place.to_string().starts_with("panicked at "), "{place}");
    assert!(place.source().is_none());

    // A hook that comes later is called as ever.
    CALLS.store(0, Ordering::Relaxed);
    panic::set_hook(Box::new(|panic| {
        eprintln!("{panic}");
        CALLS.fetch_add(100, Ordering::Relaxed);
    }));
    let (run, _) = recorded(async { DotFlow::new("one", task(asynchronous())).start().await });
    assert_eq!(CALLS.load(Ordering::Relaxed), 100);
    assert!(run.unwrap().tasks()[0].errors()[0].source().is_none());
}

#[action(inline, timeout = 1)]
fn inline_timed() {}
