//! Random plans with names of every kind are drawn by Graphviz and by Mermaid without a complaint, and
//! what is drawn has the names.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use dotflow::{DotFlow, PreviousContext, Task, action, join_all, task};

use serde_json::Value;

use crate::{
    browser::{Page, of_npm},
    plans::everything,
};

#[action]
fn source() -> u32 {
    1
}

#[action]
fn list(number: PreviousContext<u32>) -> Vec<u32> {
    vec![*number]
}

#[action]
fn next(number: PreviousContext<u32>) -> u32 {
    *number
}

#[action]
fn sum(numbers: Vec<PreviousContext<u32>>) -> u32 {
    numbers.iter().map(|number| **number).sum()
}

/// Names that mean something to one language or another, and every character of ASCII.
fn names() -> Vec<String> {
    let ascii: Vec<char> = (0..128_u8).map(char::from).collect();
    let mut names: Vec<String> = ascii.chunks(16).map(|part| part.iter().collect()).collect();
    let words = "end|graph|subgraph|click|class|style|default|node|edge|digraph|strict|%%{init: {}}%%|<b>bold</b>\
        |<script>alert(1)</script>|&lt;|&amp;amp;|#quot;|#35;|`code`|**strong**|_em_|1. one|- item|# head\
        |\\N\\G\\l|\"quoted\"|'single'|a-->b|a;b|[x]|{y}|(z)|$x^2$|http://example.org|\u{202e}left\
        |日本語|🦀 crab|it's 5 < 6 & 7|";
    names.extend(words.split('|').map(str::to_owned));
    names
}

/// A plan by a seed: small, but with all kinds of tasks in all kinds of places.
fn random(seed: u64, depth: u64) -> DotFlow<u32> {
    let mut chance = fastrand::Rng::with_seed(seed);
    let names = names();
    let mut tasks = vec![task(source())];
    for number in 0..chance.u64(3..8) {
        let before = tasks[chance.usize(..tasks.len())].clone();
        let name = names[chance.usize(..names.len())].clone();
        let made: Task<u32> = match chance.u8(..7) {
            0 => task(source()),
            1 => join_all(tasks.iter().take(4).cloned()).then(sum()),
            2 => before
                .then(list())
                .each(next())
                .named(name.clone())
                .then(total()),
            3 if depth > 0 => task(random(seed * 31 + number, depth - 1)),
            4 => {
                let inner =
                    DotFlow::with_input(name.clone(), |input: &Task<u32>| input.then(next()));
                before.then(inner)
            }
            5 => before.expand(name.clone(), |_| DotFlow::new("built", task(source()))),
            _ => before.then(next()),
        };
        let made = made.named(name.clone());
        let group = names[chance.usize(..names.len())].clone();
        tasks.push(if chance.bool() {
            made.group(group)
        } else {
            made
        });
    }
    DotFlow::new(
        names[chance.usize(..names.len())].clone(),
        join_all(tasks).then(sum()),
    )
}

#[action]
fn total(numbers: PreviousContext<Vec<u32>>) -> u32 {
    numbers.iter().sum()
}

fn plans() -> Vec<DotFlow<u32>> {
    let nothing = DotFlow::new("nothing", Vec::<Task<u32>>::new());
    let mut plans: Vec<DotFlow<u32>> = (0..20).map(|seed| random(seed, 2)).collect();
    plans.push(everything());
    plans.push(DotFlow::new("empty within", task(nothing).then(ignore())));
    // Each name once at least.
    plans.push(DotFlow::new(
        "names",
        join_all(
            names()
                .iter()
                .map(|name| task(source()).named(name.clone()).group(name.clone())),
        )
        .then(sum()),
    ));
    plans
}

#[action]
fn ignore(_nothing: PreviousContext<Vec<std::sync::Arc<u32>>>) -> u32 {
    0
}

/// How much there is of each kind in a chart.
#[derive(Debug, PartialEq)]
struct Counts {
    nodes: usize,
    frames: usize,
    edges: usize,
}

impl Counts {
    fn of(chart: &str) -> Self {
        let lines = || chart.lines().map(str::trim_start);
        let frames = lines().filter(|line| line.starts_with("subgraph ")).count();
        // Labels have quotes around them, and none within.
        let labels = lines().filter(|line| line.contains('"')).count();
        Self {
            nodes: labels - frames,
            frames,
            edges: lines().filter(|line| line.contains(" --> ")).count(),
        }
    }
}

