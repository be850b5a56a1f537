//! 500 pages fetched from a server of which one can't be sure: some answer at the second or third try, some
//! never do, and it bears only so many requests per second.
//!
//! ```sh
//! cargo run --example pages -- report.json   # exit code 2: some pages could not be had
//! ```
//!
//! What to look at:
//! - `each_settled` tries every page, and hands on the failures beside the pages: none is lost, and the
//!   run is no failure. What that means for the program is for `main` to say.
//! - Whether to try again is on `fetch`, in one line: only what is the server's fault.
//! - `rate` paces the attempts of the group, retries too. Waiting for it costs no attempt its `timeout`.
//! - `item_labels` has reports and traces tell pages by their URL.
//! - The report of the run is plain data: times, attempts and errors of each page, as JSON.

use std::{
    collections::HashMap,
    fs::File,
    io,
    net::SocketAddr,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, extract::Path, http::StatusCode, routing};
use dotflow::{DotFlow, PreviousContext, Status, TaskError, action, limits::Rate, task};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const PAGES: usize = 500;

#[derive(Debug, Clone)]
struct Page {
    words: usize,
}

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("the server can't be reached")]
    Unreachable(#[from] io::Error),
    #[error("the server answered {0}")]
    Status(u16),
    #[error("the server does not speak HTTP")]
    Malformed,
}

impl FetchError {
    /// Whether another attempt may help.
    fn is_the_servers_fault(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Status(500..) => true,
            Self::Status(_) | Self::Malformed => false,
        }
    }
}

#[action]
fn urls(server: SocketAddr) -> Vec<String> {
    (0..PAGES)
        .map(|page| format!("http://{server}/pages/{page}"))
        .collect()
}

#[action(retry = 4, retry_delay = "20ms", backoff = 2.0, jitter,
         retry_if = FetchError::is_the_servers_fault, timeout = "1s")]
async fn fetch(url: PreviousContext<String>) -> Result<Page, FetchError> {
    let (status, body) = get(&url).await?;
    match status {
        200 => Ok(Page {
            words: body.split_whitespace().count(),
        }),
        status => Err(FetchError::Status(status)),
    }
}

struct Summary {
    fetched: usize,
    words: usize,
    failed: Vec<TaskError>,
}

#[action]
fn summarise(pages: PreviousContext<Vec<Result<Page, TaskError>>>) -> Summary {
    let fetched = pages.iter().flatten();
    Summary {
        fetched: fetched.clone().count(),
        words: fetched.map(|page| page.words).sum(),
        failed: pages.iter().filter_map(|page| page.clone().err()).collect(),
    }
}

fn crawl(server: SocketAddr) -> DotFlow<Summary> {
    let pages = task(urls(server))
        .item_labels(Clone::clone)
        .each_settled(fetch())
        .group("site");
    DotFlow::new("crawl", pages.then(summarise()))
        .concurrency(32)
        .rate("site", Rate::per_second(500))
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let run = crawl(serve().await?).start().await?;
    if let Some(path) = std::env::args().nth(1) {
        serde_json::to_writer_pretty(File::create(path)?, run.report())?;
    }
    let summary = run.output()?;
    println!(
        "{} pages with {} words, {} failed",
        summary.fetched,
        summary.words,
        summary.failed.len()
    );
    for task in run.tasks() {
        if let (Some(url), Some(error)) = (task.item_label(), task.errors().last())
            && task.status() != Status::Completed
        {
            println!("{url}: {error} (attempt {})", error.attempt());
        }
    }
    Ok(match &*summary.failed {
        [] => ExitCode::SUCCESS,
        _ => ExitCode::from(2),
    })
}

/// The least that asks for a page; a program of yours has a client for that.
async fn get(url: &str) -> Result<(u16, String), FetchError> {
    let (host, path) = url
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))
        .ok_or(FetchError::Malformed)?;
    let mut connection = TcpStream::connect(host).await?;
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(FetchError::Malformed)?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Ok((status.ok_or(FetchError::Malformed)?, body.to_owned()))
}

/// Opens the server: each 11th page is refused twice before it comes, each 40th does not exist, and one
/// never comes.
async fn serve() -> io::Result<SocketAddr> {
    let asked: Arc<Mutex<HashMap<usize, u32>>> = Arc::default();
    let page = move |Path(page): Path<usize>| async move {
        let times = {
            let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
            let times = asked.entry(page).or_default();
            *times += 1;
            *times
        };
        match page {
            499 => Err(StatusCode::INTERNAL_SERVER_ERROR),
            _ if page % 40 == 7 => Err(StatusCode::NOT_FOUND),
            _ if page % 11 == 3 && times <= 2 => Err(StatusCode::SERVICE_UNAVAILABLE),
            _ => Ok(format!("This is page {page}.")),
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let routes = Router::new().route("/pages/{page}", routing::get(page));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(address)
}
