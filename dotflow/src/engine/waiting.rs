//! What a run has given out and not begun yet: it waits for limits, for a slot that other workflows of
//! the run have, for other workflows to end, or for a storage to say whether it is done already.

use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    pin::Pin,
    sync::Arc,
};

use futures_util::{
    future::{AbortHandle, Abortable},
    stream::FuturesUnordered,
};
use tokio::task::JoinSet;

use super::{guard::Outcome, perform::Begin};
use crate::{
    limits::{Admission, Permits},
    report::id::TaskId,
};

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What was given out and has not begun, and the workflows that run.
#[derive(Default)]
pub(super) struct Waiting {
    /// What waits for limits or a slot.
    entries: BTreeMap<TaskId, Entry>,
    pub(super) admitted: FuturesUnordered<Abortable<Boxed<(TaskId, Permits)>>>,
    /// How many among them wait for a slot alone, and so for their turn.
    for_slot: usize,
    /// What has a slot, and is looked for in the storage.
    pub(super) looked_up: FuturesUnordered<Boxed<Result<Outcome, Begin>>>,
    /// Workflows that wait for others to end.
    held: VecDeque<Begin>,
    pub(super) workflows: JoinSet<Outcome>,
}

/// A task that waits for limits or a slot.
struct Entry {
    begin: Begin,
    is_for_slot: bool,
    /// Gives up its places, so that they go to the next one at once.
    abort: AbortHandle,
}

impl Waiting {
    /// Whether nothing waits, and no workflow runs.
    pub(super) fn is_idle(&self) -> bool {
        self.entries.is_empty()
            && self.looked_up.is_empty()
            && self.held.is_empty()
            && self.workflows.is_empty()
    }

    /// Whether more may be given out: what comes behind one that waits for a slot waits for it too.
    pub(super) fn takes_more(&self) -> bool {
        self.for_slot == 0
    }

    /// Has a task wait for what it needs.
    pub(super) fn wait(&mut self, begin: Begin, admission: &Arc<Admission>, group: Option<&str>) {
        let id = begin.id;
        let admission = Arc::clone(admission);
        let is_for_slot = !admission.is_limited(group);
        self.for_slot += usize::from(is_for_slot);
        let group = group.map(Arc::from);
        let admitted: Boxed<_> = Box::pin(async move { (id, admission.admit(group).await) });
        let (abort, registration) = AbortHandle::new_pair();
        self.admitted.push(Abortable::new(admitted, registration));
        let entry = Entry {
            begin,
            is_for_slot,
            abort,
        };
        self.entries.insert(id, entry);
    }

    /// What was admitted, unless it was given up in the meantime.
    pub(super) fn admit(&mut self, id: TaskId, permits: Permits) -> Option<Begin> {
        let mut begin = self.leave(id)?;
        begin.rare.get_or_insert_default().permits = Some(permits);
        Some(begin)
    }

    fn leave(&mut self, id: TaskId) -> Option<Begin> {
        let entry = self.entries.remove(&id)?;
        self.for_slot -= usize::from(entry.is_for_slot);
        entry.abort.abort();
        Some(entry.begin)
    }

    /// Has a workflow wait until another one has ended.
    pub(super) fn hold(&mut self, begin: Begin) {
        self.held.push_back(begin);
    }

    pub(super) fn release(&mut self) -> Option<Begin> {
        self.held.pop_front()
    }

    /// Gives up what is not to be begun any more, as far as it waits.
    pub(super) fn give_up(&mut self, is_given_up: impl Fn(TaskId) -> bool) -> Vec<TaskId> {
        let waiting = self.entries.keys().copied();
        let held = self.held.iter().map(|begin| begin.id);
        let given_up = waiting.chain(held).filter(|id| is_given_up(*id));
        let given_up: Vec<TaskId> = given_up.collect();
        for id in &given_up {
            drop(self.leave(*id));
        }
        self.held.retain(|begin| !is_given_up(begin.id));
        given_up
    }

    /// Gives everything up but the workflows that run.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.admitted.clear();
        self.for_slot = 0;
        self.looked_up.clear();
        self.held.clear();
    }
}
