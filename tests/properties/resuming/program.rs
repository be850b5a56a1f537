//! Random programs whose runs are resumed: what they consist of, and what each of their tasks
//! returns.

use std::collections::HashMap;

/// What a task returns: a number, or a list that `each` may take apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    One(u64),
    Many(Vec<u64>),
}

impl Value {
    /// A number that stands for it.
    pub(crate) fn digest(&self) -> u64 {
        match self {
            Self::One(number) => *number,
            Self::Many(numbers) => mixed(numbers.iter().copied()),
        }
    }
}

/// A number that depends on all of these, short enough to be read.
pub(crate) fn mixed(numbers: impl IntoIterator<Item = u64>) -> u64 {
    let hash = numbers
        .into_iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, number| {
            let hash = (hash ^ number).wrapping_mul(0x0100_0000_01b3);
            hash ^ (hash >> 29)
        });
    hash % 1_000_000_007
}

/// How a task takes what comes before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    Required,
    Optional,
    Handling,
}

/// When a task fails: in which runs, by number, and with which item only.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Fails {
    pub(crate) runs: u8,
    pub(crate) item: Option<usize>,
}

impl Fails {
    /// Whether a unit fails in a run. The item is its own, or else the one that its workflow is
    /// run for, which the id of the workflow tells.
    pub(crate) fn now(self, run: usize, workflow_id: &str, item: Option<usize>) -> bool {
        let around = || {
            let (_, last) = workflow_id.rsplit_once('[')?;
            last.split_once(']')?.0.parse().ok()
        };
        self.runs & (1 << run.min(7)) != 0
            && self
                .item
                .is_none_or(|only| item.or_else(around).is_none_or(|item| item == only))
    }
}

#[derive(Clone)]
pub(crate) enum Kind {
    Number,
    /// A list, of another length where an input is missing.
    List {
        whole: u64,
        short: u64,
    },
    /// A task for each item of a list.
    Each,
    Nested(Program),
    EachNested(Program),
}

/// One task.
#[derive(Clone)]
pub(crate) struct Node {
    /// Tells it from all others, and is its own argument.
    pub(crate) uid: u64,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// What comes before it, in the order in which it is wired.
    pub(crate) inputs: Vec<(u64, Mode)>,
    /// Whether it only comes after its inputs, without taking them.
    pub(crate) ignores: bool,
    pub(crate) is_stored: bool,
    /// Whether its output loses something when it is stored.
    pub(crate) is_lossy: bool,
    /// The version of its action.
    pub(crate) version: u32,
    pub(crate) fails: Fails,
}

impl Node {
    pub(crate) fn is_list(&self) -> bool {
        !matches!(self.kind, Kind::Number | Kind::Nested(_))
    }

    pub(crate) fn inner(&self) -> Option<&Program> {
        match &self.kind {
            Kind::Nested(inner) | Kind::EachNested(inner) => Some(inner),
            _ => None,
        }
    }

    pub(crate) fn inner_mut(&mut self) -> Option<&mut Program> {
        match &mut self.kind {
            Kind::Nested(inner) | Kind::EachNested(inner) => Some(inner),
            _ => None,
        }
    }

    /// Whether its items are units of their own.
    pub(crate) fn is_map(&self) -> bool {
        matches!(self.kind, Kind::Each | Kind::EachNested(_))
    }

    /// Whether it can't run while this input is missing.
    pub(crate) fn requires(&self, mode: Mode) -> bool {
        mode == Mode::Required || self.ignores || self.is_map() || self.inner().is_some()
    }

    /// What one call of its action returns.
    pub(crate) fn returns(&self, salt: u64, item: Option<usize>, inputs: &[Option<u64>]) -> Value {
        let item = item.map_or(0, |item| item as u64 + 1);
        let own = [self.uid, salt, item, u64::from(self.version)];
        let name = self.name.bytes().map(u64::from);
        let inputs_taken = inputs
            .iter()
            .map(|input| input.map_or(1, |input| input.wrapping_add(2)));
        let number = mixed(own.into_iter().chain(name).chain(inputs_taken));
        match self.kind {
            Kind::List { whole, short } => {
                let is_whole = inputs.iter().all(Option::is_some);
                let length = if is_whole { whole } else { short };
                Value::Many((0..length).map(|index| mixed([number, index])).collect())
            }
            _ => Value::One(number),
        }
    }
}

/// A workflow.
#[derive(Clone)]
pub(crate) struct Program {
    pub(crate) name: String,
    /// Each after those that it comes after.
    pub(crate) nodes: Vec<Node>,
    pub(crate) input: Option<u64>,
    pub(crate) keep_going: bool,
    pub(crate) concurrency: usize,
}

impl Program {
    pub(crate) fn node(&self, uid: u64) -> &Node {
        let found = self.nodes.iter().find(|node| node.uid == uid);
        found.expect("inputs are nodes of the same workflow")
    }

    /// The nodes that no other one comes after.
    pub(crate) fn sinks(&self) -> Vec<&Node> {
        let is_followed = |node: &Node| {
            let mut inputs = self.nodes.iter().flat_map(|other| &other.inputs);
            inputs.any(|(before, _)| *before == node.uid)
        };
        let nodes = self.nodes.iter();
        nodes.filter(|node| !is_followed(node)).collect()
    }

