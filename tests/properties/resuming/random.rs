//! How random programs, and what happens to them, are drawn.

use dotflow::OnInputChange;
use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{
    change::{Damage, Edit},
    play::{Scenario, Step},
    program::{Fails, Kind, Mode, Node, Program},
};

/// What happens between the runs of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Failures,
    Edits,
    Versions,
    Workflows,
    Damage,
    Losses,
    All,
}

/// A node before it is known what it can come after.
#[derive(Debug, Clone)]
struct Seed {
    name: usize,
    kind: Kinds,
    inputs: Vec<(usize, Mode)>,
    ignores: bool,
    is_stored: bool,
    is_lossy: bool,
    fails: (u8, Option<usize>),
}

#[derive(Debug, Clone)]
enum Kinds {
    Number,
    List(u64, u64),
    Each,
    Nested(Level),
    EachNested(Level),
}

#[derive(Debug, Clone)]
struct Level {
    nodes: Vec<Seed>,
    keep_going: bool,
    concurrency: usize,
    has_input: bool,
}

impl Level {
    /// The program, with each reference to what can't be referred to left out.
    fn program(&self, name: &str, has_losses: bool, next_uid: &mut u64) -> Program {
        let mut nodes: Vec<Node> = Vec::new();
        for seed in &self.nodes {
            *next_uid += 1;
            let uid = *next_uid;
            let mut inputs: Vec<(u64, Mode)> = Vec::new();
            for (before, mode) in &seed.inputs {
                if let Some(before) = nodes.get(*before)
                    && inputs.iter().all(|(other, _)| *other != before.uid)
                {
                    inputs.push((before.uid, *mode));
                }
            }
            let list = nodes.iter().rev().find(|node| node.is_list());
            let list = list.map(|list| (list.uid, Mode::Required));
            let letter = ["a", "b", "c", "d"][seed.name];
            let kind = match (&seed.kind, list) {
                (Kinds::List(whole, short), _) => Kind::List {
                    whole: *whole,
                    short: *short,
                },
                (Kinds::Each, Some(_)) => Kind::Each,
                (Kinds::Nested(level), _) => {
                    Kind::Nested(level.program(letter, has_losses, next_uid))
                }
                (Kinds::EachNested(level), Some(_)) => {
                    Kind::EachNested(level.program(letter, has_losses, next_uid))
                }
                _ => Kind::Number,
            };
            let mut node = Node {
                uid,
                name: letter.to_owned(),
                kind,
                inputs,
                ignores: seed.ignores,
                is_stored: seed.is_stored,
                is_lossy: seed.is_lossy && has_losses,
                version: 1,
                fails: Fails {
                    runs: seed.fails.0,
                    item: seed.fails.1,
                },
            };
            if node.is_map() {
                node.inputs = list.into_iter().collect();
                // Checkpoints of items go with a list that is stored: anything else is refused.
                let list = node.inputs.first().filter(|_| node.inner().is_some());
                let mut list = list.copied();
                while let Some((uid, _)) = list {
                    let index = nodes.iter().position(|node| node.uid == uid);
                    let before: &mut Node = &mut nodes[index.expect("it was found above")];
                    before.is_stored = true;
                    if let Kind::EachNested(inner) = &mut before.kind {
                        store_all(inner);
                    }
                    list = before.inputs.first().copied().filter(|_| before.is_map());
                }
            }
            if node.is_map() || node.inner().is_some() {
                node.ignores = false;
                for input in &mut node.inputs {
                    input.1 = Mode::Required;
                }
            }
            if node.inner().is_some() {
                node.is_stored = true;
                node.is_lossy = false;
                node.fails = Fails::default();
            }
            nodes.push(node);
        }
        Program {
            name: name.to_owned(),
            nodes,
            input: self.has_input.then_some(0),
            keep_going: self.keep_going,
            concurrency: self.concurrency,
        }
    }
}

/// Has all outputs of a workflow stored.
fn store_all(program: &mut Program) {
    for node in &mut program.nodes {
        node.is_stored = true;
        if let Kind::Nested(inner) | Kind::EachNested(inner) = &mut node.kind {
            store_all(inner);
        }
    }
}

fn seeds(kinds: BoxedStrategy<Kinds>) -> impl Strategy<Value = Seed> {
    let modes = prop_oneof![
        4 => Just(Mode::Required),
        1 => Just(Mode::Optional),
        3 => Just(Mode::Handling),
    ];
    // In which runs it fails.
    let runs = prop_oneof![
        5 => Just(0_u8),
        3 => (0_u32..4).prop_map(|run| 1 << run),
        1 => 1_u8..64,
    ];
    (
        0_usize..4,
        kinds,
        vec((0_usize..6, modes), 0..4),
        prop_oneof![9 => Just(false), 1 => Just(true)],
        prop_oneof![5 => Just(true), 1 => Just(false)],
        any::<bool>(),
        (
            runs,
            prop_oneof![3 => Just(None), 1 => option::of(0_usize..3)],
        ),
    )
        .prop_map(
            |(name, kind, inputs, ignores, is_stored, is_lossy, fails)| Seed {
                name,
                kind,
                inputs,
                ignores,
                is_stored,
                is_lossy,
                fails,
            },
        )
}

