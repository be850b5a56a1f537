//! The collector over gRPC.

use std::{collections::HashMap, sync::Arc};

use opentelemetry_proto::tonic::collector::{
    logs::v1::{
        ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
        logs_service_server::{LogsService, LogsServiceServer},
    },
    metrics::v1::{
        ExportMetricsServiceRequest, ExportMetricsServiceResponse,
        metrics_service_server::{MetricsService, MetricsServiceServer},
    },
    trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
};
use prost::Message;
use tokio::net::TcpListener;
use tonic::{
    Code, Request, Response, Status,
    codec::CompressionEncoding::{Gzip, Zstd},
    metadata::MetadataMap,
    transport::{Certificate, Server, ServerTlsConfig, server::TcpIncoming},
};
use tonic_types::{ErrorDetails, StatusExt};

use super::{Answer, Identity, Shared};

pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>, identity: Option<Identity>) {
    let mut server = Server::builder();
    if let Some(identity) = identity {
        let own = tonic::transport::Identity::from_pem(identity.certificate, identity.key);
        let mut config = ServerTlsConfig::new().identity(own);
        if let Some(client) = identity.client {
            config = config.client_ca_root(Certificate::from_pem(client));
        }
        server = server.tls_config(config).expect("a valid identity");
    }
    let service = Service(shared);
    let traces = TraceServiceServer::new(service.clone());
    let metrics = MetricsServiceServer::new(service.clone());
    let logs = LogsServiceServer::new(service);
    server
        .add_service(traces.accept_compressed(Gzip).accept_compressed(Zstd))
        .add_service(metrics.accept_compressed(Gzip).accept_compressed(Zstd))
        .add_service(logs.accept_compressed(Gzip).accept_compressed(Zstd))
        .serve_with_incoming(TcpIncoming::from(listener))
        .await
        .expect("the collector serves");
}

#[derive(Clone)]
struct Service(Arc<Shared>);

impl Service {
    /// What is the same for all signals.
    async fn begin(&self, metadata: &MetadataMap, size: usize) -> Result<(), Status> {
        match self.0.answer(size) {
            Answer::Take => {}
            Answer::Refuse => return Err(Status::permission_denied("not you")),
            // As servers in Go say it.
            Answer::TooLarge => {
                let text = format!("grpc: received message larger than max ({size})");
                return Err(Status::resource_exhausted(text));
            }
            Answer::TooLate => return Err(Status::deadline_exceeded("too slow")),
            Answer::Unavailable => return Err(Status::unavailable("out of order")),
            Answer::Throttle(delay) => {
                let details = ErrorDetails::with_retry_info(Some(delay));
                let code = Code::ResourceExhausted;
                return Err(Status::with_error_details(code, "too busy", details));
            }
        }
        self.0.work(size).await;
        let headers = metadata.clone().into_headers();
        let headers: HashMap<String, String> = headers
            .iter()
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes());
                (name.to_string(), value.into_owned())
            })
            .collect();
        self.0.received().headers.push(headers);
        Ok(())
    }
}

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let size = request.get_ref().encoded_len();
        self.begin(request.metadata(), size).await?;
        self.0.received().traces.push(request.into_inner());
        let partial_success = self
            .0
            .rejected()
            .map(|rejected_spans| ExportTracePartialSuccess {
                rejected_spans,
                error_message: "too many attributes".into(),
            });
        Ok(Response::new(ExportTraceServiceResponse {
            partial_success,
        }))
    }
}

#[tonic::async_trait]
impl MetricsService for Service {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let size = request.get_ref().encoded_len();
        self.begin(request.metadata(), size).await?;
        self.0.received().metrics.push(request.into_inner());
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Service {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let size = request.get_ref().encoded_len();
        self.begin(request.metadata(), size).await?;
        self.0.received().logs.push(request.into_inner());
        let partial_success =
            self.0
                .rejected()
                .map(|rejected_log_records| ExportLogsPartialSuccess {
                    rejected_log_records,
                    error_message: "too long".into(),
                });
        Ok(Response::new(ExportLogsServiceResponse { partial_success }))
    }
}
