//! OTLP over HTTP with protobuf: hyper, on the export runtime.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Collected, Full, Limited};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use prost::Message;

use super::{
    options::{Compression, Connection},
    proxy::Dial,
    refusal,
};
use crate::{
    error::Error,
    pipeline::{Next, Refusal},
};

#[cfg(feature = "tls")]
type Connector = hyper_rustls::HttpsConnector<Dial>;
#[cfg(not(feature = "tls"))]
type Connector = Dial;

const USER_AGENT: &str = concat!("dotflow-otel/", env!("CARGO_PKG_VERSION"));
/// How much of an answer is read.
const LONGEST_ANSWER: usize = 64 * 1024;

/// A connection to a collector, made when it is first needed.
pub(super) struct Http {
    client: Client<Connector, Full<Bytes>>,
    url: Uri,
    headers: HeaderMap,
    compression: Compression,
}

impl Http {
    pub(super) fn new(connection: &Connection) -> Result<Self, Error> {
        let wrong = |reason: String| Error::exporter(&connection.url, reason);
        let url = connection.url.parse::<Uri>();
        let url = url.map_err(|error| wrong(error.to_string()))?;
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.extend(connection.headers.clone());
        let protobuf = HeaderValue::from_static("application/x-protobuf");
        headers.insert(header::CONTENT_TYPE, protobuf);
        let encoding = match connection.compression {
            Compression::None => None,
            Compression::Gzip => Some("gzip"),
            Compression::Zstd => Some("zstd"),
        };
        if let Some(encoding) = encoding {
            let encoding = HeaderValue::from_static(encoding);
            headers.insert(header::CONTENT_ENCODING, encoding);
        }
        // A tunnel asks for it when it opens.
        let route = connection.route.as_ref();
        let auth = route.filter(|route| !route.is_tunnel);
        if let Some(auth) = auth.and_then(|route| route.auth.clone()) {
            headers.insert(header::PROXY_AUTHORIZATION, auth);
        }
        let connector = connector(connection).map_err(|error| wrong(error.to_string()))?;
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            url,
            headers,
            compression: connection.compression,
        })
    }

    pub(super) async fn send(&self, body: Bytes) -> Result<Bytes, Refusal> {
        let mut request = Request::new(Full::new(compressed(body, self.compression)?));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.url.clone();
        request.headers_mut().clone_from(&self.headers);
        let response = self.client.request(request).await;
        let response = response.map_err(|error| refusal::unanswered(refusal::chain(&error)))?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, LONGEST_ANSWER).collect().await;
        if parts.status.is_success() {
            // Whoever says so has taken the request, even where the rest of the answer is lost.
            return Ok(body.map(Collected::to_bytes).unwrap_or_default());
        }
        let body = body.map(Collected::to_bytes).unwrap_or_default();
        Err(refused(parts.status, &parts.headers, &body))
    }
}

#[cfg(not(feature = "tls"))]
#[expect(clippy::unnecessary_wraps, reason = "with TLS it can fail")]
fn connector(connection: &Connection) -> Result<Connector, std::convert::Infallible> {
    Ok(Dial::new(connection.route.clone()))
}

#[cfg(feature = "tls")]
fn connector(connection: &Connection) -> Result<Connector, Box<dyn std::error::Error>> {
    Ok(hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(super::tls::for_http(&connection.certificates)?)
        .https_or_http()
        .enable_http1()
        .wrap_connector(Dial::new(connection.route.clone())))
}

fn compressed(body: Bytes, compression: Compression) -> Result<Bytes, Refusal> {
    let compressed: std::io::Result<Option<Vec<u8>>> = match compression {
        #[cfg(feature = "gzip")]
        Compression::Gzip => {
            use std::io::Write as _;
            let level = flate2::Compression::default();
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            let written = encoder.write_all(&body);
            written.and_then(|()| encoder.finish()).map(Some)
        }
        #[cfg(feature = "zstd")]
        Compression::Zstd => zstd::bulk::compress(&body, zstd::DEFAULT_COMPRESSION_LEVEL).map(Some),
        _ => Ok(None),
    };
    match compressed {
        Ok(compressed) => Ok(compressed.map_or(body, Bytes::from)),
        Err(error) => Err(Refusal {
            cause: format!("the request can't be compressed: {error}"),
            next: Next::GiveUp,
        }),
    }
}

/// What to do about an answer, as the OTLP specification says.
fn refused(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Refusal {
    let next = match status {
        StatusCode::PAYLOAD_TOO_LARGE => Next::Halve,
        StatusCode::GATEWAY_TIMEOUT if retry_after(headers).is_none() => Next::TryLess,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Next::TryAgain(retry_after(headers)),
        _ => Next::GiveUp,
    };
    let kind = headers.get(header::CONTENT_TYPE);
    let is_protobuf = kind.is_some_and(|kind| kind.as_bytes().ends_with(b"protobuf"));
    let text = if is_protobuf {
        tonic_types::pb::Status::decode(body).map(|status| status.message)
    } else {
        Ok(String::from_utf8_lossy(body).into_owned())
    };
    let text = refusal::shown(&text.unwrap_or_default());
    let cause = if text.is_empty() {
        format!("HTTP {status}")
    } else {
        format!("HTTP {status}: {text}")
    };
    Refusal { cause, next }
}

/// How long the server wants to be left alone: a number of seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    Some(until.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(value: &str) -> Option<Duration> {
        let value = HeaderValue::from_str(value).unwrap();
        retry_after(&HeaderMap::from_iter([(header::RETRY_AFTER, value)]))
    }

    #[test]
    fn a_server_may_ask_for_seconds_or_a_date() {
        assert_eq!(asked("120"), Some(Duration::from_secs(120)));
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60));
        let delay = asked(&date).unwrap();
        assert!(delay > Duration::from_secs(50) && delay < Duration::from_secs(61));
        assert_eq!(asked("Thu, 01 Jan 1970 00:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("soon"), None);
    }
}
