//! An HTTP service in which each request is a run of one workflow, built once.
//!
//! ```sh
//! cargo run --example service          # listens on 127.0.0.1:3000, or on the address that is given
//! curl -i -X PUT localhost:3000/runs/1 --json '{"item": "lamp", "quantity": 2}'      # 201, the receipt
//! curl -i -X PUT localhost:3000/runs/2 --json '{"item": "lamp", "quantity": 9000}'   # 409, out of stock
//! curl -i -X PUT localhost:3000/runs/3 --json '{"item": "piano", "quantity": 1}' &   # takes a minute …
//! curl localhost:3000/runs                                                           # … is listed,
//! curl -X DELETE localhost:3000/runs/3                                               # … and cancelled
//! ```
//!
//! What to look at:
//! - `checkout` takes its input when it is started, by `.with(order)`. Handles (the stock) are own inputs.
//! - The run nests in the span of its request: the console shows one tree per request.
//! - A client that goes away drops the future of its request, and with it the run. `DELETE` cancels it by a
//!   token that anybody may hold. SIGTERM lets runs finish for a while, then cancels them all.
//! - `answer` is the one place that makes status codes of typed errors.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing,
};
use dotflow::{DotFlow, PreviousContext, RunOptions, TaskError, TaskErrorKind, action};
use dotflow_otel::OpenTelemetry;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// How long runs may go on when the service is to end.
const GRACE: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
struct Order {
    item: String,
    quantity: u32,
}

#[derive(Serialize)]
struct Receipt {
    item: String,
    cents: u64,
}

#[derive(Debug, thiserror::Error)]
enum ShopError {
    #[error("there is no `{0}` in this shop")]
    Unknown(String),
    #[error("only {0} of them are left")]
    OutOfStock(u32),
    #[error("the warehouse is busy")]
    Busy,
}

/// What is left of each item, and how many cents one costs. What a run has taken that is then cancelled
/// is not given back: this shop is a small one.
type Stock = Mutex<BTreeMap<&'static str, (u32, u64)>>;

#[action]
async fn reserve(order: PreviousContext<Order>, stock: Arc<Stock>) -> Result<u64, ShopError> {
    let mut stock = lock(&stock);
    let unknown = || ShopError::Unknown(order.item.clone());
    let (left, cents) = stock.get_mut(&*order.item).ok_or_else(unknown)?;
    *left = left
        .checked_sub(order.quantity)
        .ok_or(ShopError::OutOfStock(*left))?;
    Ok(u64::from(order.quantity) * *cents)
}

/// The warehouse takes no umbrellas, however often it is asked, and a minute for a piano.
#[action(retry = 3, retry_delay = "20ms", retry_if = is_busy)]
async fn pack(
    order: PreviousContext<Order>,
    cents: PreviousContext<u64>,
) -> Result<Receipt, ShopError> {
    match &*order.item {
        "umbrella" => return Err(ShopError::Busy),
        "piano" => tokio::time::sleep(Duration::from_secs(60)).await,
        _ => {}
    }
    Ok(Receipt {
        item: order.item.clone(),
        cents: *cents,
    })
}

fn is_busy(error: &ShopError) -> bool {
    matches!(error, ShopError::Busy)
}

fn checkout(stock: &Arc<Stock>) -> DotFlow<Receipt, (Order,)> {
    DotFlow::with_input("checkout", |order| {
        order
            .and(&order.then(reserve(Arc::clone(stock))))
            .then(pack())
    })
}

/// What the service knows while it runs.
struct Service {
    checkout: DotFlow<Receipt, (Order,)>,
    /// By id, what cancels each run that is under way.
    live: Mutex<BTreeMap<String, CancellationToken>>,
    /// Cancels all of them.
    stop: CancellationToken,
}

/// A run under way, which is listed until this is dropped: at its end, or when its client goes away.
struct Live {
    service: Arc<Service>,
    id: String,
}

impl Drop for Live {
    fn drop(&mut self) {
        lock(&self.service.live).remove(&self.id);
    }
}

async fn put(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    Json(order): Json<Order>,
) -> Response {
    let token = service.stop.child_token();
    match lock(&service.live).entry(id.clone()) {
        Entry::Occupied(_) => {
            return (StatusCode::CONFLICT, "this run is under way").into_response();
        }
        Entry::Vacant(entry) => entry.insert(token.clone()),
    };
    let live = Live { service, id };
    let checkout = live.service.checkout.with(order).cancel_with(token);
    // Not spawned: when this future is dropped, so is the run.
    match checkout.run_with(RunOptions::new().id(&*live.id)).await {
        Ok(run) => answer(run.into_output()),
        // The run could not even begin.
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn list(State(service): State<Arc<Service>>) -> Json<Vec<String>> {
    Json(lock(&service.live).keys().cloned().collect())
}

async fn delete(State(service): State<Arc<Service>>, Path(id): Path<String>) -> StatusCode {
    match lock(&service.live).get(&id) {
        Some(run) => run.cancel(),
        None => return StatusCode::NOT_FOUND,
    }
    StatusCode::ACCEPTED
}

fn answer(output: Result<Receipt, TaskError>) -> Response {
    let error = match output {
        Ok(receipt) => return (StatusCode::CREATED, Json(receipt)).into_response(),
        Err(error) => error,
    };
    // What comes of the last task may be that it was skipped; the root says why.
    let status = match (error.downcast_ref::<ShopError>(), error.root().kind()) {
        (Some(ShopError::Unknown(_)), _) => StatusCode::NOT_FOUND,
        (Some(ShopError::OutOfStock(_)), _) => StatusCode::CONFLICT,
        (Some(ShopError::Busy), _) => StatusCode::SERVICE_UNAVAILABLE,
        (None, TaskErrorKind::Cancelled) => StatusCode::GONE,
        (None, _) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, error.root().to_string()).into_response()
}

/// Gives each request a span, in which its run nests.
async fn in_span(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let span = tracing::info_span!("request", method = %request.method(), path);
    next.run(request).instrument(span).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let _telemetry = OpenTelemetry::new("shop").with_console().install()?;
    let stock = BTreeMap::from([
        ("lamp", (100, 2_500)),
        ("piano", (9, 900_000)),
        ("umbrella", (7, 1_200)),
    ]);
    let service = Arc::new(Service {
        checkout: checkout(&Arc::new(Mutex::new(stock))),
        live: Mutex::default(),
        stop: CancellationToken::new(),
    });
    let stop = service.stop.clone();
    let routes = Router::new()
        .route("/runs/{id}", routing::put(put).delete(delete))
        .route("/runs", routing::get(list))
        .layer(middleware::from_fn(in_span))
        .with_state(service);

    let stopped = stop_signal()?;
    let address = std::env::args().nth(1);
    let address: SocketAddr = address.as_deref().unwrap_or("127.0.0.1:3000").parse()?;
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let stopping = async move {
        stopped.await;
        // No new connection is taken now. Whoever waits for a run longer than this is told so.
        tokio::spawn(async move {
            tokio::time::sleep(GRACE).await;
            stop.cancel();
        });
    };
    axum::serve(listener, routes)
        .with_graceful_shutdown(stopping)
        .await?;
    println!("stopped");
    Ok(())
}

/// Has Ctrl-C at a terminal, and the SIGTERM that systemd, Docker and Kubernetes send, end what is returned
/// and not the program: from now on, not only once that is waited for.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
