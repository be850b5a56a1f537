//! OTLP over gRPC.

use std::error::Error as _;

use bytes::{Buf, BufMut, Bytes};
use http::{HeaderMap, uri::PathAndQuery};
use tonic::{
    Code, Request, Status,
    client::Grpc as Client,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::MetadataMap,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;

use super::{
    options::{Compression, Connection},
    proxy::Dial,
    refusal,
};
use crate::{
    delivery::Signal,
    error::Error,
    pipeline::{Next, Refusal},
};

const USER_AGENT: &str = concat!("dotflow-otel/", env!("CARGO_PKG_VERSION"));

/// A connection to a collector, made when it is first needed.
pub(super) struct Grpc {
    client: Client<Channel>,
    path: PathAndQuery,
    metadata: MetadataMap,
}

impl Grpc {
    /// Needs the runtime around it in which the connection is to live.
    pub(super) fn new(connection: &Connection, signal: Signal) -> Result<Self, Error> {
        let endpoint = Endpoint::from_shared(connection.url.clone());
        let endpoint = endpoint.and_then(|endpoint| endpoint.user_agent(USER_AGENT));
        #[cfg(feature = "tls")]
        let endpoint = endpoint.and_then(|endpoint| {
            if connection.url.starts_with("https:") {
                endpoint.tls_config(super::tls::for_grpc(&connection.certificates))
            } else {
                Ok(endpoint)
            }
        });
        let endpoint =
            endpoint.map_err(|error| Error::exporter(&connection.url, refusal::chain(&error)))?;
        let channel = match &connection.route {
            Some(route) => endpoint.connect_with_connector_lazy(Dial::new(Some(route.clone()))),
            None => endpoint.connect_lazy(),
        };
        let client = Client::new(channel);
        let path = match signal {
            Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        };
        Ok(Self {
            client: compressed(client, connection.compression),
            path: PathAndQuery::from_static(path),
            metadata: MetadataMap::from_headers(HeaderMap::from_iter(connection.headers.clone())),
        })
    }

    pub(super) async fn send(&self, body: Bytes) -> Result<Bytes, Refusal> {
        let mut client = self.client.clone();
        let ready = client.ready().await;
        ready.map_err(|error| refusal::unanswered(refusal::chain(&error)))?;
        let mut request = Request::new(body);
        *request.metadata_mut() = self.metadata.clone();
        let answer = client.unary(request, self.path.clone(), Encoded).await;
        answer
            .map(tonic::Response::into_inner)
            .map_err(|status| refused(&status))
    }
}

#[cfg_attr(
    not(any(feature = "gzip", feature = "zstd")),
    allow(clippy::needless_pass_by_value, reason = "the features use it")
)]
fn compressed(client: Client<Channel>, compression: Compression) -> Client<Channel> {
    #[cfg(any(feature = "gzip", feature = "zstd"))]
    use tonic::codec::CompressionEncoding;
    match compression {
        #[cfg(feature = "gzip")]
        Compression::Gzip => client
            .send_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Gzip),
        #[cfg(feature = "zstd")]
        Compression::Zstd => client
            .send_compressed(CompressionEncoding::Zstd)
            .accept_compressed(CompressionEncoding::Zstd),
        _ => client,
    }
}

/// What to do about a status, as the OTLP specification says.
fn refused(status: &Status) -> Refusal {
    let code = status.code();
    let message = refusal::shown(status.message());
    let Some(source) = status.source() else {
        let asked = status
            .get_details_retry_info()
            .and_then(|info| info.retry_delay)
            .filter(|delay| !delay.is_zero());
        let next = match code {
            Code::ResourceExhausted if asked.is_some() => Next::TryAgain(asked),
            // The second one is what some servers say to a message above their limit.
            Code::ResourceExhausted | Code::OutOfRange => Next::Halve,
            Code::DeadlineExceeded if asked.is_none() => Next::TryLess,
            Code::Unavailable
            | Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::DataLoss => Next::TryAgain(asked),
            _ => Next::GiveUp,
        };
        let cause = if message.is_empty() {
            format!("{code:?}")
        } else {
            format!("{code:?}: {message}")
        };
        return Refusal { cause, next };
    };
    // Not the server says this, but the connection.
    // The message is what the outermost source says.
    refusal::unanswered(format!("{code:?}: {}", refusal::chain(source)))
}

/// Messages that are encoded already.
struct Encoded;

impl Codec for Encoded {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
