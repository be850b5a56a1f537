//! A collector of OpenTelemetry data in the test process: a real gRPC server that keeps what it
//! gets, and that can be told to misbehave.
//!
//! It runs on a thread and a runtime of its own, so a test that blocks its own runtime does not
//! block the collector.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use tokio::{net::TcpListener, sync::oneshot};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

/// What the collector does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Takes everything.
    Accept,
    /// Answers that it takes nothing (`PERMISSION_DENIED`, which is not retried).
    Refuse,
    /// Answers after this time.
    Slow(Duration),
    /// Never answers.
    Silent,
    /// Takes all but this many spans of each request, and says so.
    RejectPart(i64),
}

/// One request as it came over the wire.
#[derive(Debug, Clone)]
pub struct TraceRequest {
    /// The gRPC metadata or HTTP headers.
    pub headers: HashMap<String, String>,
    /// The message.
    pub message: ExportTraceServiceRequest,
}

/// A running collector; it stops when dropped.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    store: Arc<Store>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

#[derive(Debug)]
struct Store {
    behaviour: Behaviour,
    traces: Mutex<Vec<TraceRequest>>,
}

impl Collector {
    /// Starts a collector that takes everything.
    pub fn start() -> Self {
        Self::with_behaviour(Behaviour::Accept)
    }

    /// Starts a collector that behaves like this.
    ///
    /// # Panics
    ///
    /// When it can't listen.
    pub fn with_behaviour(behaviour: Behaviour) -> Self {
        let store = Arc::new(Store {
            behaviour,
            traces: Mutex::new(Vec::new()),
        });
        let (stop, stopped) = oneshot::channel();
        let (listening, address) = std::sync::mpsc::channel();
        let server_store = Arc::clone(&store);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime for the collector");
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                let address = listener.local_addr().expect("a bound address");
                listening.send(address).expect("the test waits for this");
                let server = Server::builder()
                    .add_service(TraceServiceServer::new(Shared(server_store)))
                    .serve_with_incoming(TcpIncoming::from(listener));
                // Not a graceful stop: a silent request would never end.
                tokio::select! {
                    served = server => served.expect("the collector serves"),
                    _ = stopped => {}
                }
            });
        });
        let address = address.recv().expect("the collector listens");
        Self {
            address,
            store,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// The URL for OTLP over gRPC.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every trace request so far.
    ///
    /// # Panics
    ///
    /// When the collector panicked.
    pub fn trace_requests(&self) -> Vec<TraceRequest> {
        self.store.traces.lock().expect("not poisoned").clone()
    }

    /// Every span so far.
    pub fn spans(&self) -> Vec<Span> {
        let requests = self.trace_requests();
        let resources = requests
            .into_iter()
            .flat_map(|one| one.message.resource_spans);
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    /// Waits until `done` says so.
    ///
    /// # Panics
    ///
    /// When that takes longer than 10 seconds.
    pub fn wait_until(&self, done: impl Fn(&Self) -> bool) {
        let started = Instant::now();
        while !done(self) {
            assert!(started.elapsed() < Duration::from_secs(10), "it never came");
            thread::yield_now();
        }
    }

    /// Stops the collector as a crash does: connections break.
    pub fn crash(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the collector does not panic");
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let joined = thread.join();
            assert!(
                joined.is_ok() || thread::panicking(),
                "the collector panicked"
            );
        }
    }
}

struct Shared(Arc<Store>);

#[tonic::async_trait]
impl TraceService for Shared {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let headers = request.metadata().clone().into_headers();
        let headers = headers
            .iter()
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes());
                (name.to_string(), value.into_owned())
            })
            .collect();
        let message = request.into_inner();
        let mut response = ExportTraceServiceResponse::default();
        match self.0.behaviour {
            Behaviour::Accept => {}
            Behaviour::Refuse => return Err(Status::permission_denied("not you")),
            Behaviour::Slow(delay) => tokio::time::sleep(delay).await,
            Behaviour::Silent => std::future::pending().await,
            Behaviour::RejectPart(rejected_spans) => {
                response.partial_success = Some(ExportTracePartialSuccess {
                    rejected_spans,
                    error_message: "too many attributes".into(),
                });
            }
        }
        let mut traces = self.0.traces.lock().expect("not poisoned");
        traces.push(TraceRequest { headers, message });
        Ok(Response::new(response))
    }
}

/// The value of an attribute, or `None` where there is none of that name.
pub fn attribute<'list>(attributes: &'list [KeyValue], key: &str) -> Option<&'list Value> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    found.value.as_ref()?.value.as_ref()
}

/// The names of attributes, sorted.
pub fn attribute_names(attributes: &[KeyValue]) -> Vec<&str> {
    let mut names: Vec<&str> = attributes.iter().map(|one| one.key.as_str()).collect();
    names.sort_unstable();
    names
}
