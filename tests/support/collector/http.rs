//! The collector over HTTP with protobuf.

use std::{collections::HashMap, convert::Infallible, io::Read, sync::Arc};

use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};

use super::{Answer, Identity, Shared};

pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>, identity: Option<Identity>) {
    let acceptor = identity.map(|identity| identity.acceptor());
    loop {
        let (stream, _) = listener.accept().await.expect("the collector listens");
        let (shared, acceptor) = (Arc::clone(&shared), acceptor.clone());
        tokio::spawn(async move {
            match acceptor {
                // A client that does not trust the certificate goes away.
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        connection(stream, shared).await;
                    }
                }
                None => connection(stream, shared).await,
            }
        });
    }
}

async fn connection<Stream>(stream: Stream, shared: Arc<Shared>)
where
    Stream: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(|request| answer(request, Arc::clone(&shared)));
    // It ends in an error where the client breaks it off, as some tests do.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// The response to a request that is not taken.
fn refusal(answer: Answer) -> Option<Response<Full<Bytes>>> {
    let (status, text, delay) = match answer {
        Answer::Take => return None,
        Answer::Refuse => (StatusCode::FORBIDDEN, "not you", None),
        Answer::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too large", None),
        Answer::TooLate => (StatusCode::GATEWAY_TIMEOUT, "too slow", None),
        Answer::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "out of order", None),
        Answer::Throttle(delay) => (StatusCode::TOO_MANY_REQUESTS, "too busy", Some(delay)),
    };
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    if let Some(delay) = delay {
        response
            .headers_mut()
            .insert("retry-after", delay.as_secs().into());
    }
    Some(response)
}

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let headers: HashMap<String, String> = request
        .headers()
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.to_string(), value.into_owned())
        })
        .collect();
    let body = request.into_body().collect().await.expect("a whole body");
    let mut body = body.to_bytes().to_vec();
    if headers.get("content-encoding").map(String::as_str) == Some("gzip") {
        let mut plain = Vec::new();
        let mut decoder = flate2::read::GzDecoder::new(&body[..]);
        decoder.read_to_end(&mut plain).expect("valid gzip");
        body = plain;
    }
    if let Some(refusal) = refusal(shared.answer(body.len())) {
        return Ok(refusal);
    }
    shared.work(body.len()).await;
    let mut received = shared.received();
    received.headers.push(headers);
    let mut answer = Bytes::new();
    match path.as_str() {
        "/v1/traces" => {
            let message = Message::decode(&body[..]).expect("a valid message");
            received.traces.push(message);
            if let Some(rejected_spans) = shared.rejected() {
                let partial_success = ExportTracePartialSuccess {
                    rejected_spans,
                    error_message: "too many attributes".into(),
                };
                let response = ExportTraceServiceResponse {
                    partial_success: Some(partial_success),
                };
                answer = response.encode_to_vec().into();
            }
        }
        "/v1/metrics" => {
            let message = Message::decode(&body[..]).expect("a valid message");
            received.metrics.push(message);
        }
        "/v1/logs" => {
            let message = Message::decode(&body[..]).expect("a valid message");
            received.logs.push(message);
        }
        other => panic!("nobody sends to {other}"),
    }
    Ok(Response::new(Full::new(answer)))
}
