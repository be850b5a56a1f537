//! A collector of OpenTelemetry data in the test process: a real server that keeps what it gets,
//! and that can be told to misbehave.
//!
//! It runs on a thread and a runtime of its own, so a test that blocks its own runtime does not
//! block the collector.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
        trace::v1::ExportTraceServiceRequest,
    },
    common::v1::{KeyValue, any_value::Value},
    logs::v1::LogRecord,
    metrics::v1::Metric,
    trace::v1::Span,
};
use tokio::sync::oneshot;

mod address;
mod grpc;
mod http;
mod proxy;
mod tls;

pub use self::{address::Nobody, proxy::Proxy, tls::Identity};

/// What the collector does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Takes everything.
    Accept,
    /// Answers that it takes nothing, in a way that is not worth another try.
    Refuse,
    /// Answers after this time.
    Slow(Duration),
    /// Never answers.
    Silent,
    /// Never answers a request that is larger than this many bytes.
    SilentAbove(usize),
    /// Takes all but this many items of each request, and says so.
    RejectPart(i64),
    /// Answers that a request took too long if it is larger than this many bytes.
    LateAbove(usize),
    /// Takes no request that is larger than this many bytes.
    AtMost(usize),
    /// Answers this many requests that it is too busy, and that it wants to be left alone for this
    /// time; takes all others.
    Throttle(u32, Duration),
    /// Answers this many requests that it is out of order, and takes all others.
    Unavailable(u32),
    /// Refuses this many requests for good, and takes all others.
    RefuseFirst(u32),
}

/// What becomes of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Take,
    Refuse,
    TooLarge,
    TooLate,
    Throttle(Duration),
    Unavailable,
}

/// How the collector is talked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// OTLP over gRPC.
    Grpc,
    /// OTLP over HTTP with protobuf.
    Http,
}

/// Everything that a collector got, in the order in which it came.
#[derive(Debug, Default)]
pub struct Received {
    /// The gRPC metadata or HTTP headers of each request.
    pub headers: Vec<HashMap<String, String>>,
    /// When each request came, also those that were not taken.
    pub arrivals: Vec<Instant>,
    /// Requests with spans.
    pub traces: Vec<ExportTraceServiceRequest>,
    /// Requests with metrics.
    pub metrics: Vec<ExportMetricsServiceRequest>,
    /// Requests with log records.
    pub logs: Vec<ExportLogsServiceRequest>,
}

/// What the server and the test share.
#[derive(Debug)]
struct Shared {
    behaviour: Behaviour,
    received: Mutex<Received>,
}

impl Shared {
    fn received(&self) -> MutexGuard<'_, Received> {
        self.received.lock().expect("the collector does not panic")
    }

    /// Decides about a request of this size, and notes that it came.
    fn answer(&self, size: usize) -> Answer {
        let mut received = self.received();
        received.arrivals.push(Instant::now());
        let number = u32::try_from(received.arrivals.len()).expect("a few requests");
        match self.behaviour {
            Behaviour::Refuse => Answer::Refuse,
            Behaviour::RefuseFirst(first) if number <= first => Answer::Refuse,
            Behaviour::LateAbove(limit) if size > limit => Answer::TooLate,
            Behaviour::AtMost(limit) if size > limit => Answer::TooLarge,
            Behaviour::Throttle(first, delay) if number <= first => Answer::Throttle(delay),
            Behaviour::Unavailable(first) if number <= first => Answer::Unavailable,
            _ => Answer::Take,
        }
    }

    /// Waits as long as the collector pretends to work.
    async fn work(&self, size: usize) {
        match self.behaviour {
            Behaviour::SilentAbove(limit) if size > limit => std::future::pending().await,
            Behaviour::Slow(delay) => tokio::time::sleep(delay).await,
            Behaviour::Silent => std::future::pending().await,
            _ => {}
        }
    }

    /// How many items are not taken, where that is a part of them.
    fn rejected(&self) -> Option<i64> {
        match self.behaviour {
            Behaviour::RejectPart(rejected) => Some(rejected),
            _ => None,
        }
    }
}

