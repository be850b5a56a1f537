//! What must hold of a resumed run: each output is what a fresh run of the present program gives,
//! and just that is done again that has to be.

use std::collections::{BTreeMap, HashMap};

use dotflow::Status;

use super::{
    build::{Happened, Noted, Told},
    program::{Node, Program, Value, mixed},
};

/// What must be stored of a unit that has completed.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// What tells it from other units: what it comes after, and how many share its name.
    identity: String,
    /// What it stands for. The same unit may come to stand for something else where something
    /// changed before it.
    meaning: u64,
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

/// Where a workflow stands.
#[derive(Clone)]
struct Around {
    workflow_id: String,
    prefix: String,
    /// How many share the name of each task that it is nested in.
    counts: String,
    meaning: u64,
    follows_failure: bool,
}

/// Where a unit stands.
struct Place {
    key: String,
    identity: String,
    /// How many share its name, and those of the tasks that it is nested in.
    counts: String,
    meaning: u64,
    /// The same without what is nested in it.
    meaning_around: u64,
    item: Option<usize>,
    /// Whether it can run, with the inputs that there are.
    can_run: bool,
    follows_failure: bool,
}

/// What came of a node.
struct Done {
    value: Option<Value>,
    follows_failure: bool,
}

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

/// Compares what happened in a run with what must.
pub(crate) struct Check<'run> {
    found: Found<'run>,
    workflows: &'run HashMap<String, Noted>,
    calls: HashMap<(String, u64, Option<usize>), usize>,
    run: usize,
    salt: u64,
    /// What must be stored from now on.
    new: Vec<(String, Record)>,
    counts: &'run mut Counts,
}

