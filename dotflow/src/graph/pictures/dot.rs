//! The plan in the language of Graphviz.

use super::{
    parts::{Before, Drawn, Part, Parts},
    words::{COLOURS, Groups, Lines, label, shortened},
};
use crate::graph::plan::{Plan, PlannedTask};

pub(super) fn draw(plan: &Plan) -> String {
    let mut graph = Graph::default();
    let name = quoted(&[shortened(plan.name())]);
    graph.drawn.add(0, format_args!("digraph {name} {{"));
    // So that an edge may end at the frame of a workflow.
    graph.drawn.add(1, format_args!("compound=true;"));
    let font = "fontname=\"sans-serif\"";
    graph.drawn.add(1, format_args!("graph [{font}];"));
    let look = "shape=box, style=\"rounded,filled\", fillcolor=\"#ffffff\"";
    graph.drawn.add(1, format_args!("node [{look}, {font}];"));
    for part in Parts::of(plan) {
        graph.add(&part);
    }
    graph.drawn.add(0, format_args!("}}"));
    graph.drawn.0
}

#[derive(Default)]
struct Graph<'plan> {
    drawn: Lines,
    groups: Groups<'plan>,
}

impl<'plan> Graph<'plan> {
    fn add(&mut self, part: &Part<'plan>) {
        match part {
            Part::Input { id, depth } => {
                self.drawn.add(
                    depth + 1,
                    format_args!("{id} [label=\"input\", shape=oval];"),
                );
            }
            Part::Task(drawn) => {
                let (id, label) = (&drawn.id, quoted(&label(drawn)));
                let colours = self.colours(drawn.task, "fillcolor");
                let sides = if drawn.task.is_each() {
                    ", peripheries=2"
                } else {
                    ""
                };
                let look = format_args!("label={label}{sides}{colours}");
                self.drawn
                    .add(drawn.depth + 1, format_args!("{id} [{look}];"));
                self.arrows(drawn.depth, &drawn.after, id, false);
            }
            Part::Open(drawn) => self.open(drawn),
            Part::Nothing { id, depth, why } => {
                self.drawn.add(
                    depth + 1,
                    format_args!("{id} [label=\"{why}\", style=dashed];"),
                );
            }
            Part::Close { id, depth, after } => {
                self.drawn.add(depth + 1, format_args!("}}"));
                self.arrows(*depth, after, id, true);
            }
        }
    }

    fn open(&mut self, drawn: &Drawn<'plan>) {
        let (id, label) = (&drawn.id, quoted(&label(drawn)));
        let colours = self.colours(drawn.task, "bgcolor");
        let depth = drawn.depth + 1;
        self.drawn
            .add(depth, format_args!("subgraph cluster_{id} {{"));
        let look = format_args!("label={label}, style=rounded{colours}");
        self.drawn.add(depth + 1, format_args!("graph [{look}];"));
        // Edges lead from node to node: those of the frame to a point in it that nobody sees, and are
        // cut off where they meet the frame.
        self.drawn
            .add(depth + 1, format_args!("{id} [shape=point, style=invis];"));
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
                self.drawn.add(depth + 1, format_args!("{from} -> {id};"));
            } else {
                self.drawn.add(
                    depth + 1,
                    format_args!("{from} -> {id} [{}];", ends.join(", ")),
                );
            }
        }
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
