//! The pipeline to an exporter that the user brings.

use opentelemetry::Context;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkError,
    trace::{SpanData, SpanExporter},
};
use tokio_util::sync::CancellationToken;

use crate::{
    delivery::{Delivery, Signal},
    dispatch::UserDispatch,
    error::Error,
    pipeline::{Batching, Exporter, Next, Pipeline, Receipt, Refusal},
};

/// Starts a pipeline to an exporter that the user brings.
pub(crate) fn start_custom<E: SpanExporter + 'static>(
    mut exporter: E,
    resource: &Resource,
    user: &UserDispatch,
    batching: Batching,
) -> Result<Pipeline<SpanData>, Error> {
    exporter.set_resource(resource);
    let destination = std::any::type_name::<E>().to_owned();
    let delivery = Delivery::new(Signal::Traces, destination, user);
    let custom = CustomExporter {
        exporter,
        user: user.clone(),
    };
    Pipeline::start(custom, delivery, batching)
}

/// An exporter that the user brings. It says nothing of why it failed that could be understood, so
/// what it refuses is lost.
struct CustomExporter<E> {
    exporter: E,
    user: UserDispatch,
}

impl<E: SpanExporter + 'static> Exporter for CustomExporter<E> {
    type Item = SpanData;
    type Batch = Vec<SpanData>;

    fn pack(&mut self, items: Vec<SpanData>) -> Vec<Vec<SpanData>> {
        vec![items]
    }

    fn count(batch: &Vec<SpanData>) -> usize {
        batch.len()
    }

    fn send(
        &mut self,
        batch: &mut Vec<SpanData>,
        closed: &CancellationToken,
    ) -> Option<Result<Receipt, Refusal>> {
        let batch = std::mem::take(batch);
        let mut exported = None;
        self.user.with(|| {
            // What the exporter itself does is not to be exported.
            let _suppressed = Context::enter_telemetry_suppressed_scope();
            let export = closed.run_until_cancelled(self.exporter.export(batch));
            exported = futures_executor::block_on(export);
        });
        Some(match exported? {
            Ok(()) => Ok(Receipt::default()),
            Err(error) => Err(Refusal {
                cause: match error {
                    OTelSdkError::InternalFailure(reason) => reason,
                    other => other.to_string(),
                },
                next: Next::GiveUp,
            }),
        })
    }

    fn halve(_batch: &mut Vec<SpanData>) -> Option<Vec<SpanData>> {
        None
    }

    fn shut_down(&mut self) {
        // Nobody is left who could do anything about a failure.
        let _ = self.exporter.shutdown();
    }
}
