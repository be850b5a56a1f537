//! What must hold of a resumed run: each output is what a fresh run of the present program gives,
//! and just that is done again that has to be.

use std::collections::{BTreeMap, HashMap};

use dotflow::Status;

use super::{
    build::{Happened, Noted},
    counts::Counts,
    program::{Program, Value},
    site::{Around, Done, Place, Site},
};

/// What must be stored of a unit that has completed.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// What tells it from other units: what it comes after, and how many share its name.
    pub(crate) identity: String,
    /// What it stands for. The same unit may come to stand for something else where something
    /// changed before it.
    pub(crate) meaning: u64,
}

/// What must be stored of one workflow under an id, by key.
pub(crate) type Records = BTreeMap<String, Record>;

/// What a resumed run may find.
pub(crate) struct Found<'state> {
    pub(crate) records: &'state Records,
    /// The keys that were damaged, and whether it matters.
    pub(crate) damaged: &'state BTreeMap<String, bool>,
    /// Whether another workflow is stored under the same id, so that any checkpoint may be refused.
    pub(crate) is_foreign: bool,
    /// Whether the program has changed.
    pub(crate) is_changed: bool,
}

/// Compares what happened in a run with what must.
pub(crate) struct Check<'run> {
    pub(crate) found: Found<'run>,
    pub(crate) workflows: &'run HashMap<String, Noted>,
    pub(crate) calls: HashMap<(String, u64, Option<usize>), usize>,
    pub(crate) run: usize,
    pub(crate) salt: u64,
    /// What must be stored from now on.
    pub(crate) new: Vec<(String, Record)>,
    pub(crate) counts: &'run mut Counts,
}

pub(crate) type Checked<T> = Result<T, String>;

impl<'run> Check<'run> {
    /// Checks a run, and gives what it must have stored.
    pub(crate) fn all(
        program: &Program,
        workflow_id: &str,
        (run, salt): (usize, u64),
        happened: &'run Happened,
        found: Found<'run>,
        counts: &'run mut Counts,
    ) -> Checked<Vec<(String, Record)>> {
        let mut check = Self {
            found,
            workflows: &happened.workflows,
            calls: happened.calls.clone(),
            run,
            salt,
            new: Vec::new(),
            counts,
        };
        let around = Around {
            workflow_id: workflow_id.to_owned(),
            prefix: String::new(),
            counts: String::new(),
            meaning: 0,
            follows_failure: false,
        };
        check.workflow(program, &around)?;
        match check.calls.keys().next() {
            Some(call) => Err(format!("{call:?} was called, and no report says so")),
            None => Ok(check.new),
        }
    }

    pub(crate) fn workflow(&mut self, program: &Program, around: &Around) -> Checked<Done> {
        let noted = self.workflows.get(&around.workflow_id);
        let noted = noted.ok_or_else(|| format!("no run of {:?}", around.workflow_id))?;
        let (keys, meanings) = (program.keys(), program.meanings(around.meaning));
        let order = program.order();
        let mut done: HashMap<u64, Done> = HashMap::new();
        for (id, node) in order.iter().enumerate() {
            let inputs = || {
                let inputs = node.inputs.iter();
                inputs.map(|(before, mode)| (&done[before], *mode))
            };
            let after: Vec<&str> = node.inputs.iter().map(|(uid, _)| &*keys[uid].0).collect();
            let (key, namesakes) = &keys[&node.uid];
            let (meaning_around, meaning) = meanings[&node.uid];
            let counts = format!("{}{namesakes}", around.counts);
            let place = Place {
                key: key.clone(),
                identity: format!("{counts} after {after:?}"),
                counts,
                meaning,
                meaning_around,
                item: None,
                can_run: inputs()
                    .all(|(before, mode)| before.value.is_some() || !node.requires(mode)),
                follows_failure: around.follows_failure
                    || inputs().any(|(before, _)| before.value.is_none() || before.follows_failure),
            };
            let digests: Vec<Option<u64>> = if node.ignores {
                Vec::new()
            } else {
                let values = inputs().map(|(before, _)| before.value.as_ref());
                values.map(|value| value.map(Value::digest)).collect()
            };
            let is_map = node.is_map();
            let list = inputs().next().and_then(|(list, _)| list.value.clone());
            let mut site = Site {
                program,
                around,
                noted,
                node,
                id,
                place,
            };
            let result = match list {
                Some(Value::Many(list)) if is_map && noted.told.contains_key(&(id, Some(0))) => {
                    self.items(&mut site, &list)?
                }
                Some(Value::Many(list)) if is_map && list.is_empty() => site.no_items()?,
                _ => self.unit(&site, &digests, noted.outputs.get(&node.uid))?,
            };
            if result.value.as_ref() != noted.outputs.get(&node.uid) {
                return Err(format!(
                    "{} has the output {:?} instead of {:?}",
                    site.name(),
                    noted.outputs.get(&node.uid),
                    result.value
                ));
            }
            done.insert(node.uid, result);
        }
        let sinks: Vec<&Done> = program
            .sinks()
            .iter()
            .map(|sink| &done[&sink.uid])
            .collect();
        let is_whole = sinks.iter().all(|sink| sink.value.is_some());
        let has_failed = noted
            .told
            .values()
            .any(|told| told.status != Status::Completed);
        if noted.succeeded && !is_whole || is_whole && !has_failed && !noted.succeeded {
            return Err(format!(
                "{:?} tells wrongly whether it succeeded",
                around.workflow_id
            ));
        }
        Ok(Done {
            value: sinks[0].value.clone().filter(|_| noted.succeeded),
            follows_failure: sinks.iter().any(|sink| sink.follows_failure),
        })
    }

    fn items(&mut self, site: &mut Site<'_>, list: &[u64]) -> Checked<Done> {
        let outputs = match site.noted.outputs.get(&site.node.uid) {
            Some(Value::Many(outputs)) => Some(outputs.clone()),
            _ => None,
        };
        if outputs
            .as_ref()
            .is_some_and(|outputs| outputs.len() != list.len())
        {
            return Err(format!("{} has not one output per item", site.name()));
        }
        let own_key = site.place.key.clone();
        let (mut values, mut follows_failure) = (Vec::new(), site.place.follows_failure);
        for (item, value) in list.iter().enumerate() {
            site.place.item = Some(item);
            site.place.key = format!("{own_key}[{item}]");
            let output = outputs.as_ref().map(|outputs| Value::One(outputs[item]));
            let done = self.unit(site, &[Some(*value)], output.as_ref())?;
            follows_failure |= done.follows_failure;
            values.push(done.value);
        }
        let values: Option<Vec<u64>> = values
            .iter()
            .map(|value| value.as_ref().map(Value::digest))
            .collect();
        Ok(Done {
            value: values.map(Value::Many),
            follows_failure,
        })
    }
}
