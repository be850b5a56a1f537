//! The spans and events of a run, caught on their way and drawn as a tree.

use std::{fmt, future::Future};

use tracing::{Dispatch, dispatcher, instrument::WithSubscriber, subscriber::DefaultGuard};

use super::recorder::Recorder;

/// Catches the spans and events of this thread, and of the runs that are started on it, as long as what it
/// gives back is kept.
///
/// It takes the place of any other subscriber meanwhile, for this thread only: tests that run side by side
/// don't see each other's. Runs take it along to wherever their tasks are carried out. The level is INFO
/// and above: what dotflow itself emits, and of the rest what is not for debugging.
///
/// It is for tests whose future stays on its thread, as those of `#[test]` and `#[tokio::test]` do, whichever
/// flavor. A future that may move to another thread goes through [`captured`].
///
/// ```
/// use dotflow::{action, task, testing::capture, DotFlow};
///
/// #[action]
/// fn load() -> u32 {
///     tracing::warn!(table = "sales", "an empty row");
///     42
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let trace = capture();
/// DotFlow::new("sales", task(load())).start_blocking()?.ok()?;
/// assert_eq!(trace.text(), "\
/// [Trace: workflow_id=…] sales OK — Completed
/// └── [Span: task:0] load OK — Completed
///     └── [Event: warn — an empty row table=\"sales\"]
/// ");
/// # Ok(()) }
/// ```
pub fn capture() -> Capture {
    let recorder = Recorder::new();
    Capture {
        _here: dispatcher::set_default(&Dispatch::new(recorder.clone())),
        recorder,
    }
}

/// What [`capture`] has caught; it goes on until this is dropped.
#[must_use = "it catches nothing once it is dropped: keep it, as in `let trace = capture();`"]
pub struct Capture {
    recorder: Recorder,
    _here: DefaultGuard,
}

impl Capture {
    /// What was caught up to now, as a text tree without ids and times.
    ///
    /// It looks like the tree of a run (`{run:#}`), and has what the run's own tree has not: the spans and
    /// events of your code, where they happened, and the spans of workflows within the workflow. Tasks
    /// stand in the order of their numbers and items, whichever came first; all else in its order. What
    /// has not ended is in progress; a task that was skipped or never begun has no span.
    ///
    /// ```
    /// use dotflow::{action, task, testing::capture, DotFlow};
    ///
    /// #[action]
    /// fn load() -> u32 { 42 }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let workflow = DotFlow::new("sales", task(load()));
    /// let trace = capture();
    /// let run = workflow.start_blocking()?;
    /// assert_eq!(trace.text(), format!("{run:#}"));
    /// # Ok(()) }
    /// ```
    pub fn text(&self) -> String {
        self.recorder.text()
    }
}

impl fmt::Debug for Capture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Capture")
            .field("text", &self.text())
            .finish()
    }
}

/// Catches the spans and events of a future, and gives back what it returns with the text tree that
/// [`Capture::text`] describes.
///
/// ```
/// use dotflow::{action, task, testing::captured, DotFlow};
///
/// #[action]
/// async fn load() -> u32 { 42 }
///
/// # tokio::runtime::Builder::new_multi_thread().build().unwrap().block_on(async {
/// let workflow = DotFlow::new("sales", task(load()));
/// // It may be spawned, as any future.
/// let (run, trace) = tokio::spawn(captured(workflow.start())).await?;
/// assert_eq!(trace, format!("{:#}", run?));
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
pub async fn captured<F: Future>(future: F) -> (F::Output, String) {
    let recorder = Recorder::new();
    let output = future.with_subscriber(recorder.clone()).await;
    (output, recorder.text())
}
