//! What is said of a task where it is drawn, and in which colour.

use std::{
    collections::BTreeMap,
    fmt::{Arguments, Write},
};

use super::parts::Drawn;
use crate::{escape::Escaped, graph::plan::PlannedTask};

/// How many characters of a name are drawn.
const LONGEST_NAME: usize = 60;

/// What is said of a task, line by line.
pub(super) fn label(drawn: &Drawn<'_>) -> Vec<String> {
    let task = drawn.task;
    let mut lines = vec![named(task.name(), drawn.number)];
    if task.is_each() {
        lines.push("for each item".to_owned());
    }
    if let Some(group) = task.group() {
        lines.push(format!("group {}", shortened(group)));
    }
    lines
}

/// A name as it is drawn: a task without one has its number.
fn named(name: &str, number: u32) -> String {
    match name {
        "" => format!("task:{number}"),
        name => shortened(name),
    }
}

/// As much of a text as a picture has room for, with nothing in it that can't be seen.
pub(super) fn shortened(text: &str) -> String {
    let mut short = String::new();
    let mut characters = text.chars();
    for character in characters.by_ref().take(LONGEST_NAME) {
        let mut bytes = [0; 4];
        let character = character.encode_utf8(&mut bytes);
        // Writing to a string can't fail.
        let _ = write!(short, "{}", Escaped(character));
    }
    if characters.next().is_some() {
        short.push('…');
    }
    short
}

/// Lines, each as far in as it is deep.
#[derive(Default)]
pub(super) struct Lines(pub(super) String);

impl Lines {
    pub(super) fn add(&mut self, depth: usize, content: Arguments<'_>) {
        let indent = 4 * depth;
        // Writing to a string can't fail.
        let _ = writeln!(self.0, "{:indent$}{content}", "");
    }
}

/// The colours of groups: of the inside, the border and the text.
pub(super) const COLOURS: [[&str; 3]; 8] = [
    ["#dbeafe", "#1d4ed8", "#172554"],
    ["#dcfce7", "#15803d", "#052e16"],
    ["#fef3c7", "#b45309", "#451a03"],
    ["#fce7f3", "#be185d", "#500724"],
    ["#ede9fe", "#6d28d9", "#2e1065"],
    ["#cffafe", "#0e7490", "#083344"],
    ["#fee2e2", "#b91c1c", "#450a0a"],
    ["#e5e7eb", "#374151", "#030712"],
];

/// The groups of a plan and of the workflows within it, numbered in the order in which they come.
#[derive(Default)]
pub(super) struct Groups<'plan>(BTreeMap<&'plan str, usize>);

impl<'plan> Groups<'plan> {
    pub(super) fn number(&mut self, task: &'plan PlannedTask) -> Option<usize> {
        let next = self.0.len();
        Some(*self.0.entry(task.group()?).or_insert(next))
    }
}