#[test]
#[ignore = "needs Graphviz"]
fn graphviz_draws_any_plan() {
    for (number, workflow) in plans().iter().enumerate() {
        let plan = workflow.plan();
        let mut dot = Command::new("dot")
            .arg("-Tsvg")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("Graphviz is there: `apt-get install graphviz`");
        dot.stdin
            .take()
            .unwrap()
            .write_all(plan.to_dot().as_bytes())
            .unwrap();
        let output = dot.wait_with_output().unwrap();
        let drawn = String::from_utf8(output.stdout).unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && said.is_empty(),
            "plan {number}: {said}\n{}",
            plan.to_dot()
        );
        let counts = Counts::of(&plan.to_mermaid());
        // The points in frames are not seen.
        assert_eq!(
            drawn.matches("class=\"node\"").count(),
            counts.nodes,
            "plan {number}"
        );
        assert_eq!(
            drawn.matches("class=\"cluster\"").count(),
            counts.frames,
            "plan {number}"
        );
        assert_eq!(
            drawn.matches("class=\"edge\"").count(),
            counts.edges,
            "plan {number}"
        );
    }
}

#[test]
#[ignore = "needs Chromium, and Mermaid from npm"]
fn mermaid_draws_any_plan() {
    let mermaid = of_npm(
        "DOTFLOW_TEST_MERMAID",
        "node_modules/mermaid/dist/mermaid.min.js",
    );
    let plans = plans();
    let charts: Vec<String> = plans.iter().map(|plan| plan.plan().to_mermaid()).collect();
    let page = format!(
        r#"<!doctype html><meta charset=utf-8><pre id=said></pre><div id=drawn></div>
<script src="file://{}"></script><script>
const charts = {};
(async () => {{
    mermaid.initialize({{ startOnLoad: false }});
    for (const [number, chart] of charts.entries()) {{
        try {{
            const {{ svg }} = await mermaid.render(`chart${{number}}`, chart);
            const shown = document.createElement("div");
            shown.innerHTML = svg;
            document.getElementById("drawn").append(shown);
            const count = (what) => shown.querySelectorAll(what).length;
            const labels = [...shown.querySelectorAll(".nodeLabel")].map((label) => label.innerText);
            const found = {{ nodes: count(".node"), frames: count(".cluster"), edges: count(".edgePaths path"), labels }};
            document.getElementById("said").append(`${{JSON.stringify(found)}}\n`);
        }} catch (error) {{
            document.getElementById("said").append(`chart ${{number}} failed: ${{error.message}}\n`);
        }}
    }}
    document.getElementById("said").append("the end");
}})();
</script>"#,
        mermaid.display(),
        serde_json::to_string(&charts)
            .unwrap()
            .replace("</", "<\\/"),
    );
    let (page, console) = Page::new(&page).dumped(&[]);
    let said = page.split("<pre id=\"said\">").nth(1).unwrap();
    let (said, _) = said.split_once("</pre>").unwrap();
    assert!(said.ends_with("the end"), "{said}\n{console:?}");
    let said = said
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    let mut found: Vec<Value> = Vec::new();
    for line in said.lines().take(charts.len()) {
        found.push(serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")));
    }
    for (number, (found, chart)) in found.iter().zip(&charts).enumerate() {
        let count = |what: &str| usize::try_from(found[what].as_u64().unwrap()).unwrap();
        let drawn = Counts {
            nodes: count("nodes"),
            frames: count("frames"),
            edges: count("edges"),
        };
        assert_eq!(drawn, Counts::of(chart), "plan {number}");
    }
    let labels: Vec<&str> = found.last().unwrap()["labels"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    for name in names().iter().filter(|name| !name.is_empty()) {
        let shown: String = name
            .chars()
            .map(|character| match character {
                _ if character.is_control() || character == '\u{202e}' => {
                    character.escape_default().to_string()
                }
                character => character.to_string(),
            })
            .collect();
        // A browser makes one space of many, and Mermaid breaks a line where it reads `\n`.
        let plain = |text: &str| {
            text.replace("\\n", "")
                .split_whitespace()
                .collect::<String>()
        };
        let label = plain(&format!("{shown} group {shown}"));
        assert!(
            labels.iter().any(|drawn| plain(drawn) == label),
            "{label}: {labels:?}"
        );
    }
}