/// A running collector; it stops when dropped.
#[derive(Debug)]
pub struct Collector {
    port: Nobody,
    transport: Transport,
    identity: Option<Identity>,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Collector {
    /// Starts a collector that takes everything over gRPC.
    pub fn start() -> Self {
        Self::with(Transport::Grpc, Behaviour::Accept)
    }

    /// Starts a collector that behaves like this.
    pub fn with(transport: Transport, behaviour: Behaviour) -> Self {
        Self::serve(transport, behaviour, None)
    }

    /// Starts a collector that takes everything over TLS.
    pub fn secure(transport: Transport) -> Self {
        Self::serve(transport, Behaviour::Accept, Some(Identity::generate()))
    }

    /// Starts a collector that takes everything over TLS, from this client only.
    pub fn secure_for(transport: Transport, client: &Identity) -> Self {
        let identity = Identity {
            client: Some(client.certificate.clone()),
            ..Identity::generate()
        };
        Self::serve(transport, Behaviour::Accept, Some(identity))
    }

    fn serve(transport: Transport, behaviour: Behaviour, identity: Option<Identity>) -> Self {
        let mut collector = Self {
            port: Nobody::new(),
            transport,
            identity,
            shared: Arc::new(Shared {
                behaviour,
                received: Mutex::default(),
            }),
            stop: None,
            thread: None,
        };
        collector.restart();
        collector
    }

    /// Starts it again after a [`crash`](Self::crash), at the same address. What came before is kept.
    ///
    /// # Panics
    ///
    /// When it can't be started.
    pub fn restart(&mut self) {
        let (stop, stopped) = oneshot::channel();
        let (listening, listens) = std::sync::mpsc::channel();
        let (transport, address) = (self.transport, self.port.address());
        let (shared, identity) = (Arc::clone(&self.shared), self.identity.clone());
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime for the collector");
            runtime.block_on(async move {
                let listener = address::listen(address);
                listening.send(()).expect("the test waits for this");
                let serve = async {
                    match transport {
                        Transport::Grpc => grpc::serve(listener, shared, identity).await,
                        Transport::Http => http::serve(listener, shared, identity).await,
                    }
                };
                // Not a graceful stop: a request without an answer would never end.
                tokio::select! {
                    () = serve => {}
                    _ = stopped => {}
                }
            });
        });
        listens.recv().expect("the collector listens");
        self.stop = Some(stop);
        self.thread = Some(thread);
    }

    /// The URL of the collector.
    pub fn endpoint(&self) -> String {
        let port = self.port.address().port();
        match &self.identity {
            Some(_) => format!("https://localhost:{port}"),
            None => format!("http://127.0.0.1:{port}"),
        }
    }

    /// The URL of the collector under a name that only a proxy knows, and that proxy.
    pub fn behind_a_proxy(&self) -> (String, Proxy) {
        let address = self.port.address();
        let scheme = if self.identity.is_some() {
            "https"
        } else {
            "http"
        };
        let endpoint = format!("{scheme}://collector.example:{}", address.port());
        (endpoint, Proxy::start(address))
    }

    /// The certificate of a collector with TLS, as PEM.
    ///
    /// # Panics
    ///
    /// When it has none.
    pub fn certificate(&self) -> &str {
        let identity = self.identity.as_ref();
        &identity.expect("a collector with TLS").certificate
    }

    /// What came so far.
    pub fn received(&self) -> MutexGuard<'_, Received> {
        self.shared.received()
    }

    /// Every span so far.
    pub fn spans(&self) -> Vec<Span> {
        let received = self.received();
        let resources = received.traces.iter().flat_map(|one| &one.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| &scope.spans).cloned().collect()
    }

    /// Every log record so far.
    pub fn log_records(&self) -> Vec<LogRecord> {
        let received = self.received();
        let resources = received.logs.iter().flat_map(|one| &one.resource_logs);
        let scopes = resources.flat_map(|resource| &resource.scope_logs);
        scopes
            .flat_map(|scope| &scope.log_records)
            .cloned()
            .collect()
    }

    /// The metrics of the last report.
    pub fn metrics(&self) -> Vec<Metric> {
        let received = self.received();
        let resources = received
            .metrics
            .last()
            .into_iter()
            .flat_map(|one| &one.resource_metrics);
        let scopes = resources.flat_map(|resource| &resource.scope_metrics);
        scopes.flat_map(|scope| &scope.metrics).cloned().collect()
    }

    /// Waits until `done` says so.
    ///
    /// # Panics
    ///
    /// When that takes longer than 20 seconds.
    pub fn wait_until(&self, done: impl Fn(&Self) -> bool) {
        let started = Instant::now();
        while !done(self) {
            assert!(started.elapsed() < Duration::from_secs(20), "it never came");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Stops the collector as a crash does: connections break, and new ones are refused.
    ///
    /// # Panics
    ///
    /// When the collector panicked.
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
