#![doc = include_str!("../README.md")]

mod page;
mod graph;
mod rows;
mod timeline;
mod text;

use dotflow::Report;

use crate::page::Page;

/// How large a page may be, in bytes.
const MOST_BYTES: usize = 100_000;

/// The numbers of rows that are tried until the page is small enough.
const MOST_ROWS: [usize; 6] = [300, 200, 120, 60, 25, 10];

/// A run as one page of HTML.
///
/// It shows how the run ended and why, its graph up to 150 tasks, and a row per task: how it ended,
/// how long it took, and a bar for each of its attempts and waits. The items of one
/// [`each`](dotflow::Task::each) are one row. Where a run has more than 300 rows, the failed tasks are
/// shown first (at most 50 of them), then those with retries, then the slowest. A page has at most
/// 24 KiB of error texts, and is smaller than 100 KB in all.
///
/// What comes from outside, as names and error texts do, is escaped; characters that nobody sees are
/// written as their escapes.
///
/// ```
/// use dotflow::{action, task, DotFlow};
///
/// #[action]
/// fn load() -> Result<(), String> { Err("the table <sales> is locked".into()) }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let run = DotFlow::new("sales", task(load())).start_blocking()?;
/// let page = dotflow_report::html(run.report());
/// assert!(page.starts_with("<!doctype html>"));
/// assert!(page.contains("the table &lt;sales&gt; is locked"));
/// # Ok(()) }
/// ```
pub fn html(report: &Report) -> String {
    let mut page = String::new();
    for most_rows in MOST_ROWS {
        page = Page::of(report, most_rows).render();
        if page.len() < MOST_BYTES {
            break;
        }
    }
    page
}
