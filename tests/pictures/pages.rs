//! A run as a page of HTML: what it says, how large it gets, and what a browser makes of it.

use std::{sync::Arc, time::Duration};

use dotflow::{DotFlow, PreviousContext, Report, Run, Task, TaskContext, TaskError, action, task};
use dotflow_report::html;
use dotflow_tests::{paused, threaded};
use tokio::time::sleep;

use crate::browser::Page;

#[action]
async fn extract(task: TaskContext) -> Vec<u32> {
    task.record("rows", 3);
    sleep(Duration::from_millis(400)).await;
    vec![3, 5, 8]
}

#[action]
async fn convert(number: PreviousContext<u32>) -> u32 {
    sleep(Duration::from_millis(u64::from(*number) * 40)).await;
    *number
}

#[derive(Debug, thiserror::Error)]
#[error("the warehouse <refused>")]
struct Refused(#[source] std::io::Error);

#[action(retry = 3, retry_delay = "300ms")]
async fn load(numbers: PreviousContext<Vec<u32>>) -> Result<u32, Refused> {
    sleep(Duration::from_millis(200)).await;
    Err(Refused(std::io::Error::other(format!(
        "{} rows are too many",
        numbers.len()
    ))))
}

#[action]
fn report(loaded: PreviousContext<u32>) -> u32 {
    *loaded
}

#[action]
async fn check(number: PreviousContext<u32>) -> Result<u32, String> {
    sleep(Duration::from_millis(30)).await;
    match *number {
        number if number % 2 == 1 => Err(format!("{number} is odd: {}", "very ".repeat(1_000))),
        number => Ok(number),
    }
}

#[action]
fn numbers(count: u32) -> Vec<u32> {
    (0..count).collect()
}

/// A run that fails: with a list, a nested workflow, retries, waits and what is skipped.
fn failing() -> Run<(Arc<u32>, Arc<u32>)> {
    let rows = task(extract()).group("source");
    let inner = DotFlow::with_input("audit", |number: &Task<Vec<u32>>| {
        number.each(convert()).then(all())
    });
    let loaded = rows
        .each(convert())
        .group("cpu")
        .then(load())
        .then(report());
    let workflow = DotFlow::new("sales", (loaded, rows.then(inner)));
    let workflow = workflow.limit("cpu", 1).keep_going(true);
    threaded(async move { workflow.start().await.unwrap() })
}

#[action]
fn all(numbers: PreviousContext<Vec<u32>>) -> u32 {
    numbers.iter().sum()
}

fn good() -> Run<u32> {
    let rows = task(extract());
    paused(async {
        DotFlow::new("nightly", rows.each(convert()).then(all()))
            .start()
            .await
            .unwrap()
    })
}

/// So many tasks, half of which fail with a long text.
fn large(count: u32) -> Report {
    let run = paused(async {
        let workflow = DotFlow::new("large", task(numbers(count)).each(check()));
        workflow.keep_going(true).start().await.unwrap()
    });
    run.report().clone()
}

/// So many tasks of their own, each with a name.
fn wide(count: usize) -> Report {
    let tasks = (0..count).map(|number| {
        let before = task(numbers(1));
        before
            .then(odd(number))
            .named(format!("check number {number}"))
    });
    let run = paused(async {
        let workflow = DotFlow::new("wide", tasks.collect::<Vec<_>>());
        workflow.keep_going(true).start().await.unwrap()
    });
    run.report().clone()
}

#[action(retry = 2, retry_delay = "10ms")]
async fn odd(number: usize, _before: PreviousContext<Vec<u32>>) -> Result<(), String> {
    sleep(Duration::from_millis(number as u64 % 50)).await;
    match number % 7 {
        0 => Err(format!("no <{number}>: {}", "&".repeat(10_000))),
        _ => Ok(()),
    }
}

#[test]
fn a_page_says_what_became_of_the_run() {
    let run = failing();
    let page = html(run.report());
    for said in [
        "<title>sales: Failed</title>",
        "<h2>Attempt 1, the next one 300 ms later</h2>",
        "<h2>Attempt 3, the last one</h2>",
        "the warehouse &lt;refused&gt;",
        "caused by: 3 rows are too many",
        "<small>3 items</small>",
        "3 completed",
        "Skipped",
        "<h2>rows</h2><pre class=\"k\">3</pre>",
        "<small>source</small>",
        "role=\"img\"",
    ] {
        assert!(page.contains(said), "{said} in {page}");
    }
    assert!(!page.contains("left out"), "{page}");
}

#[test]
fn a_page_of_a_report_that_was_read_back_is_the_same() {
    let run = failing();
    let written = serde_json::to_string(run.report()).unwrap();
    let report: Report = serde_json::from_str(&written).unwrap();
    assert_eq!(html(&report), html(run.report()));
}

#[test]
fn a_page_of_any_run_is_smaller_than_100_kb() {
    for (report, failed, more) in [
        (large(10), 5, None),
        (
            large(300),
            50,
            Some("100 more failed tasks not shown one by one"),
        ),
        (
            large(100_000),
            50,
            Some("49950 more failed tasks not shown one by one"),
        ),
        (wide(5), 1, None),
        (wide(140), 20, None),
        (wide(10_000), 50, Some("failed tasks not shown one by one")),
    ] {
        let page = html(&report);
        let tasks = report.tasks().len();
        assert!(
            page.len() < 100_000,
            "{} bytes of {tasks} tasks",
            page.len()
        );
        assert_eq!(
            page.matches("<details open>").count(),
            failed,
            "{tasks} tasks"
        );
        assert_eq!(
            page.matches(", the last one").count(),
            failed,
            "{tasks} tasks"
        );
        match more {
            Some(more) => assert!(page.contains(more), "{tasks} tasks: {more}"),
            None => assert!(!page.contains("class=\"more\""), "{tasks} tasks"),
        }
    }
}

#[test]
fn texts_of_errors_take_24_kib_in_all_as_the_page_writes_them() {
    #[action(retry = 16, retry_delay = 0)]
    fn refuse(_number: PreviousContext<u32>) -> Result<u32, String> {
        Err("<".repeat(20))
    }

    let workflow = DotFlow::new("refused", task(numbers(50)).each(refuse()));
    let run = paused(async { workflow.keep_going(true).start().await.unwrap() });
    let page = html(run.report());
    let (_, rows) = page.split_once("<tbody>").unwrap();
    let texts = rows.split("<pre class=\"f\">").skip(1);
    let texts: Vec<&str> = texts
        .map(|text| text.split_once("</pre>").unwrap().0)
        .collect();
    assert_eq!(texts.len(), 50 * 16);
    let taken: usize = texts
        .iter()
        .map(|text| text.trim_end_matches('…').len())
        .sum();
    assert!(taken <= 24 * 1024, "{taken} bytes");
}

#[test]
fn hostile_names_are_texts_and_short() {
    let million = "<".repeat(1_000_000);
    for name in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "\u{202e}gnp.exe\u{1b}[31m\u{200b}",
        "{{ 7 * 7 }}{% raw %}",
        &million,
    ] {
        #[action]
        fn refuse(text: String) -> Result<Vec<u32>, TaskError> {
            Err(TaskError::failed(text))
        }

        let failed = task(refuse(name.to_owned())).named(name.to_owned());
        let failed = failed.group(name.to_owned());
        let workflow = DotFlow::new(
            name.to_owned(),
            failed.each(convert()).named(name.to_owned()),
        );
        let run = paused(async { workflow.start().await.unwrap() });
        let page = html(run.report());
        assert!(page.len() < 100_000, "{}", page.len());
        for bad in ["<script", "<img", "\u{202e}", "\u{1b}", "\u{200b}", ">49<"] {
            assert!(!page.contains(bad), "{bad} in {page}");
        }
    }
}

