//! The text tree of a run: one renderer for `Display` of a run, the console exporter and the tests.
//!
//! A [`Tree`] is a flat list of lines with a depth each, in the order in which they are printed.
//! It knows nothing of runs or spans, so anything that has a name, a duration and an outcome can
//! be drawn. Strings are escaped here: no control character and no invisible character of an error
//! message or a name reaches a terminal. What is shown elsewhere is escaped by [`escaped`].

use std::{
    fmt::{self, Display},
    time::Duration,
};

use crate::escape::Escaped;

/// A text tree: a workflow, its tasks, and what happened below them.
///
/// ```
/// use dotflow::tree::{Line, Tree};
/// use std::time::Duration;
///
/// let mut tree = Tree::new();
/// tree.push(0, Line::trace("42", "sales").ended(Duration::from_secs(2), Some(false), "Failed"));
/// tree.push(1, Line::span("task:0", "extract").ended(Duration::from_millis(500), Some(true), "Completed"));
/// tree.push(1, Line::span("task:1", "load").ended(Duration::from_millis(300), Some(false), "Failed"));
/// tree.push(2, Line::event("exception", "LoadError \"refused\""));
/// assert_eq!(tree.to_string(), "\
/// [Trace: workflow_id=42] sales 2.0s ERROR — Failed
/// ├── [Span: task:0] extract 0.5s OK — Completed
/// └── [Span: task:1] load 0.3s ERROR — Failed
///     └── [Event: exception — LoadError \"refused\"]
/// ");
/// ```
#[derive(Debug, Clone, Default)]
pub struct Tree {
    lines: Vec<(usize, Line)>,
}

/// One line of a [`Tree`]: a workflow, a span or an event.
#[derive(Debug, Clone)]
pub struct Line {
    kind: Kind,
    id: String,
    text: String,
    duration: Option<Duration>,
    ok: Option<bool>,
    status: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Trace,
    Span,
    Event,
}

impl Line {
    /// A workflow, by its id and its name.
    pub fn trace(workflow_id: impl Into<String>, name: impl Into<String>) -> Self {
        Self::new(Kind::Trace, workflow_id.into(), name.into())
    }

    /// A span, by its own name (`task:0`) and what a person calls it (`extract`; may be empty).
    pub fn span(span_name: impl Into<String>, name: impl Into<String>) -> Self {
        Self::new(Kind::Span, span_name.into(), name.into())
    }

    /// An event, by its name (`retry`) and what it says (may be empty).
    pub fn event(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Kind::Event, name.into(), detail.into())
    }

    /// A task, by its number, its name and, for a sub-task of `each`, the index of its item.
    pub fn task(id: usize, name: &str, item: Option<usize>) -> Self {
        let name = match item {
            Some(item) => format!("{name}[{item}]"),
            None => name.to_owned(),
        };
        Self::span(format!("task:{id}"), name)
    }

    /// A failed attempt, from 1, that another one follows after a delay.
    pub fn retry(attempt: u32, error_type: &str, message: &str, delay: Duration) -> Self {
        let error_type = short_type_name(error_type);
        Self::event(
            "retry",
            format!("attempt {attempt}, {error_type} \"{message}\", next in {delay:?}"),
        )
    }

    /// The final failure of a task.
    pub fn exception(error_type: &str, message: &str) -> Self {
        let error_type = short_type_name(error_type);
        let space = if error_type.is_empty() { "" } else { " " };
        Self::event("exception", format!("{error_type}{space}\"{message}\""))
    }

    fn new(kind: Kind, id: String, text: String) -> Self {
        Self {
            kind,
            id,
            text,
            duration: None,
            ok: None,
            status: String::new(),
        }
    }

    /// Adds how it ended: after how long, whether well (`None` where nobody said), and the status
    /// in words (may be empty).
    pub fn ended(
        mut self,
        duration: Duration,
        ok: Option<bool>,
        status: impl Into<String>,
    ) -> Self {
        self.duration = Some(duration);
        self.ok = ok;
        self.status = status.into();
        self
    }

    /// Marks a task that was restored from a checkpoint, instead of run.
    pub fn restored(mut self) -> Self {
        self.status.push_str(", restored");
        self
    }

    /// Adds an outcome to a line that has no duration, as a task that never started.
    pub fn without_duration(mut self, ok: Option<bool>, status: impl Into<String>) -> Self {
        self.ok = ok;
        self.status = status.into();
        self
    }

    fn write(&self, out: &mut impl fmt::Write, colored: bool) -> fmt::Result {
        let id = Escaped(&self.id);
        match self.kind {
            Kind::Trace => write!(out, "[Trace: workflow_id={id}]")?,
            Kind::Span => write!(out, "[Span: {id}]")?,
            Kind::Event if self.text.is_empty() => write!(out, "[Event: {id}]")?,
            Kind::Event => write!(out, "[Event: {id} — {}]", Escaped(&self.text))?,
        }
        if self.kind != Kind::Event && !self.text.is_empty() {
            write!(out, " {}", Escaped(&self.text))?;
        }
        if let Some(duration) = self.duration {
            write!(out, " {}", Seconds(duration))?;
        }
        let (mark, color) = match self.ok {
            Some(true) => (" OK", "\u{1b}[32m"),
            Some(false) => (" ERROR", "\u{1b}[31m"),
            None => ("", ""),
        };
        if colored && !mark.is_empty() {
            write!(out, "{color}{mark}\u{1b}[0m")?;
        } else {
            out.write_str(mark)?;
        }
        if !self.status.is_empty() {
            write!(out, " — {}", Escaped(&self.status))?;
        }
        Ok(())
    }
}

