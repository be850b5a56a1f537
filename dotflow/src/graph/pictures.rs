//! A plan as people see it: lines of text, and diagrams in the languages of Mermaid and Graphviz.
//!
//! All of them walk through the plan in the same way, down into nested workflows, and say the same of
//! each task; they differ in how they write it.

mod mermaid;
mod dot;
mod lines;
mod words;
mod parts;

use super::plan::Plan;

impl Plan {
    /// The plan as a flowchart in the language of [Mermaid](https://mermaid.js.org), which many places
    /// that show Markdown draw.
    ///
    /// A task made by [`each`](crate::Task::each) has double sides, a group has a colour and is named,
    /// and a workflow within this one is drawn as a frame around its tasks; what
    /// [`expand`](crate::Task::expand) builds is not known before the run, so its frame holds a `…`.
    /// Names may hold any character; what is longer than 60 characters is cut. Where there are more than
    /// 500 edges, a comment says so, since Mermaid draws no more unless it is told to.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, PreviousContext};
    ///
    /// #[action]
    /// fn extract() -> Vec<u32> { vec![3, 5, 8] }
    ///
    /// #[action]
    /// fn load(rows: PreviousContext<Vec<u32>>) -> usize { rows.len() }
    ///
    /// let workflow = DotFlow::new("sales", task(extract()).then(load()));
    /// assert_eq!(workflow.plan().to_mermaid(), r#"flowchart TD
    ///     t0["extract"]
    ///     t1["load"]
    ///     t0 --> t1
    /// "#);
    /// ```
    pub fn to_mermaid(&self) -> String {
        mermaid::draw(self)
    }

    /// The plan as a graph in the language of [Graphviz](https://graphviz.org), for `dot -Tsvg`.
    ///
    /// It shows what [`to_mermaid`](Self::to_mermaid) does.
    ///
    /// ```
    /// use dotflow::{action, task, DotFlow, PreviousContext};
    ///
    /// #[action]
    /// fn extract() -> Vec<u32> { vec![3, 5, 8] }
    ///
    /// #[action]
    /// fn load(rows: PreviousContext<Vec<u32>>) -> usize { rows.len() }
    ///
    /// let workflow = DotFlow::new("sales", task(extract()).then(load()));
    /// let dot = workflow.plan().to_dot();
    /// assert!(dot.starts_with(r#"digraph "sales" {"#));
    /// assert!(dot.contains("t0 -> t1"));
    /// ```
    pub fn to_dot(&self) -> String {
        dot::draw(self)
    }
}
