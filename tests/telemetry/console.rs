//! What the console shows.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use dotflow_otel::OpenTelemetry;
use dotflow_tests::emit;
use tracing_subscriber::{Registry, layer::SubscriberExt};

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

/// Runs `emit` with a console and returns what it shows.
fn shown(emit: impl FnOnce(&Screen)) -> String {
    let screen = Screen::default();
    let (layer, telemetry) = OpenTelemetry::new("shop")
        .with_console_to(screen.clone())
        .build()
        .unwrap();
    tracing::subscriber::with_default(Registry::default().with(layer), || emit(&screen));
    telemetry.shutdown().unwrap();
    screen.text()
}

#[test]
fn a_run_is_drawn_as_a_tree() {
    let expected = "\
[Trace: workflow_id=550e8400-e29b-41d4-a716-446655440000] sales 2.0s ERROR — Failed
├── [Span: task:0] extract 0.5s OK — Completed
├── [Span: task:1] transform 1.2s OK — Completed
└── [Span: task:2] load 0.3s ERROR — Failed
    ├── [Event: retry — attempt 1, LoadError \"connection refused\", next in 1s]
    └── [Event: exception — LoadError \"connection refused\"]
";
    assert_eq!(shown(|_| emit::sales()), expected);
}

#[test]
fn a_tree_is_drawn_as_soon_as_its_root_ends() {
    shown(|screen| {
        assert_eq!(screen.text(), "");
        emit::sales();
        assert!(screen.text().starts_with("[Trace: workflow_id="));
    });
}
