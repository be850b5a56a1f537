//! What must hold of one task, or of one item, of a resumed run.

use dotflow::Status;

use super::{
    build::{Told, without_versions},
    model::{Check, Checked, Record},
    program::{Program, Value, mixed},
    site::{Around, Done, Site},
    unit::not_yet_lost,
};

impl Check<'_> {
    /// Checks a task, or an item, and gives what must have come of it.
    pub(crate) fn unit(
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
            Status::Skipped if !site.place.can_run => Ok(site.nothing()),
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
            workflow_id: format!(
                "{}/{}",
                site.around.workflow_id,
                without_versions(&site.place.key)
            ),
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
        let salt = self.salt;
        self.salt = inner.salt(salt);
        let done = self.workflow(inner, &around);
        self.salt = salt;
        let done = done?;
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
        let mut value = node.returns(self.salt, place.item, inputs);
        // What is stored is handed on as it is read back, also the first time.
        let is_kept_whole = !node.is_stored || place.follows_failure;
        let is_number = place.item.is_some() || !node.is_list();
        if node.is_lossy && is_kept_whole && is_number {
            value = Value::One(not_yet_lost(value.digest()));
        }
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
