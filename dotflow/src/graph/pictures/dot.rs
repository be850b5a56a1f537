//! The plan in the language of Graphviz.

use std::fmt::{Arguments, Write};

use super::{
    parts::{Before, Part, Parts},
    words::{COLOURS, Groups, label, shortened},
};
use crate::graph::plan::{Plan, PlannedTask};

pub(super) fn draw(plan: &Plan) -> String {
    let mut graph = Graph::default();
    let name = quoted(&[shortened(plan.name())]);
    graph.line(0, format_args!("digraph {name} {{"));
    // So that an edge may end at the frame of a workflow.
    graph.line(1, format_args!("compound=true;"));
    let font = "fontname=\"sans-serif\"";
    graph.line(1, format_args!("graph [{font}];"));
    let look = "shape=box, style=\"rounded,filled\", fillcolor=\"#ffffff\"";
    graph.line(1, format_args!("node [{look}, {font}];"));
    for part in Parts::of(plan) {
        graph.add(&part);
    }
    graph.line(0, format_args!("}}"));
    graph.drawn
}

#[derive(Default)]
struct Graph<'plan> {
    drawn: String,
    groups: Groups<'plan>,
}

impl<'plan> Graph<'plan> {
    fn add(&mut self, part: &Part<'plan>) {
        match part {
            Part::Input { id, depth } => {
                self.line(
                    depth + 1,
                    format_args!("{id} [label=\"input\", shape=oval];"),
                );
            }
            Part::Task {
                id,
                depth,
                number,
                task,
                after,
            } => {
                let label = quoted(&label(task, *number));
                let colours = self.colours(task, "fillcolor");
                let sides = if task.is_each() {
                    ", peripheries=2"
                } else {
                    ""
                };
                self.line(
                    depth + 1,
                    format_args!("{id} [label={label}{sides}{colours}];"),
                );
                self.arrows(*depth, after, id, false);
            }
            Part::Open {
                id,
                depth,
                number,
                task,
                ..
            } => {
                let label = quoted(&label(task, *number));
                let colours = self.colours(task, "bgcolor");
                self.line(depth + 1, format_args!("subgraph cluster_{id} {{"));
                let look = format_args!("label={label}, style=rounded{colours}");
                self.line(depth + 2, format_args!("graph [{look}];"));
                // Edges lead from node to node: those of the frame to a point in it that nobody sees,
                // and are cut off where they meet the frame.
                self.line(depth + 2, format_args!("{id} [shape=point, style=invis];"));
            }
            Part::Nothing { id, depth, why } => {
                self.line(
                    depth + 1,
                    format_args!("{id} [label=\"{why}\", style=dashed];"),
                );
            }
            Part::Close { id, depth, after } => {
                self.line(depth + 1, format_args!("}}"));
                self.arrows(*depth, after, id, true);
            }
        }
    }

    fn colours(&mut self, task: &'plan PlannedTask, inside: &str) -> String {
        let Some(group) = self.groups.number(task) else {
            return String::new();
        };
        let [fill, border, text] = COLOURS[group % COLOURS.len()];
        format!(", {inside}=\"{fill}\", color=\"{border}\", fontcolor=\"{text}\"")
    }

    fn arrows(&mut self, depth: usize, after: &[Before], id: &str, to_frame: bool) {
        for before in after {
            let tail = before
                .is_workflow
                .then(|| format!("ltail=cluster_{}", before.id));
            let head = to_frame.then(|| format!("lhead=cluster_{id}"));
            let ends: Vec<String> = tail.into_iter().chain(head).collect();
            let from = &before.id;
            if ends.is_empty() {
                self.line(depth + 1, format_args!("{from} -> {id};"));
            } else {
                self.line(
                    depth + 1,
                    format_args!("{from} -> {id} [{}];", ends.join(", ")),
                );
            }
        }
    }

    fn line(&mut self, depth: usize, content: Arguments<'_>) {
        let indent = 4 * depth;
        // Writing to a string can't fail.
        let _ = writeln!(self.drawn, "{:indent$}{content}", "");
    }
}

/// In quotes, where Graphviz knows escapes of its own and the entities of HTML.
fn quoted(lines: &[String]) -> String {
    let escaped = |line: &String| {
        let line = line.replace('\\', "\\\\").replace('"', "\\\"");
        line.replace('&', "&amp;")
    };
    let lines: Vec<String> = lines.iter().map(escaped).collect();
    format!("\"{}\"", lines.join("\\n"))
}
