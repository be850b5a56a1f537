//! The exporter: packs items into requests, sends them, and understands the answers.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_sdk::Resource;
use prost::Message;
use tokio_util::sync::CancellationToken;

#[cfg(feature = "http")]
use super::http::Http;
use super::{
    grpc::Grpc,
    message::{Encode, Encoder, Piece},
    options::{Connection, Protocol},
    refusal,
};
use crate::{
    delivery::{Delivery, Signal},
    error::Error,
    pipeline::{Batching, Exporter, Next, Pipeline, Receipt, Refusal},
    runtime::{ExportRuntime, stay_silent},
};

/// Starts a pipeline to a collector.
pub(crate) fn start<Item: Encode>(
    connection: &Connection,
    signal: Signal,
    resource: &Resource,
    runtime: &Arc<ExportRuntime>,
    delivery: Delivery,
    batching: Batching,
) -> Result<Pipeline<Item>, Error> {
    let exporter = OtlpExporter {
        transport: {
            let _entered = runtime.handle().enter();
            Transport::new(connection, signal)?
        },
        timeout: connection.timeout,
        encoder: Encoder::new(resource),
        may_want_tls: connection.url.starts_with("http:"),
        runtime: Arc::clone(runtime),
        items: PhantomData,
    };
    Pipeline::start(exporter, delivery, batching)
}

struct OtlpExporter<Item> {
    transport: Transport,
    /// Zero means without a bound.
    timeout: Duration,
    encoder: Encoder,
    /// Whether requests go without TLS and none was taken yet.
    may_want_tls: bool,
    /// Kept until the last request has ended.
    runtime: Arc<ExportRuntime>,
    items: PhantomData<fn(Item)>,
}

impl<Item: Encode> Exporter for OtlpExporter<Item> {
    type Item = Item;
    type Batch = Vec<Piece>;

    fn begin(&mut self) {
        stay_silent();
    }

    fn pack(&mut self, items: Vec<Item>) -> Vec<Vec<Piece>> {
        self.encoder.pack(items)
    }

    fn count(batch: &Vec<Piece>) -> usize {
        batch.len()
    }

    fn send(
        &mut self,
        batch: &mut Vec<Piece>,
        closed: &CancellationToken,
    ) -> Option<Result<Receipt, Refusal>> {
        let request = self.encoder.request(batch);
        let answer = answer(&self.transport, self.timeout, request);
        let answer = closed.run_until_cancelled(answer);
        let answer = self.runtime.handle().block_on(answer)?;
        Some(match answer {
            Ok(response) => {
                self.may_want_tls = false;
                Ok(receipt(&response))
            }
            Err(mut refusal) => {
                if self.may_want_tls && refusal::may_want_tls(&refusal.cause) {
                    let hint = " (the server may speak TLS: begin the endpoint with `https://`)";
                    refusal.cause.push_str(hint);
                }
                Err(refusal)
            }
        })
    }

    fn halve(batch: &mut Vec<Piece>) -> Option<Vec<Piece>> {
        (batch.len() > 1).then(|| batch.split_off(batch.len() / 2))
    }
}

/// Sends a request and waits for the answer, within the time that one request may take.
async fn answer(
    transport: &Transport,
    timeout: Duration,
    request: Bytes,
) -> Result<Bytes, Refusal> {
    let answer = transport.send(request);
    if timeout.is_zero() {
        return answer.await;
    }
    let answered = tokio::time::timeout(timeout, answer).await;
    answered.unwrap_or_else(|_| {
        let cause = format!("no answer within {timeout:?}");
        Err(Refusal {
            cause,
            next: Next::TryLess,
        })
    })
}

/// What a collector rejected of a request that it took. The answers of all signals have the same
/// shape.
fn receipt(response: &Bytes) -> Receipt {
    // What can't be read says nothing: the request was taken all the same.
    let response = ExportTraceServiceResponse::decode(&response[..]).unwrap_or_default();
    let Some(partial) = response.partial_success else {
        return Receipt::default();
    };
    Receipt {
        rejected: partial.rejected_spans.try_into().unwrap_or(0),
        reason: refusal::shown(&partial.error_message),
    }
}

/// How requests travel.
enum Transport {
    Grpc(Box<Grpc>),
    #[cfg(feature = "http")]
    Http(Box<Http>),
}

impl Transport {
    fn new(connection: &Connection, signal: Signal) -> Result<Self, Error> {
        match connection.protocol {
            Protocol::Grpc => Ok(Self::Grpc(Box::new(Grpc::new(connection, signal)?))),
            #[cfg(feature = "http")]
            Protocol::HttpProtobuf => Ok(Self::Http(Box::new(Http::new(connection)?))),
            #[cfg(not(feature = "http"))]
            Protocol::HttpProtobuf => unreachable!("the connection was checked for this"),
        }
    }

    async fn send(&self, request: Bytes) -> Result<Bytes, Refusal> {
        match self {
            Self::Grpc(grpc) => grpc.send(request).await,
            #[cfg(feature = "http")]
            Self::Http(http) => http.send(request).await,
        }
    }
}
