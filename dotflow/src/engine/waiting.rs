//! What a run has given out and not begun yet: it waits for limits, for a slot that other workflows of
//! the run have, or for other workflows to end.

use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    pin::Pin,
    sync::Arc,
};

use futures_util::stream::FuturesUnordered;
use tokio::task::JoinSet;

use super::{guard::Outcome, perform::Begin};
use crate::{
    limits::{Admission, Permits},
    report::id::TaskId,
};

type Admitted = Pin<Box<dyn Future<Output = (TaskId, Permits)> + Send>>;

/// What was given out and has not begun, and the workflows that run.
#[derive(Default)]
pub(super) struct Waiting {
    /// What waits for limits or a slot.
    begins: BTreeMap<TaskId, Begin>,
    pub(super) admitted: FuturesUnordered<Admitted>,
    /// Those among them that wait for a slot alone, and so for their turn.
    for_slot: usize,
    /// Workflows that wait for others to end.
    held: VecDeque<Begin>,
    pub(super) workflows: JoinSet<Outcome>,
}

impl Waiting {
    /// Whether nothing waits, and no workflow runs.
    pub(super) fn is_idle(&self) -> bool {
        self.begins.is_empty() && self.held.is_empty() && self.workflows.is_empty()
    }

    /// Whether more may be given out: what comes behind one that waits for a slot waits for it too.
    pub(super) fn takes_more(&self) -> bool {
        self.for_slot == 0
    }

    /// Has a task wait for what it needs.
    pub(super) fn wait(&mut self, begin: Begin, admission: &Arc<Admission>, group: Option<&str>) {
        let id = begin.id;
        let admission = Arc::clone(admission);
        if !admission.is_limited(group) {
            self.for_slot += 1;
        }
        let group = group.map(Arc::from);
        let admitted = async move { (id, admission.admit(group).await) };
        self.admitted.push(Box::pin(admitted));
        self.begins.insert(id, begin);
    }

    /// What was admitted, unless it was given up in the meantime.
    pub(super) fn admit(&mut self, id: TaskId, permits: Permits) -> Option<Begin> {
        if !permits.is_limited() {
            self.for_slot -= 1;
        }
        let mut begin = self.begins.remove(&id)?;
        begin.permits = Some(Box::new(permits));
        Some(begin)
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
        let waiting = self.begins.keys().copied();
        let held = self.held.iter().map(|begin| begin.id);
        let given_up = waiting.chain(held).filter(|id| is_given_up(*id));
        let given_up: Vec<TaskId> = given_up.collect();
        for id in &given_up {
            self.begins.remove(id);
        }
        self.held.retain(|begin| !is_given_up(begin.id));
        given_up
    }

    /// Gives everything up.
    pub(super) fn clear(&mut self) {
        self.begins.clear();
        self.held.clear();
        self.admitted.clear();
        self.for_slot = 0;
    }
}
