//! OTLP requests as bytes, of a size that is known before they are sent.
//!
//! All three signals have the same shape on the wire: a resource (field 1), and for each scope
//! (field 1 of a field 2) the items (its fields 2). So each item is encoded once, by itself, and
//! requests are put together from those bytes: sending one again, or one half of it, costs a copy.

use std::{collections::HashSet, sync::Arc};

use bytes::{BufMut, Bytes, BytesMut};
use opentelemetry::InstrumentationScope;
use opentelemetry_proto::{
    tonic::{
        collector::metrics::v1::ExportMetricsServiceRequest,
        common::v1::InstrumentationScope as ScopeMessage, logs::v1::LogRecord,
        resource::v1::Resource as ResourceMessage, trace::v1::Span,
    },
    transform::common::tonic::ResourceAttributesWithSchema,
};
use opentelemetry_sdk::{
    Resource, logs::SdkLogRecord, metrics::data::ResourceMetrics, trace::SpanData,
};
use prost::{Message, encode_length_delimiter, length_delimiter_len};

use crate::pipeline::Queued;

/// The largest request: what gRPC servers take by default.
const LIMIT: usize = 4 * 1024 * 1024;
/// The tag and the length of a nested message, at most.
const HEADER: usize = 6;

/// What can be sent.
pub(crate) trait Encode: Queued {
    /// The scope that it belongs to; `None` if its bytes are a whole request.
    fn scope(&self) -> Option<ScopeMessage>;
    /// Its message.
    fn encode(self) -> Vec<u8>;
}

impl Encode for SpanData {
    fn scope(&self) -> Option<ScopeMessage> {
        Some(ScopeMessage::from((&self.instrumentation_scope, None)))
    }

    fn encode(self) -> Vec<u8> {
        Span::from(self).encode_to_vec()
    }
}

impl Encode for (SdkLogRecord, InstrumentationScope) {
    fn scope(&self) -> Option<ScopeMessage> {
        Some(ScopeMessage::from((&self.1, self.0.target().cloned())))
    }

    fn encode(self) -> Vec<u8> {
        LogRecord::from(&self.0).encode_to_vec()
    }
}

/// All metrics at one moment.
#[derive(Debug)]
pub(crate) struct MetricReport(Vec<u8>);

impl From<&ResourceMetrics> for MetricReport {
    fn from(metrics: &ResourceMetrics) -> Self {
        Self(ExportMetricsServiceRequest::from(metrics).encode_to_vec())
    }
}

impl Queued for MetricReport {
    fn size(&self) -> usize {
        self.0.len()
    }
}

impl Encode for MetricReport {
    fn scope(&self) -> Option<ScopeMessage> {
        None
    }

    fn encode(self) -> Vec<u8> {
        self.0
    }
}

/// An encoded item.
#[derive(Debug)]
pub(super) struct Piece {
    scope: Option<Arc<[u8]>>,
    bytes: Vec<u8>,
}

/// Makes requests in the name of one resource.
#[derive(Debug)]
pub(super) struct Encoder {
    resource: Vec<u8>,
    /// Every scope so far, so that pieces share them.
    scopes: HashSet<Arc<[u8]>>,
}

impl Encoder {
    pub(super) fn new(resource: &Resource) -> Self {
        let message = ResourceMessage {
            attributes: ResourceAttributesWithSchema::from(resource).attributes.0,
            dropped_attributes_count: 0,
            entity_refs: Vec::new(),
        };
        Self {
            resource: message.encode_to_vec(),
            scopes: HashSet::new(),
        }
    }

    /// Encodes items, and divides them so that each part makes a request of at most 4 MiB. An item
    /// that is larger by itself is a part by itself.
    pub(super) fn pack<Item: Encode>(&mut self, items: Vec<Item>) -> Vec<Vec<Piece>> {
        let base = self.resource.len() + 2 * HEADER;
        let mut parts: Vec<Vec<Piece>> = Vec::new();
        let mut size = 0;
        for item in items {
            let scope = item.scope().map(|scope| self.shared(scope.encode_to_vec()));
            let bytes = item.encode();
            // As if no two had the same scope in common with others: that is short, and the sum
            // can only be too large.
            let added = bytes.len() + HEADER;
            let with_scope = added + scope.as_ref().map_or(0, |scope| scope.len() + 2 * HEADER);
            let piece = Piece { scope, bytes };
            match parts.last_mut() {
                Some(part) if size + with_scope <= LIMIT => {
                    let is_known = part.iter().rev().any(|known| known.scope == piece.scope);
                    size += if is_known { added } else { with_scope };
                    part.push(piece);
                }
                _ => {
                    size = base + with_scope;
                    parts.push(vec![piece]);
                }
            }
        }
        parts
    }