#[test]
fn reports_that_make_no_sense_are_drawn_all_the_same() {
    let run = failing();
    let mut report = serde_json::to_value(run.report()).unwrap();
    for (number, task) in report["tasks"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .enumerate()
    {
        task["parent"] = (number + 1).into();
        task["after"] = serde_json::json!([number, number + 1, 4_000_000_000_u32]);
        task["duration"] = 1e15.into();
        task["wait"] = 1e15.into();
        task["started_at"] = "1970-01-01T00:00:00Z".into();
    }
    let report: Report = serde_json::from_value(report).unwrap();
    assert!(html(&report).ends_with("</html>"));
}

/// The pages that are looked at.
fn pages() -> Vec<(&'static str, String)> {
    vec![
        ("good", html(good().report())),
        ("failing", html(failing().report())),
        ("large", html(&large(100_000))),
        ("wide", html(&wide(140))),
    ]
}

/// Both themes.
const THEMES: [(&str, &str); 2] = [
    ("light", "--blink-settings=preferredColorScheme=1"),
    ("dark", "--blink-settings=preferredColorScheme=0"),
];

#[test]
#[ignore = "needs Chromium"]
fn a_browser_shows_any_page_without_a_complaint() {
    for (name, page) in pages() {
        for (theme, argument) in THEMES {
            let (dom, console) = Page::new(&page).dumped(&[argument]);
            assert!(console.is_empty(), "{name}, {theme}: {console:?}");
            assert!(dom.contains("</table>"), "{name}, {theme}: {dom}");
        }
    }
}

/// What a page in a frame of so many pixels looks like from outside, in each theme.
#[test]
#[ignore = "needs Chromium"]
fn a_page_can_be_read_in_both_themes_and_any_width() {
    for (name, page) in pages() {
        for (theme, argument) in THEMES {
            for width in [320, 1_400] {
                let seen = Page::new(&page).seen(width, argument);
                let place = format!("{name}, {theme}, {width} px: {seen}");
                let number = |what: &str| seen[what].as_f64().unwrap();
                assert!(
                    number("scroll") <= f64::from(width),
                    "wider than its window: {place}"
                );
                assert!(number("contrast") >= 4.5, "{place}");
                assert_eq!(seen["scheme"], theme, "{place}");
                // What opens is reached by the keyboard.
                assert_eq!(seen["focusable"], seen["summaries"], "{place}");
                assert!(number("milliseconds") < 300.0, "{place}");
            }
        }
    }
}

#[test]
#[ignore = "needs Chromium"]
fn a_page_can_be_printed() {
    for (name, page) in pages() {
        let printed = Page::new(&page).printed();
        assert!(printed.starts_with(b"%PDF-"), "{name}");
    }
}

/// Puts the pages and what they look like into `target/tmp/pages`, for people.
#[test]
#[ignore = "needs Chromium"]
fn pages_are_pictures_to_be_looked_at() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, page) in pages() {
        std::fs::write(folder.join(format!("{name}.html")), &page).unwrap();
        for (theme, argument) in THEMES {
            for width in [320, 1_400] {
                let file = folder.join(format!("{name}-{theme}-{width}.png"));
                Page::new(&page).pictured(&file, width, argument);
                let picture = std::fs::read(&file).unwrap();
                assert!(picture.starts_with(b"\x89PNG"), "{}", file.display());
            }
        }
    }
}
