//! What the console shows.

use std::{
    io::{self, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use dotflow::{
    DotFlow, PreviousContext, TaskError, action, action::from_fn, storage::MemoryStorage, task,
};
use dotflow_otel::{OpenTelemetry, Otlp};
use dotflow_tests::{collector::Collector, shop};

use crate::under;

/// A writer that the test can read.
#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Screen {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// Runs `work` with a console; returns what it gives and what the console shows in the end.
fn shown<Output>(work: impl FnOnce(&Screen) -> Output) -> (Output, String) {
    let screen = Screen::default();
    let telemetry = OpenTelemetry::new("shop").with_console_to(screen.clone());
    let (output, guard) = under(telemetry, || work(&screen));
    guard.shutdown().unwrap();
    (output, screen.text())
}

/// A text without the durations, which differ from run to run.
fn without_times(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let words = line.split(' ').filter(|word| {
            let digits = word.trim_end_matches(['s', 'm', 'µ']);
            digits == *word || digits.parse::<f64>().is_err()
        });
        words.collect::<Vec<_>>().join(" ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_run_is_drawn_as_a_tree_as_soon_as_it_ends() {
    let (run, text) = shown(|screen| {
        let run = shop::sales().start_blocking().unwrap();
        assert!(screen.text().starts_with("[Trace: workflow_id="));
        run
    });
    let expected = format!(
        "\
[Trace: workflow_id={}] sales ERROR — Failed
├── [Span: task:0] extract OK — Completed
├── [Span: task:1] transform OK — Completed
│   └── [Event: adding]
└── [Span: task:2] load ERROR — Failed
    ├── [Event: retry — attempt 1, LoadError \"connection refused\", next in 20ms]
    └── [Event: exception — LoadError \"connection refused\"]",
        run.workflow_id()
    );
    assert_eq!(without_times(&text), expected);
}

#[test]
fn a_tree_says_how_a_backend_finds_its_trace() {
    let collector = Collector::start();
    let screen = Screen::default();
    let telemetry = OpenTelemetry::new("shop")
        .with_console_to(screen.clone())
        .with_otlp_to(Otlp::new().endpoint(collector.endpoint()));
    let (run, guard) = under(telemetry, || {
        tracing::info_span!("request").in_scope(|| ());
        shop::sales().start_blocking().unwrap()
    });
    guard.shutdown().unwrap();
    let spans = collector.spans();
    let trace_id = |name: &str| {
        let span = spans.iter().find(|span| span.name == name).unwrap();
        let bytes = <[u8; 16]>::try_from(&span.trace_id[..]).unwrap();
        format!("trace_id={:032x}", u128::from_be_bytes(bytes))
    };
    let text = screen.text();
    let lines: Vec<&str> = text.lines().collect();
    let request = format!("[Span: request {}]", trace_id("request"));
    assert!(lines[0].starts_with(&request), "{text}");
    let (id, trace_id) = (run.workflow_id(), trace_id("workflow:sales"));
    let workflow = format!("[Trace: workflow_id={id} {trace_id}] sales ");
    assert!(lines[1].starts_with(&workflow), "{text}");
    // Once for the whole tree.
    assert_eq!(text.matches("trace_id=").count(), 2, "{text}");
}

/// Says what dotflow says, by hand.
#[action]
fn tells() {
    use tracing::{Level, event};
    event!(name: "still running", target: "dotflow", Level::WARN, "after its timeout");
    event!(name: "retry", target: "dotflow", Level::WARN, exception.message = "no", "a sentence");
}

#[test]
fn events_of_dotflow_are_shown_by_their_names() {
    let (_, text) = shown(|_| DotFlow::new("one", task(tells())).start_blocking().unwrap());
    let text = without_times(&text);
    let events: Vec<&str> = text.lines().skip(2).map(str::trim_start).collect();
    let expected = [
        "├── [Event: still running — after its timeout]",
        "└── [Event: retry — no]",
    ];
    assert_eq!(events, expected);
}

#[action]
fn nothing() {}

#[test]
fn a_run_looks_as_it_does_when_it_is_displayed() {
    let (run, text) = shown(|_| {
        let tasks: Vec<_> = (0..3).map(|_| task(nothing())).collect();
        DotFlow::new("three", tasks).start_blocking().unwrap()
    });
    assert_eq!(text, run.to_string());
}

#[test]
fn restored_tasks_look_as_they_do_when_the_run_is_displayed() {
    let (run, text) = shown(|screen| {
        let broken = Arc::new(AtomicBool::new(true));
        let fails_once = {
            let broken = Arc::clone(&broken);
            from_fn("fails_once", move |_: PreviousContext<()>| {
                let broken = broken.swap(false, Ordering::Relaxed);
                async move {
                    if broken {
                        Err(TaskError::failed("broken"))
                    } else {
                        Ok(())
                    }
                }
            })
        };
        let workflow = DotFlow::new("w", task(nothing()).then(fails_once.checkpointed()))
            .storage(MemoryStorage::new());
        assert!(!workflow.resume_blocking("1").unwrap().succeeded());
        screen.0.lock().unwrap().clear();
        workflow.resume_blocking("1").unwrap()
    });
    assert_eq!(text, run.to_string());
    let expected = "\
[Trace: workflow_id=1] w OK — Completed
├── [Span: task:0] nothing OK — Completed, restored
└── [Span: task:1] fails_once OK — Completed";
    assert_eq!(without_times(&text), expected);
}

#[test]
fn interleaved_traces_are_kept_apart() {
    let ((), text) = shown(|screen| {
        let first = tracing::info_span!("first");
        let second = tracing::info_span!("second");
        for (outer, inner) in [(&first, "a"), (&second, "b"), (&first, "c")] {
            tracing::info_span!(parent: outer, "inner", otel.name = inner).in_scope(|| ());
        }
        assert_eq!(screen.text(), "");
        drop((first, second));
    });
    let expected = "\
[Span: first]
├── [Span: a]
└── [Span: c]
[Span: second]
└── [Span: b]";
    assert_eq!(without_times(&text), expected);
}

#[test]
fn a_span_that_outlives_its_root_is_drawn_by_itself() {
    let ((), text) = shown(|_| {
        let root = tracing::info_span!("root");
        let context = {
            use dotflow_otel::opentelemetry::trace::TraceContextExt as _;
            use tracing_opentelemetry::OpenTelemetrySpanExt as _;
            let context = root.context();
            assert!(context.span().span_context().is_valid());
            context
        };
        drop(root);
        let _attached = context.attach();
        tracing::info_span!("late").in_scope(|| ());
    });
    assert_eq!(without_times(&text), "[Span: root]\n[Span: late]");
}

#[test]
fn texts_can_not_control_the_terminal() {
    let ((), text) = shown(|_| {
        tracing::info_span!("root", otel.name = "\u{1b}[2J\nspoof").in_scope(|| {
            tracing::info!("\u{7}bell\u{202e}");
        });
    });
    assert!(text.chars().all(|one| one == '\n' || !one.is_control()));
    assert_eq!(text.lines().count(), 2, "{text}");
}

#[test]
fn a_huge_tree_is_cut_but_its_failures_are_not() {
    let ((), text) = shown(|_| {
        tracing::info_span!("root").in_scope(|| {
            for index in 0..5_000 {
                let fails = index == 4_999;
                let span =
                    tracing::info_span!("leaf", otel.status_description = tracing::field::Empty);
                if fails {
                    span.record("otel.status_description", "broken");
                }
                span.in_scope(|| ());
            }
        });
    });
    // The root, 1,000 spans, the failure, and a line about the rest.
    assert_eq!(text.lines().count(), 1_003);
    assert_eq!(text.matches("ERROR").count(), 1);
    assert!(
        text.trim_end().ends_with("3999 more, not kept"),
        "{}",
        &text[text.len() - 99..]
    );
}

#[test]
fn roots_that_never_end_do_not_use_up_the_memory() {
    let (open, text) = shown(|_| {
        // 100 roots with 1,000 spans each would be 100,000; at most 20,000 are kept.
        let roots: Vec<_> = (0..100).map(|_| tracing::info_span!("endless")).collect();
        for root in &roots {
            for _ in 0..1_000 {
                tracing::info_span!(parent: root, "leaf").in_scope(|| ());
            }
        }
        roots
    });
    assert_eq!(text, "");
    drop(open);
}
