//! Plans as text and as diagrams.

use dotflow::{DotFlow, PreviousContext, Task, action, join_all, task};

#[action(retry = 3, timeout = "30s")]
pub(crate) fn extract() -> Vec<u32> {
    vec![3, 5, 8]
}

#[action(version = 2)]
pub(crate) fn double(number: PreviousContext<u32>) -> u32 {
    *number * 2
}

#[action]
pub(crate) fn total(numbers: PreviousContext<Vec<u32>>) -> u32 {
    numbers.iter().sum()
}

#[action]
pub(crate) fn both(left: PreviousContext<u32>, right: PreviousContext<u32>) -> u32 {
    *left + *right
}

/// All that there is to draw.
pub(crate) fn everything() -> DotFlow<u32> {
    let rows = task(extract()).group("source");
    let inner = DotFlow::with_input("add up", |rows: &Task<Vec<u32>>| rows.then(total()));
    let sum = rows.each(double()).group("cpu").then(inner);
    let grown = rows.expand("as many", |rows: PreviousContext<Vec<u32>>| {
        DotFlow::new(
            "built",
            join_all(rows.iter().map(|_| task(extract()).then(total()))).then(first()),
        )
    });
    DotFlow::new(
        "sales",
        sum.and(&grown.group("source"))
            .then(both())
            .named("to \"the\" end"),
    )
}

#[action]
fn first(numbers: Vec<PreviousContext<u32>>) -> u32 {
    numbers.first().map_or(0, |number| **number)
}

#[test]
fn a_plan_is_a_line_per_task() {
    assert_eq!(
        everything().plan().to_string(),
        "\
sales
  task:0 extract       3 attempts, timeout 30s, group source
  task:1 double        after 0, for each item, group cpu, version 2
  task:2 add up        after 1, workflow
    input
    task:0 total       after input
  task:3 as many       after 0, workflow, group source
    …
  task:4 to \"the\" end  after 2, 3
"
    );
}

#[test]
fn a_plan_is_a_flowchart() {
    assert_eq!(
        everything().plan().to_mermaid(),
        r#"flowchart TD
    t0["extract<br>group source"]
    t1[["double<br>for each item<br>group cpu"]]
    t0 --> t1
    subgraph t2["add up"]
        t2_in(["input"])
        t2_0["total"]
        t2_in --> t2_0
    end
    t1 --> t2
    subgraph t3["as many#44; group source"]
        t3_0["…"]
    end
    t0 --> t3
    t4["to #34;the#34; end"]
    t2 --> t4
    t3 --> t4
    classDef g0 fill:#dbeafe,stroke:#1d4ed8,color:#172554
    class t0,t3 g0
    classDef g1 fill:#dcfce7,stroke:#15803d,color:#052e16
    class t1 g1
"#
    );
}

#[test]
fn a_plan_is_a_graph() {
    assert_eq!(
        everything().plan().to_dot(),
        r##"digraph "sales" {
    compound=true;
    graph [fontname="sans-serif"];
    node [shape=box, style="rounded,filled", fillcolor="#ffffff", fontname="sans-serif"];
    t0 [label="extract\ngroup source", fillcolor="#dbeafe", color="#1d4ed8", fontcolor="#172554"];
    t1 [label="double\nfor each item\ngroup cpu", peripheries=2, fillcolor="#dcfce7", color="#15803d", fontcolor="#052e16"];
    t0 -> t1;
    subgraph cluster_t2 {
        graph [label="add up", style=rounded];
        t2 [shape=point, style=invis];
        t2_in [label="input", shape=oval];
        t2_0 [label="total"];
        t2_in -> t2_0;
    }
    t1 -> t2 [lhead=cluster_t2];
    subgraph cluster_t3 {
        graph [label="as many\ngroup source", style=rounded, bgcolor="#dbeafe", color="#1d4ed8", fontcolor="#172554"];
        t3 [shape=point, style=invis];
        t3_0 [label="…", style=dashed];
    }
    t0 -> t3 [lhead=cluster_t3];
    t4 [label="to \"the\" end"];
    t2 -> t4 [ltail=cluster_t2];
    t3 -> t4 [ltail=cluster_t3];
}
"##
    );
}

#[test]
fn nothing_invisible_and_nothing_endless_is_drawn() {
    #[action]
    fn quiet() {}

    let long = "x".repeat(1_000_000);
    let hostile = "\u{202e}evil\u{1b}[31m\n";
    let tasks = [long.as_str(), hostile, ""].map(|name| task(quiet()).named(name.to_owned()));
    let workflow = DotFlow::new(long.clone(), Vec::from(tasks));
    let plan = workflow.plan();
    let cut = format!("{}…", "x".repeat(60));
    assert_eq!(
        plan.to_string(),
        format!("{cut}\n  task:0 {cut}\n  task:1 \\u{{202e}}evil\\u{{1b}}[31m\\n\n  task:2\n")
    );
    for drawn in [plan.to_mermaid(), plan.to_dot()] {
        assert!(drawn.len() < 1_500, "{drawn}");
        assert!(
            drawn.contains("task:2") || drawn.contains("task#58;2"),
            "{drawn}"
        );
        assert!(!drawn.contains(['\u{202e}', '\u{1b}']), "{drawn}");
    }
}

#[test]
fn more_edges_than_mermaid_draws_are_said() {
    #[action]
    fn one() -> u32 {
        1
    }

    let ones = |count: usize| join_all((0..count).map(|_| task(one()))).then(first());
    let drawn = |count| DotFlow::new("wide", ones(count)).plan().to_mermaid();
    assert!(!drawn(500).contains("%%"));
    assert!(
        drawn(501).ends_with("%% 501 edges: Mermaid draws 500, unless its page raises maxEdges\n")
    );
}

#[test]
fn workflows_in_each_other_are_drawn_as_deep_as_they_can_run() {
    #[action]
    fn one() -> u32 {
        1
    }

    let mut nested = DotFlow::new("0", task(one()));
    for depth in 1..64 {
        nested = DotFlow::new(depth.to_string(), task(nested));
    }
    assert_eq!(nested.plan().to_string().lines().count(), 65);
    assert_eq!(nested.plan().to_mermaid().matches("subgraph").count(), 63);
    assert_eq!(nested.plan().to_dot().matches("subgraph").count(), 63);
    let deeper = DotFlow::new("64", task(nested));
    assert_eq!(
        deeper.plan().to_string(),
        "64\n  task:0 63  workflow\n    too deep\n"
    );
}
