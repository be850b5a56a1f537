//! The plan in the language of Mermaid.

use std::fmt::{Arguments, Write};

use super::{
    parts::{Before, Drawn, Part, Parts},
    words::{COLOURS, Groups, Lines, label},
};
use crate::graph::plan::Plan;

/// How many edges Mermaid draws unless its page says otherwise.
const MOST_EDGES: usize = 500;

pub(super) fn draw(plan: &Plan) -> String {
    let mut chart = Chart::default();
    for part in Parts::of(plan) {
        chart.add(&part);
    }
    chart.finish()
}

#[derive(Default)]
struct Chart<'plan> {
    drawn: Lines,
    edges: usize,
    groups: Groups<'plan>,
    /// The ids of what is in each group.
    members: Vec<Vec<String>>,
}

impl<'plan> Chart<'plan> {
    fn add(&mut self, part: &Part<'plan>) {
        match part {
            Part::Input { id, depth } => self.line(*depth, format_args!("{id}([\"input\"])")),
            Part::Task(drawn) => {
                self.join_group(drawn);
                let (id, label) = (&drawn.id, text(&label(drawn)));
                if drawn.task.is_each() {
                    self.line(drawn.depth, format_args!("{id}[[\"{label}\"]]"));
                } else {
                    self.line(drawn.depth, format_args!("{id}[\"{label}\"]"));
                }
                self.arrows(drawn.depth, &drawn.after, id);
            }
            Part::Open(drawn) => {
                self.join_group(drawn);
                // Above a frame there is room for one line.
                let label = escaped(&label(drawn).join(", "));
                self.line(
                    drawn.depth,
                    format_args!("subgraph {}[\"{label}\"]", drawn.id),
                );
            }
            Part::Nothing { id, depth, why } => self.line(*depth, format_args!("{id}[\"{why}\"]")),
            Part::Close { id, depth, after } => {
                self.line(*depth, format_args!("end"));
                self.arrows(*depth, after, id);
            }
        }
    }

    fn join_group(&mut self, drawn: &Drawn<'plan>) {
        let Some(group) = self.groups.number(drawn.task) else {
            return;
        };
        if group == self.members.len() {
            self.members.push(Vec::new());
        }
        self.members[group].push(drawn.id.clone());
    }

    fn arrows(&mut self, depth: usize, after: &[Before], id: &str) {
        for before in after {
            self.line(depth, format_args!("{} --> {id}", before.id));
        }
        self.edges += after.len();
    }

    fn line(&mut self, depth: usize, content: Arguments<'_>) {
        self.drawn.add(depth + 1, content);
    }

    fn finish(mut self) -> String {
        for (group, members) in std::mem::take(&mut self.members).into_iter().enumerate() {
            let [fill, stroke, color] = COLOURS[group % COLOURS.len()];
            let look = format_args!("fill:{fill},stroke:{stroke},color:{color}");
            self.line(0, format_args!("classDef g{group} {look}"));
            self.line(0, format_args!("class {} g{group}", members.join(",")));
        }
        let edges = self.edges;
        if edges > MOST_EDGES {
            let unless =
                format_args!("Mermaid draws {MOST_EDGES}, unless its page raises maxEdges");
            self.line(0, format_args!("%% {edges} edges: {unless}"));
        }
        format!("flowchart TD\n{}", self.drawn.0)
    }
}

fn text(lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| escaped(line)).collect();
    lines.join("<br>")
}

/// Everything that Mermaid, Markdown or HTML might take for something else than itself is written as
/// the code of its character. A sign between two letters or digits means nothing to them, and names of
/// functions are full of underscores.
fn escaped(text: &str) -> String {
    let mut written = String::new();
    let mut before = ' ';
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let after = characters.peek().copied().unwrap_or(' ');
        let is_within = before.is_ascii_alphanumeric() && after.is_ascii_alphanumeric();
        let is_plain = !character.is_ascii()
            || character.is_ascii_alphanumeric()
            || character == ' '
            || (is_within && matches!(character, '_' | '-' | '.' | ','));
        if is_plain {
            written.push(character);
        } else {
            // Writing to a string can't fail.
            let _ = write!(written, "#{};", u32::from(character));
        }
        before = character;
    }
    written
}
