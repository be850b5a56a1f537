//! Workflows written as annotated functions, whose traces can be trusted.
//!
//! ```
//! use dotflow::{DotFlow, PreviousContext, action, task};
//!
//! #[action]
//! fn extract() -> Vec<u32> {
//!     vec![3, 5, 8]
//! }
//!
//! #[action]
//! async fn transform(previous: PreviousContext<Vec<u32>>) -> u32 {
//!     previous.iter().sum()
//! }
//!
//! #[action(retry = 3, timeout = "30s")]
//! async fn load(table: String, previous: PreviousContext<u32>) -> Result<String, std::io::Error> {
//!     Ok(format!("{table}: {}", *previous))
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let workflow = DotFlow::new("sales", task(extract()).then(transform()).then(load("sales".into())));
//! let run = workflow.start_blocking()?; // within async code: `workflow.start().await?`
//! assert_eq!(*run.output()?, "sales: 16");
//! # Ok(()) }
//! ```
//!
//! # Terminology
//!
//! - An **action** is a function under [`#[action]`](macro@action). Calling it runs nothing: like an
//!   `async fn`, it returns a value, which holds the arguments.
//! - A [`Task`] is an action placed in a workflow, together with the tasks it depends on.
//! - An **attempt** is one call of the function. A task has one, or more with `retry`.
//! - A **workflow** is a [`DotFlow`]: a named graph of tasks that can be started any number of times.
//!   Its [`Plan`] tells what the graph looks like.
//! - A [`Run`] is one execution of a workflow, known by its workflow id. Its [`Report`] says what
//!   happened, as plain data.
//! - A [`PreviousContext`] is what a task receives from a task before it.
//! - A **checkpoint** is the stored output of a task, from which a run is resumed.
//!
//! # Composing
//!
//! [`task`] makes the first task of a chain and [`then`](Task::then) the next one; several tasks may
//! follow one. [`and`](Task::and) joins tasks of different types, [`join_all`] any number of one type, and
//! [`each`](Task::each) runs a task per item of a list. A workflow can itself be a task. A workflow ends
//! with one task, a tuple of tasks or a `Vec`: its [`Sinks`](wiring::Sinks).
//!
//! Each action is of a type of its own, so a branch makes a task on either side, `if few { task(small())
//! } else { task(bulk()) }`, and joined actions are tasks first, `join_all([task(left()), task(right())])`.
//!
//! All of that is checked by the compiler: a task that does not take what the tasks before it
//! return does not compile, and cycles can't be written. Tasks are numbered in topological order:
//! each after the tasks that it depends on.
//!
//! # Running
//!
//! [`start`](DotFlow::start) waits for the end of the run, [`spawn`](DotFlow::spawn) returns at once, and
//! [`start_blocking`](DotFlow::start_blocking) serves programs without a runtime. Tasks that don't wait
//! for each other run at the same time. A plain `fn` runs on tokio's blocking pool, so it may
//! block; once it runs it can't be stopped from outside, so a long one asks its
//! [`TaskContext`] now and then. tokio's timers must be enabled where a workflow uses delays or
//! timeouts, as they are under `#[tokio::main]`.
//!
//! What a run is about is its input ([`with_input`](DotFlow::with_input)), and what an action works
//! with, as a client or a pool, is an input of the action. A task-local of tokio around a run
//! reaches only those tasks that run in place.
//!
//! [`run_with`](DotFlow::run_with) takes [`RunOptions`]: an id, whether to resume. A [`RunHandle`]
//! cancels or drains a run in the background. An [`AnyWorkflow`] is a workflow without its type, so
//! that different ones can be kept in one list.
//!
//! # Error handling
//!
//! A run whose tasks fail is still a [`Run`]: [`status`](Run::status), [`tasks`](Run::tasks) and
//! [`output`](Run::output) tell what happened, and [`ok`](Run::ok) turns it into an [`Error`]. Errors,
//! panics and timeouts are all failed attempts ([`TaskError`]), and all are retried as the action
//! says.
//!
//! A task whose input is missing is skipped, unless it takes it as `Option<PreviousContext<T>>` (it
//! runs all the same: a clean-up) or as `Result<PreviousContext<T>, TaskError>` (it runs, and the
//! failure counts as handled: a fallback). After a failure that is not handled nothing new is
//! started, unless the workflow is to [`keep_going`](DotFlow::keep_going).
//!
//! ```
//! use dotflow::{DotFlow, PreviousContext, TaskError, action, task};
//!
//! #[action]
//! fn fetch() -> Result<u32, String> {
//!     Err("the host is down".into())
//! }
//!
//! #[action]
//! fn or_cached(fetched: Result<PreviousContext<u32>, TaskError>) -> u32 {
//!     fetched.map_or(42, |fetched| *fetched)
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let run = DotFlow::new("price", task(fetch()).then(or_cached())).start_blocking()?;
//! assert_eq!(*run.output()?, 42);
//! assert!(run.succeeded());
//! assert_eq!(run.tasks()[0].errors()[0].to_string(), "the host is down");
//! # Ok(()) }
//! ```
//!
//! # Resuming
//!
//! With a [`storage`](DotFlow::storage), the output of each task is stored as soon as the task has
//! completed. [`resume`](DotFlow::resume) runs under an id of your choice: what has completed under
//! it before, in this program or in one that was killed, is restored instead of run.
//!
//! ```
//! use dotflow::{DotFlow, action, storage::FileStorage, task};
//!
//! #[action]
//! fn extract() -> Vec<u32> {
//!     vec![3, 5, 8]
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path().join(".dotflow");
//! let workflow = DotFlow::new("sales", task(extract())).storage(FileStorage::open(&folder)?);
//! assert!(!workflow.resume_blocking("order-42")?.tasks()[0].restored());
//! assert!(workflow.resume_blocking("order-42")?.tasks()[0].restored());
//! # Ok(()) }
//! ```
//!
//! Under one id a task is done **at least once**: it is done again if its program dies after the work
//! and before the output is stored. So what it does outside should be **idempotent**.
//! [`resume`](DotFlow::resume) says what happens when the program has changed in between, and
//! [`input`](DotFlow::input) notices other arguments.
//!
//! # Testing
//!
//! An action is run alone, without a workflow, in one line:
//!
//! ```
//! use dotflow::{Action, PreviousContext, action};
//!
//! #[action]
//! async fn transform(previous: PreviousContext<Vec<u32>>) -> u32 {
//!     previous.iter().sum()
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! assert_eq!(transform().run((vec![3, 5, 8].into(),)).await?, 16);
//! # Ok::<(), dotflow::TaskError>(()) }).unwrap();
//! ```
//!
//! A whole workflow is tested with the feature `testing`: its module of that name exchanges what goes
//! outside, lets attempts fail, and gives the trace as text.
//!
//! # Observability
//!
//! Every run is a `tracing` span, and every task a span below it, with status, duration, retries
//! and errors; [`spans`] has all names. Whatever an action does nests below its task's span. Any
//! `tracing` layer sees them; the package `dotflow-otel` sends them to OpenTelemetry. Inputs and
//! outputs are never recorded. Without a subscriber, or with one that filters the target `dotflow`
//! out, spans cost next to nothing.
//!
//! A panic is told with its file and line. Only the panic hook knows these, so the first run puts one
//! of dotflow's before the hook that is there: it notes the place, and calls that one. A hook that is
//! set later takes its place, and costs no more than these lines.
//!
//! A program can follow its runs without any telemetry too: by [`observe`](DotFlow::observe),
//! [`on_success`](DotFlow::on_success) and [`on_failure`](DotFlow::on_failure), and by [`Run`] itself,
//! which is displayed as a tree and serialized as a [`Report`].
//!
//! # Features
//!
//! None is on by default.
//!
//! | feature | what it adds |
//! |---|---|
//! | `testing` | `testing`: the trace of a run as text, a task's action exchanged, failures injected |
//! | `object-storage` | `storage::ObjectStorage`: checkpoints in any store of the crate `object_store` |
//! | `aws` | that, with the client for Amazon S3 and what speaks its protocol |
//! | `azure` | that, with the client for Azure Blob Storage |
//! | `gcp` | that, with the client for Google Cloud Storage |
//!
//! The clients of the clouds need a C compiler, for their cryptography.
#![warn(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

