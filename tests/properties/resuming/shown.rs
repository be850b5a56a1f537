//! Random programs as people read them, in a line for each task.

use std::fmt;

use super::program::{Kind, Mode, Node, Program};

impl fmt::Debug for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name, concurrency, ..
        } = self;
        write!(formatter, "{name} (concurrency {concurrency}")?;
        if self.keep_going {
            formatter.write_str(", keeps going")?;
        }
        if let Some(input) = self.input {
            write!(formatter, ", input {input}")?;
        }
        formatter.write_str(") ")?;
        formatter.debug_list().entries(&self.nodes).finish()
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.name, self.uid)?;
        for (index, (before, mode)) in self.inputs.iter().enumerate() {
            formatter.write_str(if index == 0 { " after " } else { ", " })?;
            match mode {
                Mode::Required => write!(formatter, "{before}")?,
                Mode::Optional => write!(formatter, "Option {before}")?,
                Mode::Handling => write!(formatter, "Result {before}")?,
            }
        }
        if self.ignores {
            formatter.write_str(" (not taken)")?;
        }
        if !self.is_stored {
            formatter.write_str(", not stored")?;
        }
        if self.version != 1 {
            write!(formatter, ", version {}", self.version)?;
        }
        if self.is_lossy {
            formatter.write_str(", not all of it stored")?;
        }
        if self.fails.runs != 0 {
            let runs: Vec<u32> = (0..8)
                .filter(|run| self.fails.runs & (1 << run) != 0)
                .collect();
            write!(formatter, ", fails in runs {runs:?}")?;
            if let Some(item) = self.fails.item {
                write!(formatter, " with item {item}")?;
            }
        }
        match &self.kind {
            Kind::Number => Ok(()),
            Kind::List { whole, short } => write!(
                formatter,
                ", a list of {whole}, or {short} where one is missing"
            ),
            Kind::Each => formatter.write_str(", for each"),
            Kind::Nested(inner) => write!(formatter, ", the workflow {inner:#?}"),
            Kind::EachNested(inner) => write!(formatter, ", for each the workflow {inner:#?}"),
        }
    }
}