    /// The nodes in the order in which a workflow numbers its tasks.
    pub(crate) fn order(&self) -> Vec<&Node> {
        fn visit<'program>(
            program: &'program Program,
            node: &'program Node,
            order: &mut Vec<&'program Node>,
        ) {
            if order.iter().any(|seen| seen.uid == node.uid) {
                return;
            }
            for (before, _) in &node.inputs {
                visit(program, program.node(*before), order);
            }
            order.push(node);
        }
        let mut order = Vec::new();
        for sink in self.sinks() {
            visit(self, sink, &mut order);
        }
        order
    }

    /// What all values of the workflow depend on, besides what its tasks take.
    pub(crate) fn salt(&self, around: u64) -> u64 {
        match self.input {
            Some(input) => mixed([around, input]),
            None => around,
        }
    }

    /// Whether what each task returns depends on an action whose version is not the first.
    fn versioned(&self) -> HashMap<u64, bool> {
        let mut versioned: HashMap<u64, bool> = HashMap::new();
        for node in &self.nodes {
            let is_own = node.version != 1;
            let follows = node.inputs.iter().any(|(before, _)| versioned[before]);
            let holds = node.inner().is_some_and(|inner| {
                let within = inner.versioned();
                inner.sinks().iter().any(|sink| within[&sink.uid])
            });
            versioned.insert(node.uid, is_own || follows || holds);
        }
        versioned
    }

    /// The key of each task within its workflow, and how many have its name. An `@` ends it where
    /// what the task takes, or does itself, depends on another version than the first.
    pub(crate) fn keys(&self) -> HashMap<u64, (String, usize)> {
        let order = self.order();
        let count = |name: &str| order.iter().filter(|node| node.name == name).count();
        let mut seen: HashMap<&str, usize> = HashMap::new();
        let mut keys = HashMap::new();
        let versioned = self.versioned();
        for node in &order {
            let occurrence = seen.entry(&node.name).or_default();
            *occurrence += 1;
            let mut key = match *occurrence {
                1 => node.name.clone(),
                _ => format!("{}#{occurrence}", node.name),
            };
            if node.version != 1 || node.inputs.iter().any(|(before, _)| versioned[before]) {
                key.push('@');
            }
            keys.insert(node.uid, (key, count(&node.name)));
        }
        keys
    }

    /// What each task stands for: itself, and all that it comes after or is nested in; without
    /// what is nested in it, and with it. Where this is another one, another value may be right.
    pub(crate) fn meanings(&self, around: u64) -> HashMap<u64, (u64, u64)> {
        let keys = self.keys();
        let mut meanings: HashMap<u64, (u64, u64)> = HashMap::new();
        for node in &self.nodes {
            let inputs = node
                .inputs
                .iter()
                .flat_map(|(before, mode)| [meanings[before].1, *mode as u64]);
            let key = keys[&node.uid].0.bytes().map(u64::from);
            let own = mixed([around, node.uid].into_iter().chain(key).chain(inputs));
            let whole = node.inner().map_or(own, |inner| {
                let within = inner.meanings(own);
                let sinks = inner.sinks().into_iter().map(|sink| within[&sink.uid].1);
                mixed([own].into_iter().chain(sinks))
            });
            meanings.insert(node.uid, (own, whole));
        }
        meanings
    }

    /// Whether a resumed run gets the very same output of this task again.
    fn is_repeatable(&self, uid: u64) -> bool {
        let node = self.node(uid);
        match node.inner() {
            Some(inner) => {
                let mut sinks = inner.sinks().into_iter();
                sinks.all(|sink| inner.is_repeatable(sink.uid))
            }
            None => node.is_stored,
        }
    }

    /// Makes a whole of it: lists are summed up, a workflow within ends with one number, inputs
    /// stand in the order in which they are wired, and items are stored only where it is known
    /// which is which.
    pub(crate) fn complete(&mut self, is_outermost: bool, next_uid: &mut u64) {
        let mut end = |nodes: &mut Vec<Node>, inputs: Vec<(u64, Mode)>| {
            *next_uid += 1;
            nodes.push(Node {
                uid: *next_uid,
                name: format!("end{next_uid}"),
                kind: Kind::Number,
                inputs,
                ignores: false,
                is_stored: true,
                is_lossy: false,
                version: 1,
                fails: Fails::default(),
            });
        };
        let lists = self.sinks().into_iter().filter(|sink| sink.is_list());
        let lists: Vec<u64> = lists.map(|list| list.uid).collect();
        for list in lists {
            end(&mut self.nodes, vec![(list, Mode::Required)]);
        }
        let sinks: Vec<u64> = self.sinks().iter().map(|sink| sink.uid).collect();
        if !is_outermost && sinks.len() > 1 {
            let inputs = sinks.into_iter().map(|sink| (sink, Mode::Required));
            end(&mut self.nodes, inputs.collect());
        }
        for node in &mut self.nodes {
            if let Some(inner) = node.inner_mut() {
                inner.complete(false, next_uid);
            }
        }
        let lists: HashMap<u64, bool> = self
            .nodes
            .iter()
            .map(|node| (node.uid, node.is_list()))
            .collect();
        for index in 0..self.nodes.len() {
            let node = &self.nodes[index];
            if let (Kind::Each, Some((list, _))) = (&node.kind, node.inputs.first()) {
                let is_stored = node.is_stored && self.is_repeatable(*list);
                self.nodes[index].is_stored = is_stored;
            }
            let node = &mut self.nodes[index];
            let order_only = node.ignores || matches!(node.kind, Kind::Nested(_));
            node.inputs
                .sort_by_key(|(before, mode)| (lists[before], (!order_only).then_some(*mode)));
        }
    }
}
