//! The graph of a run as a drawing: where each of its tasks stands, and the lines between them.

use std::collections::{BTreeMap, BTreeSet};

use dotflow::{Report, TaskReport};
use rust_sugiyama::{configure::Config, from_vertices_and_edges};
use serde::Serialize;

use crate::{text, timeline::worst};

/// A larger graph is a picture of nothing.
const MOST_TASKS: usize = 150;
const MOST_EDGES: usize = 300;

/// How long a name in the drawing is, in bytes of the page.
const LONGEST_NAME: usize = 20;

/// In units of the drawing: a letter, a task, what is between tasks and around all, and how wide it
/// gets before parts that don't belong together stand below each other.
const LETTER: f64 = 7.5;
const HEIGHT: f64 = 28.0;
const SPACE: f64 = 24.0;
const BORDER: f64 = 8.0;
const WIDEST: f64 = 1_100.0;

#[derive(Serialize)]
pub(crate) struct Graph {
    width: i64,
    height: i64,
    nodes: Vec<Node>,
    lines: Vec<Line>,
}

#[derive(Serialize)]
struct Node {
    left: i64,
    top: i64,
    width: i64,
    name: String,
    class: &'static str,
}

/// From the lower edge of one task to the upper edge of another one.
#[derive(Serialize)]
struct Line {
    from: (i64, i64),
    to: (i64, i64),
    /// Half way down, which makes it a curve.
    middle: i64,
}

impl Graph {
    /// The tasks of the run's own workflow, each list as one; `None` where there is nothing to be seen
    /// in it, or too much.
    pub(crate) fn of(report: &Report) -> Option<Self> {
        let mut tasks: BTreeMap<u32, Vec<&TaskReport>> = BTreeMap::new();
        for task in report.tasks().iter().filter(|task| task.parent().is_none()) {
            let number = u32::try_from(task.id()).ok()?;
            tasks.entry(number).or_default().push(task);
            if tasks.len() > MOST_TASKS {
                return None;
            }
        }
        let edges: BTreeSet<(u32, u32)> = tasks
            .iter()
            .flat_map(|(number, same)| same[0].after().iter().map(|before| (*before, *number)))
            .filter(|(before, number)| before < number && tasks.contains_key(before))
            .collect();
        let is_seen = !edges.is_empty() && edges.len() <= MOST_EDGES;
        is_seen.then(|| draw(&tasks, &edges.into_iter().collect::<Vec<_>>()))
    }
}

fn draw(tasks: &BTreeMap<u32, Vec<&TaskReport>>, edges: &[(u32, u32)]) -> Graph {
    let names: BTreeMap<u32, String> = tasks
        .iter()
        .map(|(number, same)| (*number, name(same)))
        .collect();
    let sizes: Vec<(u32, (f64, f64))> = names
        .iter()
        .map(|(number, name)| (*number, (width(name), HEIGHT)))
        .collect();
    let config = Config {
        vertex_spacing: SPACE,
        ..Config::default()
    };
    let centres = arrange(from_vertices_and_edges(&sizes, edges, &config), &sizes);
    let nodes = names.into_iter().filter_map(|(number, name)| {
        let (x, y) = *centres.get(&number)?;
        let width = width(&name);
        Some(Node {
            left: whole(x - width / 2.0),
            top: whole(y - HEIGHT / 2.0),
            width: whole(width),
            name,
            class: worst(&tasks[&number]),
        })
    });
    let nodes: Vec<Node> = nodes.collect();
    let lines = edges.iter().filter_map(|(before, number)| {
        let (from, to) = (centres.get(before)?, centres.get(number)?);
        let (top, bottom) = (from.1 + HEIGHT / 2.0, to.1 - HEIGHT / 2.0);
        Some(Line {
            from: (whole(from.0), whole(top)),
            to: (whole(to.0), whole(bottom)),
            middle: whole(f64::midpoint(top, bottom)),
        })
    });
    Graph {
        lines: lines.collect(),
        width: nodes
            .iter()
            .map(|node| node.left + node.width)
            .max()
            .unwrap_or(0)
            + whole(BORDER),
        height: nodes.iter().map(|node| node.top).max().unwrap_or(0) + whole(HEIGHT + BORDER),
        nodes,
    }
}

fn name(same: &[&TaskReport]) -> String {
    let name = text::name_of(same[0], LONGEST_NAME);
    match same[0].item() {
        Some(_) => format!("{name} × {}", same.len()),
        None => name,
    }
}

fn width(name: &str) -> f64 {
    let letters = u32::try_from(name.chars().count()).unwrap_or(u32::MAX);
    f64::from(letters) * LETTER + 18.0
}

/// Tasks that are connected, each with its number and its centre, and how wide and high they are.
type Part = (Vec<(usize, (f64, f64))>, f64, f64);

/// Puts the parts that nothing connects beside each other, and below where there is no more room; gives
/// the centre of each task.
fn arrange(parts: Vec<Part>, sizes: &[(u32, (f64, f64))]) -> BTreeMap<u32, (f64, f64)> {
    let widths: BTreeMap<u32, f64> = sizes
        .iter()
        .map(|(number, size)| (*number, size.0))
        .collect();
    let mut centres = BTreeMap::new();
    let (mut left, mut top, mut below) = (BORDER, BORDER, BORDER);
    for (part, _, _) in parts {
        let places: Vec<(u32, f64, f64)> = part
            .into_iter()
            .filter_map(|(number, (x, y))| Some((u32::try_from(number).ok()?, x, y)))
            .collect();
        let half = |number: &u32| widths.get(number).copied().unwrap_or(0.0) / 2.0;
        let leftmost = places
            .iter()
            .map(|(number, x, _)| x - half(number))
            .fold(f64::MAX, f64::min);
        let rightmost = places
            .iter()
            .map(|(number, x, _)| x + half(number))
            .fold(f64::MIN, f64::max);
        let first = places.iter().map(|(.., y)| *y).fold(f64::MAX, f64::min);
        let last = places.iter().map(|(.., y)| *y).fold(f64::MIN, f64::max);
        if left > BORDER && left + rightmost - leftmost > WIDEST {
            (left, top) = (BORDER, below);
        }
        for (number, x, y) in places {
            centres.insert(
                number,
                (left + x - leftmost, top + y - first + HEIGHT / 2.0),
            );
        }
        left += rightmost - leftmost + SPACE;
        below = below.max(top + last - first + HEIGHT + SPACE);
    }
    centres
}

/// To the unit: nobody sees less.
fn whole(length: f64) -> i64 {
    // Too large or not a number, it is cut off, and the drawing with it.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is rounded, and cut off where it is too large"
    )]
    let whole = length.round() as i64;
    whole
}
