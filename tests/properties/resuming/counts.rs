//! What is counted over all programs, to see that they do what they are for.

/// What is counted, to see that the programs do what they are for.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) resumed: usize,
    pub(crate) refused_at_begin: usize,
    pub(crate) succeeded: usize,
    pub(crate) executed: usize,
    pub(crate) restored: usize,
    pub(crate) refused: usize,
    pub(crate) after_failures: usize,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.resumed += other.resumed;
        self.refused_at_begin += other.refused_at_begin;
        self.succeeded += other.succeeded;
        self.executed += other.executed;
        self.restored += other.restored;
        self.refused += other.refused;
        self.after_failures += other.after_failures;
    }
}