type Checked<T> = Result<T, String>;

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

    fn workflow(&mut self, program: &Program, around: &Around) -> Checked<Done> {
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
            let digests: Vec<Option<u64>> = match node.ignores {
                true => Vec::new(),
                false => inputs()
                    .map(|(before, _)| before.value.as_ref().map(Value::digest))
                    .collect(),
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
                Some(Value::Many(list)) if is_map && list.is_empty() => self.no_items(&site)?,
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

    fn no_items(&mut self, site: &Site<'_>) -> Checked<Done> {
        let told = site.told()?;
        let value = match told.status {
            Status::Completed => Some(Value::Many(Vec::new())),
            _ => site.not_started(told)?,
        };
        Ok(Done {
            value,
            follows_failure: site.place.follows_failure,
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

    /// Checks a task, or an item, and gives what must have come of it.
    fn unit(
        &mut self,
        site: &Site<'_>,
        inputs: &[Option<u64>],
        output: Option<&Value>,
    ) -> Checked<Done> {
        let told = site.told()?;
        let begun = matches!(told.status, Status::Completed | Status::Failed);
        if begun && !site.place.can_run {
            return Err(format!("{} has run without an input", site.name()));
        }
        match told.status {
            Status::Skipped if !site.place.can_run => return Ok(site.nothing()),
            Status::NotStarted => site.not_started(told).map(|_| site.nothing()),
            Status::Completed | Status::Failed => match site.node.inner() {
                Some(inner) => self.nested(site, told, inner, output),
                None => self.action(site, told, inputs, output),
            },
            status => Err(format!("{} is {status}", site.name())),
        }
    }

    fn nested(
        &mut self,
        site: &Site<'_>,
        told: &Told,
        inner: &Program,
        output: Option<&Value>,
    ) -> Checked<Done> {
        let key = format!("{}{}", site.around.prefix, site.place.key);
        let around = Around {
            workflow_id: format!("{}/{}", site.around.workflow_id, site.place.key),
            counts: format!("{}/", site.place.counts),
            // What a workflow comes after tells the tasks within it from others, too.
            meaning: mixed(
                [site.place.meaning_around]
                    .into_iter()
                    .chain(site.place.identity.bytes().map(u64::from)),
            ),
            prefix: format!("{key}/"),
            follows_failure: site.place.follows_failure,
        };
        let own = self.found.damaged.iter().filter(|(key, _)| {
            key.strip_prefix(&*around.prefix)
                .is_some_and(|key| key.starts_with('#'))
        });
        let own: Vec<bool> = own.map(|(_, matters)| *matters).collect();
        if told.status == Status::Failed && !self.workflows.contains_key(&around.workflow_id) {
            let is_explained = self.found.is_foreign || self.found.is_changed || !own.is_empty();
            if told.is_refused && is_explained {
                self.counts.refused += 1;
                return Ok(site.nothing());
            }
            return Err(format!("{} was not begun: {}", site.name(), told.error));
        }
        if own.contains(&true) {
            return Err(format!("{} has run on a damaged record", site.name()));
        }
        let done = self.workflow(inner, &around)?;
        if done.value.is_some() != (told.status == Status::Completed) {
            return Err(format!("{} differs from its run", site.name()));
        }
        if let (Some(output), Some(value)) = (output, &done.value)
            && output != value
        {
            return Err(format!(
                "{} gives {output:?} instead of {value:?}",
                site.name()
            ));
        }
        Ok(Done {
            follows_failure: done.follows_failure || site.place.follows_failure,
            value: done.value,
        })
    }

    fn action(
        &mut self,
        site: &Site<'_>,
        told: &Told,
        inputs: &[Option<u64>],
        output: Option<&Value>,
    ) -> Checked<Done> {
        let Site { node, place, .. } = site;
        let name = site.name();
        let call = (site.around.workflow_id.clone(), node.uid, place.item);
        let calls = self.calls.remove(&call).unwrap_or_default();
        let is_lost = self.found.is_foreign && told.is_refused && calls == 1;
        if calls != usize::from(!told.is_restored && !told.is_refused) && !is_lost {
            return Err(format!(
                "{name} was called {calls} times, and told so wrongly"
            ));
        }
        let value = node.returns(self.salt, place.item, inputs);
        let completed = told.status == Status::Completed;
        if let (true, Some(output)) = (completed, output)
            && *output != value
        {
            let how = if told.is_restored { "restored" } else { "run" };
            return Err(format!(
                "{name} gives {output:?} ({how}), where a fresh run gives {value:?}"
            ));
        }
        let key = format!("{}{}", site.around.prefix, place.key);
        let identity = format!("{} {}", place.identity, node.is_list());
        let record = self.found.records.get(&key).filter(|_| node.is_stored);
        let damaged = self.found.damaged.get(&key).copied();
        self.counts.after_failures += usize::from(place.follows_failure && completed);
        if told.is_restored {
            self.counts.restored += 1;
            return match record {
                _ if place.follows_failure => Err(format!(
                    "{name} was restored, although it follows a failure"
                )),
                None => Err(format!("{name} was restored from what is not its own")),
                Some(record) if record.identity != identity => Err(format!(
                    "{name} was restored, although it was {:?}, and is {identity:?}",
                    record.identity
                )),
                Some(_) if damaged == Some(true) => {
                    Err(format!("{name} was restored from a damaged checkpoint"))
                }
                Some(_) => Ok(site.gives(value)),
            };
        }
        let is_same = record.is_some_and(|record| record.identity == identity);
        let may_differ = record.is_some_and(|record| record.meaning != place.meaning);
        if told.is_refused {
            self.counts.refused += 1;
            let is_explained = record.is_some() && (!is_same || may_differ || damaged.is_some());
            if self.found.is_foreign || is_explained && !place.follows_failure {
                return Ok(site.nothing());
            }
            return Err(format!("{name} was refused: {}", told.error));
        }
        self.counts.executed += 1;
        if record.is_some() && !place.follows_failure && !self.found.is_foreign {
            if !is_same {
                return Err(format!(
                    "{name} was run, although its checkpoint is of another"
                ));
            }
            if damaged == Some(true) {
                return Err(format!(
                    "{name} was run, although its checkpoint is damaged"
                ));
            }
            if !may_differ {
                return Err(format!("{name} was run again"));
            }
        }
        if completed {
            if node.is_stored && !place.follows_failure && record.is_none() {
                let meaning = place.meaning;
                self.new.push((key, Record { identity, meaning }));
            }
            return Ok(site.gives(value));
        }
        if node
            .fails
            .now(self.run, &site.around.workflow_id, place.item)
        {
            return Ok(site.nothing());
        }
        Err(format!("{name} has failed: {}", told.error))
    }
}

/// One node, where it stands, and what is told of its workflow.
struct Site<'run> {
    program: &'run Program,
    around: &'run Around,
    noted: &'run Noted,
    node: &'run Node,
    id: usize,
    place: Place,
}

impl Site<'_> {
    fn name(&self) -> String {
        let Self { around, node, .. } = self;
        format!(
            "{}/{} (node {})",
            around.workflow_id, self.place.key, node.uid
        )
    }

    fn told(&self) -> Checked<&Told> {
        let told = self.noted.told.get(&(self.id, self.place.item));
        told.ok_or_else(|| format!("{} is not told of", self.name()))
    }

    fn nothing(&self) -> Done {
        Done {
            value: None,
            follows_failure: self.place.follows_failure,
        }
    }

    fn gives(&self, value: Value) -> Done {
        Done {
            value: Some(value),
            follows_failure: self.place.follows_failure,
        }
    }

    /// Only a failure that stops its workflow keeps a task from being started.
    fn not_started(&self, told: &Told) -> Checked<Option<Value>> {
        let mut all = self.noted.told.values();
        let has_failed = all.any(|told| told.status == Status::Failed);
        if told.status == Status::NotStarted && !self.program.keep_going && has_failed {
            return Ok(None);
        }
        Err(format!("{} is {}", self.name(), told.status))
    }
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
