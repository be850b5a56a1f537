//! What changes between two runs of one id: the program, and what is stored of it.

use dotflow::storage::{MemoryStorage, Storage};

use super::program::{Fails, Kind, Mode, Node, Program};

/// A change of a program, at one of its tasks, those of nested workflows included.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Edit {
    /// Another task of the same name, with an argument of its own.
    AddTwin {
        before: bool,
        joined: bool,
    },
    Remove,
    /// A task between this one and those that take it.
    Insert,
    Rename,
    /// A nested workflow beside it.
    AddNested,
    /// Another version of its action, which returns something else.
    Version,
    /// Another input of the nested workflow that it is.
    Input,
    /// It returns a list where it returned a number, or a number where it returned a list.
    Retype,
}

/// A change of what is stored under one of the keys.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Damage {
    FlipBit(usize),
    CutAt(usize),
    /// What is stored under another key instead.
    OfAnotherKey(usize),
    /// What is stored under the same key of another id instead.
    OfAnotherId,
}

impl Program {
    /// The program with a change at a task; none where nobody could tell the change, since it
    /// exchanges tasks of one name.
    pub(crate) fn edited(&self, uid: u64, edit: Edit, next_uid: &mut u64) -> Option<Self> {
        let mut edited = self.clone();
        let is_found = edited.edit(uid, edit, next_uid);
        edited.complete(true, next_uid);
        (is_found && self.keeps_order(&edited)).then_some(edited)
    }

    /// All tasks, those of nested workflows included.
    pub(crate) fn uids(&self) -> Vec<u64> {
        let mut uids = Vec::new();
        for node in &self.nodes {
            uids.push(node.uid);
            uids.extend(node.inner().into_iter().flat_map(Self::uids));
        }
        uids
    }

    fn edit(&mut self, uid: u64, edit: Edit, next_uid: &mut u64) -> bool {
        if let Some(index) = self.nodes.iter().position(|node| node.uid == uid) {
            self.edit_node(index, edit, next_uid);
            return true;
        }
        let mut inner = self.nodes.iter_mut().filter_map(Node::inner_mut);
        inner.any(|inner| inner.edit(uid, edit, next_uid))
    }

    fn edit_node(&mut self, index: usize, edit: Edit, next_uid: &mut u64) {
        let uid = self.nodes[index].uid;
        *next_uid += 1;
        let new = *next_uid;
        match edit {
            Edit::AddTwin { before, joined } => {
                let mut twin = self.nodes[index].clone();
                twin.renumber(next_uid);
                let new = twin.uid;
                self.nodes.insert(index + usize::from(!before), twin);
                let takers = self.nodes.iter_mut().filter(|_| joined);
                for taker in takers.filter(|taker| !taker.is_map()) {
                    let mut inputs = taker.inputs.iter();
                    if let Some((_, mode)) = inputs.find(|(before, _)| *before == uid) {
                        let input = (new, *mode);
                        taker.inputs.push(input);
                    }
                }
            }
            Edit::Remove if self.nodes.len() > 1 => {
                self.nodes.remove(index);
                self.remove_input(uid);
            }
            Edit::Remove => {}
            Edit::Insert => {
                let between = Node::plain(new, vec![(uid, Mode::Required)]);
                for taker in self.nodes.iter_mut().filter(|taker| !taker.is_map()) {
                    for input in &mut taker.inputs {
                        if input.0 == uid {
                            input.0 = new;
                        }
                    }
                }
                self.nodes.insert(index + 1, between);
            }
            Edit::Rename => self.nodes[index].name = format!("new{new}"),
            Edit::AddNested => {
                *next_uid += 1;
                let name = format!("new{new}");
                let mut nested = Node::plain(new, Vec::new());
                nested.kind = Kind::Nested(Self {
                    name: name.clone(),
                    nodes: vec![Node::plain(*next_uid, Vec::new())],
                    input: None,
                    keep_going: self.keep_going,
                    concurrency: self.concurrency,
                });
                nested.name = name;
                self.nodes.insert(index, nested);
            }
            // That of a workflow is the first one at all times.
            Edit::Version => {
                let node = &mut self.nodes[index];
                node.version += u32::from(node.inner().is_none());
            }
            Edit::Input => {
                // One that is declared for the first time has nothing to be compared with, where
                // nothing is stored of the workflow.
                if let Some(inner) = self.nodes[index].inner_mut() {
                    inner.input = inner.input.map(|input| input + 1);
                }
            }
            Edit::Retype => {
                let is_taken_apart = self.nodes.iter().any(|taker| {
                    taker.is_map() && taker.inputs.iter().any(|(before, _)| *before == uid)
                });
                let kind = match self.nodes[index].kind {
                    Kind::Number => Kind::List { whole: 2, short: 1 },
                    Kind::List { .. } if !is_taken_apart => Kind::Number,
                    _ => return,
                };
                // What is not stored is not remembered: nobody can tell such a change.
                if !self.nodes[index].is_stored {
                    return;
                }
                self.nodes[index].kind = kind;
            }
        }
    }

