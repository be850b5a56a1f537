//! What happens to a random program: its runs under an id, and the changes between them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use dotflow::{OnInputChange, storage::MemoryStorage};

use super::{
    build::World,
    change::{Damage, Edit},
    counts::Counts,
    model::{Check, Found, Records},
    program::Program,
};

/// Something that happens to the runs of a program.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// The program is run, or another one of another name but with the same tasks.
    Resume {
        id: usize,
        is_other: bool,
        keep_going: bool,
        concurrency: usize,
    },
    Change {
        uid: u64,
        edit: Edit,
    },
    Input(u64),
    Damage {
        id: usize,
        at: usize,
        damage: Damage,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) program: Program,
    pub(crate) reaction: OnInputChange,
    pub(crate) steps: Vec<Step>,
}

/// What must be stored under an id.
#[derive(Default)]
struct Id {
    records: BTreeMap<String, Records>,
    /// The input that each workflow was last begun with.
    inputs: BTreeMap<String, u64>,
    damaged: BTreeMap<String, bool>,
    /// The workflows that were tried, and the first one of which something was stored.
    tried: BTreeSet<String>,
    owner: Option<String>,
}

impl Id {
    /// Whether what is stored is, or may be, of another workflow.
    fn is_foreign(&self, name: &str) -> bool {
        self.tried.len() > 1 && self.owner.as_deref() != Some(name)
    }

    /// Whether the record of the workflow itself is damaged, and whether it matters.
    fn damaged_begin(&self) -> Option<bool> {
        let own = self.damaged.iter().filter(|(key, _)| key.starts_with('#'));
        own.map(|(_, matters)| *matters).max()
    }
}

/// The runs of a scenario, one after another.
struct Play {
    storage: MemoryStorage,
    reaction: OnInputChange,
    program: Program,
    other: Program,
    next_uid: u64,
    is_changed: bool,
    ids: [Id; 2],
    runs: usize,
    counts: Counts,
}

const IDS: [&str; 2] = ["1", "2"];

impl Play {
    fn new(scenario: &Scenario) -> Self {
        let mut next_uid = 500;
        let mut other = scenario.program.renumbered(&mut next_uid);
        "other".clone_into(&mut other.name);
        Self {
            storage: MemoryStorage::new(),
            reaction: scenario.reaction,
            program: scenario.program.clone(),
            other,
            next_uid: 1000,
            is_changed: false,
            ids: Default::default(),
            runs: 0,
            counts: Counts::default(),
        }
    }

    async fn step(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Resume {
                id,
                is_other,
                keep_going,
                concurrency,
            } => {
                let mut program = if is_other {
                    self.other.clone()
                } else {
                    self.program.clone()
                };
                program.keep_going = keep_going;
                program.concurrency = concurrency;
                let result = self.resume(&program, id).await;
                self.runs += 1;
                return result;
            }
            // Two changes may undo each other, so that nobody can tell.
            Step::Change { .. } if self.is_changed => {}
            Step::Change { uid, edit } => {
                if let Some(edited) = self.program.edited(uid, edit, &mut self.next_uid) {
                    self.program = edited;
                    self.is_changed = true;
                }
            }
            Step::Input(input) => {
                for program in [&mut self.program, &mut self.other] {
                    program.input = program.input.map(|_| input);
                }
            }
            Step::Damage { id, at, damage } => {
                let done = damage.done(&self.storage, IDS[id], IDS[1 - id], at).await;
                if let Some((key, matters)) = done {
                    let damaged = self.ids[id].damaged.entry(key).or_default();
                    *damaged |= matters;
                }
            }
        }
        Ok(())
    }

    async fn resume(&mut self, program: &Program, id: usize) -> Result<(), String> {
        let state = &mut self.ids[id];
        let name = &program.name;
        state.tried.insert(name.clone());
        let is_foreign = state.is_foreign(name);
        let has_changed_input =
            state.inputs.get(name).copied() != program.input && state.inputs.contains_key(name);
        let must_fail = has_changed_input && self.reaction == OnInputChange::Fail;
        let salt = match self.reaction {
            OnInputChange::Reuse => 0,
            _ => program.input.unwrap_or_default(),
        };
        let world = World::new(self.runs, salt);
        let workflow = program.workflow(&self.storage, self.reaction, &world);
        let run = workflow.resume(IDS[id]).await;
        drop(workflow);
        let happened = world.happened.lock().unwrap();
        self.counts.resumed += 1;
        let run = match run {
            Ok(run) => run,
            Err(error) => {
                self.counts.refused_at_begin += 1;
                let is_damaged = state.damaged_begin().is_some();
                let is_explained = is_foreign
                    || is_damaged && (error.is_storage() || must_fail)
                    || must_fail && error.is_input_changed();
                return if is_explained && happened.calls.is_empty() {
                    Ok(())
                } else {
                    Err(format!("the run was refused: {error}"))
                };
            }
        };
        self.counts.succeeded += usize::from(run.succeeded());
        if !is_foreign && must_fail {
            return Err("it has run with another input".to_owned());
        }
        let runs_on_damage = !is_foreign && state.damaged_begin() == Some(true);
        if has_changed_input && self.reaction == OnInputChange::Reset {
            state.records.remove(name);
            state.damaged.clear();
        }
        if let Some(input) = program.input {
            state.inputs.insert(name.clone(), input);
        }
        let records = state.records.entry(name.clone()).or_default();
        let found = Found {
            records,
            damaged: &state.damaged,
            is_foreign,
            is_changed: self.is_changed,
        };
        let run = (self.runs, salt);
        let checked = Check::all(program, IDS[id], run, &happened, found, &mut self.counts);
        records.extend(checked?);
        if state.owner.is_none() && !records.is_empty() {
            state.owner = Some(name.clone());
        }
        if runs_on_damage {
            return Err("it has run on a damaged record of the run".to_owned());
        }
        Ok(())
    }
}

/// Plays a scenario, and says what is wrong, and where.
pub(crate) fn play(scenario: &Scenario, counts: &mut Counts) -> Result<(), String> {
    let mut play = Play::new(scenario);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    for (number, step) in scenario.steps.iter().enumerate() {
        if let Err(problem) = runtime.block_on(play.step(*step)) {
            let run = play.runs - 1;
            let mut text = format!("step {number} (run {run}): {problem}");
            if play.is_changed {
                let _ = write!(text, "\nthe changed program: {:#?}", play.program);
            }
            return Err(text);
        }
    }
    counts.add(play.counts);
    Ok(())
}