// In reading order; a module imports only from those below it.
#[cfg(feature = "testing")]
pub mod testing;
mod workflow;
mod engine;
mod telemetry;
mod graph;
#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
pub mod action;
pub mod limits;
pub mod report;
mod checkpoint;
pub mod storage;
mod error;
mod offload;
mod unwind;
pub mod spans;
mod exact;
mod tuples;
mod clock;
mod escape;

#[doc(inline)]
pub use crate::report::tree;
pub use crate::{
    action::{
        Action, ActionSpec,
        context::{PreviousContext, TaskContext},
        retry::RetryPolicy,
    },
    error::{Error, TaskError, TaskErrorKind},
    graph::{
        join::join_all,
        plan::Plan,
        task::{Task, task},
    },
    report::{Report, TaskReport, status::Status},
    workflow::{AnyWorkflow, DotFlow, OnInputChange, Run, RunHandle, RunOptions},
};
pub use dotflow_macros::action;

pub mod wiring {
    //! The types and traits by which the compiler checks that tasks fit together.
    //!
    //! You should never need to name them: they appear in bounds, and in what the compiler says of a
    //! connection that does not fit. None of them can be implemented elsewhere.

    pub use crate::{
        action::{
            codec::{Storable, StorableInput},
            inputs::{Input, Inputs},
        },
        graph::{
            join::{Joinable, Joined, Upstream},
            plan::PlannedTask,
            sinks::Sinks,
            step::Step,
            task::{Items, Labelled},
            wiring::{Accepts, AcceptsAll, Given, Many, NoInputs, PushBack, TakesItem},
        },
        workflow::Concludes,
    };
}
