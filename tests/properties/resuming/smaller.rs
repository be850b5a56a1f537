//! Smaller scenarios than one that fails, so that people see what it takes.

use super::{
    play::{Scenario, Step},
    program::{Fails, Kind, Node, Program},
};

impl Scenario {
    /// The smallest that still fails, as far as single steps lead, and why.
    pub(crate) fn smallest(
        mut self,
        mut why: String,
        fails: impl Fn(&Self) -> Option<String>,
    ) -> (Self, String) {
        loop {
            let weight = self.weight();
            let smaller = self.smaller().into_iter();
            let mut smaller = smaller.filter(|smaller| smaller.weight() < weight);
            let found = smaller.find_map(|smaller| Some((fails(&smaller)?, smaller)));
            let Some((still, smaller)) = found else {
                return (self, why);
            };
            (self, why) = (smaller, still);
        }
    }

    fn weight(&self) -> usize {
        let steps = self.steps.iter().map(|step| match step {
            Step::Resume {
                keep_going,
                concurrency,
                ..
            } => 10 + concurrency + usize::from(!keep_going),
            _ => 10,
        });
        self.program.weight() + steps.sum::<usize>()
    }

    fn smaller(&self) -> Vec<Self> {
        let mut all = Vec::new();
        for index in 0..self.steps.len() {
            let mut smaller = self.clone();
            smaller.steps.remove(index);
            all.push(smaller);
        }
        for program in self.program.smaller() {
            let mut smaller = self.clone();
            smaller.program = program;
            let mut next_uid = self.program.uids().into_iter().max().unwrap_or_default();
            smaller.program.complete(true, &mut next_uid);
            all.push(smaller);
        }
        for (index, step) in self.steps.iter().enumerate() {
            if let Step::Resume {
                keep_going,
                concurrency,
                ..
            } = step
                && (!keep_going || *concurrency > 1)
            {
                let mut smaller = self.clone();
                if let Step::Resume {
                    keep_going,
                    concurrency,
                    ..
                } = &mut smaller.steps[index]
                {
                    (*keep_going, *concurrency) = (true, 1);
                }
                all.push(smaller);
            }
        }
        all
    }
}

impl Program {
    fn weight(&self) -> usize {
        let nodes = self.nodes.iter().map(Node::weight).sum::<usize>();
        nodes + self.concurrency + usize::from(!self.keep_going) + usize::from(self.input.is_some())
    }

    fn smaller(&self) -> Vec<Self> {
        let mut all = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            if self.nodes.len() > 1 {
                let mut smaller = self.clone();
                smaller.nodes.remove(index);
                smaller.remove_input(node.uid);
                if !smaller.nodes.is_empty() {
                    all.push(smaller);
                }
            }
            for node in node.smaller() {
                let mut smaller = self.clone();
                smaller.nodes[index] = node;
                all.push(smaller);
            }
        }
        if self.concurrency > 1 || !self.keep_going {
            let mut smaller = self.clone();
            (smaller.concurrency, smaller.keep_going) = (1, true);
            all.push(smaller);
        }
        if self.input.is_some() {
            let mut smaller = self.clone();
            smaller.input = None;
            all.push(smaller);
        }
        all
    }
}

impl Node {
    fn weight(&self) -> usize {
        let flags = [
            self.ignores,
            !self.is_stored,
            self.is_lossy,
            self.fails.item.is_some(),
        ];
        let kind = match self.kind {
            Kind::List { whole, short } => usize::try_from(whole + short).unwrap(),
            _ => 0,
        };
        let flags = flags.into_iter().map(usize::from).sum::<usize>();
        let runs = self.fails.runs.count_ones() as usize;
        20 + self.inputs.len() + flags + runs + kind + self.inner().map_or(0, Program::weight)
    }

    fn smaller(&self) -> Vec<Self> {
        let mut all = Vec::new();
        let mut with = |change: &dyn Fn(&mut Self)| {
            let mut smaller = self.clone();
            change(&mut smaller);
            all.push(smaller);
        };
        if let Some(inner) = self.inner() {
            for inner in inner.smaller() {
                with(&|node| {
                    if let Some(old) = node.inner_mut() {
                        old.clone_from(&inner);
                    }
                });
            }
        }
        match self.kind {
            Kind::Nested(_) => with(&|node| node.kind = Kind::Number),
            Kind::EachNested(_) => with(&|node| node.kind = Kind::Each),
            Kind::List { whole, short } => {
                if whole > 0 {
                    with(&|node| {
                        node.kind = Kind::List {
                            whole: whole - 1,
                            short,
                        }
                    });
                }
                if short > 0 {
                    with(&|node| {
                        node.kind = Kind::List {
                            whole,
                            short: short - 1,
                        }
                    });
                }
            }
            Kind::Number | Kind::Each => {}
        }
        if !self.is_map() {
            for index in 0..self.inputs.len() {
                with(&|node| {
                    node.inputs.remove(index);
                });
            }
        }
        if self.ignores {
            with(&|node| node.ignores = false);
        }
        if !self.is_stored {
            with(&|node| node.is_stored = true);
        }
        if self.is_lossy {
            with(&|node| node.is_lossy = false);
        }
        if self.fails.item.is_some() {
            with(&|node| node.fails.item = None);
        }
        if self.fails.runs != 0 {
            with(&|node| node.fails = Fails::default());
            // One run less to fail in.
            with(&|node| node.fails.runs &= node.fails.runs - 1);
        }
        all
    }
}