    fn shared(&mut self, scope: Vec<u8>) -> Arc<[u8]> {
        if let Some(known) = self.scopes.get(&scope[..]) {
            return Arc::clone(known);
        }
        let scope: Arc<[u8]> = scope.into();
        self.scopes.insert(Arc::clone(&scope));
        scope
    }

    /// The request that carries these pieces.
    pub(super) fn request(&self, pieces: &[Piece]) -> Bytes {
        let mut scopes: Vec<(&[u8], Vec<&[u8]>)> = Vec::new();
        let mut request = BytesMut::new();
        for piece in pieces {
            let bytes = &piece.bytes[..];
            match &piece.scope {
                None => request.put_slice(bytes),
                Some(scope) => match scopes.iter_mut().find(|(known, _)| *known == &scope[..]) {
                    Some((_, items)) => items.push(bytes),
                    None => scopes.push((&scope[..], vec![bytes])),
                },
            }
        }
        if scopes.is_empty() {
            return request.freeze();
        }
        let group = |scope: &[u8], items: &[&[u8]]| {
            nested(scope.len()) + items.iter().map(|item| nested(item.len())).sum::<usize>()
        };
        let groups = scopes.iter().map(|(scope, items)| group(scope, items));
        let length = nested(self.resource.len()) + groups.map(nested).sum::<usize>();
        request.reserve(nested(length));
        open(&mut request, 1, length);
        open(&mut request, 1, self.resource.len());
        request.put_slice(&self.resource);
        for (scope, items) in &scopes {
            open(&mut request, 2, group(scope, items));
            open(&mut request, 1, scope.len());
            request.put_slice(scope);
            for item in items {
                open(&mut request, 2, item.len());
                request.put_slice(item);
            }
        }
        request.freeze()
    }
}

/// How long a nested message of this length is with its tag.
fn nested(length: usize) -> usize {
    1 + length_delimiter_len(length) + length
}

/// Writes the tag and the length of a nested message.
fn open(buffer: &mut BytesMut, field: u8, length: usize) {
    // The wire type of whatever has a length is 2.
    buffer.put_u8(field << 3 | 2);
    encode_length_delimiter(length, buffer).expect("the buffer grows");
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

    use super::*;

    /// An item of this scope whose span has this name.
    struct Item(&'static str, String);

    impl Queued for Item {
        fn size(&self) -> usize {
            self.1.len()
        }
    }

    impl Encode for Item {
        fn scope(&self) -> Option<ScopeMessage> {
            Some(ScopeMessage {
                name: self.0.to_owned(),
                ..ScopeMessage::default()
            })
        }

        fn encode(self) -> Vec<u8> {
            let name = self.1;
            Span {
                name,
                ..Span::default()
            }
            .encode_to_vec()
        }
    }

    fn encoder() -> Encoder {
        Encoder::new(&Resource::builder_empty().with_service_name("shop").build())
    }

    #[test]
    fn a_request_is_a_valid_message_with_one_group_per_scope() {
        let items = [("a", "1"), ("b", "2"), ("a", "3")];
        let items = items.map(|(scope, name)| Item(scope, name.to_owned()));
        let mut encoder = encoder();
        let parts = encoder.pack(items.into());
        assert_eq!(parts.len(), 1);
        let request = encoder.request(&parts[0]);
        let message = ExportTraceServiceRequest::decode(request).unwrap();
        let [resource_spans] = &message.resource_spans[..] else {
            panic!("{message:?}");
        };
        let attributes = &resource_spans.resource.as_ref().unwrap().attributes;
        assert_eq!(attributes[0].key, "service.name");
        let names = resource_spans.scope_spans.iter().map(|group| {
            let names = group.spans.iter().map(|span| span.name.as_str());
            let scope = group.scope.as_ref().unwrap();
            (scope.name.as_str(), names.collect::<Vec<_>>())
        });
        let names: Vec<_> = names.collect();
        assert_eq!(names, [("a", vec!["1", "3"]), ("b", vec!["2"])]);
    }

    #[test]
    fn no_request_is_above_the_limit_but_for_one_item_that_is() {
        let mut sizes = vec![1_000_000; 9];
        sizes.push(LIMIT + 1);
        sizes.extend([10; 3]);
        let items = sizes.iter().map(|size| Item("a", "x".repeat(*size)));
        let mut encoder = encoder();
        let parts = encoder.pack(items.collect());
        let counts: Vec<usize> = parts.iter().map(Vec::len).collect();
        assert_eq!(counts, [4, 4, 1, 1, 3]);
        for (part, is_alone) in parts.iter().zip([false, false, false, true, false]) {
            assert_eq!(encoder.request(part).len() > LIMIT, is_alone);
        }
    }
}