    /// Nobody takes this node any more. What lived on its list goes with it.
    pub(crate) fn remove_input(&mut self, uid: u64) {
        let mut gone = Vec::new();
        for node in &mut self.nodes {
            let is_map = node.is_map();
            let before = node.inputs.len();
            node.inputs.retain(|(before, _)| *before != uid);
            if is_map && node.inputs.len() < before {
                gone.push(node.uid);
            }
        }
        for uid in gone {
            self.nodes.retain(|node| node.uid != uid);
            self.remove_input(uid);
        }
    }

    /// Whether tasks of one name that are still there are in the same order.
    fn keeps_order(&self, edited: &Self) -> bool {
        let old = self.order();
        let new = edited.order();
        let kept: Vec<&&Node> = old
            .iter()
            .filter(|node| new.iter().any(|other| other.uid == node.uid))
            .collect();
        let keeps_names = kept.iter().all(|node| {
            let of_name = |other: &&&&Node| other.name == node.name;
            let old = kept.iter().filter(of_name).map(|node| node.uid);
            let survives = |uid: u64| kept.iter().any(|node| node.uid == uid);
            let new = new.iter().filter(|other| other.name == node.name);
            old.eq(new.map(|node| node.uid).filter(|uid| survives(*uid)))
                || edited.node(node.uid).name != node.name
        });
        keeps_names
            && kept.iter().all(|node| {
                let inner = (node.inner(), edited.node(node.uid).inner());
                match inner {
                    (Some(old), Some(new)) => old.keeps_order(new),
                    _ => true,
                }
            })
    }

    /// The same workflow with other arguments, and so other values.
    pub(crate) fn renumbered(&self, next_uid: &mut u64) -> Self {
        let mut renumbered = self.clone();
        let mut new: Vec<(u64, u64)> = Vec::new();
        for node in &mut renumbered.nodes {
            let old = node.uid;
            node.renumber(next_uid);
            new.push((old, node.uid));
            for input in &mut node.inputs {
                let found = new.iter().find(|(old, _)| *old == input.0);
                input.0 = found.expect("inputs come first").1;
            }
        }
        renumbered
    }
}

impl Node {
    /// A task that nothing is special about.
    pub(crate) fn plain(uid: u64, inputs: Vec<(u64, Mode)>) -> Self {
        Self {
            uid,
            name: format!("new{uid}"),
            kind: Kind::Number,
            inputs,
            ignores: false,
            is_stored: true,
            is_lossy: false,
            version: 1,
            fails: Fails::default(),
        }
    }

    fn renumber(&mut self, next_uid: &mut u64) {
        *next_uid += 1;
        self.uid = *next_uid;
        if let Some(inner) = self.inner_mut() {
            *inner = inner.renumbered(next_uid);
        }
    }
}

impl Damage {
    /// Does it to one of the keys of an id. Gives the key, and whether what is stored there says
    /// something else now.
    pub(crate) async fn done(
        self,
        storage: &MemoryStorage,
        id: &str,
        other_id: &str,
        at: usize,
    ) -> Option<(String, bool)> {
        let keys = storage.list(id).await.unwrap();
        let key = keys.get(at.checked_rem(keys.len())?)?.clone();
        let mut texts = Vec::new();
        for key in keys {
            let text = storage.get(id, &key).await.unwrap().unwrap();
            texts.push((key, text));
        }
        let text = |key: &str| -> String {
            let mut texts = texts.iter();
            texts.find(|(other, _)| other == key).unwrap().1.clone()
        };
        let old = text(&key);
        let new = match self {
            Self::FlipBit(bit) => {
                let mut bytes = old.clone().into_bytes();
                let bit = bit.checked_rem(bytes.len() * 7)?;
                bytes[bit / 7] ^= 1 << (bit % 7);
                String::from_utf8(bytes).unwrap()
            }
            Self::CutAt(end) => old[..end.checked_rem(old.len())?].to_owned(),
            Self::OfAnotherKey(other) => text(&texts[other % texts.len()].0),
            Self::OfAnotherId => storage.get(other_id, &key).await.unwrap()?,
        };
        if old == new {
            return None;
        }
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
        let matters = read(&old) != read(&new);
        storage.remove_all(id).await.unwrap();
        for (other, text) in texts {
            let text = if other == key { new.clone() } else { text };
            assert!(storage.put_new(id, &other, text).await.unwrap());
        }
        Some((key, matters))
    }
}