fn levels(depth: u32) -> BoxedStrategy<Level> {
    let flat = prop_oneof![
        5 => Just(Kinds::Number),
        2 => (0_u64..4, 0_u64..3).prop_map(|(whole, short)| Kinds::List(whole, short)),
        2 => Just(Kinds::Each),
    ];
    let kinds = match depth {
        0 => flat.boxed(),
        _ => prop_oneof![
            7 => flat,
            2 => levels(depth - 1).prop_map(Kinds::Nested),
            1 => levels(depth - 1).prop_map(Kinds::EachNested),
        ]
        .boxed(),
    };
    let has_input = prop_oneof![4 => Just(false), 1 => Just(true)];
    (
        vec(seeds(kinds), 1..6),
        any::<bool>(),
        1_usize..5,
        has_input,
    )
        .prop_map(|(nodes, keep_going, concurrency, has_input)| Level {
            nodes,
            keep_going,
            concurrency,
            has_input,
        })
        .boxed()
}

fn edits(family: Family) -> BoxedStrategy<Edit> {
    if family == Family::Versions {
        return prop_oneof![
            3 => Just(Edit::Version),
            1 => Just(Edit::Input),
            1 => Just(Edit::Retype),
        ]
        .boxed();
    }
    prop_oneof![
        (any::<bool>(), any::<bool>())
            .prop_map(|(before, joined)| Edit::AddTwin { before, joined }),
        Just(Edit::Remove),
        Just(Edit::Insert),
        Just(Edit::Rename),
        Just(Edit::AddNested),
        Just(Edit::Input),
        Just(Edit::Retype),
    ]
    .boxed()
}

fn damages() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<usize>().prop_map(Damage::FlipBit),
        any::<usize>().prop_map(Damage::CutAt),
        (0_usize..20).prop_map(Damage::OfAnotherKey),
        Just(Damage::OfAnotherId),
    ]
}

fn steps(family: Family) -> impl Strategy<Value = Step> {
    let of = |families: &[Family], weight| {
        if families.contains(&family) {
            weight
        } else {
            0
        }
    };
    let workflows = of(&[Family::Workflows, Family::All], 2);
    let edits_weight = of(&[Family::Edits, Family::Versions, Family::All], 4);
    let damages_weight = of(&[Family::Damage, Family::All], 4);
    let inputs_weight = of(&[Family::Damage, Family::Workflows, Family::All], 2);
    let other_ids = of(&[Family::Damage, Family::All], 2);
    let resumes = (
        prop_oneof![8 => Just(0_usize), other_ids => Just(1)],
        prop_oneof![4 => Just(false), workflows => Just(true)],
        any::<bool>(),
        1_usize..5,
    );
    let resumes = resumes.prop_map(|(id, is_other, keep_going, concurrency)| Step::Resume {
        id,
        is_other,
        keep_going,
        concurrency,
    });
    prop_oneof![
        8 => resumes,
        edits_weight => (0_u64..24, edits(family)).prop_map(|(uid, edit)| Step::Change { uid, edit }),
        inputs_weight => (0_u64..2).prop_map(Step::Input),
        damages_weight => (
            prop_oneof![3 => Just(0_usize), 1 => Just(1)],
            // The record of the run comes first.
            prop_oneof![1 => Just(0), 3 => 0_usize..24],
            damages(),
        )
            .prop_map(|(id, at, damage)| Step::Damage { id, at, damage }),
    ]
}

/// Programs of up to three levels, and what happens to them.
pub(crate) fn scenarios(family: Family) -> impl Strategy<Value = Scenario> {
    let reactions = select(vec![
        OnInputChange::Fail,
        OnInputChange::Reset,
        OnInputChange::Reuse,
    ]);
    let has_input = match family {
        Family::Failures | Family::Edits | Family::Versions | Family::Losses => Just(false).boxed(),
        _ => any::<bool>().boxed(),
    };
    let steps = vec(steps(family), 2..9);
    (levels(2), reactions, has_input, steps).prop_map(
        move |(mut level, reaction, has_input, steps)| {
            level.has_input = has_input;
            let mut next_uid = 0;
            let mut program = level.program("w", family == Family::Losses, &mut next_uid);
            program.complete(true, &mut next_uid);
            Scenario {
                program,
                reaction,
                steps,
            }
        },
    )
}