impl Tree {
    /// A tree without lines.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a line below the last line of a smaller depth; depth 0 is a root.
    ///
    /// A line is at most one level deeper than the line before it, and the first one is a root:
    /// what is to stand deeper stands there.
    ///
    /// ```
    /// use dotflow::tree::{Line, Tree};
    ///
    /// let mut tree = Tree::new();
    /// tree.push(7, Line::span("task:0", "extract"));
    /// tree.push(usize::MAX, Line::event("note", "3 rows"));
    /// assert_eq!(tree.to_string(), "[Span: task:0] extract\n└── [Event: note — 3 rows]\n");
    /// ```
    pub fn push(&mut self, depth: usize, line: Line) {
        let deepest = self.lines.last().map_or(0, |(last, _)| last + 1);
        self.lines.push((depth.min(deepest), line));
    }

    /// Whether nothing was added yet.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The tree as text, with terminal colours for `OK` and `ERROR`.
    ///
    /// `Display` gives the same without colours.
    pub fn to_colored_string(&self) -> String {
        let mut out = String::new();
        // Writing to a string can't fail.
        let _ = self.write(&mut out, true);
        out
    }

    fn write(&self, out: &mut impl fmt::Write, colored: bool) -> fmt::Result {
        let followed = self.followed();
        // Per depth, whether another line of that depth is still to come below the same parent.
        let mut open: Vec<bool> = Vec::new();
        for ((depth, line), followed) in self.lines.iter().zip(followed) {
            open.truncate(*depth);
            open.resize(*depth, false);
            for more in open.iter().skip(1) {
                out.write_str(if *more { "│   " } else { "    " })?;
            }
            if *depth > 0 {
                out.write_str(if followed { "├── " } else { "└── " })?;
            }
            open.push(followed);
            line.write(out, colored)?;
            out.write_char('\n')?;
        }
        Ok(())
    }

    /// For each line, whether a sibling comes after it; found from the end, in one pass.
    fn followed(&self) -> Vec<bool> {
        let mut sibling_below: Vec<bool> = Vec::new();
        let mut followed = vec![false; self.lines.len()];
        for (index, (depth, _)) in self.lines.iter().enumerate().rev() {
            sibling_below.truncate(depth + 1);
            sibling_below.resize(depth + 1, false);
            followed[index] = sibling_below[*depth];
            sibling_below[*depth] = true;
        }
        followed
    }
}

impl Display for Tree {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(formatter, false)
    }
}

/// The last segment of a type's path, as people say it: `LoadError` for
/// `shop::load::LoadError<alloc::string::String>`.
fn short_type_name(type_name: &str) -> &str {
    let path = type_name.split('<').next().unwrap_or(type_name);
    path.rsplit("::").next().unwrap_or(path)
}

/// A duration as people read it: `2.0s`, `12ms`, `85µs`.
struct Seconds(Duration);

impl Display for Seconds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(duration) = self;
        if *duration >= Duration::from_millis(100) {
            write!(formatter, "{:.1}s", duration.as_secs_f64())
        } else if *duration >= Duration::from_millis(1) {
            write!(formatter, "{}ms", duration.as_millis())
        } else {
            write!(formatter, "{}µs", duration.as_micros())
        }
    }
}

/// Escapes what a terminal or a reader would take for something else than characters, as the tree
/// does: control characters, spaces and letters that nobody sees, marks of direction.
///
/// ```
/// use dotflow::tree::escaped;
///
/// assert_eq!(escaped("load \u{1b}[2J\n\u{202e}x").to_string(), "load \\u{1b}[2J\\n\\u{202e}x");
/// assert_eq!(escaped("日本 👩‍👩‍👧").to_string(), "日本 👩‍👩‍👧");
/// ```
pub fn escaped(text: &str) -> impl Display {
    Escaped(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stand_where_siblings_follow() {
        let mut tree = Tree::new();
        tree.push(0, Line::span("a", ""));
        tree.push(1, Line::span("b", ""));
        tree.push(2, Line::span("c", ""));
        tree.push(3, Line::span("d", ""));
        tree.push(2, Line::span("e", ""));
        tree.push(1, Line::span("f", ""));
        tree.push(2, Line::span("g", ""));
        tree.push(0, Line::span("h", ""));
        let expected = "\
[Span: a]
├── [Span: b]
│   ├── [Span: c]
│   │   └── [Span: d]
│   └── [Span: e]
└── [Span: f]
    └── [Span: g]
[Span: h]
";
        assert_eq!(tree.to_string(), expected);
    }

    #[test]
    fn control_characters_are_escaped() {
        let mut tree = Tree::new();
        tree.push(0, Line::span("task:0", "a\u{1b}[31mb\nc\u{202e}"));
        assert_eq!(
            tree.to_string(),
            "[Span: task:0] a\\u{1b}[31mb\\nc\\u{202e}\n"
        );
    }

    #[test]
    fn colours_are_only_in_the_coloured_text() {
        let mut tree = Tree::new();
        tree.push(
            0,
            Line::span("a", "").ended(Duration::ZERO, Some(true), "Completed"),
        );
        assert_eq!(tree.to_string(), "[Span: a] 0µs OK — Completed\n");
        assert_eq!(
            tree.to_colored_string(),
            "[Span: a] 0µs\u{1b}[32m OK\u{1b}[0m — Completed\n"
        );
    }
}
