//! What a program does when a run has ended, before its caller gets the run.

use std::{error, fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::timeout};

use crate::{
    engine::context::RunContext,
    offload::{carried, subscriber},
    report::Report,
};

/// How long a run waits for one of them.
const LONGEST: Duration = Duration::from_secs(10);

type Ending = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// What is to be done with the report of a run.
#[derive(Clone)]
pub(crate) struct OnEnd(Arc<dyn Fn(Report) -> Ending + Send + Sync>);

impl OnEnd {
    pub(super) fn new<F, R>(done: impl Fn(Report) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = R> + Send + 'static,
        R: Concludes,
    {
        Self(Arc::new(move |report| {
            let done = done(report);
            Box::pin(async move { done.await.problem() })
        }))
    }
}

impl fmt::Debug for OnEnd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("OnEnd")
    }
}

/// What the future given to [`on_end`](crate::DotFlow::on_end) comes to: nothing, or a `Result` of it.
#[diagnostic::on_unimplemented(
    message = "what is done at the end of a run returns nothing, or a `Result` of nothing",
    label = "returns `{Self}`"
)]
pub trait Concludes {
    #[doc(hidden)]
    fn problem(self) -> Result<(), String>;
}

impl Concludes for () {
    fn problem(self) -> Result<(), String> {
        Ok(())
    }
}

impl<E: Into<Box<dyn error::Error + Send + Sync>>> Concludes for Result<(), E> {
    fn problem(self) -> Result<(), String> {
        self.map_err(|error| error.into().to_string())
    }
}

/// Does all of it, and tells what went wrong.
pub(super) async fn conclude(all: &[OnEnd], context: &RunContext, report: Report) {
    for OnEnd(done) in all {
        let (done, report) = (Arc::clone(done), report.clone());
        let done = async move { done(report).await };
        // A task of its own: its panic ends there, and it ends when nobody waits for the run.
        let mut running = JoinSet::new();
        match subscriber() {
            Some(subscriber) => running.spawn(carried(subscriber, done)),
            None => running.spawn(done),
        };
        let problem = match timeout(LONGEST, running.join_next()).await {
            Ok(Some(Ok(Ok(())))) => continue,
            Ok(Some(Ok(Err(problem)))) => format!("failed: {problem}"),
            Ok(Some(Err(error))) if error.is_panic() => "panicked".to_owned(),
            Ok(_) => "was given up with the runtime".to_owned(),
            Err(_) => format!("took longer than {LONGEST:?}, and was given up"),
        };
        context.telemetry.not_concluded(&problem);
    }
}
