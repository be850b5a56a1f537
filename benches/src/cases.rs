//! The shapes of workflow that are measured, and the ways to run each.

use std::{future::Future, pin::Pin};

use crate::listener::Listener;

/// A shape of workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// 100 tasks, each after the one before.
    Chain,
    /// 3 tasks, each after the one before: what a run costs, however short it is.
    Three,
    /// 1,000 tasks after one.
    FanOut,
    /// One task whose list of 10,000 has a sub-task for each item.
    Each,
    /// 8 tasks at once, and one after them all.
    Join,
}

/// A way to get the work of a case done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By a workflow.
    Dotflow,
    /// By the least code that has the same result: plain async functions, or a `JoinSet`.
    Plain,
    /// As `Plain`, with one boxed future per task, which is what a graph known only at run time
    /// takes.
    Boxed,
    /// As `Boxed`, with what a report of each task takes: two looks at the clock, and an output
    /// that is shared, or the panic in its place.
    Reported,
    /// As `Plain`, with the very spans that dotflow emits.
    Spans,
}

/// One run from start to end. Its output is checked by whoever waits for it.
pub type OneRun = Pin<Box<dyn Future<Output = u64> + Send>>;

impl Case {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Chain,
        Self::Three,
        Self::FanOut,
        Self::Each,
        Self::Join,
    ];

    /// The name in tables and between processes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chain => "chain of 100",
            Self::Three => "workflow of 3",
            Self::FanOut => "fan-out of 1,000",
            Self::Each => "each over 10,000",
            Self::Join => "join of 8",
        }
    }

    /// How many tasks a run has, items included.
    pub fn tasks(self) -> u32 {
        match self {
            Self::Chain => 100,
            Self::Three => 3,
            Self::FanOut => 1_001,
            Self::Each => 10_001,
            Self::Join => 9,
        }
    }

    /// What a run returns.
    pub fn output(self) -> u64 {
        match self {
            Self::Chain => 100,
            Self::Three => 3,
            Self::FanOut => 2_000,
            Self::Each => (1..=10_000).sum(),
            Self::Join => 8,
        }
    }
}

impl Way {
    /// The ways that are worth measuring for a case and a listener; dotflow is the last one.
    ///
    /// Only spans cost more when somebody listens, and what is spawned is boxed anyway.
    pub fn of(case: Case, listener: Listener) -> &'static [Self] {
        match (listener, case) {
            (Listener::Nobody, Case::Chain | Case::Three) => &[
                Self::Plain,
                Self::Boxed,
                Self::Reported,
                Self::Spans,
                Self::Dotflow,
            ],
            (Listener::Nobody, Case::FanOut) => {
                &[Self::Plain, Self::Reported, Self::Spans, Self::Dotflow]
            }
            (Listener::Nobody, _) => &[Self::Plain, Self::Spans, Self::Dotflow],
            _ => &[Self::Spans, Self::Dotflow],
        }
    }

    /// The name in tables and between processes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dotflow => "dotflow",
            Self::Plain => "plain",
            Self::Boxed => "boxed",
            Self::Reported => "reported",
            Self::Spans => "spans",
        }
    }
}
